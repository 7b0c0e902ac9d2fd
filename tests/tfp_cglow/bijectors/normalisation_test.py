"""Tests that the likelihoods of all small images sum to one."""

import functools
import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as tfk

import tfp_cglow

tfd = tfp.distributions

_SHAPE = [2, 2, 1]
_STRATA = 4  # Per dimension: 4**4 = 256 noise samples in all.


def _all_images(n_bits):
  """Every image, at its bins' centres: `[2**(4 n_bits), 2, 2, 1]`."""
  levels = np.arange(2**n_bits)
  centres = (levels + 0.5) / 2**n_bits - 0.5
  images = np.array(list(itertools.product(centres, repeat=4)))
  return tf.constant(images.reshape([-1, *_SHAPE]), tf.float32)


def _noise(seed):
  """Uniform noise `[256, 2, 2, 1]`, one sample in each cell of a grid."""
  cells = np.array(list(itertools.product(range(_STRATA), repeat=4)))
  jitter = tf.random.stateless_uniform([_STRATA**4, *_SHAPE], [0, seed])
  return (cells.reshape([-1, *_SHAPE]) + jitter) / _STRATA


class NormalisationTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(
    (1, 'head', tfp_cglow.AffineSteps),
    (2, 'head', tfp_cglow.AdditiveSteps),
    (1, 'tail', tfp_cglow.AdditiveSteps),
    (2, 'tail', tfp_cglow.AffineSteps),
    (2, 'mixture', tfp_cglow.AffineSteps),
    (2, 'head_mixture', tfp_cglow.AffineSteps),
    (2, 'head_base', tfp_cglow.AffineSteps),
  )
  def test_sum_over_all_images(self, n_bits, part, make_steps):
    context = tfp_cglow.Context(1)
    mixture = functools.partial(
      tfp_cglow.LevelMixture, 2**n_bits, halvings=1, hidden_channels=8
    )
    options = {
      'head': {},
      'tail': {'context': context, 'first': tfp_cglow.FrameAffine()},
      'mixture': {'context': context, 'first': mixture(motion_radius=1)},
      'head_mixture': {'first': mixture()},
      'head_base': {
        'first': mixture(halvings=0, base=tfp_cglow.AutoregressiveBase(16, 1))
      },
    }[part]
    glow = tfp_cglow.build_glow(_SHAPE, 1, make_steps(3, 8), seed=0, **options)
    flow = tfd.TransformedDistribution(
      tfd.Sample(tfd.Normal(0.0, 1.0), [4]), glow
    )
    previous = tf.constant([[-0.25, 0.25], [0.25, -0.25]])[..., tf.newaxis]
    conditions = {} if part.startswith('head') else {'context': previous}
    images = _all_images(n_bits)
    self.assertLen(images, 16**n_bits)
    batches = self._batches(images, previous, n_bits)
    tfp_cglow.adapt(glow, batches[0], **conditions)
    self._train(flow, conditions, batches)

    noise = tf.stack([_noise(i) for i in range(len(images))])
    y = tfp_cglow.dequantise(images[:, tf.newaxis], n_bits, noise)
    density = flow.log_prob(
      tf.reshape(y, [-1, *_SHAPE]), bijector_kwargs=conditions
    )
    density = tf.reshape(density, y.shape[:2])
    log_width = -4 * n_bits * np.log(2.0)
    weighted = tf.reduce_logsumexp(density, 1) - np.log(y.shape[1]) + log_width
    bound = tf.reduce_mean(density, 1) + log_width
    self.assertAllClose(tf.reduce_sum(tf.exp(weighted)), 1.0, atol=0.02)
    self.assertLessEqual(tf.reduce_sum(tf.exp(bound)), 1.02)
    # The flow is not at its start: images differ in likelihood.
    chances = tf.exp(weighted)
    self.assertGreater(tf.reduce_max(chances), 2 * tf.reduce_min(chances))

  @parameterized.product(
    base=[None, tfp_cglow.AutoregressiveBase(16, 1)],
    tempering=[(1.0, 0.0), (0.5, 0.0), (1.0, 0.3), (0.0, 0.0)],
  )
  def test_tempered_levels_sum_to_one(self, base, tempering):
    glow = tfp_cglow.build_glow(
      _SHAPE,
      1,
      None,
      first=tfp_cglow.LevelMixture(3, 1, base),
      dtype=tf.float64,
    )
    rng = np.random.default_rng(0)
    for variable in glow.trainable_variables:
      variable.assign_add(0.3 * rng.standard_normal(variable.shape))
    levels = np.array(list(itertools.product(range(3), repeat=4)))
    images = tf.constant((levels.reshape([-1, *_SHAPE]) + 0.5) / 3 - 0.5)
    flow = lambda g: tfd.TransformedDistribution(
      tfd.Sample(tfd.Normal(tf.zeros([], tf.float64), 1.0), [4]), g
    )
    mass = tf.exp(flow(glow.tempered(*tempering)).log_prob(images)) / 3**4
    # A level that is not tempered leaves some mass beyond the grid.
    is_own = base is not None and tempering[1] == 0.0
    num_own = 4 if tempering == (1.0, 0.0) else int(is_own)
    total = (1 - 2e-5) ** num_own
    self.assertAllClose(tf.reduce_sum(mass), total, atol=1e-9)
    if tempering == (1.0, 0.0):
      given = tf.exp(flow(glow).log_prob(images)) / 3**4
      self.assertAllEqual(mass, given)
    if tempering == (0.0, 0.0):
      # Each level of the base's only pixel has one likeliest image.
      num_images = 1 if base is None else 3
      self.assertEqual(np.count_nonzero(mass), num_images)

  def _batches(self, images, previous, n_bits):
    """Noisy images close to `previous`, `[80, 64, 2, 2, 1]`.

    Their values are moved towards zero, so that hardly any of the density lies
    outside [-0.5, 0.5)^4, which the images' bins fill.
    """
    scores = 4.0 * tf.reduce_sum(images * (previous + 0.1), [1, 2, 3])
    rows = tf.random.stateless_categorical(scores[tf.newaxis], 64 * 80, [0, 7])
    chosen = tf.reshape(tf.gather(images, rows[0]), [80, 64, *_SHAPE])
    noise = tf.random.stateless_uniform(chosen.shape, [0, 8])
    return 0.5 * tfp_cglow.dequantise(chosen, n_bits, noise)

  def _train(self, flow, conditions, batches):
    variables = list(flow.trainable_variables)
    optimizer = tfk.optimizers.legacy.Adam(1e-2)

    # Creates the slots, for which `step` would be traced twice.
    optimizer.apply_gradients((tf.zeros_like(v), v) for v in variables)

    @tf.function(autograph=False)
    def step(y):
      with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(flow.log_prob(y, bijector_kwargs=conditions))
      optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
      return loss

    losses = [step(y) for y in batches]
    self.assertLess(np.mean(losses[-20:]), np.mean(losses[:20]))


if __name__ == '__main__':
  tf.test.main()
