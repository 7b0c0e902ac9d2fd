"""Streams a video, frame by frame, from an exported model to a GIF.

  python examples/client.py export/1 --label=right --output=video.gif
  python examples/client.py http://localhost:8501/v1/models/cglow --label=2
  python examples/client.py localhost:8500 --label=2
  python examples/client.py v2+http://localhost:8080/cglow --label=2
  python examples/client.py v2+grpc://localhost:8081/cglow --label=2

The first reads the SavedModel itself and needs TensorFlow; the second asks
TensorFlow Serving over REST and needs Python, NumPy and Pillow alone; the third
asks it over gRPC and needs tensorflow-serving-api. The last two ask a server of
the Open Inference Protocol (KServe, Triton), over REST and over gRPC, which
needs tritonclient[grpc].
"""

import argparse
import http.client
import itertools
import json
import os
import pathlib
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
from PIL import Image

__all__ = [
  'GrpcModel',
  'RestModel',
  'SavedModel',
  'V2GrpcModel',
  'V2RestModel',
  'connect',
  'stream',
]

_DTYPES = {
  'labels': np.int32,
  'seed': np.int32,
  'temperature': np.float32,
  'min_p': np.float32,
  'frame_index': np.int32,
  'state_map': np.float32,
  'frame': np.uint8,
  'previous_frame': np.uint8,
}
# The dtypes of signatures, as the Open Inference Protocol calls them.
_DATATYPES = {'INT32': '<i4', 'FP32': '<f4', 'UINT8': 'u1'}
_DATATYPE_NAMES = {np.dtype(v): k for k, v in _DATATYPES.items()}
_JSON_LENGTH = 'Inference-Header-Content-Length'


class RequestError(RuntimeError):
  """A request that was refused or not answered; the message says why."""


def _load(tf, path):
  """Loads from within the folder: TensorFlow expands `[ ] * ?` in paths."""
  before = os.getcwd()
  os.chdir(path)
  try:
    return tf.saved_model.load('.')
  finally:
    os.chdir(before)


class SavedModel:
  """A model from a folder on this machine."""

  def __init__(self, path):
    import tensorflow as tf  # The other ways do not need it.

    self._tf = tf
    try:
      self._loaded = _load(tf, path)
    except (OSError, ValueError, tf.errors.OpError) as e:
      raise RequestError(
        f'Expected the folder of a SavedModel, such as export/1, but {path} '
        f'cannot be loaded: {e}'
      ) from e

  def __call__(self, signature, inputs):
    """Calls a signature with `dict`s of arrays."""
    function = self._loaded.signatures.get(signature)
    if function is None:
      raise RequestError(f'The model has no signature {signature!r}.')
    wanted = set(function.structured_input_signature[1])
    if wanted != set(inputs):
      lacking, more = wanted - set(inputs), set(inputs) - wanted
      raise RequestError(
        f'The model takes {sorted(wanted)}; '
        + (f'give --{min(lacking)}.' if lacking else f'it has no {min(more)}.')
      )
    tensors = {k: self._tf.constant(v) for k, v in inputs.items()}
    try:
      outputs = function(**tensors)
    except self._tf.errors.OpError as e:
      raise RequestError(e.message) from e
    return {k: v.numpy() for k, v in outputs.items()}


class RestModel:
  """A model behind TensorFlow Serving's REST API.

  In its columnar format: {"signature_name": NAME, "inputs": {NAME: LISTS}} is
  answered by {"outputs": {NAME: LISTS}}, or {"outputs": LISTS} where there is
  one output; every tensor is nested lists of numbers, uint8 as well.
  """

  def __init__(self, url, timeout=60.0):
    self._url = f'{url}:predict'
    self._timeout = timeout

  def __call__(self, signature, inputs):
    """Calls a signature with `dict`s of arrays."""
    request = {
      'signature_name': signature,
      'inputs': {k: np.asarray(v).tolist() for k, v in inputs.items()},
    }
    headers = {'Content-Type': 'application/json'}
    body = json.dumps(request).encode('utf-8')
    body, _ = _post(self._url, body, headers, self._timeout)
    return _arrays(body, self._url)


class GrpcModel:
  """A model behind TensorFlow Serving's gRPC API."""

  def __init__(self, address, name='cglow', timeout=60.0):
    try:
      import grpc
      import tensorflow as tf
      from tensorflow_serving.apis import predict_pb2
      from tensorflow_serving.apis import prediction_service_pb2_grpc
    except ImportError as e:
      raise RequestError(
        f'gRPC needs tensorflow-serving-api ({e}); a URL of the REST API does '
        'not.'
      ) from e

    self._tf, self._request_class = tf, predict_pb2.PredictRequest
    self._errors = grpc.RpcError
    self._stub = prediction_service_pb2_grpc.PredictionServiceStub(
      grpc.insecure_channel(address)
    )
    self._name, self._timeout = name, timeout

  def __call__(self, signature, inputs):
    """Calls a signature with `dict`s of arrays."""
    request = self._request_class()
    request.model_spec.name = self._name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
      request.inputs[key].CopyFrom(self._tf.make_tensor_proto(value))
    try:
      outputs = self._stub.Predict(request, self._timeout).outputs
    except self._errors as e:
      raise RequestError(e.details()) from e
    return {k: self._tf.make_ndarray(v) for k, v in outputs.items()}


