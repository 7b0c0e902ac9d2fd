"""Tests of `motion`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfp_cglow.networks import motion


class MotionTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.frame = np.random.default_rng(0).standard_normal([2, 4, 5, 3])

  def test_neighbours_by_rows(self):
    places = motion.neighbours(tf.constant(self.frame), 1)
    self.assertAllEqual(places.shape, [2, 4, 5, motion.num_neighbours(1), 3])
    self.assertAllEqual(places[..., 4, :], self.frame)
    # The third frame comes from one row above and one column to the right.
    self.assertAllEqual(places[:, 1:, :-1, 2], self.frame[:, :-1, 1:])
    self.assertAllEqual(places[:, :, 0, 3], self.frame[:, :, 0])

  def test_wrap_shifts_around_the_edges(self):
    places = motion.neighbours(tf.constant(self.frame), 1, padding='wrap')
    self.assertAllEqual(places[..., 4, :], self.frame)
    self.assertAllEqual(places[..., 2, :], np.roll(self.frame, [1, -1], [1, 2]))

  def test_no_motion_is_the_frame_alone(self):
    places = motion.neighbours(tf.constant(self.frame), 0)
    self.assertAllEqual(places, self.frame[..., np.newaxis, :])

  def test_blend_by_hand(self):
    frames = np.stack([self.frame + k for k in range(3)], axis=-2)
    logits = np.random.default_rng(1).standard_normal([2, 4, 5, 3])
    weights = np.exp(logits + [0.0, 1.5, 0.0])
    weights /= weights.sum(axis=-1, keepdims=True)
    expected = self.frame + (weights @ np.arange(3.0))[..., np.newaxis]
    self.assertAllClose(
      motion.blend(tf.constant(frames), tf.constant(logits), 1.5), expected
    )

  def test_a_strong_logit_moves_the_frame(self):
    places = motion.neighbours(tf.constant(self.frame), 1)
    logits = 50.0 * tf.one_hot(tf.fill([2, 4, 5], 7), 9, dtype=tf.float64)
    moved = motion.blend(places, logits, 8.0)
    self.assertAllClose(moved[:, :-1], self.frame[:, 1:])

  def test_more_than_the_frame(self):
    with self.assertRaisesRegex(ValueError, '5 pixels.*4x5'):
      motion.neighbours(tf.constant(self.frame), 5)


if __name__ == '__main__':
  tf.test.main()
