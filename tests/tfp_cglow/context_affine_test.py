"""Tests of `context_affine`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow


class ContextAffineTest(tf.test.TestCase, parameterized.TestCase):
  def test_residual_starts_as_the_difference_to_the_context(self):
    affine = tfp_cglow.build_context_affine('residual', 2, 3, 4, seed=0)
    y, context = tf.random.normal([2, 4, 4, 2]), tf.random.normal([2, 4, 4, 3])
    self.assertAllClose(
      affine.inverse(y, context=context), y - context[..., :2]
    )
    self.assertAllClose(
      tf.zeros([2]), affine.inverse_log_det_jacobian(y, 3, context=context)
    )

  def test_learned_starts_as_the_identity(self):
    affine = tfp_cglow.build_context_affine('learned', 2, 1, 4, seed=0)
    y, context = tf.random.normal([2, 4, 4, 2]), tf.random.normal([2, 4, 4, 1])
    self.assertAllClose(affine.inverse(y, context=context), y)

  def test_values_by_hand(self):
    network = lambda context: tf.concat([context, tf.ones_like(context)], -1)
    affine = tfp_cglow.ContextAffine(network, context_channels=1)
    log_scale = 4 * np.tanh(1 / 4)
    y, context = tf.fill([2, 2, 1], 5.0), tf.fill([2, 2, 1], 3.0)
    self.assertAllClose(
      affine.inverse(y, context=context),
      np.full([2, 2, 1], 2 * np.exp(log_scale)),
    )
    self.assertAllClose(
      affine.inverse_log_det_jacobian(y, 3, context=context), 4 * log_scale
    )

  @parameterized.parameters(-1e6, 1e6)
  def test_scale_is_bounded(self, raw):
    network = lambda context: tf.fill([*context.shape[:-1], 2], raw)
    affine = tfp_cglow.ContextAffine(network, context_channels=1)
    y, context = tf.ones([1, 1, 1]), tf.zeros([1, 1, 1])
    ildj = affine.inverse_log_det_jacobian(y, 3, context=context)
    self.assertAllClose(ildj, np.sign(raw) * 4.0)

  def test_own_base_mean(self):
    affine = tfp_cglow.ContextAffine(
      lambda context: tf.zeros([*context.shape[:-1], 2]),
      context_channels=2,
      base_mean=lambda context, channels: context[..., channels:],
    )
    y, context = tf.ones([1, 1, 1]), tf.constant([[[3.0, 5.0]]])
    self.assertAllClose(affine.inverse(y, context=context), [[[-4.0]]])

  def test_bad_arguments(self):
    with self.assertRaisesRegex(ValueError, "learned.*residual.*got 'mean'"):
      tfp_cglow.build_context_affine('mean', 1, 1, 4)
    with self.assertRaisesRegex(ValueError, 'first 3 channels.*has 2'):
      tfp_cglow.build_context_affine('residual', 3, 2, 4)


if __name__ == '__main__':
  tf.test.main()
