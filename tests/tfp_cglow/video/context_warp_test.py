"""Tests of `context_warp`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.video import context_warp

_NUM = 32


def _frames(size=(8, 12), num=_NUM, time=2, channels=3):
  rng = np.random.default_rng(0)
  return rng.random([num, time, *size, channels]).astype(np.float32)


@tf.function
def _warp(spec, frames, seed, clips):
  return context_warp.warp(spec, frames, seed, clips)


@tf.function
def _draw(spec, size, seed, clips):
  return context_warp._draw(spec, size, seed, clips, tf.float32)


def _linear(image, place, is_periodic):
  """The value of `[h, w, C]` between the four pixels around a place."""
  value = 0.0
  base = np.floor(place).astype(int)
  for offset in np.ndindex(2, 2):
    at = base + offset
    weight = np.prod(1.0 - np.abs(place - at))
    if is_periodic:
      at = at % image.shape[:2]
    else:
      at = np.clip(at, 0, np.array(image.shape[:2]) - 1)
    value = value + weight * image[tuple(at)]
  return value


class ContextWarpTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.product(
    padding=['zeros', 'wrap'], size=[(8, 12), (10, 9)], pixels=[1.0, 3.0]
  )
  def test_values_by_hand(self, padding, size, pixels):
    spec = tfp_cglow.ContextWarp(pixels, padding)
    frames = _frames(size)
    clips = tf.range(_NUM)
    strength, corners = _draw(spec, size, 1, clips)
    warped = _warp(spec, frames, 1, clips).numpy()
    row = int(np.flatnonzero(strength)[0])
    cells = [side / round(side / 4) for side in size]
    field, image = corners[row].numpy(), frames[row, 1]
    expected = np.empty_like(image)
    for place in np.ndindex(*size):
      shift = _linear(field, np.array(place) / cells, is_periodic=False)
      expected[place] = _linear(
        image, np.array(place) + shift, is_periodic=padding == 'wrap'
      )
    self.assertAllClose(warped[row, 1], expected, 1e-3, 1e-3)

  @parameterized.parameters('zeros', 'wrap')
  def test_half_of_the_clips_are_left_alone(self, padding):
    frames = _frames((4, 4), num=400)
    spec = tfp_cglow.ContextWarp(0.5, padding)
    warped = _warp(spec, frames, 0, tf.range(400)).numpy()
    same = [np.array_equal(a, b) for a, b in zip(frames, warped)]
    self.assertAllInRange(np.mean(same), 0.4, 0.6)

  def test_strength_of_the_displacements(self):
    clips = tf.range(1000)
    for pixels in (0.5, 2.0):
      spec = tfp_cglow.ContextWarp(pixels)
      strength, corners = _draw(spec, (8, 8), 0, clips)
      drawn = strength > 0
      self.assertAllClose(np.mean(strength[drawn]), 0.5, atol=0.04)
      # Uniform in 0 to `pixels`; cut at two standard deviations.
      expected = pixels * np.sqrt(1 / 3) * 0.96
      self.assertAllClose(np.std(corners[drawn]), expected, 0.06)
      self.assertAllInRange(corners, -2.0 * pixels, 2.0 * pixels)

  def test_the_field_of_a_periodic_frame_is_periodic(self):
    spec = tfp_cglow.ContextWarp(1.0, 'wrap')
    _, corners = _draw(spec, (8, 12), 0, tf.range(4))
    self.assertEqual(corners.shape, [4, 3, 4, 2])
    self.assertAllEqual(corners[:, 0], corners[:, -1])
    self.assertAllEqual(corners[:, :, 0], corners[:, :, -1])

  def test_a_clip_has_its_own_field_for_all_frames(self):
    frames = np.repeat(_frames(num=1, time=1), 6, axis=0)
    frames = np.repeat(frames, 3, axis=1)
    spec = tfp_cglow.ContextWarp(1.0)
    numbers = np.array([5, 6, 7, 8, 9, 10])
    warped = context_warp.warp(spec, frames, 0, numbers).numpy()
    self.assertAllEqual(warped[:, 0], warped[:, 2])
    self.assertGreater(len(np.unique(warped[:, 0], axis=0)), 2)
    again = context_warp.warp(spec, frames, 0, numbers[::-1]).numpy()
    self.assertAllEqual(warped, again[::-1])
    other = context_warp.warp(spec, frames, 1, numbers).numpy()
    self.assertNotAllEqual(warped, other)

  @parameterized.product(padding=['zeros', 'wrap'], channels=[1, 3])
  def test_in_a_function_of_any_batch(self, padding, channels):
    spec = tfp_cglow.ContextWarp(6.0, padding)  # Farther than the frame.
    frames = _frames((4, 4), channels=channels)

    @tf.function(
      input_signature=[
        tf.TensorSpec([None, 2, 4, 4, channels], tf.float32),
        tf.TensorSpec([None], tf.int64),
      ]
    )
    def in_graph(frames, clips):
      warped = context_warp.warp(spec, frames, 0, clips)
      self.assertEqual(warped.shape[1:], [2, 4, 4, channels])
      return warped

    for num in (1, _NUM):
      clips = tf.range(num)
      expected = context_warp.warp(spec, frames[:num], 0, clips)
      warped = in_graph(frames[:num], tf.cast(clips, tf.int64))
      self.assertAllClose(warped, expected, 1e-4, 1e-4)
      self.assertAllInRange(warped, 0.0, 1.0)

  @parameterized.parameters(0.0, -1.0, float('nan'), float('inf'))
  def test_pixels_that_are_no_distance(self, pixels):
    with self.assertRaisesRegex(ValueError, '`pixels` must be positive'):
      tfp_cglow.ContextWarp(pixels)

  def test_unknown_padding(self):
    with self.assertRaisesRegex(ValueError, '`padding` must be one of'):
      tfp_cglow.ContextWarp(1.0, 'mirror')


if __name__ == '__main__':
  tf.test.main()
