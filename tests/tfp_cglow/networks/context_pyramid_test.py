"""Tests of `context_pyramid`."""

import tensorflow as tf

import tfp_cglow


class ContextPyramidTest(tf.test.TestCase):
  def test_sizes_of_the_paper(self):
    pyramid = tfp_cglow.build_context_pyramid(19, 4, seed=0)
    maps = pyramid(tf.zeros([1, 64, 64, 19]))
    self.assertEqual(
      [m.shape.as_list() for m in maps],
      [[1, n, n, 19] for n in (32, 16, 8, 4)],
    )

  def test_each_level_is_made_of_the_one_before(self):
    pyramid = tfp_cglow.build_context_pyramid(2, 2, 5, seed=0)
    context = tf.random.normal([3, 8, 8, 2])
    fine, coarse = pyramid(context)
    expected = tf.nn.relu(
      tf.nn.conv2d(fine, pyramid.kernels[1], 2, 'SAME') + pyramid.biases[1]
    )
    self.assertAllClose(coarse, expected)
    self.assertEqual(coarse.shape, [3, 2, 2, 5])
    self.assertAllGreaterEqual(coarse, 0.0)

  def test_any_leading_dimensions(self):
    pyramid = tfp_cglow.build_context_pyramid(2, 1, seed=0)
    context = tf.random.normal([2, 3, 4, 4, 2])
    (maps,) = pyramid(context)
    self.assertAllClose(maps[1, 2], pyramid(context[1, 2])[0], 1e-5, 1e-5)

  def test_network_dtype_is_inside_only(self):
    pyramid = tfp_cglow.build_context_pyramid(
      2, 1, seed=0, network_dtype=tf.bfloat16
    )
    exact = tfp_cglow.build_context_pyramid(2, 1, seed=0)
    context = tf.random.normal([2, 4, 4, 2])
    (maps,) = pyramid(context)
    self.assertEqual(maps.dtype, tf.float32)
    self.assertAllClose(maps, exact(context)[0], rtol=0.05, atol=0.05)
    self.assertNotAllEqual(maps, exact(context)[0])


if __name__ == '__main__':
  tf.test.main()
