"""Tests of importance.py."""

import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.video import likelihood
from train.evaluation import breakdown
from train.evaluation import importance

_STEPS = tfp_cglow.AdditiveSteps(1, 4)
_HEAD = tfp_cglow.GlowSpec(1, _STEPS)
_LABELLED = tfp_cglow.GlowSpec(1, _STEPS, labels=tfp_cglow.LabelPriors(2))
_TAIL = tfp_cglow.TailSpec(1, _STEPS, memory=tfp_cglow.ResidualMemory(2))
_SHAPE = [4, 4, 3]


def build_flow(head=_HEAD, tail=None, **kwargs):
  flow = tfp_cglow.build_video_flow(_SHAPE, head, tail, seed=0, **kwargs)
  rng = np.random.default_rng(1)
  for variable in flow.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return flow


def clips():
  rng = np.random.default_rng(2)
  frames = rng.integers(256, size=[3, 3, *_SHAPE]).astype(np.uint8)
  return frames, np.array([0, 1, 1], np.int32)


def batched(frames, label):
  return tf.data.Dataset.from_tensor_slices((frames, label)).batch(2)


def draws(flow, frames, label, num_samples):
  """log p(x + u_k) of batches of two: head `[K, B]`, tail `[K, B, T - 1]`."""
  heads, tails = [], []
  for k in range(num_samples):
    parts = [
      flow.log_prob(frames[i : i + 2], label[i : i + 2], tf.constant([k, n]))
      for n, i in enumerate(range(0, len(frames), 2))
    ]
    head, tail = zip(*parts)
    heads.append(np.concatenate(head))
    tails.append(np.concatenate(tail))
  return np.stack(heads).astype(float), np.stack(tails).astype(float)


class ImportanceTest(tf.test.TestCase):
  def test_one_draw_is_the_usual_bound(self):
    flow = build_flow(_LABELLED, _TAIL)
    dataset = batched(*clips())
    scores = breakdown.clip_scores(flow, dataset)
    result = importance.importance_weighted_bits(flow, dataset, 1)
    self.assertEqual(result['num_samples'], 1)
    for name in ('head', 'tail'):
      self.assertAllClose(
        result[f'{name}_bits_per_dim_iw'], scores[name].mean(), rtol=1e-6
      )

  def test_several_draws_are_averaged_as_densities(self):
    flow = build_flow(_LABELLED, _TAIL, n_bits=1)
    frames, label = clips()
    result = importance.importance_weighted_bits(
      flow, batched(frames, label), 8
    )
    for name, log_probs in zip(('head', 'tail'), draws(flow, frames, label, 8)):
      self.assertGreater(log_probs.std(axis=0).min(), 0.1)
      density = np.exp(log_probs).mean(axis=0)
      bits = -np.log2(density) / np.prod(_SHAPE) + flow.n_bits
      self.assertAllClose(
        result[f'{name}_bits_per_dim_iw'], bits.mean(), rtol=1e-6
      )
      singly = tfp_cglow.bits_per_dim(log_probs, _SHAPE, flow.n_bits)
      self.assertLess(result[f'{name}_bits_per_dim_iw'], np.mean(singly) - 1e-3)

  def test_of_a_known_density(self):
    # Before training a flow is a rotation of a standard normal.
    flow = tfp_cglow.build_video_flow(_SHAPE, _HEAD, seed=0, n_bits=2)
    frames = clips()[0][:2, :1]
    result = importance.importance_weighted_bits(
      flow, batched(frames, [0, 0]), 5
    )
    centres = (frames[:, 0] // 64 + 0.5) / 4 - 0.5
    densities = []
    for k in range(5):
      u = likelihood.frame_noise(tf.constant([k, 0]), [0, 1], [0], _SHAPE)[:, 0]
      x = (centres + (u - 0.5) / 4).numpy().reshape([2, -1])
      densities.append(np.prod(np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), -1))
    bits = -np.log2(np.mean(densities, axis=0)) / 48 + 2
    self.assertAllClose(result['head_bits_per_dim_iw'], bits.mean(), rtol=1e-5)
    self.assertIsNone(result['tail_bits_per_dim_iw'])

  def test_likelihoods_beyond_the_exponents_range(self):
    flow = _Constant([-2000.0, -2000.0 + np.log(3.0)])
    result = importance.importance_weighted_bits(
      flow, batched(*clips()).take(1), 2
    )
    bits = (2000.0 - np.log(2.0)) / (48 * np.log(2)) + 5
    self.assertAllClose(result['head_bits_per_dim_iw'], bits)

  def test_refusals(self):
    dataset = batched(*clips())
    legacy = build_flow(dequantisation='legacy')
    with self.assertRaisesRegex(ValueError, 'bound no code length'):
      importance.importance_weighted_bits(legacy, dataset, 2)
    with self.assertRaisesRegex(ValueError, 'at least 1, got 0'):
      importance.importance_weighted_bits(build_flow(), dataset, 0)


class _Constant:
  """A model whose draw k has one likelihood for every clip."""

  dequantisation, num_labels, n_bits, frame_shape = 'matched', None, 5, _SHAPE

  def __init__(self, log_probs):
    self._log_probs = tf.constant(log_probs, tf.float32)

  def log_prob(self, frames, label, seed):
    del label
    return self._log_probs[seed[0]] * tf.ones(tf.shape(frames)[:1]), None


if __name__ == '__main__':
  tf.test.main()
