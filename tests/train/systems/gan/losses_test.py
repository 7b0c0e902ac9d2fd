"""Tests of the GAN's losses and spectral norm."""

import numpy as np
import tensorflow as tf

from train.systems.gan import losses
from train.systems.gan import spectral_norm


class LossesTest(tf.test.TestCase):
  def test_by_hand(self):
    real, fake = tf.constant([[2.0, 0.5]]), tf.constant([[-0.5, 1.0]])
    expected = {
      'least_squares': (
        0.5 * ((1 + 0.25) / 2 + (0.25 + 1) / 2),
        0.5 * 2.25 / 2,
      ),
      'hinge': (0.5 / 2 + (0.5 + 2) / 2, -0.25),
    }
    self.assertEqual(list(losses.LOSSES), list(expected))
    for name, values in expected.items():
      self.assertAllClose(losses.LOSSES[name](real, fake), values)

  def test_generator_s_loss_falls_as_its_scores_rise(self):
    fake = tf.constant([[-0.5, 0.3]])
    for loss in losses.LOSSES.values():
      with tf.GradientTape() as tape:
        tape.watch(fake)
        _, g_loss = loss(tf.zeros_like(fake), fake)
      self.assertAllLess(tape.gradient(g_loss, fake), 0.0)

  def test_diversity_shortfall_by_hand(self):
    real = tf.reshape([0.0, 0.5, 0.1, 9.0], [4, 1, 1, 1, 1])
    label = tf.constant([1, 1, 1, 2])
    # Pairs of label 1: 0.5, 0.1 and 0.4.
    videos = tf.zeros_like(real)
    for distance, expected in ((0.1, 0.7), (0.0, 1.0), (2.0, 0.0)):
      value = losses.diversity_shortfall(videos, videos + distance, real, label)
      self.assertAllClose(value, expected)
    none = losses.diversity_shortfall(videos, videos, real, tf.range(4))
    self.assertEqual(none, 0.0)
    same = losses.diversity_shortfall(videos, videos, real, None)
    self.assertEqual(same, 1.0)

  def test_excess_by_hand(self):
    most = np.arctanh(31 / 32) + 0.45
    value = losses.excess(tf.constant([0.0, most, -most - 1.0, most + 2.0]), 5)
    self.assertAllClose(value, (1.0 + 4.0) / 4)


class SpectralNormTest(tf.test.TestCase):
  def test_against_singular_values(self):
    kernel = tf.random.stateless_normal([3, 3, 4, 5], [0, 1])
    norm = np.linalg.norm(kernel.numpy().reshape(-1, 5), 2)
    constraint = spectral_norm.SpectralNorm()
    self.assertAllClose(constraint(kernel), kernel / norm, rtol=1e-4)
    small = 0.5 * kernel / norm
    self.assertAllClose(constraint(small), small)


if __name__ == '__main__':
  tf.test.main()
