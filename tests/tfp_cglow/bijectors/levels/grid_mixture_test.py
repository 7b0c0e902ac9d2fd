"""Tests of `grid_mixture`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow
from tfp_cglow.bijectors.levels import grid_mixture

tfd = tfp.distributions


def _mixture(num_levels, shape=(), seed=0, dtype=tf.float64):
  rng = np.random.default_rng(seed)
  return grid_mixture.GridMixture(
    tf.constant(rng.standard_normal([*shape, 6]), dtype),
    tf.constant(rng.uniform(-1.0, num_levels, shape), dtype),
    num_levels,
  )


class GridMixtureTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(2, 4, 32)
  def test_masses_are_those_of_the_mixture(self, num_levels):
    logits, shifts, scales = [0.3, -0.2], [0.7, -1.5], [-0.1, 0.4]
    raw = tf.constant([*logits, *shifts, *scales], tf.float64)
    mixture = grid_mixture.GridMixture(
      raw, tf.constant(1.5, tf.float64), num_levels
    )
    logistics = tfd.MixtureSameFamily(
      tfd.Categorical(logits=np.add(logits, [2.0, -2.0])),
      tfd.Logistic(
        np.add(1.5, np.multiply(shifts, num_levels / 32)),
        np.exp(4 * np.tanh(np.divide(scales, 4))) * [0.2, 0.375 * num_levels],
      ),
    )
    edges = logistics.cdf(np.arange(num_levels - 1) + 0.5)
    expected = np.diff(np.concatenate([[0.0], edges, [1.0]]))
    levels = tf.range(num_levels, dtype=tf.float64)
    centres = (levels + 0.5) / num_levels - 0.5
    masses = tf.exp(mixture.log_density(centres)) / num_levels
    self.assertAllClose(masses, expected, rtol=1e-3, atol=2e-5)
    # The rest of the mass lies beyond the grid.
    self.assertAllClose(tf.reduce_sum(masses), 1.0 - 2e-5, rtol=1e-10)
    self.assertAllEqual(mixture.to_normal(centres)[-1], levels)

  @parameterized.parameters(2, 4, 32)
  def test_round_trip_beyond_the_grid_too(self, num_levels):
    mixture = _mixture(num_levels, [1000])
    y = tf.linspace(tf.constant(-0.91, tf.float64), 0.87, 1000)
    x, log_det, level = mixture.to_normal(y)
    back, log_det_back, level_back = mixture.from_normal(x)
    self.assertAllClose(y, back, atol=1e-11)
    self.assertAllClose(log_det, log_det_back, atol=1e-9)
    self.assertAllEqual(level, level_back)
    x = tf.linspace(tf.constant(-10.0, tf.float64), 10.0, 1000)
    y, *_ = mixture.from_normal(x)
    self.assertAllClose(x, mixture.to_normal(y)[0], atol=1e-7)

  def test_rises_everywhere(self):
    mixture = _mixture(5, [1])
    y = tf.linspace(tf.constant(-0.8, tf.float64), 0.8, 2001)
    x, *_ = mixture.to_normal(y)
    self.assertAllGreater(x[1:] - x[:-1], 0.0)

  def test_float32_finds_the_way_back(self):
    mixture = _mixture(32, [4, 1000], dtype=tf.float32)
    rng = np.random.default_rng(1)
    y = tf.constant(rng.uniform(-0.5, 0.5, [4, 1000]), tf.float32)
    x, *_ = mixture.to_normal(y)
    self.assertAllClose(mixture.from_normal(x)[0], y, atol=0.01 / 32)

  @parameterized.parameters(-1e4, 1e4)
  def test_wild_parameters_stay_finite(self, value):
    for place in range(6):
      raw = tf.tensor_scatter_nd_update(tf.zeros([6]), [[place]], [value])
      with tf.GradientTape() as tape:
        tape.watch(raw)
        mixture = grid_mixture.GridMixture(raw, tf.constant(3.0), 8)
        y = tf.linspace(-0.5, 0.5, 33)
        terms = [*mixture.to_normal(y), *mixture.from_normal(16.0 * y)]
        total = sum(tf.reduce_sum(t) for t in terms)
      self.assertAllInRange(total, -1e5, 1e5)
      self.assertAllInRange(tape.gradient(total, raw), -1e8, 1e8)


class FarTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters('float32', 'float64')
  def test_inverts_beyond_the_grid(self, dtype):
    glow = tfp_cglow.build_glow(
      [2, 2, 1],
      1,
      None,
      first=tfp_cglow.LevelMixture(32, hidden_channels=4),
      dtype=tf.as_dtype(dtype),
      seed=0,
    )
    for value in (0.51, 2.0, 3.0, 10.0, -10.0, 1000.0):
      y = tf.fill([1, 2, 2, 1], tf.constant(value, dtype))
      with tf.GradientTape() as tape:
        tape.watch(y)
        x, ildj = glow.inverse_and_log_det(y)
      self.assertAllClose(glow.forward(x), y, rtol=1e-6)
      slopes = tf.reduce_sum(tf.math.log(tape.gradient(x, y)))
      self.assertAllClose(slopes, ildj[0], rtol=2e-3)

  def test_validate_args(self):
    steps, first = tfp_cglow.AdditiveSteps(1, 4), tfp_cglow.LevelMixture(32)
    byte = tf.fill([1, 2, 2, 1], 200.0)
    for glow, wrong in (
      (tfp_cglow.build_glow([2, 2, 1], 1, steps), byte),
      (tfp_cglow.build_glow([2, 2, 1], 1, None, first=first), byte / 256.0),
    ):
      glow.inverse(wrong)
      strict = glow.copy(validate_args=True)
      strict.inverse(wrong / 1000.0)
      with self.assertRaisesRegex(
        tf.errors.InvalidArgumentError, 'expects frames from'
      ):
        strict.inverse(wrong)


if __name__ == '__main__':
  tf.test.main()
