"""Functions that are traced once, whatever the number of rows."""

import numpy as np
import tensorflow as tf

__all__ = ['AnyRows']


class AnyRows:
  """A `tf.function` whose first trace already leaves the number of rows open.

  A `tf.function` is traced for the number that it sees first, and again for the
  second one. A trace of a large model takes longer than its work on most data.
  """

  def __init__(self, function):
    """Creates the function.

    Args:
      function: Callable `(*rows, **others)`. AutoGraph does not convert it.
    """
    self._function = tf.function(
      function, autograph=False, reduce_retracing=True
    )

  def __call__(self, *rows, **others):
    """Calls the function.

    Args:
      *rows: Tensors or arrays `[B, ...]`, and values that are neither.
      **others: Other tensors, whose shapes are kept.

    Returns:
      What the function returns.
    """
    rows = [_as_tensor(t) for t in rows]
    specs = [_any_rows(t) for t in rows]
    self._function.get_concrete_function(*specs, **others)
    return self._function(*rows, **others)


def _as_tensor(value):
  is_array = isinstance(value, np.ndarray)
  return tf.convert_to_tensor(value) if is_array else value


def _any_rows(value):
  if not tf.is_tensor(value):
    return value
  return tf.TensorSpec([None, *value.shape[1:]], value.dtype)
