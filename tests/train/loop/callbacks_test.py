import os
import signal
import types
import unittest.mock

from absl import logging
import tensorflow as tf
import tf_keras as tfk

from train.loop import callbacks
from train.loop import interrupts
from train.loop import parameter_watch
from train.loop import progress
from train.loop import tensorboard_log
from train.storage import run_folder


class _Model(tfk.Model):
  """Logs what `VideoGlow` does, and counts its steps."""

  def __init__(self):
    super().__init__()
    self.weight = tf.Variable(1.0, name='weight')
    self._mean = tfk.metrics.Mean('loss')
    self._clips = tfk.metrics.Sum('clips')
    self._skipped = tfk.metrics.Sum('skipped_steps')

  @property
  def metrics(self):
    return [self._mean, self._clips, self._skipped]

  def train_step(self, data):
    self.weight.assign_add(1.0)
    self._mean.update_state(self.weight)
    self._clips.update_state(8.0)
    self._skipped.update_state(0.0)
    return {m.name: m.result() for m in self.metrics}

  def test_step(self, data):
    self._mean.update_state(100.0)
    return {'loss': self._mean.result()}


def _dataset():
  return tf.data.Dataset.from_tensors(tf.ones([2, 1])).repeat()


def _inputs():
  return types.SimpleNamespace(check_skips=lambda: 3, wait_seconds=0.0)


class _Saved:
  """In the place of `Checkpoints`: what was saved."""

  def __init__(self):
    self.calls = []

  def save(self, step, held_out_bits_per_dim):
    self.calls.append((step, held_out_bits_per_dim))


class LoggingTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = run_folder.RunFolder(self.create_tempdir().full_path)
    self.model = types.SimpleNamespace(
      optimizer=types.SimpleNamespace(learning_rate=0.5),
      reset_metrics=unittest.mock.MagicMock(),
    )

  def _callback(self, initial_step=10, num_steps=16, every=4, is_chief=True):
    watch = parameter_watch.ParameterWatch({'tail': [tf.Variable([1.0])]})
    callback = callbacks.Logging(
      initial_step,
      num_steps,
      every,
      self.folder,
      _inputs(),
      watch,
      tensorboard_log.TensorBoardLog(self.folder.tensorboard, is_chief),
      is_chief,
    )
    callback.set_model(self.model)
    callback.on_train_begin()
    return callback

  def _train(self, callback, num_steps=6, **logs):
    logs = {'loss': 1.0, 'clips': 8.0, 'skipped_steps': 0.0, **logs}
    for batch in range(num_steps):
      callback.on_train_batch_begin(batch)
      callback.on_train_batch_end(batch, logs)
    callback.on_train_end()

  def _scalars(self):
    found = {}
    for path in sorted(self.folder.tensorboard.iterdir()):
      for record in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
          number = float(tf.make_ndarray(value.tensor))
          found.setdefault(event.step, {})[value.tag] = number
    return found

  def test_steps_count_on_after_a_resume(self):
    self._train(self._callback())
    rows = self.folder.read_metrics()
    self.assertEqual([r['step'] for r in rows], [12, 16])
    self.assertEqual(rows[0]['kind'], 'train')
    self.assertEqual(rows[0]['skipped_files'], 3)
    self.assertEqual(rows[0]['learning_rate'], 0.5)
    self.assertEqual(rows[0]['tail_relative_update'], 0.0)
    self.assertEqual(self.model.reset_metrics.call_count, 2)

  def test_tensorboard_has_the_same_numbers(self):
    self._train(self._callback(), spikes=2.0, head_log_det=-1.25)
    scalars = self._scalars()
    for row in self.folder.read_metrics():
      step = row.pop('step')
      self.assertEqual(row.pop('kind'), 'train')
      self.assertEqual(row['spikes'], 2.0)
      self.assertAllClose(
        {f'train/{k}': v for k, v in row.items()}, scalars.pop(step)
      )
    self.assertEmpty(scalars)

  def test_each_log_is_one_line(self):
    with self.assertLogs(logging.get_absl_logger(), 'INFO') as logs:
      self._train(self._callback())
    lines = [r.getMessage() for r in logs.records]
    self.assertLen(lines, 2)
    self.assertRegex(
      lines[0], '^step 12/16, .* left, .*clips/s.*waiting, 3 skipped files'
    )

  def test_steps_that_are_all_skipped_do_not_end_training(self):
    self._train(self._callback(), skipped_steps=4.0)
    self.assertEqual(self.folder.read_metrics()[-1]['skipped_steps'], 4.0)

  def test_only_the_chief_writes(self):
    callback = self._callback(is_chief=False)
    with unittest.mock.patch.object(progress.logging, 'info') as info:
      self._train(callback)
    info.assert_not_called()
    self.assertEmpty(os.listdir(self.folder.path))
    self.assertEqual(self.model.reset_metrics.call_count, 2)

  def test_clips_per_second_is_of_the_steps_alone(self):
    with (
      unittest.mock.patch.object(callbacks.time, 'perf_counter') as clock,
      unittest.mock.patch.object(callbacks.time, 'process_time') as processor,
    ):
      clock.return_value = processor.return_value = 0.0
      callback = self._callback(initial_step=0, num_steps=4)
      for batch in range(4):
        callback.on_train_batch_begin(batch)
        clock.return_value += 0.5
        processor.return_value += 0.75
        callback._inputs.wait_seconds += 0.25
        logs = {'clips': 8.0 * (batch + 1), 'skipped_steps': 0.0}
        callback.on_train_batch_end(batch, logs)
        clock.return_value += 100.0  # An evaluation.
        processor.return_value += 200.0
      callback.on_train_end()
    (row,) = self.folder.read_metrics()
    self.assertEqual(row['clips_per_second'], 16.0)
    self.assertEqual(row['wait_fraction'], 0.5)
    self.assertEqual(row['processor_seconds'], 4 * 0.75)


