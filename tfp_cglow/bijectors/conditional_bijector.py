"""The base class of this library's bijectors: named, checked conditions."""

import difflib

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

# The only internal import of TFP; `tensor_util` does not read variables.
from tensorflow_probability.python.internal import tensor_util

from tfp_cglow.internal import checks
from tfp_cglow.internal import foreign_layers
from tfp_cglow.internal import one_pass

__all__ = [
  'ConditionalBijector',
  'RefusesIntegers',
  'check_condition_names',
  'check_context',
  'check_known',
  'check_known_rank',
  'check_vector',
  'context_description',
  'convert_parameter',
  'leading_shape',
  'leading_shape_tensor',
  'to_data',
]

convert_parameter = tensor_util.convert_nonref_to_tensor


def check_known(owner, expected, given):
  """Raises `ValueError` for a condition that is not one of `expected`."""
  described = ', '.join(f'{k}: {v}' for k, v in expected.items()) or 'none'
  for name in given:
    if name not in expected:
      near = difflib.get_close_matches(name, expected, n=1)
      hint = f' Did you mean `{near[0]}`?' if near else ''
      raise ValueError(
        f'`{owner}` got an unknown condition `{name}`. '
        f'Conditions expected: {described}.{hint}'
      )


def check_condition_names(owner, expected, given):
  """Drops conditions that are None and checks the names of the others.

  Args:
    owner: Python `str`, name of the bijector in messages.
    expected: `dict` of the conditions that must be given: from each name to a
      description of the value.
    given: `dict` of conditions, by name.

  Returns:
    `dict` of the conditions, with exactly the names in `expected`.

  Raises:
    ValueError: if a condition is missing or unknown.
  """
  given = {name: value for name, value in given.items() if value is not None}
  check_known(owner, expected, given)
  for name in expected:
    if name not in given:
      raise ValueError(
        f'`{owner}` needs the condition `{name}` ({expected[name]}), '
        f'but got: {", ".join(given) or "none"}.'
      )
  return given


# How many dimensions of a condition follow the leading (batch) dimensions.
_ROW_NDIMS = {'context': 3, 'vector': 1}
_NO_ROWS = np.zeros([])


def _rows(name, value):
  """A condition as a tensor, and the number of its leading dimensions.

  Only `context`, `vector` and `label` have leading dimensions; for another name
  the result is `_NO_ROWS, 0`.
  """
  if name not in (*_ROW_NDIMS, 'label'):
    return _NO_ROWS, 0
  value = tf.convert_to_tensor(value)
  row_ndims = _ROW_NDIMS.get(name, int(value.dtype.is_floating))
  check_known_rank(name, value.shape)
  return value, max(value.shape.rank - row_ndims, 0)


def check_known_rank(name, shape, least=0):
  """Raises ValueError if a shape's rank is unknown or below `least`."""
  if shape.rank is None or shape.rank < least:
    raise ValueError(
      f'Expected `{name}` of a known rank of at least {least}, but got the '
      f'shape {shape}. `tf.ensure_shape` sets a rank.'
    )


def leading_shape(name, value):
  """The leading dimensions of a condition `context`, `vector` or `label`.

  Args:
    name: Python `str`, the condition's name.
    value: The condition's value.

  Returns:
    `tf.TensorShape`; [] for a condition of another name.

  Raises:
    ValueError: if the value's rank is unknown.
  """
  value, num_leading = _rows(name, value)
  return tf.TensorShape(value.shape)[:num_leading]


def leading_shape_tensor(name, value):
  """`leading_shape` as an int32 tensor."""
  value, num_leading = _rows(name, value)
  return tf.shape(value)[:num_leading]


def _check_leading(owner, data, event_ndims, conditions):
  """Raises if a condition's leading dimensions do not fit the data's."""
  leading = tf.TensorShape(None)
  if data.shape.rank is not None:
    leading = data.shape[: data.shape.rank - event_ndims]
  for name, value in conditions.items():
    of_condition = leading_shape(name, value)
    try:
      leading = tf.broadcast_static_shape(leading, of_condition)
    except ValueError as e:
      raise ValueError(
        f'`{owner}` expects leading dimensions of `{name}` that broadcast with '
        f'{leading}, the leading dimensions of the data and of the conditions '
        f'before it, but got {of_condition}.'
      ) from e


