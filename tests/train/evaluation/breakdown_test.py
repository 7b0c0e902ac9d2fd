"""Tests of breakdown.py."""

import itertools
from unittest import mock

import numpy as np
import tensorflow as tf

import tfp_cglow
from train.evaluation import breakdown

_STEPS = tfp_cglow.AdditiveSteps(1, 4)
_HEAD = tfp_cglow.GlowSpec(1, _STEPS, labels=tfp_cglow.LabelPriors(3))
_TAIL = tfp_cglow.TailSpec(1, _STEPS, memory=tfp_cglow.ResidualMemory(2))


class LabelInformationTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.default_rng(0)
    self.label = rng.integers(4, size=4000)
    self.log_prior = np.log(np.full([4], 0.25))
    # Exact likelihoods of x = one-hot(y) + noise, whose label is readable.
    x = np.eye(4)[self.label] + 0.5 * rng.standard_normal([4000, 4])
    self.scores = -2.0 * ((x[:, None] - np.eye(4)) ** 2).sum(axis=-1)

  def information(self, scores, label=None):
    label = self.label if label is None else label
    return breakdown.label_information(scores, label, self.log_prior)

  def test_of_the_true_model(self):
    result = self.information(self.scores)
    raw = result['label_information_bits']
    calibrated = result['calibrated_label_information_bits']
    self.assertAllClose(result['label_entropy_bits'], 2.0)
    self.assertBetween(raw, 0.5, 2.0)
    self.assertAllClose(raw, calibrated, atol=0.1)
    self.assertAllClose(result['label_temperature'], 1.0, rtol=0.15)
    self.assertAllClose(
      np.trace(result['label_confusion']) / 4000, result['label_accuracy']
    )

  def test_an_overconfident_model_is_calibrated(self):
    exact = self.information(self.scores)
    result = self.information(50.0 * self.scores)
    self.assertLess(result['label_information_bits'], 0.0)
    self.assertAllClose(
      result['calibrated_label_information_bits'],
      exact['calibrated_label_information_bits'],
      atol=0.02,
    )
    self.assertAllClose(result['label_temperature'], 50.0, rtol=0.2)

  def test_constants_of_clips_do_not_matter(self):
    shifted = self.scores + np.arange(4000)[:, None]
    self.assertAllClose(
      self.information(shifted)['label_information_bits'],
      self.information(self.scores)['label_information_bits'],
    )

  def test_the_temperature_comes_from_other_clips(self):
    # Clips that are measured, alone, would ask for the opposite temperature.
    scores, label = self.scores.copy(), self.label
    scores[::2] *= 20.0
    result = self.information(scores, label)
    self.assertAllClose(result['label_temperature'], 20.0, rtol=0.2)

  def test_of_a_label_that_is_not_there(self):
    other = np.random.default_rng(1).integers(4, size=4000)
    result = self.information(self.scores, other)
    self.assertLess(result['label_information_bits'], -1.0)
    self.assertAllClose(
      result['calibrated_label_information_bits'], 0.0, atol=0.01
    )
    self.assertAllClose(result['label_accuracy'], 0.25, atol=0.05)

  def test_shuffled_label_gap_is_the_mean_over_all_permutations(self):
    # log2 p(x|y): by hand, f = (2/3, 1/3, 0), the third label is not there.
    bits = np.array([[4.0, 1.0, 9.0], [0.0, 3.0, 7.0], [2.0, 8.0, 5.0]])
    label = np.array([0, 0, 1])
    gap = breakdown.label_information(
      np.log(2) * bits, label, np.log(np.full([3], 1 / 3))
    )['shuffled_label_gap_bits']
    self.assertAllClose(gap, ((4 - 3) + (0 - 1) + (8 - 4)) / 3)
    clips = np.arange(3)
    shuffled = [
      bits[clips, label[list(order)]].mean()
      for order in itertools.permutations(clips)
    ]
    self.assertAllClose(gap, bits[clips, label].mean() - np.mean(shuffled))

  def test_shuffled_label_gap_exceeds_the_entropy(self):
    gap = 'shuffled_label_gap_bits'
    exact = self.information(self.scores)
    self.assertGreater(exact[gap], exact['label_information_bits'])
    overconfident = self.information(50.0 * self.scores)
    self.assertAllClose(overconfident[gap], 50.0 * exact[gap])
    self.assertGreater(overconfident[gap], exact['label_entropy_bits'])


class SummaryTest(tf.test.TestCase):
  def test_agrees_with_the_likelihood(self):
    flow = tfp_cglow.build_video_flow([4, 4, 3], _HEAD, _TAIL, seed=0)
    rng = np.random.default_rng(1)
    for variable in flow.trainable_variables:
      variable.assign(0.15 * rng.standard_normal(variable.shape))
    frames = rng.integers(256, size=[5, 3, 4, 4, 3]).astype(np.uint8)
    label = np.array([0, 1, 1, 0, 1], np.int32)
    dataset = tf.data.Dataset.from_tensor_slices((frames, label)).batch(2)
    scores = breakdown.clip_scores(flow, dataset)
    with mock.patch.object(
      breakdown, 'clip_scores', return_value=scores
    ) as clip_scores:
      result = breakdown.summary(flow, dataset, ['a', 'b', 'c'])
    clip_scores.assert_called_once_with(flow, dataset)
    self.assertEqual(scores['tail'].shape, (5, 2))
    self.assertEqual(scores['label_log_prob'].shape, (5, 3))
    head, _ = flow.log_prob(frames[:2], label[:2], seed=tf.constant([0, 0]))
    bits = tfp_cglow.bits_per_dim(head, [4, 4, 3], 5)
    self.assertAllClose(scores['head'][:2], bits, rtol=1e-5)
    self.assertAllClose(
      result['tail_bits_per_dim_by_frame'], scores['tail'].mean(axis=0)
    )
    by_label = result['head_bits_per_dim_by_label']
    self.assertEqual(list(by_label), ['a', 'b'])
    self.assertAllClose(by_label['a'], scores['head'][[0, 3]].mean())
    self.assertAllClose(
      result['head_bits_per_dim_standard_error'],
      np.std(scores['head'], ddof=1) / np.sqrt(5),
    )
    # Scores that were computed a second time.
    self.assertEqual(
      result, breakdown.summary(flow, None, ['a', 'b', 'c'], scores=scores)
    )
    self.assertBetween(result['label_accuracy'], 0.0, 1.0)

  def test_labels_that_no_part_takes(self):
    flow = tfp_cglow.build_video_flow([4, 4, 3], tail=_TAIL, seed=0)
    frames = np.zeros([2, 2, 4, 4, 3], np.uint8)
    dataset = tf.data.Dataset.from_tensors((frames, np.array([0, 2], np.int32)))
    result = breakdown.summary(flow, dataset, ['a', 'b', 'c'])
    self.assertIn('tail_bits_per_dim_standard_error', result)
    self.assertNotIn('label_accuracy', result)
    with self.assertRaisesRegex(ValueError, 'cannot classify'):
      flow.classify(frames)


if __name__ == '__main__':
  tf.test.main()