class TrainingTest(tf.test.TestCase):
  """The callbacks as `fit` calls them."""

  def setUp(self):
    super().setUp()
    self.model = _Model()
    self.model.compile('sgd')
    self.saved = _Saved()
    self.evaluated = []

  def _fit(
    self,
    initial_step=0,
    num_steps=10,
    eval_every=4,
    checkpoint_every=5,
    evaluate=None,
    show=None,
    others=(),
    stop=None,
  ):
    def evaluate_(step):
      self.evaluated.append(step)
      self.model.evaluate(_dataset().take(2), verbose=0)
      return 8.0 - step

    stop = stop or interrupts.Interrupts()
    evaluation = callbacks.Evaluation(
      initial_step, num_steps, eval_every, evaluate or evaluate_, show, stop
    )
    self.model.fit(
      _dataset(),
      steps_per_epoch=num_steps - initial_step,
      verbose=0,
      callbacks=[
        *others,
        callbacks.Interruption(initial_step, num_steps, stop),
        evaluation,
        callbacks.Checkpointing(
          initial_step, num_steps, checkpoint_every, self.saved, evaluation
        ),
      ],
    )

  def _at(self, step, do):
    return tfk.callbacks.LambdaCallback(
      on_train_batch_end=lambda batch, logs: batch + 1 == step and do()
    )

  def test_checkpoints_have_the_value_of_their_step(self):
    self._fit()
    self.assertEqual(self.evaluated, [4, 8, 10])
    self.assertEqual(
      self.saved.calls, [(4, 4.0), (5, None), (8, 0.0), (10, -2.0)]
    )

  def test_steps_count_on_after_a_resume(self):
    self._fit(initial_step=5)
    self.assertEqual(self.saved.calls, [(8, 0.0), (10, -2.0)])

  def test_pictures_come_with_each_evaluation(self):
    shown = []
    self._fit(show=shown.append)
    self.assertEqual(shown, self.evaluated)

  def test_an_evaluation_leaves_the_training_numbers(self):
    folder = run_folder.RunFolder(self.create_tempdir().full_path)
    logger = callbacks.Logging(
      0,
      10,
      5,
      folder,
      _inputs(),
      parameter_watch.ParameterWatch({'tail': [self.model.weight]}),
      tensorboard_log.TensorBoardLog(folder.tensorboard),
    )
    self._fit(others=[logger])
    rows = folder.read_metrics()
    self.assertEqual([r['loss'] for r in rows], [4.0, 9.0])  # Means of 5.

  def test_keras_does_not_copy_the_logs_at_each_step(self):
    kinds = []

    class Probe(callbacks.Evaluation):
      def on_step(self, step, logs):
        kinds.append(type(logs['loss']))

    self._fit(others=[Probe(0, 10, 4, None)])
    self.assertTrue(all(issubclass(k, tf.Tensor) for k in kinds), kinds)

  def test_a_signal_ends_the_step_saves_it_and_raises(self):
    kill = self._at(3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with (
      self.assertRaisesRegex(interrupts.Interrupted, 'SIGTERM'),
      interrupts.Interrupts() as stop,
      stop.deferred(),
    ):
      self._fit(others=[kill], stop=stop)
    self.assertEqual(self.saved.calls, [(3, None)])
    self.assertEqual(self.model.weight.numpy(), 4.0)  # Of 3 steps.

  def test_a_signal_before_an_evaluation_is_due(self):
    kill = self._at(4, lambda: os.kill(os.getpid(), signal.SIGINT))
    with (
      self.assertRaises(interrupts.Interrupted),
      interrupts.Interrupts() as stop,
      stop.deferred(),
    ):
      self._fit(others=[kill], stop=stop)
    self.assertEqual(self.saved.calls, [(4, None)])
    self.assertEmpty(self.evaluated)

  def test_a_signal_within_an_evaluation_ends_it(self):
    def evaluate(step):
      os.kill(os.getpid(), signal.SIGTERM)
      self.fail('Not interrupted.')

    with (
      self.assertRaises(interrupts.Interrupted),
      interrupts.Interrupts() as stop,
      stop.deferred(),
    ):
      self._fit(evaluate=evaluate, stop=stop)
    self.assertEqual(self.saved.calls, [(4, None)])

  def test_a_signal_while_pictures_are_made_keeps_the_value(self):
    def show(step):
      os.kill(os.getpid(), signal.SIGTERM)

    with (
      self.assertRaises(interrupts.Interrupted),
      interrupts.Interrupts() as stop,
      stop.deferred(),
    ):
      self._fit(show=show, stop=stop)
    self.assertEqual(self.saved.calls, [(4, 4.0)])

  def test_no_evaluation_once_training_is_to_stop(self):
    # With many workers it is completed, and one without a signal stops, too.
    evaluation = callbacks.Evaluation(0, 10, 4, self.fail, interrupts=None)
    evaluation.set_model(types.SimpleNamespace(stop_training=True, metrics=[]))
    evaluation.on_train_batch_end(3, {})
    self.assertFalse(evaluation.is_at(4))

  def test_errors_of_an_evaluation_stay_themselves(self):
    def evaluate(step):
      raise ValueError('mine')

    with self.assertRaisesRegex(ValueError, 'mine'):
      self._fit(evaluate=evaluate)


class InterruptionTest(tf.test.TestCase):
  def test_workers_agree(self):
    for others, stops in ((False, False), (True, True)):
      asked = []

      def agree(is_requested, others=others, asked=asked):
        asked.append(is_requested)
        return is_requested or others

      stop = interrupts.Interrupts()
      callback = callbacks.Interruption(0, 10, stop, agree)
      callback.set_model(types.SimpleNamespace(stop_training=False))
      callback.on_train_batch_end(0, {})
      self.assertEqual(callback.model.stop_training, stops)
      self.assertEqual(asked, [False])
    self.assertEqual(stop.requested, "another worker's signal")


if __name__ == '__main__':
  tf.test.main()
