"""`examples/client.py` against a SavedModel and TensorFlow Serving's REST JSON.

No server's binary is needed: a loopback server runs the signatures behind the
encoding that TensorFlow Serving documents (its RESTful API, column format).
"""

import contextlib
import http.server
import importlib.util
import io
import itertools
import json
import os
import pathlib
import shutil
import tempfile
import threading
from unittest import mock

import numpy as np
from PIL import Image
import tensorflow as tf

import tfp_cglow
from train.serving import export
from train.serving import signatures as signatures_lib

_CLIENT = pathlib.Path(__file__).parents[1] / 'examples' / 'client.py'
_SHAPE = [4, 4, 3]
# What the client calls, and the default; to trace all takes seconds.
_CALLED = ('first_frame', 'next_frame', 'sample')


def _load_client():
  spec = importlib.util.spec_from_file_location('client', _CLIENT)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def _answer(signatures, body):
  """TensorFlow Serving's answer to a predict request: (status, JSON)."""
  name = body.get('signature_name', 'serving_default')
  if name not in signatures:
    return 404, {'error': f'Serving signature name: "{name}" not found'}
  function = signatures[name]
  _, specs = function.structured_input_signature
  try:
    tensors = {k: _tensor(k, body['inputs'], s) for k, s in specs.items()}
    outputs = function(**tensors)
  except (ValueError, tf.errors.InvalidArgumentError) as e:
    return 400, {'error': str(e)}
  lists = {k: v.numpy().tolist() for k, v in outputs.items()}
  if len(lists) == 1:
    (lists,) = lists.values()
  return 200, {'outputs': lists}


def _tensor(name, inputs, spec):
  """A tensor of JSON lists, as the server's json_tensor.cc makes it.

  Inputs that a signature has not are ignored; an integer is an int32, which a
  uint8 is cut from.
  """
  if name not in inputs:
    raise ValueError(f"Missing named input: {name} in 'inputs' object.")
  array = np.array(inputs[name])  # Raises for ragged lists.
  if spec.dtype.is_integer:
    limits = np.iinfo(np.int32)
    if array.dtype.kind != 'i' or not np.all(
      (array >= limits.min) & (array <= limits.max)
    ):
      raise ValueError(f'JSON Value is not of expected type: {spec.dtype.name}')
  return tf.constant(array.astype(spec.dtype.as_numpy_dtype))


@contextlib.contextmanager
def _serving(signatures, requests):
  """Yields the URL of a model; collects the requests' bodies."""

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
      body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
      requests.append(body)
      if self.path == '/v1/models/cglow:predict':
        status, answer = _answer(signatures, body)
      else:
        status, answer = 404, {'error': 'Malformed request: POST ' + self.path}
      data = json.dumps(answer).encode('utf-8')
      self.send_response(status)
      self.send_header('Content-Type', 'application/json')
      self.send_header('Content-Length', str(len(data)))
      self.end_headers()
      self.wfile.write(data)

    def log_message(self, *unused):
      pass

  server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
  thread = threading.Thread(target=server.serve_forever)
  thread.start()
  try:
    yield f'http://127.0.0.1:{server.server_port}/v1/models/cglow'
  finally:
    server.shutdown()
    thread.join()
    server.server_close()


class ClientTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    directory = tempfile.TemporaryDirectory()
    cls.addClassCleanup(directory.cleanup)
    cls.folder = directory.name
    parts = {
      'num_glow_blocks': 1,
      'steps': tfp_cglow.AdditiveSteps(1, 4),
      'labels': tfp_cglow.LabelPriors(),
    }
    cls.flow = tfp_cglow.build_video_flow(
      _SHAPE,
      tfp_cglow.GlowSpec(**parts),
      tfp_cglow.TailSpec(
        first=tfp_cglow.FrameAffine(),
        previous_frames=2,
        memory=tfp_cglow.ResidualMemory(2),
        **parts,
      ),
      num_labels=2,
      seed=0,
    )
    rng = np.random.default_rng(0)
    for variable in cls.flow.trainable_variables:
      variable.assign(0.15 * rng.standard_normal(variable.shape))
    bodies = signatures_lib._bodies
    with mock.patch.object(
      signatures_lib, '_bodies', lambda f: {k: bodies(f)[k] for k in _CALLED}
    ):
      cls.path = export.export_model(
        cls.flow, cls.folder, label_names=['left', 'right']
      )
    cls.loaded = tf.saved_model.load(cls.path)
    cls.client = _load_client()

  def _expected(self, num_frames):
    return self.flow.sample([1], num_frames, seed=[[0, 5]], temperature=1.0)[0]

  def test_streams_the_model_s_video_from_a_folder(self):
    model = self.client.connect(self.path)
    video = self.client.stream(model, label=1, seed=5)
    frames = np.stack(list(itertools.islice(video, 6)))
    self.assertEqual(frames.dtype, np.uint8)
    self.assertAllEqual(frames, self._expected(6))

  def test_names_of_folders(self):
    path = f'{self.folder}/c[1] {{2}}*'
    shutil.copytree(self.path, path)
    before = os.getcwd()
    video = self.client.stream(self.client.connect(path), label=1, seed=5)
    self.assertAllEqual(list(itertools.islice(video, 1)), self._expected(1))
    self.assertEqual(os.getcwd(), before)

  def test_streams_the_same_video_over_rest(self):
    requests = []
    with _serving(self.loaded.signatures, requests) as url:
      video = self.client.stream(self.client.connect(url), label=1, seed=5)
      frames = np.stack(list(itertools.islice(video, 6)))
    self.assertAllEqual(frames, self._expected(6))
    first, second = requests[:2]
    self.assertEqual(
      first,
      {
        'signature_name': 'first_frame',
        'inputs': {
          'labels': [1],
          'seed': [[0, 5]],
          'temperature': [1.0],
          'min_p': [0.0],
        },
      },
    )
    self.assertEqual(second['inputs']['frame'], frames[:1].tolist())
    self.assertEqual(second['inputs']['frame_index'], [0])

  def test_writes_a_gif(self):
    output = f'{self.folder}/video.gif'
    code = self.client.main(
      [self.path, '--label=right', '--frames=3', f'--output={output}']
    )
    self.assertEqual(code, 0)
    with Image.open(output) as image:
      self.assertEqual((image.n_frames, image.size), (3, (16, 16)))

  def test_refusals_are_told(self):
    output = f'--output={self.folder}/refused.gif'
    with _serving(self.loaded.signatures, []) as url:
      for arguments, words in (
        ([url, '--label=2'], r'labels must be in \[0, 1\]'),
        ([url], 'Missing named input: labels'),
        ([url + 's', '--label=1'], 'Malformed request'),
        ([url, '--label=1', '--temperature=-1'], 'temperature must be finite'),
        ([self.path, '--label=2'], r'labels must be in \[0, 1\]'),
        ([self.path, '--label=up'], "Expected a label of .*got 'up'"),
      ):
        message = self.client.main([*arguments, output])
        self.assertRegex(message, f'(?s)^client: .*{words}')

  def test_wrong_arguments_are_told(self):
    for arguments, words in (
      (['--frames=0'], 'expected 1 to'),
      (['--frames=many'], 'invalid integer'),
      ([f'--seed={2**31}'], 'expected -2147483648 to'),
    ):
      stderr = io.StringIO()
      with (
        contextlib.redirect_stderr(stderr),
        self.assertRaises(SystemExit) as raised,
      ):
        self.client.main([self.path, '--label=1', *arguments])
      self.assertEqual(raised.exception.code, 2)
      self.assertIn(words, stderr.getvalue())

  def test_what_cannot_be_asked_is_told_in_one_line(self):
    empty = self.create_tempdir().full_path
    gif = f'--output={empty}/none/video.gif'
    for arguments, words in (
      ([self.path], 'give --labels'),
      ([self.path + 'x', '--label=1'], 'there is no folder'),
      ([empty, '--label=1'], 'cannot be loaded'),
      ([empty, '--label=up'], 'there are no names'),
      ([self.path, f'--label={2**31}'], 'in int32'),
      (['http://127.0.0.1:9/v1/models/m', '--label=1'], 'No answer from'),
      (['http://[', '--label=1'], ''),
      ([self.path, '--label=1', '--frames=1', gif], 'No such file'),
    ):
      message = self.client.main(arguments)
      self.assertRegex(message, f'^client: .*{words}')
      self.assertLen(message.splitlines(), 1)

  def test_answers_of_another_server_are_told(self):
    for body, words in (
      (b'<html>Welcome</html>', '<html>Welcome'),
      (b'{"error": "x"}', 'KeyError'),
      (b'[1]', 'TypeError'),
      (b'null', 'TypeError'),
      (b'{"outputs": {"frame": [[1], [2, 3]]}}', 'ValueError'),
      (b'{"outputs": [300]}', 'OverflowError|ValueError'),
      (b'{"outputs": {"other": [1]}}', 'KeyError'),
      (b'\xff\xfe', 'Error'),
      (b'', 'Error'),
    ):
      with self.assertRaisesRegex(self.client.RequestError, words):
        self.client._arrays(body, 'http://host')

  def test_answers_of_the_protocol_v2(self):
    # tests/v2_server_test.py asks a server.
    start = (
      b'{"outputs": [{"name": "frame", "datatype": "UINT8", "shape": [1, 2]}, '
      b'{"name": "frame_index", "datatype": "INT32", "shape": [1]}, '
      b'{"name": "x", "datatype": "FP32", "shape": [1], "data": [0.5]}]}'
    )
    body = start + b'\x01\xff' + b'\x03\0\0\0'
    answer = self.client._v2_arrays(body, str(len(start)), 'http://host')
    self.assertAllEqual(answer['frame'], [[1, 255]])
    self.assertAllEqual(answer['frame_index'], [3])
    self.assertAllEqual(answer['x'], [0.5])
    for bad, length in (
      (body[:-1], str(len(start))),
      (body, None),
      (body, 'x'),
      (b'{"outputs": [{"name": "frame"}]}', None),
      (b'<html>', None),
      (b'[]', None),
    ):
      with self.assertRaisesRegex(
        self.client.RequestError, 'Expected an answer of the protocol v2'
      ):
        self.client._v2_arrays(bad, length, 'http://host')

  def test_addresses_of_the_protocol_v2(self):
    for url, words in (
      ('v2+http://127.0.0.1:9/cglow', 'No answer from'),
      ('v2+http://127.0.0.1', r'Expected v2\+http://HOST:PORT/NAME'),
      ('v2+http://127.0.0.1:9/', r'Expected v2\+http://HOST:PORT/NAME'),
      ('v2+grpc://127.0.0.1:9', 'Expected v2.grpc://HOST|needs tritonclient'),
    ):
      message = self.client.main([url, '--label=1'])
      self.assertRegex(message, f'^client: .*{words}')

  def test_server_takes_only_what_fits(self):
    signatures = self.loaded.signatures
    request = {
      'labels': [1],
      'seed': [[0, 5]],
      'temperature': [1],
      'min_p': [0],
    }
    for name, value in (('labels', [0.5]), ('seed', [[0, 2**31]])):
      body = {'signature_name': 'first_frame', 'inputs': {**request}}
      body['inputs'][name] = value
      status, answer = _answer(signatures, body)
      self.assertEqual(status, 400)
      self.assertRegex(answer['error'], 'JSON Value')
    body = {
      'signature_name': 'sample',
      'inputs': {**request, 'num_frames': [2]},
    }
    status, answer = _answer(signatures, body)
    self.assertEqual(status, 200)  # One output: no name.
    self.assertAllEqual(np.shape(answer['outputs']), [1, 2, *_SHAPE])


if __name__ == '__main__':
  tf.test.main()
