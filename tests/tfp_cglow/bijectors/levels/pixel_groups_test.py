"""Tests of `pixel_groups`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors.levels import pixel_groups

_PLACES = [(0, 0), (1, 1), (0, 1), (1, 0)]


class PixelGroupsTest(tf.test.TestCase, parameterized.TestCase):
  def test_split_and_join(self):
    frame = tf.random.stateless_normal([2, 3, 4, 6, 2], [0, 0])
    groups = pixel_groups.split(frame)
    for group, (i, j) in zip(groups, _PLACES):
      self.assertAllEqual(group, frame[..., i::2, j::2, :])
    self.assertAllEqual(pixel_groups.join(groups), frame)

  @parameterized.product(padding=['zeros', 'wrap'], num_known=[1, 2, 3])
  def test_nearest_pixels_are_the_nearest(self, padding, num_known):
    height, width = 6, 8
    frame = np.random.default_rng(0).normal(size=[height, width, 1])
    groups = pixel_groups.split(tf.constant(frame))[:num_known]
    nearest = pixel_groups.nearest_known(groups, padding).numpy()
    self.assertEqual(nearest.shape, (3, 4, 4, 1))
    known = {
      (i, j)
      for i in range(height)
      for j in range(width)
      if (i % 2, j % 2) in _PLACES[:num_known]
    }
    row, column = _PLACES[num_known]
    distance = np.sqrt(2) if num_known == 1 else 1
    for i in range(row, height, 2):
      for j in range(column, width, 2):
        expected = []
        for y, x in known:
          offset = np.array([y - i, x - j])
          if padding == 'wrap':
            size = np.array([height, width])
            offset = (offset + size // 2) % size - size // 2
          if np.hypot(*offset) < distance + 0.1:
            expected.append(frame[y, x, 0])
        found = nearest[i // 2, j // 2, :, 0]
        # Beyond an edge that does not wrap, known pixels come twice.
        self.assertCountEqual(set(expected), set(found))
        if padding == 'wrap':
          self.assertLen(expected, pixel_groups.NUM_NEAREST)


if __name__ == '__main__':
  tf.test.main()