class V2RestModel:
  """A model behind the REST API of the Open Inference Protocol (v2).

  A signature is the model NAME-SIGNATURE. Tensors travel as bytes (the
  protocol's binary extension, which KServe and Triton have): JSON describes
  them, and their bytes follow in the same order.
  """

  def __init__(self, url, timeout=60.0):
    self._base, _, name = url.rpartition('/')
    if not name or '//' not in self._base:
      raise RequestError(f'Expected v2+http://HOST:PORT/NAME, but got v2+{url}')
    self._name, self._timeout = name, timeout

  def __call__(self, signature, inputs):
    """Calls a signature with `dict`s of arrays."""
    arrays = {k: np.asarray(v) for k, v in inputs.items()}
    described = {
      'inputs': [
        {
          'name': name,
          'shape': list(value.shape),
          'datatype': _DATATYPE_NAMES[value.dtype],
          'parameters': {'binary_data_size': value.nbytes},
        }
        for name, value in arrays.items()
      ],
      'parameters': {'binary_data_output': True},
    }
    start = json.dumps(described).encode('utf-8')
    headers = {
      'Content-Type': 'application/octet-stream',
      _JSON_LENGTH: str(len(start)),
    }
    url = f'{self._base}/v2/models/{self._name}-{signature}/infer'
    body = b''.join([start, *(v.tobytes() for v in arrays.values())])
    body, headers = _post(url, body, headers, self._timeout)
    return _v2_arrays(body, headers.get(_JSON_LENGTH), url)


class V2GrpcModel:
  """A model behind the gRPC API of the Open Inference Protocol (v2)."""

  def __init__(self, address, timeout=60.0):
    try:
      from tritonclient import grpc
      from tritonclient import utils
    except ImportError as e:
      raise RequestError(
        f'gRPC needs tritonclient[grpc] ({e}); v2+http://... does not.'
      ) from e

    host, _, self._name = address.rpartition('/')
    if not host or not self._name:
      raise RequestError(
        f'Expected v2+grpc://HOST:PORT/NAME, but got v2+grpc://{address}'
      )
    self._grpc, self._errors = grpc, utils.InferenceServerException
    self._client = grpc.InferenceServerClient(host)
    self._timeout = timeout

  def __call__(self, signature, inputs):
    """Calls a signature with `dict`s of arrays."""
    tensors = []
    for name, value in inputs.items():
      datatype = _DATATYPE_NAMES[value.dtype]
      tensors.append(self._grpc.InferInput(name, list(value.shape), datatype))
      tensors[-1].set_data_from_numpy(value)
    name = f'{self._name}-{signature}'
    try:
      answer = self._client.infer(name, tensors, client_timeout=self._timeout)
    except self._errors as e:
      raise RequestError(e.message()) from e
    names = [output.name for output in answer.get_response().outputs]
    return {name: answer.as_numpy(name) for name in names}


def connect(model):
  """A callable model of a folder, a URL or HOST:PORT."""
  scheme, _, rest = model.partition('://')
  if scheme in ('v2+http', 'v2+https'):
    return V2RestModel(model.removeprefix('v2+'))
  if scheme == 'v2+grpc':
    return V2GrpcModel(rest)
  if urllib.parse.urlsplit(model).scheme in ('http', 'https'):
    return RestModel(model)
  if pathlib.Path(model).is_dir():
    return SavedModel(model)
  if re.fullmatch(r'[^/\s]+:\d+', model):
    return GrpcModel(model)
  raise RequestError(
    f'Expected a folder, a URL or HOST:PORT, but there is no folder {model}.'
  )


def stream(model, label=None, seed=0, temperature=1.0, min_p=0.0):
  """Yields the frames of one video, for ever.

  Args:
    model: Callable of a signature's name and inputs, as of `connect`.
    label: Python `int`, or None for a model without labels.
    seed: Python `int`; equal seeds give equal videos.
    temperature: Python `float`; below 1 likely levels become likelier.
    min_p: Python `float`; levels less probable than `min_p` times the likeliest
      are not drawn.

  Yields:
    uint8 `[H, W, C]`.
  """
  request = {
    'seed': np.array([[0, seed]], np.int32),
    'temperature': np.array([temperature], np.float32),
    'min_p': np.array([min_p], np.float32),
  }
  if label is not None:
    request['labels'] = np.array([label], np.int32)
  # A frame and the state are all that the next frame needs: they go back.
  answer = model('first_frame', request)
  while True:
    yield answer['frame'][0]
    answer = model('next_frame', {**request, **answer})


