"""Losses of discriminator and generator; scores are any real numbers."""

import numpy as np
import tensorflow as tf

__all__ = ['LOSSES', 'diversity_shortfall', 'excess']


def _least_squares(real, fake):
  """Mao et al., Least Squares Generative Adversarial Networks, 2017."""
  d_loss = tf.reduce_mean((real - 1.0) ** 2) + tf.reduce_mean(fake**2)
  return 0.5 * d_loss, 0.5 * tf.reduce_mean((fake - 1.0) ** 2)


def _hinge(real, fake):
  """Lim and Ye, Geometric GAN, 2017."""
  d_loss = tf.nn.relu(1.0 - real) + tf.nn.relu(1.0 + fake)
  return tf.reduce_mean(d_loss), -tf.reduce_mean(fake)


# Functions from the scores of real and generated frames, both `[B, T]`, to the
# losses of discriminator and generator.
LOSSES = {
  'least_squares': _least_squares,
  'hinge': _hinge,
}


def diversity_shortfall(videos, other_videos, real, label):
  """How much closer two generated videos of a label are than two real ones.

  ```none
  max(0, 1 - E |x - x'|_1 / E |r - r'|_1)
  ```

  x and x' are generated from different noise, r and r' are two real videos of
  the batch; both pairs have the same label. The value is 0 if the batch has no
  such real pair. It is the bounded diversity term of Yang et al.,
  Diversity-Sensitive Conditional Generative Adversarial Networks, 2019,
  equations 2 and 3, with the distance of real videos as the bound.

  Args:
    videos: `[B, T, H, W, C]`, generated.
    other_videos: `[B, T, H, W, C]`, generated for the same labels from other
      noise.
    real: `[B, T, H, W, C]`.
    label: int `[B]`, or None: all videos have the same label.

  Returns:
    Scalar in [0, 1].
  """
  num = tf.shape(real)[0]
  is_pair = ~tf.eye(num, dtype=tf.bool)
  if label is not None:
    is_pair &= label[:, tf.newaxis] == label
  of_pairs = tf.map_fn(
    lambda r: tf.reduce_mean(tf.abs(real - r), axis=[1, 2, 3, 4]), real
  )
  bound = tf.reduce_sum(tf.where(is_pair, of_pairs, 0.0))
  bound /= tf.maximum(tf.reduce_sum(tf.cast(is_pair, real.dtype)), 1.0)
  distance = tf.reduce_mean(tf.abs(videos - other_videos))
  return tf.nn.relu(1.0 - tf.math.divide_no_nan(distance, bound)) * tf.cast(
    bound > 0.0, real.dtype
  )


def excess(unbounded, n_bits):
  """Penalty on values where tanh is flat: mean of relu(|v| - m)^2.

  m is slightly larger than the value whose tanh is the centre of the last
  level. Beyond m the gradient of tanh vanishes, and with it the
  discriminator's gradient; the gradient of this penalty does not. (Compare the
  drift penalty of Karras et al., Progressive Growing of GANs, 2018, which acts
  on the discriminator.)

  Args:
    unbounded: Float tensor, before the tanh.
    n_bits: Python `int`; frames have `2**n_bits` levels.

  Returns:
    Scalar.
  """
  most = np.arctanh(1.0 - 2.0**-n_bits) + 0.45
  return tf.reduce_mean(tf.nn.relu(tf.abs(unbounded) - most) ** 2)
