"""Checks of arguments. Errors say what was expected and what came."""

import numbers

import tensorflow as tf

__all__ = [
  'check_at_least',
  'check_choice',
  'check_dtype',
  'check_finite',
  'check_kind',
  'check_not_integer',
]


def check_kind(name, value, *kinds):
  """Raises ValueError unless `value` is None or an instance of `kinds`.

  Args:
    name: Python `str`, the argument's name in the message.
    value: The argument's value.
    *kinds: The classes that are allowed.

  Raises:
    ValueError: if `value` is neither None nor an instance of one of them.
  """
  if value is not None and not isinstance(value, kinds):
    names = ', '.join(kind.__name__ for kind in kinds)
    raise ValueError(f'`{name}` must be {names} or None, but got {value!r}.')


def check_choice(name, value, choices):
  """Raises ValueError unless `value` is one of the choices."""
  if value not in choices:
    raise ValueError(f'`{name}` must be one of {choices}, but got {value!r}.')


def check_at_least(name, value, least):
  """Raises ValueError unless `value` is None or a number >= `least`."""
  if value is None:
    return
  if not isinstance(value, numbers.Real) or value < least:
    raise ValueError(f'`{name}` must be at least {least}, but got {value!r}.')


def check_not_integer(owner, name, values, expected):
  """Raises ValueError for integers where floats are expected.

  TensorFlow silently converts integers of NumPy.

  Args:
    owner: Python `str`, name of the bijector in the message.
    name: Python `str`, of the argument.
    values: The argument's value.
    expected: The expected `tf.DType`; None: any.

  Raises:
    ValueError: if `values` is an array or a tensor of integers, and `expected`
      is another dtype.
  """
  dtype = getattr(values, 'dtype', None)
  if expected is None or dtype is None or not tf.as_dtype(dtype).is_integer:
    return
  raise ValueError(
    f'`{owner}` expects {name} of dtype {tf.as_dtype(expected).name}, but got '
    f'{tf.as_dtype(dtype).name}. `quantise` and `dequantise` map bytes to '
    '[-0.5, 0.5).'
  )


def check_dtype(name, dtype):
  """Raises ValueError unless `dtype` is None, float32 or float64."""
  if dtype is not None and tf.as_dtype(dtype) not in (tf.float32, tf.float64):
    raise ValueError(
      f'`{name}` must be float32 or float64, in which log-determinants are '
      f'accurate, but got {tf.as_dtype(dtype).name}. For networks that compute '
      'in another dtype, use `network_dtype`.'
    )


def check_finite(name, values):
  """Raises ValueError if an eager float tensor has a NaN or an infinity."""
  if not bool(tf.reduce_all(tf.math.is_finite(values))):
    raise ValueError(f'Expected finite {name} to adapt to, but got NaN or inf.')
