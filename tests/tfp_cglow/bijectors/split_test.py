"""Tests of `split`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow
from tfp_cglow.bijectors import split

tfd = tfp.distributions


class SplitTest(tf.test.TestCase, parameterized.TestCase):
  def _constant(self, mean, raw):
    """A split whose prior does not depend on the half that goes on."""
    output = tf.constant([-mean, -raw])
    return tfp_cglow.Split(
      lambda kept: tf.broadcast_to(output, [*kept.shape[:-1], 2])
    )

  def test_prior_is_a_normal_distribution(self):
    mean, raw = 0.7, 1.3
    scale = float(np.exp(4 * np.tanh(raw / 4)))
    bijector = self._constant(mean, raw)
    y = tf.random.normal([5, 1, 1, 2])
    x = bijector.inverse(y)
    self.assertAllEqual(x[..., 0], y[..., 0])
    log_prob = tfd.Normal(0.0, 1.0).log_prob(x[:, 0, 0, 1])
    log_prob += bijector.inverse_log_det_jacobian(y, 3)
    expected = tfd.Normal(mean, scale).log_prob(y[:, 0, 0, 1])
    self.assertAllClose(log_prob, expected, 1e-5, 1e-5)

  def test_samples_have_the_prior_moments(self):
    mean, raw = 0.7, 1.3
    scale = np.exp(4 * np.tanh(raw / 4))
    z = tf.random.stateless_normal([20000, 1, 1, 2], [0, 1])
    y = self._constant(mean, raw).forward(z)[:, 0, 0, 1]
    self.assertAllClose(tf.reduce_mean(y), mean, atol=0.1)
    self.assertAllClose(tf.math.reduce_std(y), scale, rtol=0.03)

  @parameterized.parameters(-1e6, 1e6)
  def test_scale_is_bounded(self, raw):
    bijector = self._constant(0.0, raw)
    y = bijector.forward(tf.ones([1, 1, 2]))
    self.assertAllClose(y[..., 1], [[np.exp(np.sign(raw) * 4.0)]])

  def test_build_starts_as_the_standard_normal(self):
    bijector = tfp_cglow.build_split(4)
    y = tf.random.normal([2, 2, 2, 4])
    self.assertAllClose(bijector.inverse(y), y)
    self.assertLen(bijector.trainable_variables, 2)

  def test_prior_depends_on_the_half_that_goes_on(self):
    bijector = tfp_cglow.build_split(4)
    for variable in bijector.trainable_variables:
      variable.assign(tf.ones_like(variable))
    z = tf.zeros([2, 2, 2])
    leaving = lambda kept: split.separate(
      bijector.forward(split.join(kept, z))
    )[1]
    self.assertNotAllClose(leaving(z), leaving(z + 1.0))

  def test_join_undoes_separate(self):
    x = tf.random.normal([2, 2, 2, 6])
    kept, latent = split.separate(x)
    self.assertEqual(kept.shape, [2, 2, 2, 3])
    self.assertAllEqual(split.join(kept, latent), x)


if __name__ == '__main__':
  tf.test.main()
