"""View-Net: a U-Net that changes the previous frame's pyramid."""

import tensorflow as tf
import tf_keras as tfk

from train.systems.gan import unet

__all__ = ['ViewNet']


class ViewNet(tfk.layers.Layer):
  """A U-Net conditioned level by level on the frame before (section V).

  ```none
  c_0 = image;  c_l = relu(conv([c_{l-1}, p_{l-1}]))
  q_L = p_L + conv([c_L, p_L])
  q_l = p_l + deconv([relu(q_{l+1}), c_{l+1}])
  ```

  p is the previous frame's pyramid and q this frame's: a state of several
  levels, which skip connections carry from frame to frame.
  """

  def __init__(self, out_channels, widths, kernels, name='view_net'):
    """Creates the layer.

    Args:
      out_channels: Python `int`, channels of p_0 and q_0.
      widths: Sequence of Python `int`: channels of levels 1, 2, ...
      kernels: `Kernels`.
      name: Python `str`.
    """
    super().__init__(name=name)
    self._down = unet.Contracting(widths, kernels)
    self._top = tfk.layers.Conv2D(
      widths[-1], 3, padding='same', **kernels.options(kernels.zero_start)
    )
    self._ups = [
      unet.doubling_conv(w, kernels, kernels.zero_start)
      for w in [out_channels, *widths[:-1]]
    ]

  def call(self, image, previous):
    """This frame's pyramid.

    Args:
      image: `[B, H, W, C]`.
      previous: List p_0, ..., p_L of `[B, H / 2**l, W / 2**l, .]`.

    Returns:
      List q_0, ..., q_L of the same shapes.
    """
    levels = self._down(image, previous)
    top = self._top(tf.concat([levels[-1], previous[-1]], axis=-1))
    pyramid = [previous[-1] + top]
    for up, level, before in zip(
      self._ups[::-1], levels[:0:-1], previous[-2::-1]
    ):
      x = tf.concat([tf.nn.relu(pyramid[0]), level], axis=-1)
      pyramid.insert(0, before + up(x))
    return pyramid