def save_gif(path, frames, frames_per_second=8, scale=4):
  """Writes frames `[H, W, C]` as a GIF, enlarged."""
  images = []
  for frame in frames:
    image = Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
    size = (image.width * scale, image.height * scale)
    images.append(image.resize(size, Image.Resampling.NEAREST))
  duration = round(1000 / frames_per_second)
  images[0].save(
    path, save_all=True, append_images=images[1:], loop=0, duration=duration
  )


def main(arguments):
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    'model', help='A folder, a URL or HOST:PORT; v2+URL for the protocol v2.'
  )
  parser.add_argument('--label', help='Its number; of a folder, or its name.')
  parser.add_argument('--seed', type=_int_in(-(2**31), 2**31 - 1), default=0)
  parser.add_argument('--temperature', type=float, default=1.0)
  parser.add_argument('--min_p', type=float, default=0.0)
  parser.add_argument('--frames', type=_int_in(1, 100_000), default=30)
  parser.add_argument('--output', default='video.gif')
  options = parser.parse_args(arguments)
  try:
    label = _label_number(options.model, options.label)
    video = stream(
      connect(options.model),
      label,
      options.seed,
      options.temperature,
      options.min_p,
    )
    frames = list(itertools.islice(video, options.frames))
    save_gif(options.output, frames)
  except (RequestError, ValueError, OSError, ImportError, MemoryError) as e:
    return f'client: {" ".join(str(e).split())}'
  except KeyboardInterrupt:
    return 'client: stopped'
  print(options.output)
  return 0


def _int_in(least, most):
  """A type of `argparse`: an integer of a range."""

  def parse(text):
    value = int(text)
    if not least <= value <= most:
      raise argparse.ArgumentTypeError(
        f'expected {least} to {most}, but got {text}'
      )
    return value

  parse.__name__ = 'integer'  # For the message about other texts.
  return parse


def _label_number(model, label):
  if label is None:
    return None
  if re.fullmatch(r'-?[0-9]+', label):
    if abs(int(label)) >= 2**31:
      raise ValueError(f'Expected a label in int32, but got {label}.')
    return int(label)
  names_file = pathlib.Path(model) / 'assets' / 'labels.txt'
  if not names_file.is_file():
    raise ValueError(
      f'Expected the number of a label, but got {label!r}: there are no names '
      f'in {names_file}.'
    )
  names = names_file.read_text('utf-8').splitlines()
  if label not in names:
    raise ValueError(f'Expected a label of {names}, but got {label!r}.')
  return names.index(label)


def _post(url, body, headers, timeout):
  """The body and the headers of an answer; raises RequestError."""
  try:
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=timeout) as response:
      return response.read(), response.headers
  except urllib.error.HTTPError as e:
    raise RequestError(_error_words(e)) from e
  except (OSError, ValueError, http.client.HTTPException) as e:
    raise RequestError(f'No answer from {url}: {e!r}') from e


def _v2_arrays(body, json_length, url):
  """The outputs of an answer of the protocol v2: `dict` of arrays."""
  try:
    end = len(body) if json_length is None else int(json_length)
    arrays = {}
    for output in json.loads(body[:end])['outputs']:
      dtype = np.dtype(_DATATYPES[output['datatype']])
      if 'data' in output:
        values = np.array(output['data'], dtype)
      else:
        size = int(np.prod(output['shape'])) * dtype.itemsize
        values = np.frombuffer(body[end : end + size], dtype)
        end += size
      arrays[output['name']] = values.reshape(output['shape'])
  except (ValueError, KeyError, TypeError, OverflowError) as e:
    raise RequestError(
      f'Expected an answer of the protocol v2 from {url}, but got '
      f'{body[:60].decode("utf-8", "replace")!r} ({type(e).__name__}: {e}).'
    ) from e
  return arrays


def _arrays(body, url):
  """The outputs of an answer of the REST API: `dict` of arrays."""
  try:
    outputs = json.loads(body)['outputs']
    if not isinstance(outputs, dict):  # The only one is given without name.
      outputs = {'frame': outputs}
    arrays = {k: np.array(v, _DTYPES[k]) for k, v in outputs.items()}
    if arrays['frame'].ndim != 4:
      raise ValueError(f'the frame has {arrays["frame"].ndim} dimensions')
  except (ValueError, KeyError, TypeError, OverflowError) as e:
    start = body[:60].decode('utf-8', 'replace')
    raise RequestError(
      f'Expected the JSON of a model from {url}, with "outputs", but got '
      f'{start!r} ({type(e).__name__}: {e}).'
    ) from e
  return arrays


def _error_words(error):
  """The words of a refusal: servers send {"error": WORDS}."""
  body = error.read().decode('utf-8', 'replace')
  try:
    return json.loads(body)['error']
  except (ValueError, KeyError, TypeError):
    return f'{error} {body}'


if __name__ == '__main__':
  for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(errors='backslashreplace')
  result = main(sys.argv[1:])
  if isinstance(result, str):
    print(result, file=sys.stderr)
    result = 2
  sys.exit(result)
