"""Tests of `squeeze`."""

from absl.testing import parameterized
import tensorflow as tf

import tfp_cglow


class SqueezeTest(tf.test.TestCase, parameterized.TestCase):
  def test_is_space_to_depth(self):
    y = tf.random.normal([3, 4, 6, 5])
    squeeze = tfp_cglow.Squeeze()
    x = squeeze.inverse(y)
    self.assertAllEqual(x, tf.nn.space_to_depth(y, 2))
    self.assertAllEqual(
      squeeze.forward(tf.identity(x)), tf.nn.depth_to_space(x, 2)
    )

  def test_works_in_any_precision(self):
    for dtype in (tf.float16, tf.float32, tf.float64):
      x = tfp_cglow.Squeeze().inverse(tf.ones([2, 2, 1], dtype))
      self.assertEqual(x.dtype, dtype)
      self.assertEqual(x.shape, [1, 1, 4])

  def test_event_shapes_of_unknown_size(self):
    squeeze = tfp_cglow.Squeeze()
    self.assertEqual(squeeze.inverse_event_shape([4, 6, 1]), [2, 3, 4])
    self.assertEqual(squeeze.forward_event_shape([2, 3, 4]), [4, 6, 1])
    self.assertIsNone(squeeze.inverse_event_shape([None, 6, 1]).rank)

  @parameterized.parameters(([3, 4, 1],), ([4, 3, 1],))
  def test_odd_sizes_raise(self, shape):
    with self.assertRaisesRegex(ValueError, r'\[2, 2, 1\], but got \[\d, \d'):
      tfp_cglow.Squeeze().inverse(tf.zeros(shape))

  def test_channels_not_divisible_by_four_raise(self):
    with self.assertRaisesRegex(ValueError, r'\[1, 1, 4\], but got \[2, 2, 6'):
      tfp_cglow.Squeeze().forward(tf.zeros([2, 2, 6]))


if __name__ == '__main__':
  tf.test.main()
