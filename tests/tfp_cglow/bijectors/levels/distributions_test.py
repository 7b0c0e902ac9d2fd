"""Tests of `distributions`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors.levels import distributions
from tfp_cglow.bijectors.levels import grid_mixture

_LEVELS = 5


def _categorical():
  logits = np.random.default_rng(0).standard_normal([7, _LEVELS])
  return distributions.CategoricalLevels.from_logits(tf.constant(logits))


def _mixture():
  raw = np.random.default_rng(1).standard_normal([7, 6])
  return grid_mixture.GridMixture(
    tf.constant(raw), tf.constant(np.linspace(0.0, 4.0, 7)), _LEVELS
  )


def _tempered(temperature, min_p, make=_categorical):
  return distributions.TemperedLevels(
    make(), *(tf.constant(v, tf.float64) for v in (temperature, min_p))
  )


_kinds = parameterized.parameters(
  (_categorical,),
  (_mixture,),
  (lambda: _tempered(0.7, 0.0),),
  (lambda: _tempered(2.0, 0.3, _mixture),),
)


class LevelDistributionTest(tf.test.TestCase, parameterized.TestCase):
  @_kinds
  def test_probabilities_are_the_masses(self, make):
    distribution = make()
    probabilities = distribution.probabilities()
    centres = (np.arange(_LEVELS)[:, np.newaxis] + 0.5) / _LEVELS - 0.5
    centres = tf.constant(centres + np.zeros([1, 7]))
    density = tf.exp(distribution.log_density(centres))
    self.assertAllClose(tf.transpose(density) / _LEVELS, probabilities)

  @_kinds
  def test_round_trip(self, make):
    distribution = make()
    x = tf.random.stateless_normal([1000, 7], [0, 0], dtype=tf.float64)
    y, log_det, level = distribution.from_normal(x)
    again, log_det_again, level_again = distribution.to_normal(y)
    self.assertAllClose(again, x, atol=1e-6)
    self.assertAllClose(log_det_again, log_det)
    self.assertAllEqual(level_again, level)

  @_kinds
  def test_samples_have_the_probabilities(self, make):
    distribution = make()
    x = tf.random.stateless_normal([20_000, 7], [0, 1], dtype=tf.float64)
    _, _, level = distribution.from_normal(x)
    share = tf.reduce_mean(tf.one_hot(tf.cast(level, tf.int32), _LEVELS), 0)
    self.assertAllClose(share, distribution.probabilities(), atol=0.02)

  @parameterized.parameters((_categorical,), (_mixture,))
  def test_beyond_the_grid(self, make):
    distribution = make()
    outside = np.array([-0.5 - 20.0 / _LEVELS, -0.6, -0.5 - 1e-9])
    y = np.concatenate([outside, -outside[::-1]])[:, np.newaxis]
    y = tf.constant(y + np.zeros([1, 7]))
    x, log_det, _ = distribution.to_normal(y)
    step = 1e-6
    slope = distribution.to_normal(y - step)[0] - x
    self.assertAllClose(tf.math.log(-slope / step)[:2], log_det[:2], 1e-5)
    self.assertAllClose(x, -x[::-1])  # As much mass on both sides.
    self.assertAllClose(distribution.from_normal(x)[0], y)
    self.assertAllClose(distribution.from_normal(x)[1], log_det)
    # The density begins with a level's least mass, where the grid has ended.
    inside, _, _ = distribution.to_normal(
      tf.fill([7], tf.constant(-0.5, tf.float64))
    )
    self.assertAllClose(x[2], inside, 1e-6)
    density = tf.exp(distribution.log_density(y))
    self.assertAllClose(
      density[2] / _LEVELS, np.full([7], distributions.LEAST_MASS), 1e-6
    )

  def test_extreme_latents(self):
    for make in (_categorical, lambda: _tempered(1.0, 0.5)):
      for x in (-40.0, 40.0):
        y, _, level = make().from_normal(
          tf.fill([7], tf.constant(x, tf.float64))
        )
        self.assertAllEqual(np.isfinite(y), np.ones([7], bool))
        mass = tf.gather(
          make().probabilities(), tf.cast(level, tf.int32), batch_dims=1
        )
        self.assertAllGreater(mass, 0.0)


class TemperedLevelsTest(tf.test.TestCase):
  def test_by_hand(self):
    p = _categorical().probabilities().numpy()
    expected = p**2 / np.sum(p**2, -1, keepdims=True)
    self.assertAllClose(_tempered(0.5, 0.0).probabilities(), expected)
    kept = np.where(p >= 0.4 * p.max(-1, keepdims=True), p, 0.0)
    self.assertAllClose(
      _tempered(1.0, 0.4).probabilities(), kept / kept.sum(-1, keepdims=True)
    )
    likeliest = np.eye(_LEVELS)[p.argmax(-1)]
    self.assertAllEqual(_tempered(0.0, 0.0).probabilities(), likeliest)

  def test_one_and_zero_change_no_bit(self):
    x = tf.random.stateless_normal([100, 7], [0, 0], dtype=tf.float64)
    temperature = tf.constant([1.0, 1.0, 0.5, 0.0, 1.0, 1.0, 1.0], tf.float64)
    min_p = tf.constant([0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0], tf.float64)
    tempered = distributions.TemperedLevels(_categorical(), temperature, min_p)
    for method in ('from_normal', 'to_normal'):
      value = x if method == 'from_normal' else tf.tanh(x)
      given = getattr(_categorical(), method)(value)
      changed = getattr(tempered, method)(value)
      for a, b in zip(given, changed):
        for row in (0, 4, 5, 6):
          self.assertAllEqual(a[:, row], b[:, row])
      for row in (1, 2, 3):
        self.assertNotAllEqual(given[0][:, row], changed[0][:, row])

  def test_dropped_levels_have_density_zero(self):
    cold = _tempered(0.0, 0.0)
    y = tf.constant((np.arange(_LEVELS)[:, np.newaxis] + 0.5) / _LEVELS - 0.5)
    density = cold.log_density(y + tf.zeros([1, 7], tf.float64))
    self.assertAllEqual(
      np.isneginf(density), np.transpose(cold.probabilities() == 0.0)
    )
    beyond = cold.log_density(tf.fill([7], tf.constant(0.6, tf.float64)))
    self.assertAllEqual(np.isneginf(beyond), np.ones([7], bool))


if __name__ == '__main__':
  tf.test.main()
