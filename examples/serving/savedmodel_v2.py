"""An exported SavedModel as the Open Inference Protocol (v2) sees it.

The KServe server and Triton's backend use this file, which needs TensorFlow.
Each signature is a model of its own, with named, typed inputs and outputs.
"""

import base64
import binascii
import contextlib
import os

import numpy as np
import tensorflow as tf

__all__ = ['DATATYPES', 'Model', 'RequestError', 'base64_array', 'list_array']

# The protocol's names of the dtypes that signatures have.
DATATYPES = {'INT32': np.int32, 'FP32': np.float32, 'UINT8': np.uint8}
_NAMES = {np.dtype(v): k for k, v in DATATYPES.items()}


class RequestError(ValueError):
  """A request that cannot be answered; the message says why."""


class Model:
  """The signatures of a SavedModel, as functions of NumPy arrays.

  Attributes:
    signatures: List of `str`, the names; `serving_default` is one of them.
  """

  def __init__(self, path):
    """Loads `path`, such as export/1; raises ValueError if it cannot."""
    if not os.path.isfile(os.path.join(path, 'saved_model.pb')):
      raise ValueError(
        f'Expected the folder of a SavedModel, such as export/1, but there is '
        f'no file saved_model.pb in {path}.'
      )
    # From within the folder: TensorFlow expands `[ ] * ?` in paths.
    with _working_directory(path):
      self._loaded = tf.saved_model.load('.')
    self.signatures = list(self._loaded.signatures)

  def inputs(self, signature):
    """The inputs: `dict` from names to (datatype, shape); -1: any size."""
    return _described(self._function(signature).structured_input_signature[1])

  def outputs(self, signature):
    """The outputs, in the same form."""
    return _described(self._function(signature).structured_outputs)

  def __call__(self, signature, inputs, outputs=None):
    """Calls a signature.

    Args:
      signature: `str`.
      inputs: `dict` from names to arrays.
      outputs: Names of the outputs that are wanted, or None or empty for all.

    Returns:
      `dict` from names to arrays.

    Raises:
      RequestError: if the request does not fit the signature, or the model
        refuses it.
    """
    function = self._function(signature)
    _check(self.inputs(signature), inputs)
    known = list(function.structured_outputs)
    wanted = list(outputs or known)
    if not set(wanted) <= set(known):
      raise RequestError(f'Expected outputs of {known}, but got {wanted}.')
    try:
      answer = function(**{k: tf.constant(v) for k, v in inputs.items()})
    except tf.errors.InvalidArgumentError as e:
      raise RequestError(_words(e)) from e
    return {k: answer[k].numpy() for k in wanted}

  def _function(self, signature):
    if signature not in self.signatures:
      raise RequestError(
        f'Expected a signature of {self.signatures}, but got {signature!r}.'
      )
    return self._loaded.signatures[signature]


def list_array(name, datatype, shape, data):
  """An array of a tensor's "data": nested or flat lists of numbers.

  Raises:
    RequestError: if the numbers do not fit the datatype or the shape. Nothing
      is rounded or cut.
  """
  dtype = _dtype(name, datatype)
  try:
    values = np.array(data)
  except (ValueError, TypeError, OverflowError) as e:
    raise RequestError(f'{name}: expected lists of numbers, but {e}') from e
  if not values.size:
    values = values.astype(dtype)
  if values.dtype.kind not in ('iu' if dtype != np.float32 else 'iuf'):
    raise RequestError(
      f'{name}: expected numbers of {datatype}, but got {values.dtype.name}.'
    )
  if values.size and dtype != np.float32:
    limits = np.iinfo(dtype)
    low, high = values.min(), values.max()
    if low < limits.min or high > limits.max:
      raise RequestError(
        f'{name}: expected {limits.min} to {limits.max} ({datatype}), but got '
        f'{low} to {high}.'
      )
  with np.errstate(over='ignore'):  # The signatures refuse infinity.
    return _shaped(name, values.astype(dtype), shape)


def base64_array(name, datatype, shape, data):
  """An array of one text: base64 of the tensor's bytes, little endian.

  Raises:
    RequestError: if it is no base64 or another number of bytes.
  """
  dtype = _dtype(name, datatype)
  if len(data) != 1 or not isinstance(data[0], str):
    raise RequestError(
      f'{name}: expected one text in "data" for the content type base64, but '
      f'got {len(data)} values.'
    )
  try:
    content = base64.b64decode(data[0], validate=True)
  except (binascii.Error, ValueError) as e:
    raise RequestError(f'{name}: expected base64, but got other: {e}.') from e
  if len(content) % np.dtype(dtype).itemsize:
    raise RequestError(
      f'{name}: expected values of {datatype}, but got {len(content)} bytes.'
    )
  return _shaped(name, np.frombuffer(content, dtype), shape)


def _dtype(name, datatype):
  if datatype not in DATATYPES:
    raise RequestError(
      f'{name}: expected a datatype of {list(DATATYPES)}, but got {datatype!r}.'
    )
  return DATATYPES[datatype]


def _shaped(name, values, shape):
  if any(d < 0 for d in shape) or np.prod(shape, dtype=object) != values.size:
    raise RequestError(
      f'{name}: expected the values of the shape {shape}, but got '
      f'{values.size} values.'
    )
  return values.reshape(shape)


def _described(specs):
  return {
    name: (
      _NAMES[np.dtype(spec.dtype.as_numpy_dtype)],
      [-1 if d is None else d for d in spec.shape],
    )
    for name, spec in specs.items()
  }


def _check(specs, inputs):
  if set(specs) != set(inputs):
    lacking = sorted(set(specs) - set(inputs))
    more = sorted(set(inputs) - set(specs))
    raise RequestError(
      f'Expected the inputs {list(specs)}, but '
      + (f'{lacking} are missing.' if lacking else f'got also {more}.')
    )
  for name, (datatype, shape) in specs.items():
    value = inputs[name]
    if _NAMES.get(value.dtype) != datatype:
      raise RequestError(
        f'{name}: expected {datatype}, but got {value.dtype.name}.'
      )
    if value.ndim != len(shape) or any(
      d not in (-1, size) for d, size in zip(shape, value.shape)
    ):
      raise RequestError(
        f'{name}: expected the shape {shape} (-1: any size), but got '
        f'{list(value.shape)}.'
      )


def _words(error):
  """The words of TensorFlow's message, without the places in the graph."""
  words = ' '.join(error.message.partition('[[{{')[0].split())
  _, assertion, refusal = words.rpartition('assertion failed: ')
  if not assertion:
    return words
  # "[labels must be in [0, 1], but got] [2]", and the like.
  return refusal.removeprefix('[').removesuffix(']').replace('] [', ': ')


@contextlib.contextmanager
def _working_directory(path):
  before = os.getcwd()
  os.chdir(path)
  try:
    yield
  finally:
    os.chdir(before)
