"""Tests of `actnorm`."""

import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.bijectors import actnorm


class ActNormTest(tf.test.TestCase):
  def test_values_by_hand(self):
    norm = tfp_cglow.ActNorm(
      shift=[1.0, -2.0], log_scale=[float(np.log(2.0)), 0.0]
    )
    self.assertAllClose(norm.inverse([[3.0, 5.0]]), [[8.0, 3.0]])
    self.assertAllClose(norm.forward([[8.0, 3.0]]), [[3.0, 5.0]])

  def test_log_det_counts_every_pixel(self):
    norm = tfp_cglow.ActNorm(shift=[0.0, 0.0], log_scale=[0.1, 0.2])
    y = tf.zeros([7, 4, 5, 2])
    for event_ndims, factor in ((1, 1), (2, 5), (3, 20)):
      ildj = norm.inverse_log_det_jacobian(y, event_ndims)
      self.assertAllClose(
        tf.broadcast_to(ildj, y.shape[: 4 - event_ndims]),
        np.full(y.shape[: 4 - event_ndims], 0.3 * factor),
      )

  def test_build_is_the_identity_and_trainable(self):
    norm = tfp_cglow.build_actnorm(3)
    y = tf.random.stateless_uniform([2, 4, 4, 3], [0, 1])
    self.assertAllEqual(y, norm.inverse(y))
    self.assertLen(norm.trainable_variables, 2)
    self.assertIs(norm.shift, norm.parameters['shift'])

  def test_applying_it_changes_no_variable(self):
    norm = tfp_cglow.build_actnorm(3)
    norm.forward(tf.ones([2, 4, 4, 3]) * 5.0)
    norm.inverse(tf.ones([2, 4, 4, 3]) * 5.0)
    self.assertAllEqual(norm.shift, [0.0] * 3)
    self.assertAllEqual(norm.log_scale, [0.0] * 3)


class ChannelStatisticsTest(tf.test.TestCase):
  def test_gives_zero_mean_and_unit_variance(self):
    rng = np.random.default_rng(0)
    y = rng.normal([3.0, -1.0], [0.2, 7.0], size=[5, 6, 4, 4, 2])
    shift, log_scale = actnorm.channel_statistics(tf.constant(y))
    x = tfp_cglow.ActNorm(shift, log_scale).inverse(tf.constant(y)).numpy()
    self.assertAllClose(x.mean((0, 1, 2, 3)), [0.0, 0.0])
    self.assertAllClose(x.var((0, 1, 2, 3)), [1.0, 1.0])
    self.assertAllClose(log_scale, -np.log(y.std((0, 1, 2, 3))))

  def test_constant_channel_keeps_its_scale(self):
    y = tf.stack([tf.fill([4, 4, 4], 0.3), tf.random.normal([4, 4, 4])], -1)
    shift, log_scale = actnorm.channel_statistics(y)
    self.assertAllClose(shift[0], -0.3)
    self.assertEqual(log_scale[0], 0.0)
    self.assertNotEqual(log_scale[1], 0.0)


if __name__ == '__main__':
  tf.test.main()
