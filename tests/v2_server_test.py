"""`examples/serving/server.py`, really started, over REST and gRPC.

Needs kserve and tritonclient (`make test-serving`); skipped without.
"""

import base64
import importlib.util
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import numpy as np
import tensorflow as tf

import tfp_cglow
from train.serving import export
from train.serving import warmup

_EXAMPLES = pathlib.Path(__file__).parents[1] / 'examples'
_MISSING = [
  name
  for name in ('kserve', 'tritonclient')
  if importlib.util.find_spec(name) is None
]


def _load_client():
  path = _EXAMPLES / 'client.py'
  spec = importlib.util.spec_from_file_location('client', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def _flow():
  parts = {
    'num_glow_blocks': 1,
    'steps': tfp_cglow.AdditiveSteps(1, 4),
    'labels': tfp_cglow.LabelPriors(),
  }
  tail = tfp_cglow.TailSpec(
    first=tfp_cglow.FrameAffine(),
    previous_frames=2,
    memory=tfp_cglow.ResidualMemory(2),
    **parts,
  )
  head = tfp_cglow.GlowSpec(**parts)
  flow = tfp_cglow.build_video_flow([4, 4, 3], head, tail, num_labels=2, seed=0)
  rng = np.random.default_rng(0)
  for variable in flow.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return flow


def _free_ports():
  with socket.socket() as first, socket.socket() as second:
    for one in (first, second):
      one.bind(('127.0.0.1', 0))
    return first.getsockname()[1], second.getsockname()[1]


def _example(function):
  """Two rows, of random frames and latents and of two labels."""
  rng = np.random.default_rng(1)
  (example,) = warmup.example_requests({'next_frame': function}).values()
  inputs = {k: np.repeat(v.numpy(), 2, axis=0) for k, v in example.items()}
  for name, value in inputs.items():
    if value.dtype == np.uint8:
      inputs[name] = rng.integers(0, 256, value.shape).astype(np.uint8)
    elif name in ('latents', 'state_map'):
      inputs[name] = rng.standard_normal(value.shape).astype(np.float32)
    elif name in ('labels', 'seed'):
      inputs[name] = rng.integers(0, 2, value.shape).astype(np.int32)
  return inputs


@unittest.skipIf(_MISSING, f'needs {", ".join(_MISSING)}')
class V2ServerTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    directory = tempfile.TemporaryDirectory()
    cls.addClassCleanup(directory.cleanup)
    path = export.export_model(_flow(), directory.name, max_frames=8)
    cls.signatures = tf.saved_model.load(path).signatures
    cls.client = _load_client()
    http, grpc = _free_ports()
    cls.http = f'http://127.0.0.1:{http}'
    cls.grpc = f'127.0.0.1:{grpc}'
    cls.log = open(os.path.join(directory.name, 'log'), 'w+', encoding='utf-8')  # noqa: SIM115
    cls.addClassCleanup(cls.log.close)
    cls.server = subprocess.Popen(
      [
        *(sys.executable, str(_EXAMPLES / 'serving' / 'server.py')),
        *(f'--export={path}', '--max_body_mib=1'),
        *(f'--http_port={http}', f'--grpc_port={grpc}'),
      ],
      stdout=cls.log,
      stderr=subprocess.STDOUT,
    )
    cls.addClassCleanup(cls._stop)
    cls._wait()

  @classmethod
  def _wait(cls):
    for _ in range(1200):
      if cls.server.poll() is not None:
        break
      try:
        urllib.request.urlopen(cls.http + '/v2/models/cglow/ready', timeout=5)
        return
      except OSError:
        time.sleep(0.25)
    cls.log.seek(0)
    raise RuntimeError(f'The server is not ready: {cls.log.read()[-2000:]}')

  @classmethod
  def _stop(cls):
    cls.server.send_signal(signal.SIGTERM)
    try:
      cls.server.wait(60)
    except subprocess.TimeoutExpired:
      cls.server.kill()
      cls.server.wait()

  def _post(self, name, body, headers=None):
    """(status, JSON) of a request with a body of JSON or bytes."""
    if not isinstance(body, bytes):
      body = json.dumps(body).encode('utf-8')
      headers = {'Content-Type': 'application/json', **(headers or {})}
    url = f'{self.http}/v2/models/{name}/infer'
    request = urllib.request.Request(url, body, headers or {})
    try:
      with urllib.request.urlopen(request, timeout=120) as response:
        return response.status, json.load(response)
    except urllib.error.HTTPError as e:
      return e.code, json.load(e)

  def _lists(self, inputs):
    return [
      {
        'name': name,
        'shape': list(value.shape),
        'datatype': {'i': 'INT32', 'f': 'FP32', 'u': 'UINT8'}[value.dtype.kind],
        'data': value.ravel().tolist(),
      }
      for name, value in inputs.items()
    ]

  def _check(self, answer, expected):
    self.assertSameElements(answer, expected)
    for name, value in expected.items():
      self.assertEqual(answer[name].dtype, value.dtype.as_numpy_dtype)
      if value.dtype == tf.float32:
        self.assertAllClose(answer[name], value, 1e-6, 1e-6)
      else:
        self.assertAllEqual(answer[name], value)

  def test_equals_the_direct_call(self):
    rest = self.client.connect(f'v2+{self.http}/cglow')
    grpc = self.client.connect(f'v2+grpc://{self.grpc}/cglow')
    self.assertLen(self.signatures, 9)
    for name, function in self.signatures.items():
      if name == 'serving_default':
        continue
      inputs = _example(function)
      expected = function(**{k: tf.constant(v) for k, v in inputs.items()})
      with self.subTest(name):
        self._check(rest(name, inputs), expected)
        self._check(grpc(name, inputs), expected)
        status, answer = self._post(
          f'cglow-{name}', {'inputs': self._lists(inputs)}
        )
        self.assertEqual(status, 200, answer)
        for output in answer['outputs']:
          value = expected[output['name']].numpy()
          self.assertEqual(output['shape'], list(value.shape))
          self.assertAllClose(output['data'], value.ravel(), 1e-6, 1e-6)

  def test_metadata(self):
    url = f'{self.http}/v2/models/cglow-classify'
    with urllib.request.urlopen(url, timeout=60) as response:
      metadata = json.load(response)
    self.assertEqual(
      metadata['inputs'],
      [{'name': 'frames', 'datatype': 'UINT8', 'shape': [-1, -1, 4, 4, 3]}],
    )
    self.assertEqual(metadata['outputs'][0]['shape'], [-1, 2])
    with urllib.request.urlopen(f'{self.http}/v2/models', timeout=60) as reply:
      names = json.load(reply)['models']
    self.assertLen(names, 9)
    self.assertIn('cglow', names)

  def test_the_client_streams(self):
    frames = {}
    for url in (f'v2+{self.http}/cglow', f'v2+grpc://{self.grpc}/cglow'):
      video = self.client.stream(self.client.connect(url), label=1, seed=5)
      frames[url] = np.stack([next(video) for _ in range(3)])
    expected = self.signatures['sample'](
      labels=tf.constant([1]),
      seed=tf.constant([[0, 5]]),
      temperature=tf.constant([1.0]),
      min_p=tf.constant([0.0]),
      num_frames=tf.constant([3]),
    )['frames'][0]
    for video in frames.values():
      self.assertAllEqual(video, expected)

  def test_base64(self):
    inputs = _example(self.signatures['classify'])
    (tensor,) = self._lists(inputs)
    text = base64.b64encode(inputs['frames'].tobytes()).decode('ascii')
    tensor.update(data=[text], parameters={'content_type': 'base64'})
    status, answer = self._post('cglow-classify', {'inputs': [tensor]})
    self.assertEqual(status, 200, answer)
    expected = self.signatures['classify'](frames=inputs['frames'])
    self.assertAllClose(
      answer['outputs'][0]['data'], np.ravel(expected['log_probs']), 1e-6, 1e-6
    )

  def test_bad_requests_over_rest(self):
    (good,) = self._lists(_example(self.signatures['classify']))
    frames = lambda **changes: {'inputs': [{**good, **changes}]}
    code = {'content_type': 'base64'}
    binary = {'Inference-Header-Content-Length': '9'}
    stream = {'Content-Type': 'application/octet-stream'}
    short = json.dumps(
      frames(data=None, parameters={'binary_data_size': 5})
    ).encode()
    for name, body, headers, status, words in (
      ('other', frames(), {}, 404, 'other does not exist'),
      ('cglow-other', frames(), {}, 404, 'does not exist'),
      ('cglow-classify', {'inputs': []}, {}, 400, r"\['frames'\] are missing"),
      ('cglow-classify', frames(name='x'), {}, 400, 'are missing'),
      ('cglow-classify', {'inputs': [good] * 2}, {}, 400, 'each input once'),
      ('cglow-classify', frames(shape=[1]), {}, 400, r'shape \[1\]'),
      ('cglow-classify', frames(shape=[1, 2, 8, 8, 3]), {}, 400, 'shape'),
      ('cglow-classify', frames(shape=[192]), {}, 400, 'expected the shape'),
      ('cglow-classify', frames(datatype='FP32'), {}, 400, 'expected UINT8'),
      ('cglow-classify', frames(datatype='X'), {}, 400, 'a datatype of'),
      ('cglow-classify', frames(data=['?'] * 192), {}, 400, 'got str'),
      ('cglow-classify', frames(data=[300] * 192), {}, 400, '0 to 255'),
      ('cglow-classify', frames(data=[]), {}, 400, 'frames'),
      ('cglow-classify', frames(data=7), {}, 400, 'protocol v2'),
      (
        'cglow-classify',
        frames(data=['#'], parameters=code),
        {},
        400,
        'expected base64',
      ),
      (
        'cglow-classify',
        {**frames(), 'outputs': [{'name': 'x'}]},
        {},
        400,
        'Expected outputs of',
      ),
      ('cglow-classify', [1], {}, 400, 'protocol v2'),
      ('cglow-classify', {'x': 1}, {}, 400, 'protocol v2'),
      ('cglow-classify', b'{"inputs": ', {**stream, **binary}, 400, 'format'),
      ('cglow-classify', b'{"a":[1]}', {**stream, **binary}, 400, 'inputs'),
      ('cglow-classify', b'\xff' * 20, stream, 400, 'header is missing'),
      (
        'cglow-classify',
        short + b'12345',
        {**stream, 'Inference-Header-Content-Length': str(len(short))},
        400,
        'protocol v2',
      ),
      (
        'cglow-classify',
        short,
        {**stream, 'Inference-Header-Content-Length': 'x'},
        400,
        'protocol v2',
      ),
      ('cglow-classify', b' ' * (2**20 + 1), stream, 413, 'at most 1048576'),
    ):
      with self.subTest(words, body=str(body)[:80]):
        got, answer = self._post(name, body, headers)
        self.assertEqual(got, status, answer)
        self.assertRegex(answer['error'], words)
        self.assertLess(len(answer['error']), 600)
    status, answer = self._post('cglow-classify', frames())
    self.assertEqual(status, 200, answer)  # It goes on.

  def test_bad_requests_over_grpc(self):
    from tritonclient import grpc
    from tritonclient import utils

    client = grpc.InferenceServerClient(self.grpc)
    inputs = _example(self.signatures['encode'])

    def ask(name='cglow-encode', **changes):
      tensors = []
      for key, value in {**inputs, **changes}.items():
        datatype = utils.np_to_triton_dtype(value.dtype)
        tensors.append(grpc.InferInput(key, list(value.shape), datatype))
        tensors[-1].set_data_from_numpy(value)
      return client.infer(name, tensors, client_timeout=120.0)

    labels = np.array([0, 1], np.int32)
    large = np.zeros([2, 2**20], np.uint8)
    for call, status, words in (
      (lambda: ask('other'), 'NOT_FOUND', 'does not exist'),
      (lambda: ask(x=labels), 'INVALID_ARGUMENT', r"got also \['x'\]"),
      (lambda: ask(labels=labels + 1), 'INVALID_ARGUMENT', 'labels must be in'),
      (lambda: ask(labels=labels[:1]), 'INVALID_ARGUMENT', 'same number of'),
      (lambda: ask(labels=labels * 1.0), 'INVALID_ARGUMENT', 'expected INT32'),
      (lambda: ask(labels=labels[None]), 'INVALID_ARGUMENT', 'the shape'),
      (lambda: ask(frames=large), 'RESOURCE_EXHAUSTED', '1048576'),
    ):
      with self.subTest(words):
        with self.assertRaises(utils.InferenceServerException) as raised:
          call()
        self.assertEqual(raised.exception.status(), f'StatusCode.{status}')
        self.assertRegex(raised.exception.message(), words)
    self.assertIsNotNone(ask().as_numpy('latents'))  # It goes on.


if __name__ == '__main__':
  tf.test.main()
