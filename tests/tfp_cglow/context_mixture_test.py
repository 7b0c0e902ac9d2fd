"""Tests of `context_mixture`."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow

tfd = tfp.distributions

_groups = parameterized.parameters(1, 4)


def _mixture(num_groups, channels=1, num_levels=4, seed=0, **kwargs):
  """Of random weights, so that everything depends on what it may depend on."""
  options = {'hidden_channels': 4, 'dtype': tf.float64, **kwargs}
  mixture = tfp_cglow.build_context_mixture(
    channels, 2 * channels, num_levels, num_groups, **options
  )
  rng = np.random.default_rng(seed)
  for variable in mixture.trainable_variables:
    variable.assign(0.3 * rng.standard_normal(variable.shape))
  return mixture


def _uniform(*shape, seed=0):
  rng = np.random.default_rng(seed)
  return tf.constant(rng.uniform(-0.5, 0.5, shape))


class ContextMixtureTest(tf.test.TestCase, parameterized.TestCase):
  @_groups
  def test_probabilities_of_all_images_sum_to_one(self, num_groups):
    mixture, levels = _mixture(num_groups), (np.arange(4) + 0.5) / 4 - 0.5
    images = np.array(list(itertools.product(levels, repeat=4)))
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, images.shape) / 4
    flow = tfd.TransformedDistribution(
      tfd.Sample(tfd.Normal(tf.zeros([], tf.float64), 1.0), [2, 2, 1]), mixture
    )
    log_prob = lambda y: flow.log_prob(
      tf.reshape(y, [-1, 2, 2, 1]),
      bijector_kwargs={'context': _uniform(2, 2, 2)},
    )
    bits = tfp_cglow.bits_per_dim(log_prob(images), [2, 2, 1], 2)
    # Up to what lies beyond the grid, on both sides of four pixels.
    self.assertAllClose(tf.reduce_sum(2.0 ** (-4 * bits)), 1.0, atol=1e-4)
    # Within a level the density is constant: nothing is lost to the noise.
    self.assertAllClose(log_prob(images), log_prob(images + noise))
    chances = 2.0 ** (-4 * bits)
    self.assertGreater(tf.reduce_max(chances), 2 * tf.reduce_min(chances))

  @_groups
  def test_what_depends_on_what(self, num_groups):
    """Groups in their order; at a pixel, channels in theirs; levels alone."""
    mixture, y = _mixture(num_groups, channels=2), _uniform(4, 4, 2)
    context = _uniform(4, 4, 4, seed=1)
    before = mixture.inverse(y, context=context)
    places = [(0, 0), (1, 1), (0, 1), (1, 0)] if num_groups == 4 else [(0, 0)]
    step = 2 if num_groups == 4 else 1
    rank = np.zeros([4, 4, 2])
    for g, (i, j) in enumerate(places):
      rank[i::step, j::step] = g
    for i, j, c in [(0, 0, 0), (1, 2, 1), (3, 3, 0), (2, 2, 1)]:
      level = np.floor((y.numpy()[i, j, c] + 0.5) * 4)
      other = ((level + 2) % 4 + 0.5) / 4 - 0.5
      changed = y.numpy()
      changed[i, j, c] = other
      after = mixture.inverse(tf.constant(changed), context=context)
      moved = np.abs(after - before) > 0
      allowed = rank > rank[i, j, c]
      allowed[i, j, c:] = True
      self.assertFalse(np.any(moved & ~allowed))
      self.assertTrue(moved[i, j, c])
      if c == 0:
        self.assertTrue(moved[i, j, 1])
      if rank[i, j, c] < num_groups - 1:
        self.assertTrue(np.any(moved & (rank > rank[i, j, c])))
      # Within a level nobody else sees it.
      changed[i, j, c] = ((level + 0.5) / 4 - 0.5) * 0.9 + 0.1 * y[i, j, c]
      after = mixture.inverse(tf.constant(changed), context=context)
      moved = np.abs(after - before) > 1e-12
      moved[i, j, c] = False
      self.assertFalse(np.any(moved))

  def test_starts_centred_on_the_previous_frame(self):
    mixture = tfp_cglow.build_context_mixture(1, 1, 32, hidden_channels=4)
    context = tfp_cglow.quantise(tf.random.uniform([8, 8, 1], 0.2, 0.8), 5)
    x = mixture.inverse(context, context=context)
    self.assertAllClose(x, tf.zeros_like(x), atol=0.1)
    y = mixture.forward(tf.random.normal([8, 8, 1]), context=context)
    near = tf.abs(y - context) < 1.5 / 32
    self.assertGreater(tf.reduce_mean(tf.cast(near, tf.float32)), 0.6)

  def test_wrong_arguments(self):
    with self.assertRaisesRegex(ValueError, '1 or 4, but got 3'):
      tfp_cglow.build_context_mixture(1, 1, 4, num_groups=3)
    with self.assertRaisesRegex(ValueError, 'at least 2, but got 1'):
      tfp_cglow.build_context_mixture(1, 1, 1)
    with self.assertRaisesRegex(ValueError, '2 frame.*6 channels.*has 5'):
      tfp_cglow.build_context_mixture(3, 5, 32, context_frames=2)
    mixture = _mixture(4)
    with self.assertRaisesRegex(ValueError, 'even height.*3x4'):
      mixture.inverse(_uniform(3, 4, 1), context=_uniform(3, 4, 2))


class NetworkTest(tf.test.TestCase):
  def test_each_network_runs_once(self):
    mixture = tfp_cglow.build_context_mixture(2, 2, 4, hidden_channels=4)
    networks, calls = mixture.parameters['mixture_networks'], []
    for i, network in enumerate(networks):
      features, head = network.features, network.head
      network.features = lambda *a, i=i, f=features: (
        calls.append((i, 'features')) or f(*a)
      )
      network.head = lambda c, *a, i=i, f=head: calls.append((i, c)) or f(c, *a)
    once = [(i, part) for i in range(4) for part in ('features', 0, 1)]
    flow = tfd.TransformedDistribution(
      tfd.Sample(tfd.Normal(0.0, 1.0), [4, 4, 2]), mixture
    )
    kwargs = {'context': tf.zeros([4, 4, 2])}
    y = flow.sample(bijector_kwargs=kwargs)
    self.assertEqual(calls, once)
    calls.clear()
    flow.log_prob(tf.identity(y), bijector_kwargs=kwargs)
    self.assertEqual(calls, once)


if __name__ == '__main__':
  tf.test.main()
