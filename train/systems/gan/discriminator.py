"""The video discriminator: a score for each frame, given those before."""

import tensorflow as tf
import tf_keras as tfk

from train.systems.gan import generator
from train.systems.gan import unet
from train.systems.gan import view_net

__all__ = ['Discriminator']


class Discriminator(tfk.layers.Layer):
  """Reads the first frame with a U-Net, the others with a View-Net.

  ```none
  p^0 = unet(x_0),   p^t = view_net(x_t, p^{t-1})
  score_t = a . mean over places of relu(p^t) + b
  ```

  The mean is taken of each level's map, and the means of all levels are
  concatenated: the paper (section V) does not say how the score is computed
  from the pyramid. Frames after the first share one View-Net and (a, b); the
  first frame has its own. The label's embedding is concatenated to each frame
  at every place.
  """

  def __init__(
    self,
    frame_shape,
    widths,
    num_labels,
    label_channels,
    kernels,
    name='discriminator',
  ):
    """Creates the layer and its variables.

    Args:
      frame_shape: `[H, W, C]`.
      widths: Sequence of Python `int`: channels of levels 1, 2, ...
      num_labels: Python `int`, or None: the network takes no label.
      label_channels: Python `int`, channels of a label's embedding.
      kernels: `unet.Kernels`.
      name: Python `str`.
    """
    super().__init__(name=name)
    self.label_table = None
    if num_labels is not None:
      self.label_table = generator.label_table(
        num_labels, label_channels, next(kernels.seeds)
      )
    args = (widths[0], widths, kernels)
    self._first_unet = unet.UNet(*args, name='first_unet')
    self._tail_view_net = view_net.ViewNet(*args, name='tail_view_net')
    self._first_score = tfk.layers.Dense(1, **kernels.options())
    self._tail_score = tfk.layers.Dense(1, **kernels.options())
    label = None if num_labels is None else tf.zeros([1], tf.int32)
    self(tf.zeros([1, 2, *frame_shape]), label)  # Makes the variables.

  def call(self, frames, label):
    """How real each frame looks.

    Args:
      frames: `[B, T, H, W, C]` in [-1, 1], T static.
      label: int `[B]`, float `[B, num_labels]` or None.

    Returns:
      `[B, T]`.
    """
    pyramid, scores = None, []
    for t, frame in enumerate(tf.unstack(frames, axis=1)):
      image = generator.with_label(frame, label, self.label_table)
      if t == 0:
        pyramid, read = self._first_unet(image), self._first_score
      else:
        pyramid, read = self._tail_view_net(image, pyramid), self._tail_score
      levels = [tf.reduce_mean(tf.nn.relu(p), axis=[1, 2]) for p in pyramid]
      scores.append(read(tf.concat(levels, axis=-1)))
    return tf.concat(scores, axis=-1)