def to_data(bijector, name, values):
  """Data of a bijector as a `Tensor`; raises ValueError for integers."""
  checks.check_not_integer(bijector.name, name, values, bijector.dtype)
  return tf.convert_to_tensor(values, dtype_hint=bijector.dtype)


class RefusesIntegers(tfp.bijectors.Bijector):
  """A bijector that raises ValueError where TFP would convert bytes."""

  def inverse(self, y, name='inverse', **kwargs):
    checks.check_not_integer(self.name, 'data', y, self.dtype)
    return super().inverse(y, name, **kwargs)

  def inverse_log_det_jacobian(
    self, y, event_ndims=None, name='inverse_log_det_jacobian', **kwargs
  ):
    checks.check_not_integer(self.name, 'data', y, self.dtype)
    return super().inverse_log_det_jacobian(y, event_ndims, name, **kwargs)


class ConditionalBijector(RefusesIntegers):
  """A bijector whose map may depend on named conditions.

  Conditions are passed by keyword to `forward`, `inverse` and the log-det
  methods. In compositions TFP drops unknown keywords silently; a
  `ConditionalBijector` raises ValueError if a condition is missing or unknown.

  A subclass implements two methods. Each computes, in a single pass, the value
  and the log-determinant of the *inverse* map's Jacobian:

  ```none
  _forward_and_ildj(x, **conditions) -> y, ildj
  _inverse_and_ildj(y, **conditions) -> x, ildj
  ```

  `ildj` is in nats, summed over the dimensions of one event. A distribution's
  `log_prob` and `sample` run every network once. There is no cache: two calls
  of `inverse` with the same tensor compute it twice. `inverse_and_log_det` and
  `forward_and_log_det` return both results of one pass.
  """

  _cache = one_pass.OnePass()

  def __init__(self, *args, dtype=None, parameters=None, **kwargs):
    """Creates the bijector.

    Args:
      *args: Arguments of `tfb.Bijector`.
      dtype: `tf.DType` of data and latent, float32 or float64; or None.
      parameters: `dict` of the subclass's constructor arguments.
      **kwargs: Arguments of `tfb.Bijector`.

    Raises:
      ValueError: if `dtype` is another one, or a network has layers of Keras 3.
    """
    checks.check_dtype('dtype', dtype)
    super().__init__(*args, dtype=dtype, parameters=parameters, **kwargs)
    foreign_layers.check_networks(self.name, self.parameters)

  @classmethod
  def _parameter_properties(cls, dtype):
    return {}

  @property
  def conditions(self):
    """`dict` from the name of each condition to a description of its value."""
    return {}

  def _augmented_forward(self, x, **conditions):
    conditions = self.checked(x, self.forward_min_event_ndims, conditions)
    return self._forward_and_ildj(x, **conditions)

  def _augmented_inverse(self, y, **conditions):
    conditions = self.checked(y, self.inverse_min_event_ndims, conditions)
    return self._inverse_and_ildj(y, **conditions)

  def checked(self, data, event_ndims, conditions, without=()):
    """Checks data and conditions; every method that takes them calls this.

    Args:
      data: `Tensor`, the input of `forward` or `inverse`.
      event_ndims: Python `int`, number of dimensions of an event of `data`.
      conditions: `dict` of conditions, by name.
      without: Names of conditions of this bijector that are not given.

    Returns:
      `dict` of the conditions that are not None.

    Raises:
      ValueError: if a dtype or a rank does not fit, a condition is missing or
        unknown, or leading dimensions do not fit.
    """
    if self.dtype is not None and data.dtype != self.dtype:
      raise ValueError(
        f'`{self.name}` expects data of dtype {self.dtype.name}, but got '
        f'{data.dtype.name}.'
      )
    expected = {k: v for k, v in self.conditions.items() if k not in without}
    conditions = check_condition_names(self.name, expected, conditions)
    _check_not_symbolic(self, [data, *conditions.values()])
    if event_ndims > 1 or self.conditions:
      check_known_rank(f'input of {self.name}', data.shape, event_ndims)
    _check_leading(self.name, data, event_ndims, conditions)
    return conditions

  def _inverse_log_det_jacobian(self, y, **conditions):
    return self._augmented_inverse(y, **conditions)[1]

  def _forward_log_det_jacobian(self, x, **conditions):
    return -self._augmented_forward(x, **conditions)[1]

  def inverse_and_log_det(self, y, event_ndims=None, **conditions):
    """`inverse` and `inverse_log_det_jacobian` in one pass.

    Args:
      y: Data, as for `inverse`.
      event_ndims: As for `inverse_log_det_jacobian`.
      **conditions: As for `inverse`.

    Returns:
      x: The latents.
      ildj: Log-det of the inverse's Jacobian, nats.
    """
    y = to_data(self, 'data', y)
    return one_pass.inverse_and_ldj(self, y, event_ndims, conditions)

  def forward_and_log_det(self, x, event_ndims=None, **conditions):
    """`forward` and `forward_log_det_jacobian` in one pass.

    Args:
      x: Latents, as for `forward`.
      event_ndims: As for `forward_log_det_jacobian`.
      **conditions: As for `forward`.

    Returns:
      y: The data.
      fldj: Log-det of the map's Jacobian, nats.
    """
    x = tf.convert_to_tensor(x, dtype_hint=self.dtype)
    return one_pass.forward_and_ldj(self, x, event_ndims, conditions)

  def _forward_and_ildj(self, x, **conditions):
    raise NotImplementedError

  def _inverse_and_ildj(self, y, **conditions):
    raise NotImplementedError


