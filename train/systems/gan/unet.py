"""U-Net: from an image to a pyramid of maps."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from typing import Optional

import tensorflow as tf
import tf_keras as tfk

__all__ = [
  'Contracting',
  'Kernels',
  'UNet',
  'doubling_conv',
  'halving_conv',
]

_KERNEL_SIZE = 4  # A multiple of the stride, to avoid checkerboard artefacts.


@dataclasses.dataclass(frozen=True)
class Kernels:
  """How a network's kernels are initialised and constrained.

  Initial values are uniform within 1 / sqrt(fan_in), the default of PyTorch,
  which the paper's author used.

  Attributes:
    seeds: Iterator of Python `int`.
    constraint: A `tf_keras` constraint, or None.
    zero_start: Python `bool`, whether a `ViewNet` changes nothing at first.
  """

  seeds: Iterator[int]
  constraint: Optional[tfk.constraints.Constraint] = None
  zero_start: bool = False

  def options(self, is_zero=False):
    """Keyword arguments for a Keras layer."""
    start = tfk.initializers.VarianceScaling(
      1 / 3, mode='fan_in', distribution='uniform', seed=next(self.seeds)
    )
    return {
      'kernel_initializer': 'zeros' if is_zero else start,
      'kernel_constraint': self.constraint,
    }


def halving_conv(channels, kernels):
  """A convolution that halves height and width."""
  return tfk.layers.Conv2D(
    channels, _KERNEL_SIZE, strides=2, padding='same', **kernels.options()
  )


def doubling_conv(channels, kernels, is_zero=False):
  """A deconvolution that doubles height and width."""
  return tfk.layers.Conv2DTranspose(
    channels,
    _KERNEL_SIZE,
    strides=2,
    padding='same',
    **kernels.options(is_zero),
  )


class Contracting(tfk.layers.Layer):
  """Convolutions with ReLU, each of which halves the size (section V).

  ```none
  c_0 = image;  c_l = relu(conv(c_{l-1}))
  ```
  """

  def __init__(self, widths, kernels, name='contracting'):
    """Creates the layer.

    Args:
      widths: Sequence of Python `int`: channels of levels 1, 2, ...
      kernels: `Kernels`.
      name: Python `str`.
    """
    super().__init__(name=name)
    self._convs = [halving_conv(w, kernels) for w in widths]

  def call(self, image, conditions=None):
    """The pyramid.

    Args:
      image: `[B, H, W, C]`.
      conditions: List of maps that are concatenated to the convolutions'
        inputs, with the sizes of levels 0, 1, ...; or None.

    Returns:
      List of maps `[B, H / 2**l, W / 2**l, .]`, l = 0, 1, ...; l = 0 is the
      image.
    """
    levels = [image]
    for level, conv in enumerate(self._convs):
      x = levels[-1]
      if conditions is not None:
        x = tf.concat([x, conditions[level]], axis=-1)
      levels.append(tf.nn.relu(conv(x)))
    return levels


class UNet(tfk.layers.Layer):
  """A U-Net (Ronneberger et al., 2015) that returns the maps of all levels.

  ```none
  c = contracting(image);  p_L = c_L
  p_l = deconv([relu(p_{l+1}), c_{l+1}])
  ```

  p_0 has the image's size; it is the usual output of a U-Net. The coarsest
  level L has no skip connection: p_L is c_L.
  """

  def __init__(self, out_channels, widths, kernels, name='unet'):
    """Creates the layer.

    Args:
      out_channels: Python `int`, channels of p_0.
      widths: Sequence of Python `int`: channels of levels 1, 2, ...
      kernels: `Kernels`.
      name: Python `str`.
    """
    super().__init__(name=name)
    self._down = Contracting(widths, kernels)
    self._ups = [
      doubling_conv(w, kernels) for w in [out_channels, *widths[:-1]]
    ]

  def call(self, image):
    """The pyramid of an image.

    Args:
      image: `[B, H, W, C]`, H and W divisible by 2**L.

    Returns:
      List p_0, ..., p_L of `[B, H / 2**l, W / 2**l, .]`.
    """
    levels = self._down(image)
    pyramid = [levels[-1]]
    for up, level in zip(self._ups[::-1], levels[:0:-1]):
      x = pyramid[0]
      if len(pyramid) > 1:
        x = tf.concat([tf.nn.relu(x), level], axis=-1)
      pyramid.insert(0, up(x))
    return pyramid
