"""Tests of `dequantisation`, and of models that learn their noise."""

import itertools

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as tfk

import tfp_cglow
from tfp_cglow.video import dequantisation
from tfp_cglow.video import likelihood

tfd = tfp.distributions

_SHAPE = [4, 4, 1]
_GLOW = {'num_glow_blocks': 1, 'num_steps_per_block': 2, 'hidden_channels': 4}


def _randomise(module, size=0.2):
  rng = np.random.default_rng(0)
  for variable in module.trainable_variables:
    variable.assign(size * rng.standard_normal(variable.shape))
  return module


def _noise(shape=_SHAPE, context_channels=2, n_bits=2):
  return dequantisation.build_flow_noise(
    shape, n_bits, context_channels, num_steps=2, hidden_channels=4, seed=0
  )


def _draw(*leading, shape=_SHAPE, n_bits=2, seed=0):
  """Noisy frames, clean ones, and a context of two channels."""
  rng = np.random.default_rng(seed)
  uniform = rng.uniform(size=[*leading, *shape]).astype(np.float32)
  clean = likelihood.quantise(
    rng.uniform(size=uniform.shape).astype(np.float32), n_bits
  )
  context = rng.uniform(-0.5, 0.5, [*leading, *shape[:2], 2])
  noisy = likelihood.dequantise(clean, n_bits, uniform)
  return noisy, clean, tf.constant(context, tf.float32)


class FlowNoiseTest(tf.test.TestCase):
  def test_a_new_one_is_uniform(self):
    frames, log_det = _noise()(*_draw(3, 2))
    self.assertEqual((frames.shape, log_det.shape), ([3, 2, *_SHAPE], [3, 2]))
    self.assertAllClose(log_det, tf.zeros([3, 2]), atol=1e-4)

  def test_stays_within_the_level(self):
    noisy, clean, context = _draw(64)
    frames, _ = _randomise(_noise(), 1.0)(noisy, clean, context)
    self.assertAllInRange((frames - clean) * 4, -0.5, 0.5)
    self.assertAllEqual(
      likelihood.quantise(tf.clip_by_value(frames + 0.5, 0, 1), 2), clean
    )
    self.assertNotAllClose(frames, noisy, atol=0.01)

  def test_log_det_is_that_of_the_jacobian(self):
    noise, (noisy, clean, context) = _randomise(_noise()), _draw()
    with tf.GradientTape() as tape:
      tape.watch(noisy)
      frames, log_det = noise(noisy, clean, context)
    matrix = tf.reshape(tape.jacobian(frames, noisy), [16, 16])
    self.assertAllClose(
      log_det, np.linalg.slogdet(matrix.numpy().astype(np.float64))[1], 1e-3
    )

  def test_depends_on_frame_and_context(self):
    noise, (noisy, clean, context) = _randomise(_noise()), _draw()
    frames, _ = noise(noisy, clean, context)
    other, _ = noise(noisy, clean, context + 0.5)
    self.assertNotAllClose(frames, other)
    moved, _ = noise(noisy + 0.25, clean + 0.25, context)
    self.assertNotAllClose(frames + 0.25, moved)

  def test_weighted_draws_sum_to_one_over_all_images(self):
    """E_q[p / q] is the probability of an image, whatever q is."""
    levels, shape = np.array([-0.25, 0.25], np.float32), [2, 2, 1]
    images = np.array(list(itertools.product(levels, repeat=4)))
    images = tf.constant(images.reshape([-1, 1, *shape]), tf.float32)
    noise = _randomise(_noise(shape, context_channels=0, n_bits=1), 0.05)
    uniform = tf.random.stateless_uniform([16, 4000, *shape], [0, 0])
    clean = images + tf.zeros_like(uniform)
    frames, log_det = noise(likelihood.dequantise(clean, 1, uniform), clean)
    # A density on the cube of which the images' cells are the parts.
    density = tfd.Sample(tfd.Beta(2.0, 1.5), shape).log_prob(frames + 0.5)
    log_ratio = density + log_det - 4 * np.log(2.0)
    chances = tf.reduce_mean(tf.exp(log_ratio), axis=1)
    self.assertAllClose(tf.reduce_sum(chances), 1.0, atol=0.02)
    bound = tf.exp(tf.reduce_mean(log_ratio, axis=1))
    self.assertLess(tf.reduce_sum(bound), 0.99)


class VideoGlowTest(tf.test.TestCase):
  def _model(self, dequantisation_, **kwargs):
    return tfp_cglow.VideoGlow(
      [4, 4, 3],
      state_channels=2,
      head=_GLOW,
      tail={**_GLOW, 'context_affine': 'residual'},
      dequantisation=dequantisation_,
      seed=0,
      **kwargs,
    )

  def _frames(self):
    rng = np.random.default_rng(0)
    return rng.integers(256, size=[4, 3, 4, 4, 3]).astype(np.uint8)

  def test_untrained_noise_is_that_of_matched(self):
    """The same flows give the same bits/dim to frames with such noise."""
    frames = tf.constant(self._frames())
    model, matched = self._model('flow'), self._model('matched')
    targets = model._noisy_targets(frames, 0, tf.range(4))
    self.assertAllClose(targets.first_log_det, tf.zeros([4]), atol=1e-3)
    self.assertAllClose(targets.later_log_det, tf.zeros([4, 2]), atol=1e-3)
    head, tail = model.log_prob(frames)
    flow = lambda glow: tfd.TransformedDistribution(model.base, glow)
    self.assertAllClose(head, flow(matched.head).log_prob(targets.first))
    kwargs = {'context': targets.contexts}
    self.assertAllClose(
      tail, flow(matched.tail).log_prob(targets.later, bijector_kwargs=kwargs)
    )
    noise = 32 * (targets.first - tfp_cglow.quantise(frames, 5)[:, 0])
    self.assertAllClose(tf.math.reduce_std(noise), 1 / np.sqrt(12), rtol=0.1)

  def test_density_of_the_noise_is_counted(self):
    model = _randomise(self._model('flow'), 0.1)
    frames = self._frames()
    targets = model._noisy_targets(tf.constant(frames), 0, tf.range(4))
    self.assertNotAllClose(targets.later_log_det, tf.zeros([4, 2]))
    flow = tfd.TransformedDistribution(model.base, model.tail)
    kwargs = {'context': targets.contexts}
    expected = flow.log_prob(targets.later, bijector_kwargs=kwargs)
    _, tail = model.log_prob(frames)
    self.assertAllClose(tail, expected + targets.later_log_det)

  def test_trains(self):
    model = self._model('flow', noise={'num_steps': 1, 'hidden_channels': 4})
    model.compile(tfk.optimizers.legacy.Adam(1e-2, epsilon=1e-8))
    before = [v.numpy() for v in model.tail_noise.trainable_variables]
    history = model.fit(self._frames(), batch_size=4, epochs=30, verbose=0)
    losses = history.history['loss']
    self.assertLess(losses[-1], losses[0])
    self.assertEqual(history.history['skipped_steps'][-1], 0)
    after = model.tail_noise.trainable_variables
    self.assertTrue(any(np.any(a != b) for a, b in zip(before, after)))
    names = {'head', 'tail', 'processor', 'head_noise', 'tail_noise'}
    self.assertEqual(set(model.submodels()), names)


if __name__ == '__main__':
  tf.test.main()