def _check_not_symbolic(bijector, inputs):
  """Raises for inputs of a functional Keras model, if there are variables."""
  if any(type(t).__name__ == 'KerasTensor' for t in inputs) and (
    bijector.variables
  ):
    raise ValueError(
      f'`{bijector.name}` expects tensors, but got the symbolic input of a '
      'functional Keras model, which would neither train nor save the '
      "bijector's variables. Call the bijector in a layer of your own, a "
      'subclass of `tfp_cglow.SavesModules` and `tf_keras.layers.Layer`.'
    )


def context_description(channels, height='H', width='W'):
  """Describes a context map in messages and in `conditions`."""
  return f'a float map [..., {height}, {width}, {channels}]'


def check_context(owner, context, channels, like, dtype):
  """Checks the shape and the dtype of a context map.

  Args:
    owner: Python `str`, name of the bijector in messages.
    context: Context map `[..., H, W, C_ctx]`.
    channels: Python `int`, the expected `C_ctx`.
    like: The expected `[H, W]`; None for a size that is unknown.
    dtype: The expected `tf.DType`.

  Returns:
    The context as a `Tensor`.

  Raises:
    ValueError: if the shape or the dtype differs.
  """
  context = tf.convert_to_tensor(context, dtype_hint=dtype, name='context')
  expected = [*like, channels]
  seen = context.shape
  fits = seen.rank is None or (
    seen.rank >= 3 and seen[-3:].is_compatible_with(expected)
  )
  if not fits:
    raise ValueError(
      f'`{owner}` expects `context` of shape [..., '
      f'{", ".join(str(d) for d in expected)}], but got {seen}.'
    )
  if context.dtype != dtype:
    raise ValueError(
      f'`{owner}` expects `context` of dtype {dtype.name}, '
      f'but got {context.dtype.name}.'
    )
  return context


def check_vector(owner, vector, channels, dtype):
  """Checks the shape and the dtype of a vector.

  Args:
    owner: Python `str`, name of the bijector in messages.
    vector: Float `[..., V]`.
    channels: Python `int`, the expected V.
    dtype: The expected `tf.DType`.

  Returns:
    The vector as a `Tensor`.

  Raises:
    ValueError: if the shape or the dtype differs.
  """
  vector = tf.convert_to_tensor(vector, dtype_hint=dtype)
  if vector.shape.rank == 0 or not vector.shape[-1:].is_compatible_with(
    [channels]
  ):
    raise ValueError(
      f'`{owner}` expects `vector` of shape [..., {channels}], but got '
      f'{vector.shape}.'
    )
  if vector.dtype != dtype:
    raise ValueError(
      f'`{owner}` expects `vector` of dtype {dtype.name}, but got '
      f'{vector.dtype.name}.'
    )
  return vector
