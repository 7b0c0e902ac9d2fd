"""Tests of balls.py: the physics, the picture, the protocol's own number."""

import hashlib

from absl.testing import absltest
import numpy as np

from train.data.sets import balls


def _alone(place, velocity, num_frames=40):
  """One ball that moves, with two that rest in corners: `[T, 2]`."""
  places = np.array([[place, [8.7, 8.7], [1.3, 8.7]]], float)
  velocities = np.array([[velocity, [0, 0], [0, 0]]], float)
  return balls.places(places, velocities, num_frames)[0]


class PhysicsTest(absltest.TestCase):
  def test_a_ball_alone_moves_straight_and_bounces(self):
    track = _alone([5.0, 1.5], [0.25, 0.0], 40)
    np.testing.assert_allclose(track[:16, 0, 0], 5 + 0.25 * np.arange(16))
    # Between frames 15 and 16 it is at 8.875, beyond the wall, and turns.
    self.assertAlmostEqual(track[:, 0, 0].max(), 8.75)
    self.assertAlmostEqual(track[30, 0, 0], 8.875 - (30 - 15.5) * 0.25)
    np.testing.assert_allclose(track[:, 0, 1], 1.5)
    np.testing.assert_array_equal(track[:, 1:], track[:1, 1:].repeat(40, 0))

  def test_balls_exchange_speeds_on_a_head_on_hit(self):
    start = np.array([[[3.0, 5.0], [6.0, 5.0], [8.7, 8.7]]])
    speed = np.array([[[0.25, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    track = balls.places(start, speed, 12)[0]
    self.assertEqual(track[-1, 0, 0], track[-2, 0, 0])
    self.assertAlmostEqual(track[-1, 1, 0] - track[-2, 1, 0], 0.25)

  def test_energy_is_kept(self):
    place, velocity = balls._starts('train', range(20))
    track = balls.places(place, velocity, 100)
    steps = np.diff(track, axis=1)
    energy = (steps**2).sum((2, 3))
    # Within a frame of a hit, the two half steps differ.
    self.assertAlmostEqual(np.median(energy), 0.25, places=9)
    self.assertLessEqual(energy.max(), 0.25 + 1e-9)
    self.assertBetween(track.min(), 1.2 - 0.25, 1.2)
    self.assertBetween(track.max(), 8.8, 8.8 + 0.25)


class StartsTest(absltest.TestCase):
  def test_speeds_and_places(self):
    place, velocity = balls._starts('train', range(200))
    np.testing.assert_allclose((velocity**2).sum((1, 2)), 0.25)
    # Every axis has its share, and no direction is preferred.
    share = (velocity**2).mean(0).ravel()
    np.testing.assert_allclose(share, 0.25 / 6, rtol=0.2)
    np.testing.assert_allclose(velocity.mean(0), 0, atol=0.05)
    self.assertBetween(place.min(), 2.0, 2.1)
    self.assertBetween(place.max(), 8.7, 8.8)
    for i, j in ((0, 1), (0, 2), (1, 2)):
      apart = np.sqrt(((place[:, i] - place[:, j]) ** 2).sum(-1))
      self.assertGreaterEqual(apart.min(), 2.4)


class PictureTest(absltest.TestCase):
  def test_pixels_follow_the_formula(self):
    place = np.array([[[3.0, 4.5], [5.3, 4.2], [8.0, 8.0]]])
    frame = balls.paint(place)[0]
    centers = (np.arange(30) + 0.5) / 3
    x, y = np.meshgrid(centers, centers)
    expected = 0.0
    for u, v in place[0]:
      expected += np.exp(-((((x - u) ** 2 + (y - v) ** 2) / 1.44) ** 4))
    expected = np.minimum(expected, 1)
    np.testing.assert_allclose(frame, expected, atol=3e-7)
    self.assertGreater(frame[13, 9], 0.99)  # Row 13 is y = 4.5, column 9 x = 3.

  def test_exponential(self):
    x = np.linspace(0, 16, 10_001)
    np.testing.assert_allclose(balls._exp_of_minus(x), np.exp(-x), atol=1e-13)

  def test_bytes_are_those_of_every_machine(self):
    digest = hashlib.sha256()
    for part in ('train', 'valid'):
      digest.update(balls.render(part, range(4)).tobytes())
    self.assertEqual(digest.hexdigest(), _DIGEST)

  def test_copying_the_last_frame_has_the_published_error(self):
    frames = balls.render('valid', range(40)).astype(float) / 255
    errors = (np.diff(frames, axis=1) ** 2).sum((2, 3, 4))
    self.assertAlmostEqual(errors.mean() / 11.86, 1, delta=0.03)


_DIGEST = '42982819b7bbfc2934dd392d2e9da58e19da3b7e426fc49d5c98ab1eb1046b0b'

if __name__ == '__main__':
  absltest.main()
