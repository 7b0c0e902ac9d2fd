"""Reshaping and broadcasting of leading dimensions that may be unknown."""

import tensorflow as tf

__all__ = ['align_leading', 'reshape_trailing']


def reshape_trailing(x, num_dims, shape):
  """Reshapes the last `num_dims` dimensions of `x` to the static `shape`."""
  shape = [int(d) for d in shape]
  leading = x.shape[: x.shape.rank - num_dims]
  if leading.is_fully_defined():
    return tf.reshape(x, leading.as_list() + shape)
  y = tf.reshape(
    x, tf.concat([tf.shape(x)[: x.shape.rank - num_dims], shape], 0)
  )
  return tf.ensure_shape(y, leading + shape)


def align_leading(*tensors, num_dims=3):
  """Broadcasts all but the last `num_dims` dimensions against each other.

  Args:
    *tensors: Tensors `[..., d_1, .., d_num_dims]`.
    num_dims: Python `int`, number of trailing dimensions that do not change.

  Returns:
    The tensors, in the same order, with equal leading dimensions.
  """
  leading = [x.shape[: x.shape.rank - num_dims] for x in tensors]
  if all(s.is_fully_defined() and s == leading[0] for s in leading):
    return tensors
  static, dynamic = leading[0], _leading_shape(tensors[0], num_dims)
  for x, s in zip(tensors[1:], leading[1:]):
    static = tf.broadcast_static_shape(static, s)
    dynamic = tf.broadcast_dynamic_shape(dynamic, _leading_shape(x, num_dims))
  return tuple(_broadcast(x, num_dims, static, dynamic) for x in tensors)


def _leading_shape(x, num_dims):
  return tf.shape(x)[: x.shape.rank - num_dims]


def _broadcast(x, num_dims, static, dynamic):
  trailing = x.shape[x.shape.rank - num_dims :]
  full = tf.concat([dynamic, tf.shape(x)[x.shape.rank - num_dims :]], 0)
  return tf.ensure_shape(tf.broadcast_to(x, full), static + trailing)
