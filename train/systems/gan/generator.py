"""The video generator: from one Gaussian tensor to frames."""

import tensorflow as tf
import tf_keras as tfk

from tfp_cglow.bijectors import labels as labels_lib
from train.systems.gan import unet
from train.systems.gan import view_net

__all__ = ['Generator']

_MOST = 1.0 - 1e-3  # Given frames are clipped to it: atanh must be finite.


class Generator(tfk.layers.Layer):
  """U-Net, View-Nets, first frame; then one View-Net a frame (section V).

  ```none
  p^0 = view_nets(z, unet(z)),   p^t = view_net(x_{t-1}, p^{t-1})
  x_t = tanh(p^t_0)
  ```

  z is Gaussian, has the size of a frame and is the only noise of a video. All
  later frames share one View-Net; the View-Nets of the first frame have their
  own parameters. The label's embedding is concatenated to z and to each frame
  at every place.
  """

  def __init__(
    self,
    frame_shape,
    widths,
    num_first_view_nets,
    num_labels,
    label_channels,
    kernels,
    name='generator',
  ):
    """Creates the layer and its variables.

    Args:
      frame_shape: `[H, W, C]`.
      widths: Sequence of Python `int`: channels of levels 1, 2, ...
      num_first_view_nets: Python `int`, View-Nets before the first frame.
      num_labels: Python `int`, or None: the network takes no label.
      label_channels: Python `int`, channels of a label's embedding.
      kernels: `unet.Kernels`.
      name: Python `str`.
    """
    super().__init__(name=name)
    channels = frame_shape[-1]
    self._frame_shape = list(frame_shape)
    self.label_table = None
    if num_labels is not None:
      self.label_table = label_table(
        num_labels, label_channels, next(kernels.seeds)
      )
    self._first_unet = unet.UNet(channels, widths, kernels, name='first_unet')
    self._first_view_nets = [
      view_net.ViewNet(channels, widths, kernels, name=f'first_view_net_{i}')
      for i in range(num_first_view_nets)
    ]
    self._tail_view_net = view_net.ViewNet(
      channels, widths, kernels, name='tail_view_net'
    )
    label = None if num_labels is None else tf.zeros([1], tf.int32)
    self(tf.zeros([1, *frame_shape]), label, 2)  # Makes the variables.

  def call(self, noise, label, num_frames, given=None, is_given=None):
    """Videos in [-1, 1].

    Args:
      noise: `[B, H, W, C]`, Gaussian.
      label: int `[B]`, float `[B, num_labels]` or None.
      num_frames: Python `int` T.
      given: List of T0 frames `[B, H, W, C]` in [-1, 1] to begin with, or None.
      is_given: Boolean `[B]`, which videos begin with `given`; None: all.

    Returns:
      `[B, T, H, W, C]`.
    """
    return tf.tanh(self.unbounded(noise, label, num_frames, given, is_given))

  def unbounded(self, noise, label, num_frames, given=None, is_given=None):
    """The videos before the tanh of `call`: `[B, T, H, W, C]`."""
    bottoms, pyramid = self.begin(noise, label, given, is_given)
    while len(bottoms) < num_frames:
      pyramid = self.following(pyramid, label)
      bottoms.append(pyramid[0])
    return tf.stack(bottoms, axis=1)

  def begin(self, noise, label, given=None, is_given=None):
    """The first frame or, if frames are given, the first T0 frames.

    Args:
      noise, label, given, is_given: See `call`.

    Returns:
      bottoms: List of `[B, H, W, C]`, the frames before the tanh.
      pyramid: List of maps, the pyramid of the last of these frames.
    """
    given = given or []
    image = with_label(noise, label, self.label_table)
    pyramid = self._first_unet(image)
    for net in self._first_view_nets:
      pyramid = net(image, pyramid)
    bottoms = []
    for t in range(max(len(given), 1)):
      if t:
        pyramid = self.following(pyramid, label)
      if t < len(given):
        pyramid = _ending_in(given[t], pyramid, is_given)
      bottoms.append(pyramid[0])
    return bottoms, pyramid

  def following(self, pyramid, label):
    """The next frame's pyramid."""
    frame = tf.tanh(pyramid[0])
    image = with_label(frame, label, self.label_table)
    return self._tail_view_net(image, pyramid)


def _ending_in(frame, pyramid, is_given):
  """Replaces the bottom of a pyramid by `frame`, where `is_given`."""
  bottom = tf.atanh(tf.clip_by_value(frame, -_MOST, _MOST))
  if is_given is not None:
    bottom = tf.where(is_given[:, None, None, None], bottom, pyramid[0])
  return [bottom, *pyramid[1:]]


def label_table(num_labels, label_channels, seed):
  """The labels' embeddings `[num_labels, label_channels]`, N(0, 1) at first."""
  start = tf.random.stateless_normal([num_labels, label_channels], [seed, 0])
  return tf.Variable(start, name='label_table')


def with_label(image, label, table):
  """Concatenates a label's embedding to `[B, H, W, C]` at every place."""
  if table is None:
    return image
  rows = labels_lib.lookup(table, label)[:, tf.newaxis, tf.newaxis, :]
  shape = tf.concat([tf.shape(image)[:3], tf.shape(rows)[3:]], axis=0)
  return tf.concat([image, tf.broadcast_to(rows, shape)], axis=-1)
