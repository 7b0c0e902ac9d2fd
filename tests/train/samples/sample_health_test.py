"""Tests of the measure of a model's own videos."""

import numpy as np
import tensorflow as tf

from train.samples import sample_health


class _Model:
  """Gives the videos it was told to."""

  n_bits = 5
  dequantisation = 'matched'

  def __init__(self, videos, num_labels=2):
    self._videos = videos
    self.num_labels = num_labels

  def sample(self, labels, num_videos, num_frames, temperature, seed):
    assert (labels is None) == (self.num_labels is None)
    num = num_videos if labels is None else len(labels)
    return tf.constant(self._videos[:num, :num_frames])


def _clips(num=16, low=40, high=200, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(low, high, [num, 3, 8, 8, 3], dtype=np.uint8)


_LABEL = np.arange(16) % 2


class SampleHealthTest(tf.test.TestCase):
  def _measure(self, videos, real=None, num_labels=2):
    real = _clips(seed=1) if real is None else real
    model = _Model(videos, num_labels)
    label = _LABEL if num_labels else np.zeros(16, int)
    return sample_health.measure(model, real, label)

  def test_equal_distributions_are_healthy(self):
    result = self._measure(_clips())
    self.assertTrue(result['is_healthy'])
    self.assertAllClose(result['deviation_ratio'], 1.0, rtol=0.05)
    self.assertAllClose(result['diversity_ratio'], 1.0, rtol=0.05)
    self.assertEqual(result['generated_saturation'], 0.0)
    self.assertTrue(self._measure(_clips(), num_labels=None)['is_healthy'])

  def test_grey(self):
    result = self._measure(_clips(low=119, high=122))
    self.assertLess(result['deviation_ratio'], 0.1)
    self.assertFalse(result['is_healthy'])

  def test_saturated(self):
    videos = np.where(_clips() < 80, 3, _clips()).astype(np.uint8)
    result = self._measure(videos)
    self.assertAllClose(
      result['generated_saturation'], (videos == 3).mean(), atol=1e-6
    )
    self.assertGreater(result['generated_saturation'], 0.2)
    self.assertLess(result['deviation_ratio'], 1.5)
    self.assertFalse(result['is_healthy'])

  def test_all_one(self):
    result = self._measure(np.repeat(_clips(1), 16, axis=0))
    self.assertAllClose(result['deviation_ratio'], 1.0, rtol=0.1)
    self.assertEqual(result['generated_diversity'], 0.0)
    self.assertFalse(result['is_healthy'])

  def test_all_one_of_each_label_is_no_diversity_either(self):
    videos = np.repeat(_clips(2), 8, axis=0)
    self.assertEqual(self._measure(videos)['generated_diversity'], 0.0)

  def test_labels_of_one_clip_are_left_out(self):
    label = np.array([0] * 15 + [1])
    model = _Model(_clips())
    result = sample_health.measure(model, _clips(seed=1), label)
    self.assertTrue(result['is_healthy'])
    with self.assertRaisesRegex(ValueError, 'two clips or more, but got none'):
      sample_health.measure(model, _clips(), np.arange(16))

  def test_distance_by_hand(self):
    videos = np.zeros([16, 3, 8, 8, 3], np.uint8)
    videos[8:, ..., 0] = 30  # Label 1 alone varies: one of its eight.
    videos[8, ..., 0] = 60
    result = self._measure(videos)
    pairs = 7 / 28 * np.sqrt(30.0**2 / 3)
    self.assertAllClose(result['generated_diversity'], pairs / 2)


if __name__ == '__main__':
  tf.test.main()
