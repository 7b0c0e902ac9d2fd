"""Tests of `warmup`."""

import sys
import tempfile
import unittest.mock

import tensorflow as tf

from train.serving import warmup


def _functions():
  @tf.function
  def sample(*, labels, temperature, num_frames):
    return {'frames': tf.zeros([tf.size(labels), num_frames[0]]) + temperature}

  @tf.function
  def next_frame(*, frame, state_map):
    return {'frame': frame, 'state_map': state_map}

  return {
    'sample': sample.get_concrete_function(
      labels=tf.TensorSpec([None], tf.int32),
      temperature=tf.TensorSpec([None], tf.float32),
      num_frames=tf.TensorSpec([None], tf.int32),
    ),
    'next_frame': next_frame.get_concrete_function(
      frame=tf.TensorSpec([None, 4, 4, 1], tf.uint8),
      state_map=tf.TensorSpec([None, None, 2], tf.float32),
    ),
  }


class WarmupTest(tf.test.TestCase):
  def test_example_requests(self):
    requests = warmup.example_requests(_functions())
    self.assertAllEqual(requests['sample']['labels'], [0])
    self.assertAllClose(requests['sample']['temperature'], [1.0])
    self.assertAllEqual(requests['sample']['num_frames'], [2])
    self.assertEqual(requests['next_frame']['frame'].shape, [1, 4, 4, 1])
    self.assertEqual(requests['next_frame']['frame'].dtype, tf.uint8)
    self.assertEqual(requests['next_frame']['state_map'].shape, [1, 2, 2])

  def test_images_are_one_frame(self):
    functions = {'sample': _functions()['sample']}
    requests = warmup.example_requests(functions)
    self.assertAllEqual(requests['sample']['num_frames'], [1])

  def test_a_warning_without_the_package(self):
    with (
      tempfile.TemporaryDirectory() as folder,
      unittest.mock.patch.dict(
        sys.modules,
        {'tensorflow_serving': None, 'tensorflow_serving.apis': None},
      ),
      self.assertLogs(level='WARNING') as logs,
    ):
      warmup.write_warmup(folder, _functions(), 'cglow')
    self.assertIn("pip install 'tfp-cglow[serving]'", logs.output[0])

  def test_is_read_back_and_replayed(self):
    try:
      from tensorflow_serving.apis import prediction_log_pb2
    except ImportError:
      self.skipTest('needs tensorflow-serving-api')
    functions = _functions()
    with tempfile.TemporaryDirectory() as folder:
      warmup.write_warmup(folder, functions, 'cglow')
      path = f'{folder}/assets.extra/tf_serving_warmup_requests'
      (first, *_) = tf.data.TFRecordDataset(path).as_numpy_iterator()
      requests = warmup.read_warmup(folder)
    log = prediction_log_pb2.PredictionLog.FromString(first)
    self.assertEqual(log.WhichOneof('log_type'), 'predict_log')
    self.assertEqual(log.predict_log.request.model_spec.name, 'cglow')
    self.assertEqual([name for name, _ in requests], list(functions))
    expected = warmup.example_requests(functions)
    for name, inputs in requests:
      self.assertSameElements(inputs, expected[name])
      for key, value in inputs.items():
        self.assertAllEqual(value, expected[name][key])
        self.assertEqual(value.dtype, expected[name][key].dtype)
      functions[name](**inputs)


if __name__ == '__main__':
  tf.test.main()
