"""Warm-up requests, which TensorFlow Serving replays before it serves."""

import pathlib

from absl import logging
import tensorflow as tf

from tfp_cglow.internal import plain_paths

__all__ = ['example_requests', 'read_warmup', 'write_warmup']

_FILE = 'assets.extra/tf_serving_warmup_requests'
_MISSING = (
  'No warm-up requests are written: they need the package '
  'tensorflow-serving-api of the same version as TensorFlow. Install it with '
  "pip install 'tfp-cglow[serving]'. Without them a server's first request of "
  'each signature is slow.'
)


def example_requests(functions):
  """A small request for each signature.

  A request has one row: label 0, seed (0, 0), temperature 1, black frames and
  zero latents. It has two frames, or one if the model has no tail.

  Args:
    functions: `dict` from names to signatures (`ConcreteFunction`s).

  Returns:
    `dict` from signatures' names to `dict`s from inputs' names to tensors.
  """
  length = 2 if 'next_frame' in functions else 1
  requests = {}
  for name, function in functions.items():
    _, specs = function.structured_input_signature
    requests[name] = {k: _value(k, s, length) for k, s in specs.items()}
  return requests


def _value(name, spec, length):
  value = {'temperature': 1.0, 'num_frames': length}.get(name, 0)
  unknown = (1, length)  # Rows, then frames.
  shape = [unknown[i] if d is None else d for i, d in enumerate(spec.shape)]
  return tf.fill(shape, tf.cast(value, spec.dtype))


def write_warmup(folder, functions, name):
  """Writes `assets.extra/tf_serving_warmup_requests`, or warns why not.

  Args:
    folder: Path of a SavedModel.
    functions: Its signatures, see `example_requests`.
    name: `str`, the model's name in the requests.
  """
  try:
    protos = _protos()
  except ImportError:
    logging.warning(_MISSING)
    return
  path = pathlib.Path(folder) / _FILE
  path.parent.mkdir(parents=True, exist_ok=True)
  with tf.io.TFRecordWriter(plain_paths.plain(path)) as writer:
    for signature, inputs in example_requests(functions).items():
      log = _prediction_log(protos, name, signature, inputs)
      writer.write(log.SerializeToString())


def read_warmup(folder):
  """The requests of a SavedModel: list of (signature's name, inputs).

  Args:
    folder: Path of a SavedModel.

  Raises:
    ImportError: if tensorflow-serving-api is not installed.
  """
  _, logs = _protos()
  requests = []
  path = plain_paths.plain(pathlib.Path(folder) / _FILE)
  for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
    request = logs.PredictionLog.FromString(record).predict_log.request
    inputs = {
      k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()
    }
    requests.append((request.model_spec.signature_name, inputs))
  return requests


def _protos():
  # Imported here, because it is an extra that only this file needs.
  from tensorflow_serving.apis import predict_pb2
  from tensorflow_serving.apis import prediction_log_pb2

  return predict_pb2, prediction_log_pb2


def _prediction_log(protos, name, signature, inputs):
  predict, logs = protos
  request = predict.PredictRequest()
  request.model_spec.name = name
  request.model_spec.signature_name = signature
  for key, value in inputs.items():
    request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
  log = logs.PredictionLog()
  log.predict_log.request.CopyFrom(request)
  return log
