"""`examples/serving`: tensors of the protocol v2, and the files for Triton.

Triton itself does not run here. Its config.pbtxt is parsed by Triton's own
message, where tritonclient is installed; model.py runs with an imitation of the
module that Triton gives it.
"""

import base64
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import types
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

_FOLDER = pathlib.Path(__file__).parents[1] / 'examples' / 'serving'


def _load(path, **modules):
  """A module of a file, which imports savedmodel_v2 and `modules`."""
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  with mock.patch.dict(sys.modules, modules):
    spec.loader.exec_module(module)
  return module


v2 = _load(_FOLDER / 'savedmodel_v2.py')
write_repository = _load(
  _FOLDER / 'triton' / 'write_repository.py', savedmodel_v2=v2
)


def _export(folder):
  """A SavedModel that adds labels to frames, and refuses negative labels."""

  @tf.function(
    input_signature=[
      tf.TensorSpec([None, None, 2], tf.uint8, 'frames'),
      tf.TensorSpec([None], tf.int32, 'labels'),
    ]
  )
  def add(frames, labels):
    ok = tf.debugging.Assert(
      tf.reduce_all(labels >= 0), ['labels must be >= 0, but got', labels]
    )
    with tf.control_dependencies([ok]):
      values = tf.cast(frames, tf.int32) + labels[:, tf.newaxis, tf.newaxis]
    return {'frames': tf.cast(values, tf.uint8), 'mean': tf.reduce_mean(values)}

  tf.saved_model.save(
    tf.Module(), folder, signatures={'add': add, 'serving_default': add}
  )
  return folder


_FRAMES = np.arange(12, dtype=np.uint8).reshape([2, 3, 2])
_LABELS = np.array([1, 2], np.int32)


class TensorTest(parameterized.TestCase, tf.test.TestCase):
  def test_lists(self):
    for data in (_FRAMES.tolist(), _FRAMES.ravel().tolist()):
      array = v2.list_array('frames', 'UINT8', [2, 3, 2], data)
      self.assertAllEqual(array, _FRAMES)
      self.assertEqual(array.dtype, np.uint8)
    floats = v2.list_array('x', 'FP32', [3], [0, 0.1, 1e300])
    self.assertAllEqual(floats, np.array([0, 0.1, np.inf], np.float32))

  @parameterized.parameters(
    ('UINT8', [2], [0, 256], 'expected 0 to 255'),
    ('UINT8', [1], [-1], 'expected 0 to 255'),
    ('INT32', [1], [2**31], 'expected -2147483648 to'),
    ('INT32', [1], [10**30], 'got object'),
    ('INT32', [1], [1.0], 'got float64'),
    ('INT32', [1], [True], 'got bool'),
    ('FP32', [1], ['1'], 'got str'),
    ('FP32', [1], [None], 'got object'),
    ('FP32', [1], {'a': 1}, 'got object'),
    ('FP32', [2], [[1], [2, 3]], 'expected lists of numbers'),
    ('FP32', [3], [1, 2], r'shape \[3\], but got 2 values'),
    ('FP32', [-1], [1], r'shape \[-1\]'),
    ('FP32', [1], [], 'got 0 values'),
    ('FP64', [1], [1], "datatype of .*'FP64'"),
  )
  def test_lists_that_do_not_fit(self, datatype, shape, data, words):
    with self.assertRaisesRegex(v2.RequestError, f'^x: .*{words}'):
      v2.list_array('x', datatype, shape, data)

  def test_base64(self):
    for value, datatype in ((_FRAMES, 'UINT8'), (_LABELS, 'INT32')):
      text = base64.b64encode(value.tobytes()).decode('ascii')
      array = v2.base64_array('x', datatype, value.shape, [text])
      self.assertAllEqual(array, value)
      self.assertEqual(array.dtype, value.dtype)

  @parameterized.parameters(
    (['####'], 'expected base64'),
    (['AAAAA'], 'expected base64'),
    (['\u00e9AAA'], 'expected base64'),
    (['AAAA'], '3 bytes'),
    ([1], 'one text'),
    (['AAAA', 'AAAA'], 'one text'),
    (['AAAAAAAAAAA='], 'got 2 values'),
  )
  def test_base64_that_does_not_fit(self, data, words):
    with self.assertRaisesRegex(v2.RequestError, f'^x: .*{words}'):
      v2.base64_array('x', 'INT32', [1], data)


class ModelTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    directory = tempfile.TemporaryDirectory()
    cls.addClassCleanup(directory.cleanup)
    cls.folder = directory.name
    cls.export = _export(os.path.join(cls.folder, 'export'))
    cls.model = v2.Model(cls.export)

  def test_describes_signatures(self):
    self.assertSameElements(self.model.signatures, ['add', 'serving_default'])
    self.assertEqual(
      self.model.inputs('add'),
      {'frames': ('UINT8', [-1, -1, 2]), 'labels': ('INT32', [-1])},
    )
    self.assertEqual(self.model.outputs('add')['mean'], ('INT32', []))

  def test_answers(self):
    inputs = {'frames': _FRAMES, 'labels': _LABELS}
    answer = self.model('add', inputs)
    self.assertSameElements(answer, ['frames', 'mean'])
    self.assertAllEqual(answer['frames'], _FRAMES + _LABELS[:, None, None])
    self.assertEqual(list(self.model('add', inputs, ['mean'])), ['mean'])

  def test_refusals(self):
    good = {'frames': _FRAMES, 'labels': _LABELS}
    for signature, inputs, outputs, words in (
      ('sub', good, None, "signature of .*'sub'"),
      ('add', {'frames': _FRAMES}, None, r"\['labels'\] are missing"),
      ('add', {**good, 'x': _LABELS}, None, r"got also \['x'\]"),
      ('add', {**good, 'labels': _LABELS[None]}, None, r'shape \[-1\]'),
      ('add', {**good, 'frames': _FRAMES[:, :, :1]}, None, r'shape \[-1, -1, '),
      ('add', {**good, 'labels': _LABELS * 1.0}, None, 'INT32, but got float'),
      ('add', good, ['x'], r"outputs of .*\['x'\]"),
      (
        'add',
        {**good, 'labels': -_LABELS},
        None,
        '^labels must be >= 0, but got: -1 -2$',
      ),
    ):
      with self.assertRaisesRegex(v2.RequestError, words):
        self.model(signature, inputs, outputs)

  def test_no_export(self):
    with self.assertRaisesRegex(ValueError, 'there is no file saved_model.pb'):
      v2.Model(self.folder)

  def _repository(self, *arguments):
    folder = self.create_tempdir().full_path
    code = write_repository.main([self.export, folder, *arguments])
    return pathlib.Path(folder), code

  def test_triton_config(self):
    folder, code = self._repository('--seen_as=/models/"1"')
    self.assertEqual(code, 0)
    text = (folder / 'cglow-add' / 'config.pbtxt').read_text('utf-8')
    self.assertSameElements(os.listdir(folder), ['cglow-add'])
    try:
      from tritonclient.grpc import model_config_pb2
    except ImportError:
      self.skipTest('needs tritonclient[grpc]')
    from google.protobuf import text_format

    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    self.assertEqual(config.name, 'cglow-add')
    self.assertEqual(config.backend, 'python')
    self.assertEqual(
      {i.name: (i.data_type, list(i.dims)) for i in config.input},
      {
        'frames': (model_config_pb2.TYPE_UINT8, [-1, -1, 2]),
        'labels': (model_config_pb2.TYPE_INT32, [-1]),
      },
    )
    self.assertSameElements([o.name for o in config.output], ['frames', 'mean'])
    self.assertEqual(config.parameters['export'].string_value, '/models/"1"')

  def test_triton_refusals(self):
    _, message = self._repository('--signatures=add,sub')
    self.assertRegex(message, "signatures of .*'sub'")
    folder, _ = self._repository()
    message = write_repository.main([self.export, str(folder)])
    self.assertRegex(message, 'Expected a new folder')
    message = write_repository.main([str(folder), str(folder)])
    self.assertRegex(message, 'no file saved_model.pb')

  def test_triton_model_with_an_imitation(self):
    folder, _ = self._repository('--signatures=add')
    module = _load(
      folder / 'cglow-add' / '1' / 'model.py',
      savedmodel_v2=v2,
      triton_python_backend_utils=_imitation(),
    )
    model = module.TritonPythonModel()
    parameters = {'signature': 'add', 'export': self.export}
    config = {
      'parameters': {k: {'string_value': v} for k, v in parameters.items()}
    }
    model.initialize({'model_config': json.dumps(config)})
    good = _request(frames=_FRAMES, labels=_LABELS)
    bad = _request(frames=_FRAMES, labels=-_LABELS)
    first, refused, again = model.execute([good, bad, good])
    for response in (first, again):
      self.assertIsNone(response.error)
      answer = {t.name(): t.as_numpy() for t in response.output_tensors}
      self.assertAllEqual(answer['frames'], _FRAMES + _LABELS[:, None, None])
    self.assertEqual(refused.error.code, 'INVALID_ARG')
    self.assertRegex(refused.error.message, '^labels must be >= 0')


class _Tensor:
  def __init__(self, name, value):
    self._name, self._value = name, value

  def name(self):
    return self._name

  def as_numpy(self):
    return self._value


class _Error:
  INVALID_ARG = 'INVALID_ARG'

  def __init__(self, message, code):
    self.message, self.code = message, code


def _request(**inputs):
  return types.SimpleNamespace(
    inputs=lambda: [_Tensor(k, v) for k, v in inputs.items()],
    requested_output_names=lambda: ['frames'],
  )


def _response(output_tensors=(), error=None):
  return types.SimpleNamespace(output_tensors=output_tensors, error=error)


def _imitation():
  """What model.py uses of `triton_python_backend_utils`."""
  return types.SimpleNamespace(
    Tensor=_Tensor, TritonError=_Error, InferenceResponse=_response
  )


if __name__ == '__main__':
  tf.test.main()
