"""The context pyramid: one map of the context for each block."""

from __future__ import annotations

from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow.internal import checks
from tfp_cglow.networks import convolutional

__all__ = ['ContextPyramid', 'build_context_pyramid']


class ContextPyramid(tf.Module):
  """One conv3x3 of stride 2 and a ReLU for each block (Donahue, appendix).

  ```none
  [..., H, W, C_ctx] -> [..., H/2, W/2, P], [..., H/4, W/4, P], ...
  ```

  The paper keeps the number of channels (19); P may differ from C_ctx.
  """

  def __init__(
    self,
    kernels,
    biases,
    network_dtype=None,
    padding='zeros',
    name='context_pyramid',
  ):
    """Creates the pyramid.

    Args:
      kernels: List of float `[3, 3, C_in, P]`, one for each block, fine to
        coarse.
      biases: List of float `[P]`, one for each block.
      network_dtype: `tf.DType` of the computation; None: the input's dtype.
      padding: 'zeros' or 'wrap', see `convolutional`.
      name: Python `str`.
    """
    super().__init__(name=name)
    self.kernels = kernels
    self.biases = biases
    self._network_dtype = network_dtype
    self._padding = padding

  def __call__(self, context):
    """A list of maps, fine to coarse, of the context `[..., H, W, C_ctx]`."""
    dtype = self._network_dtype or context.dtype
    x, pyramid = tf.cast(context, dtype), []
    for kernel, bias in zip(self.kernels, self.biases):
      x = convolutional.conv2d(
        x,
        tf.cast(kernel, dtype),
        tf.cast(bias, dtype),
        strides=2,
        padding=self._padding,
      )
      x = tf.nn.relu(x)
      pyramid.append(tf.cast(x, context.dtype))
    return pyramid


def build_context_pyramid(
  context_channels: int,
  num_blocks: int,
  pyramid_channels: Optional[int] = None,
  seed: Optional[int] = None,
  network_dtype: Optional[tf.DType] = None,
  padding: str = 'zeros',
  dtype: tf.DType = tf.float32,
  name: str = 'context_pyramid',
) -> ContextPyramid:
  """Creates a `ContextPyramid`.

  Args:
    context_channels: Python `int`, `C_ctx`.
    num_blocks: Python `int`.
    pyramid_channels: Python `int` P; None: `context_channels`, as in the paper.
    seed: Python `int`; None: from the operating system.
    network_dtype: `tf.DType` of the computation; None: the input's dtype.
    padding: 'zeros' or 'wrap', see `convolutional`.
    dtype: `tf.DType` of the variables.
    name: Python `str`.

  Returns:
    A `ContextPyramid`.
  """
  checks.check_dtype('dtype', dtype)
  rng = np.random.default_rng(seed)
  out_channels = (
    context_channels if pyramid_channels is None else pyramid_channels
  )
  in_channels = [context_channels] + [out_channels] * (num_blocks - 1)
  return ContextPyramid(
    kernels=[
      tf.Variable(
        convolutional.he_normal(rng, 3, 3, c, out_channels),
        dtype=dtype,
        name='kernel',
      )
      for c in in_channels
    ],
    biases=[
      tf.Variable(tf.zeros([out_channels], dtype), name='bias')
      for _ in in_channels
    ],
    network_dtype=network_dtype,
    padding=padding,
    name=name,
  )
