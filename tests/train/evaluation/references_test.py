"""Tests of references.py on data whose code lengths are known."""

import numpy as np
import tensorflow as tf

from train.evaluation import references

marginal = references.marginal_histogram_bits_per_dim
previous = references.previous_pixel_histogram_bits_per_dim


def noise(shape, high=256, seed=0):
  rng = np.random.Generator(np.random.Philox(seed))
  return rng.integers(0, high, shape).astype(np.uint8)


class ReferencesTest(tf.test.TestCase):
  def test_uniform_noise_costs_n_bits(self):
    train, valid = noise([4, 5, 32, 32, 3]), noise([2, 5, 32, 32, 3], seed=1)
    self.assertAllClose(marginal(train, valid, 5), 5.0, atol=0.01)
    self.assertAllClose(previous(train, valid, 3), 3.0, atol=0.01)

  def test_still_video_costs_nothing_given_the_previous_frame(self):
    still = np.repeat(noise([4, 1, 32, 32, 3]), 6, axis=1)
    self.assertLess(previous(still, still, 5), 0.05)
    self.assertGreater(marginal(still, still, 5), 4.9)

  def test_smoothing_and_levels(self):
    # Levels 1, 1, 1 of 2, then one 0: (0 + .1) / (3 + .2).
    train = np.array([128, 200, 255], np.uint8).reshape([1, 3, 1, 1, 1])
    valid = np.zeros([1, 1, 1, 1, 1], np.uint8)
    self.assertAllClose(marginal(train, valid, 1), -np.log2(0.1 / 3.2))
    # Pairs 1-1, 1-1; then 1-0: (0 + .1) / (2 + .2); frame 0 is not coded.
    valid = np.array([255, 0], np.uint8).reshape([1, 2, 1, 1, 1])
    self.assertAllClose(previous(train, valid, 1), -np.log2(0.1 / 2.2))

  def test_batches_equal_the_whole(self):
    train, valid = noise([5, 4, 8, 8, 3], 90), noise([3, 4, 8, 8, 3], 99, 1)
    batches = (train[i : i + 2] for i in range(0, 5, 2))
    self.assertEqual(marginal(batches, valid, 5), marginal(train, valid, 5))
    batches = (train[i : i + 2] for i in range(0, 5, 2))
    self.assertEqual(previous(batches, [valid], 5), previous(train, valid, 5))

  def test_bad_frames(self):
    frames = noise([1, 1, 4, 4, 3])
    with self.assertRaisesRegex(ValueError, 'uint8 frames, got float64'):
      marginal(frames / 255, frames, 5)
    with self.assertRaisesRegex(ValueError, 'got none'):
      previous(frames, frames, 5)
    with self.assertRaisesRegex(ValueError, 'got none'):
      marginal([], frames, 5)


if __name__ == '__main__':
  tf.test.main()
