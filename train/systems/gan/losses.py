"""Losses of discriminator and generator, of scores that have no bounds."""

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


# From scores of real and generated frames, both `[B, T]`, to the losses of
# discriminator and generator.
LOSSES = {
  'least_squares': _least_squares,
  'hinge': _hinge,
}


def diversity_shortfall(videos, other_videos, real, label):
  """How much nearer two videos of other noise are than two real ones.

  ```none
  max(0, 1 - E |x - x'|_1 / E |r - r'|_1)
  ```

  over generated pairs of one label and over the batch's real pairs of one
  label; 0 where it has no such pair. It is the bounded diversity term of Yang
  et al., Diversity-Sensitive Conditional Generative Adversarial Networks, 2019,
  equations 2 and 3, with a bound from data: no farther apart than real ones.

  Args:
    videos: `[B, T, H, W, C]`, generated.
    other_videos: `[B, T, H, W, C]`, of the same labels and other noise.
    real: `[B, T, H, W, C]`.
    label: int `[B]`, or None: all of one label.

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
  """How far values reach where tanh is flat: mean of relu(|v| - m)^2.

  m is a little beyond where tanh gives the last level's centre. The gradient
  of tanh vanishes there, and with it what a discriminator says; this one does
  not. (The idea is the drift penalty of Karras et al., Progressive Growing of
  GANs, 2018, on the generator's side.)

  Args:
    unbounded: Float tensor, before the tanh.
    n_bits: Python `int`, frames are of `2**n_bits` levels.

  Returns:
    Scalar.
  """
  most = np.arctanh(1.0 - 2.0**-n_bits) + 0.45
  return tf.reduce_mean(tf.nn.relu(tf.abs(unbounded) - most) ** 2)
