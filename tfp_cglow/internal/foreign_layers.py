"""Finds layers of Keras 3, whose variables `tf.Module` does not list."""

import functools
import sys

import numpy as np
import tensorflow as tf

__all__ = ['check_networks']

_MOST_OBJECTS = 10_000  # A bound on the search, not on what networks hold.


def check_networks(owner, parameters):
  """Raises if a bijector's networks hold layers or variables of Keras 3.

  Their variables would be saved, but `trainable_variables` would not have them.

  Args:
    owner: Python `str`, name of the bijector in messages.
    parameters: `dict` of its constructor's arguments.

  Raises:
    ValueError: if there is a layer or a variable of Keras 3.
  """
  keras = sys.modules.get('keras')
  if not getattr(keras, '__version__', '').startswith('3'):
    return
  kinds = (keras.layers.Layer, keras.Variable)
  for name, value in parameters.items():
    found = _find(value, kinds)
    if found is not None:
      raise ValueError(
        f'`{owner}` expects `{name}` of tf.Modules or `tf_keras` layers, whose '
        f'variables it can list, but got {type(found).__name__} of Keras '
        f'{keras.__version__} (`keras` or `tf.keras`). `import tf_keras` has '
        'the same layers.'
      )


def _find(value, kinds):
  """The first instance of `kinds` that `value` holds, or None."""
  stack, seen = [value], {}
  while stack and len(seen) < _MOST_OBJECTS:
    value = stack.pop()
    if isinstance(value, kinds):
      return value
    if id(value) not in seen:
      seen[id(value)] = value
      stack.extend(_parts(value))
  return None


def _parts(value):
  """What an object holds."""
  if isinstance(value, dict):
    return list(value.values())
  if isinstance(value, (list, tuple, set)):
    return list(value)
  if isinstance(value, functools.partial):
    return [value.func, *value.args, *value.keywords.values()]
  if hasattr(value, '__self__'):  # A bound method.
    return [value.__self__]
  cells = getattr(value, '__closure__', None)
  if cells is not None:
    return [cell.cell_contents for cell in cells]
  if isinstance(value, (type, np.ndarray, tf.Variable, tf.DType)):
    return []
  if tf.is_tensor(value) or callable(getattr(value, 'get_config', None)):
    return []  # A layer of `tf_keras` lists its own variables.
  return list(getattr(value, '__dict__', {}).values())
