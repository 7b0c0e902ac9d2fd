"""Tests of `shared_function`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors.levels import distributions
from tfp_cglow.bijectors.levels import grid_mixture
from tfp_cglow.bijectors.levels import shared_function

_LEVELS = 8


def _inputs(dtype=tf.float64):
  rng = np.random.default_rng(0)
  make = lambda *shape: tf.constant(rng.standard_normal(shape), dtype)
  x, raw = 2.0 * make(3, 4, 5), make(3, 4, 5, 6)
  return x, raw, 3.5 + make(3, 4, 5)


class SharedFunctionTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters((None,), (([0.5, 1.0, 1.0], [0.0, 0.3, 0.0]),))
  def test_is_the_mixture_s(self, tempering):
    x, raw, centre = _inputs()
    expected_by = grid_mixture.GridMixture(raw, centre, _LEVELS)
    if tempering is not None:
      tempering = [tf.constant(t, tf.float64) for t in tempering]
      expected_by = distributions.TemperedLevels(
        expected_by, *(t[:, tf.newaxis, tf.newaxis] for t in tempering)
      )
    actual = shared_function.from_normal(
      x, raw, centre, _LEVELS, tempering or ()
    )
    for a, b in zip(actual, expected_by.from_normal(x)):
      self.assertAllClose(a, b, 1e-12)
      self.assertEqual(a.shape, x.shape)

  def test_gradient(self):
    x, raw, centre = _inputs()

    def value(x, raw):
      y, log_det, _ = shared_function.from_normal(x, raw, centre, _LEVELS)
      return tf.reduce_sum(y + log_det**2)

    exact = tf.test.compute_gradient(value, [x, raw], delta=1e-6)
    for theoretical, numerical in zip(*exact):
      self.assertAllClose(theoretical, numerical, atol=1e-5, rtol=1e-5)

  def test_a_graph_has_it_once(self):
    x, raw, centre = _inputs()

    @tf.function
    def draw_thrice(x):
      for _ in range(3):
        x, _, _ = shared_function.from_normal(x, raw, centre, _LEVELS)
      return x

    graph = draw_thrice.get_concrete_function(x).graph.as_graph_def()
    calls = [n for n in graph.node if 'PartitionedCall' in n.op]
    self.assertLen(calls, 3)
    self.assertLen({n.attr['f'].func.name for n in calls}, 1)
    [function] = graph.library.function
    self.assertTrue(function.attr['_noinline'].b)


if __name__ == '__main__':
  tf.test.main()
