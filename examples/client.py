"""Streams a video, frame by frame, from an exported model to a GIF.

  python examples/client.py export/1 --label=right --output=video.gif
  python examples/client.py http://localhost:8501/v1/models/cglow --label=2
  python examples/client.py localhost:8500 --label=2

The first reads the SavedModel itself and needs TensorFlow; the second asks
TensorFlow Serving over REST and needs Python and Pillow alone; the third asks
it over gRPC and needs tensorflow-serving-api.
"""

import argparse
import itertools
import json
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
from PIL import Image

__all__ = ['GrpcModel', 'RestModel', 'SavedModel', 'connect', 'stream']

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


class RequestError(RuntimeError):
  """A request that the model refused, with its words."""


class SavedModel:
  """A model from a folder on this machine."""

  def __init__(self, path):
    import tensorflow as tf  # The other ways do not need it.

    self._tf = tf
    self._loaded = tf.saved_model.load(path)

  def __call__(self, signature, inputs):
    """Calls a signature with `dict`s of arrays."""
    tensors = {k: self._tf.constant(v) for k, v in inputs.items()}
    try:
      outputs = self._loaded.signatures[signature](**tensors)
    except self._tf.errors.InvalidArgumentError as e:
      raise RequestError(str(e)) from e
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
    body = {
      'signature_name': signature,
      'inputs': {k: np.asarray(v).tolist() for k, v in inputs.items()},
    }
    request = urllib.request.Request(
      self._url,
      json.dumps(body).encode('utf-8'),
      {'Content-Type': 'application/json'},
    )
    try:
      with urllib.request.urlopen(request, timeout=self._timeout) as response:
        outputs = json.load(response)['outputs']
    except urllib.error.HTTPError as e:
      raise RequestError(_error_words(e)) from e
    if not isinstance(outputs, dict):  # The only output is given without name.
      outputs = {'frame': outputs}
    return {k: np.array(v, _DTYPES[k]) for k, v in outputs.items()}


class GrpcModel:
  """A model behind TensorFlow Serving's gRPC API."""

  def __init__(self, address, name='cglow', timeout=60.0):
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2
    from tensorflow_serving.apis import prediction_service_pb2_grpc

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


def connect(model):
  """A callable model of a folder, a URL or HOST:PORT."""
  if urllib.parse.urlsplit(model).scheme in ('http', 'https'):
    return RestModel(model)
  if pathlib.Path(model).is_dir():
    return SavedModel(model)
  return GrpcModel(model)


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
  parser.add_argument('model', help='A folder, a URL or HOST:PORT.')
  parser.add_argument('--label', help='Its number; of a folder, or its name.')
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--temperature', type=float, default=1.0)
  parser.add_argument('--min_p', type=float, default=0.0)
  parser.add_argument('--frames', type=int, default=30)
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
  except (RequestError, ValueError, OSError) as e:
    return f'client: {e}'
  print(options.output)
  return 0


def _label_number(model, label):
  if label is None or label.isdecimal():
    return None if label is None else int(label)
  names_file = pathlib.Path(model) / 'assets' / 'labels.txt'
  names = names_file.read_text('utf-8').splitlines()
  if label not in names:
    raise ValueError(f'Expected a label of {names}, but got {label!r}.')
  return names.index(label)


def _error_words(error):
  """The words of a refusal: TensorFlow Serving sends {"error": WORDS}."""
  body = error.read().decode('utf-8', 'replace')
  try:
    return json.loads(body)['error']
  except (ValueError, KeyError, TypeError):
    return f'{error} {body}'


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
