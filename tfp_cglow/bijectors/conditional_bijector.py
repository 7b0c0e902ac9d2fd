"""The base class of this library's bijectors: named, checked conditions."""

import difflib

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

# The only internal imports. With the first, value and log-det come out of one
# pass, as in TFP's own ffjord.py; the second keeps variables by reference.
from tensorflow_probability.python.internal import cache_util
from tensorflow_probability.python.internal import tensor_util

__all__ = [
  'ConditionalBijector',
  'check_condition_names',
  'check_context',
  'check_known',
  'context_description',
  'convert_parameter',
  'leading_shape',
  'leading_shape_tensor',
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
    owner: Python `str`, the name that messages use.
    expected: `dict` from the name of each condition that must be given to a
      description of its value.
    given: `dict` of conditions, by name.

  Returns:
    `dict` of the conditions, exactly those of `expected`.

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


# Dimensions that belong to one row of a condition.
_ROW_NDIMS = {'context': 3, 'vector': 1}
_NO_ROWS = np.zeros([])


def _rows(name, value):
  """A condition as a tensor, and how many of its dimensions lead, or None.

  Conditions of other names than the contract's may be anything: one of none.
  """
  if name not in (*_ROW_NDIMS, 'label'):
    return _NO_ROWS, 0
  value = tf.convert_to_tensor(value)
  row_ndims = _ROW_NDIMS.get(name, int(value.dtype.is_floating))
  rank = value.shape.rank
  return value, None if rank is None else max(rank - row_ndims, 0)


def leading_shape(name, value):
  """The leading dimensions of a condition `context`, `vector` or `label`.

  Args:
    name: Python `str`, of the condition.
    value: Its value.

  Returns:
    `tf.TensorShape`, perhaps of unknown rank; [] of any other condition.
  """
  value, num_leading = _rows(name, value)
  shape = tf.TensorShape(value.shape)
  return shape if num_leading is None else shape[:num_leading]


def leading_shape_tensor(name, value):
  """The same as an int32 tensor; the rank is to be known."""
  value, num_leading = _rows(name, value)
  return tf.shape(value)[:num_leading]


def _check_leading(owner, data, event_ndims, conditions):
  """Raises if a condition's leading dimensions do not fit the data's."""
  if data.shape.rank is None:
    return
  leading = data.shape[: data.shape.rank - event_ndims]
  for name, value in conditions.items():
    of_condition = leading_shape(name, value)
    try:
      leading = tf.broadcast_static_shape(leading, of_condition)
    except ValueError as e:
      raise ValueError(
        f'`{owner}` expects leading dimensions of `{name}` that broadcast with '
        f'{leading}, those of the data and the conditions before, but got '
        f'{of_condition}.'
      ) from e


class ConditionalBijector(tfp.bijectors.Bijector):
  """A bijector whose map may depend on named conditions.

  Conditions are passed by keyword to `forward`, `inverse` and the log-det
  methods. TFP drops unknown keywords silently in compositions; a
  `ConditionalBijector` raises.

  A subclass implements two methods, each a single pass that gives the value
  and the log-determinant of the *inverse* map's Jacobian:

  ```none
  _forward_and_ildj(x, **conditions) -> y, ildj
  _inverse_and_ildj(y, **conditions) -> x, ildj
  ```

  `ildj` is reduced over `forward_min_event_ndims` dimensions, in nats. Both
  are kept in TFP's cache, so `log_prob` runs every network once.
  """

  _cache = cache_util.BijectorCacheWithGreedyAttrs(
    '_augmented_forward', '_augmented_inverse'
  )

  @classmethod
  def _parameter_properties(cls, dtype):
    return {}

  @property
  def conditions(self):
    """`dict`: the name of each condition, and a description of its value."""
    return {}

  def _augmented_forward(self, x, **conditions):
    conditions = self._check(x, self.forward_min_event_ndims, conditions)
    y, ildj = self._forward_and_ildj(x, **conditions)
    return y, {'ildj': ildj}

  def _augmented_inverse(self, y, **conditions):
    conditions = self._check(y, self.inverse_min_event_ndims, conditions)
    x, ildj = self._inverse_and_ildj(y, **conditions)
    return x, {'ildj': ildj}

  def _check(self, data, event_ndims, conditions):
    conditions = check_condition_names(self.name, self.conditions, conditions)
    _check_leading(self.name, data, event_ndims, conditions)
    return conditions

  def _inverse_log_det_jacobian(self, y, **conditions):
    # Asked for before `inverse`: the cache gets both from one pass.
    _ = self._cache.inverse(y, **conditions)
    return self._cache.inverse_attributes(y, **conditions)['ildj']

  def _forward_and_ildj(self, x, **conditions):
    raise NotImplementedError

  def _inverse_and_ildj(self, y, **conditions):
    raise NotImplementedError


def context_description(channels, height='H', width='W'):
  return f'a float map [..., {height}, {width}, {channels}]'


def check_context(owner, context, channels, like, dtype):
  """Checks a context map's channels and, if `like` is given, its size.

  Args:
    owner: Python `str`, the name that messages use.
    context: Context map `[..., H, W, C_ctx]`.
    channels: Python `int`, `C_ctx`.
    like: Static `[H, W]`; entries may be None.
    dtype: The `tf.DType` expected.

  Returns:
    The context as a `Tensor`.

  Raises:
    ValueError: if the shape or the dtype is another.
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
