"""Convolutional networks as pairs of plain functions, `(init, apply)`.

`init(seed, in_channels, out_channels)` returns a `dict` of arrays;
`apply(params, x, context)` returns a tensor. Parameters are arguments, so that
`Scan` can stack them. Maps are `[..., H, W, C]` with any number of leading
dimensions.

Padding: with 'zeros', convolutions see zeros beyond the edges of a map. With
'wrap', maps are periodic: they see the opposite side. Then an object across an
edge looks like any other.
"""

from __future__ import annotations

import collections
import functools
from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow.internal import shapes

__all__ = [
  'BoundNetwork',
  'Network',
  'PADDINGS',
  'bounded',
  'conv2d',
  'conv_network',
  'he_normal',
  'to_variables',
  'wrap',
]

Network = collections.namedtuple('Network', ['init', 'apply'])
Network.__doc__ = """The functions `init` and `apply` of a coupling network."""

PADDINGS = ('zeros', 'wrap')


def conv2d(x, kernel, bias=None, strides=1, padding='zeros'):
  """Convolves maps; the result has 1 / strides of the height and width.

  Args:
    x: `[..., H, W, C_in]`.
    kernel: `[h, w, C_in, C_out]`.
    bias: `[C_out]` or None.
    strides: Python `int`.
    padding: 'zeros' or 'wrap'.

  Returns:
    `[..., H / strides, W / strides, C_out]`.
  """
  method = 'SAME'
  if padding == 'wrap':
    for axis, size in ((-3, kernel.shape[0]), (-2, kernel.shape[1])):
      # As many as 'SAME' would add, on the same sides.
      total = max(size - strides, 0)
      x = wrap(x, axis, total // 2, total - total // 2)
    method = 'VALID'
  if x.shape.rank == 3:
    y = tf.nn.conv2d(x[tf.newaxis], kernel, strides, method)[0]
  else:
    y = tf.nn.conv2d(x, kernel, strides, method)
  return y if bias is None else tf.nn.bias_add(y, bias)


def wrap(x, axis, before, after):
  """Continues a periodic tensor along an axis.

  Args:
    x: `Tensor` whose size along `axis` is at least `before` and `after`.
    axis: Python `int`, negative.
    before: Python `int`, number of entries of the end to repeat at the start.
    after: Python `int`, number of entries of the start to repeat at the end.

  Returns:
    A `Tensor` that is longer by `before + after`.
  """
  if not (before or after):
    return x
  size = x.shape[axis]
  middle = size - before - after
  if middle < 0:
    start, end = (
      tf.split(x, [n, size - n], axis) for n in (after, size - before)
    )
    return tf.concat([end[1], x, start[0]], axis)
  # One split instead of two slices: the gradient of each slice would be a
  # tensor as large as `x`.
  start, middle, end = tf.split(x, [after, middle, before], axis)
  return tf.concat([end, start, middle, end, start], axis)


def bounded(x, bound):
  """Squashes `x` smoothly into (-bound, bound); slope 1 at zero."""
  return bound * tf.tanh(x / bound)


def he_normal(rng, height, width, in_channels, out_channels):
  """Random float32 kernel `[h, w, C_in, C_out]` (He et al., 2015)."""
  shape = [height, width, in_channels, out_channels]
  scale = np.sqrt(2.0 / (height * width * in_channels))
  return rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)


def to_variables(values, dtype):
  """Creates a `dict` of trainable `tf.Variable`s from a `dict` of arrays."""
  return {k: tf.Variable(v, dtype=dtype, name=k) for k, v in values.items()}


def conv_network(
  hidden_channels: int,
  context_channels: Optional[int] = None,
  context_injection: str = 'input',
  network_dtype: Optional[tf.DType] = None,
  padding: str = 'zeros',
) -> Network:
  """Glow's coupling network: conv3x3, ReLU, conv1x1, ReLU, zero conv3x3.

  The last layer starts at zero (Glow, section 3.3), so a coupling starts as
  the identity.

  Args:
    hidden_channels: Python `int`.
    context_channels: Python `int`, channels of the context map, or None.
    context_injection: 'input' concatenates the context to the input of the
      first layer; 'last', to the input of the last layer.
    network_dtype: `tf.DType` of the computation; None: the input's dtype. The
      output always has the input's dtype.
    padding: 'zeros' or 'wrap'.

  Returns:
    A `Network`. The argument `in_channels` of its `init` includes the
    context's channels.

  Raises:
    ValueError: if `context_injection` is unknown.
  """
  if context_injection not in ('input', 'last'):
    raise ValueError(
      "`context_injection` must be 'input' or 'last', "
      f'but got {context_injection!r}.'
    )
  late_channels = (context_channels or 0) if context_injection == 'last' else 0
  # No local functions, which cannot be pickled.
  return Network(
    functools.partial(_init, hidden_channels, late_channels),
    functools.partial(_apply, late_channels, network_dtype, padding),
  )


def _init(hidden, late_channels, seed, in_channels, out_channels):
  rng = np.random.default_rng(seed)
  last = hidden + late_channels
  return {
    'kernel_1': he_normal(rng, 3, 3, in_channels - late_channels, hidden),
    'bias_1': np.zeros([hidden], np.float32),
    'kernel_2': he_normal(rng, 1, 1, hidden, hidden),
    'bias_2': np.zeros([hidden], np.float32),
    'kernel_3': np.zeros([3, 3, last, out_channels], np.float32),
    'bias_3': np.zeros([out_channels], np.float32),
  }


def _apply(late_channels, network_dtype, padding, params, x, context=None):
  dtype, conv = x.dtype, functools.partial(conv2d, padding=padding)
  if network_dtype is not None:
    cast = lambda t: tf.cast(t, network_dtype)
    x, params = cast(x), {k: cast(v) for k, v in params.items()}
    context = context if context is None else cast(context)
  early, late = (None, context) if late_channels else (context, None)
  x = _join(x, early)
  x = tf.nn.relu(conv(x, params['kernel_1'], params['bias_1']))
  x = tf.nn.relu(conv(x, params['kernel_2'], params['bias_2']))
  x = _join(x, late)
  return tf.cast(conv(x, params['kernel_3'], params['bias_3']), dtype)


def _join(x, context):
  if context is None:
    return x
  return tf.concat(shapes.align_leading(x, context), axis=-1)


class BoundNetwork(tf.Module):
  """The function `apply` of a `Network`, bound to its variables."""

  def __init__(self, apply, params, name='network'):
    super().__init__(name=name)
    self._apply = apply
    self.params = params

  def __call__(self, *inputs):
    return self._apply(self.params, *inputs)
