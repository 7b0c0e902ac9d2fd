"""Tests of `shapes`."""

from absl.testing import parameterized
import tensorflow as tf

from tfp_cglow.internal import shapes


class ReshapeTrailingTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(([],), ([5],), ([5, 2],))
  def test_keeps_leading_dimensions(self, leading):
    x = tf.reshape(tf.range(24 * 10), [-1])[:24]
    x = tf.broadcast_to(tf.reshape(x, [2, 3, 4]), [*leading, 2, 3, 4])
    y = shapes.reshape_trailing(x, 3, [6, 4])
    self.assertAllEqual(y, tf.reshape(x, [*leading, 6, 4]))

  def test_unknown_batch_size_keeps_the_static_event(self):
    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3])])
    def flatten(x):
      y = shapes.reshape_trailing(x, 2, [6])
      self.assertEqual(y.shape.as_list(), [None, 6])
      return y

    self.assertEqual(flatten(tf.zeros([4, 2, 3])).shape, [4, 6])


class AlignLeadingTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(
    ([2], [2], [2]),
    ([], [2], [2]),
    ([2, 1], [3], [2, 3]),
    ([1], [4, 2], [4, 2]),
  )
  def test_broadcasts(self, first, second, expected):
    x, y = tf.random.normal([*first, 4, 4, 1]), tf.ones([*second, 2, 2, 3])
    aligned, other = shapes.align_leading(x, y)
    self.assertAllEqual(aligned, tf.broadcast_to(x, [*expected, 4, 4, 1]))
    self.assertEqual(other.shape, [*expected, 2, 2, 3])

  def test_equal_shapes_stay_the_same_objects(self):
    x, y = tf.zeros([2, 4, 4, 1]), tf.zeros([2, 4, 4, 3])
    aligned = shapes.align_leading(x, y)
    self.assertIs(aligned[0], x)
    self.assertIs(aligned[1], y)

  def test_three_tensors_of_unknown_batch_size(self):
    @tf.function(
      input_signature=[
        tf.TensorSpec([None, 4, 4, 1]),
        tf.TensorSpec([4, 4, 2]),
        tf.TensorSpec([3, None, 2, 2, 1]),
      ]
    )
    def align(x, y, z):
      aligned = shapes.align_leading(x, y, z)
      self.assertEqual(aligned[1].shape.as_list()[2:], [4, 4, 2])
      return aligned

    x, y, z = align(
      tf.zeros([5, 4, 4, 1]), tf.zeros([4, 4, 2]), tf.zeros([3, 1, 2, 2, 1])
    )
    for t, event in ((x, [4, 4, 1]), (y, [4, 4, 2]), (z, [2, 2, 1])):
      self.assertEqual(t.shape, [3, 5, *event])

  def test_vectors(self):
    x, y = shapes.align_leading(tf.zeros([2]), tf.zeros([3, 5]), num_dims=1)
    self.assertEqual((x.shape, y.shape), ([3, 2], [3, 5]))

  def test_shapes_that_do_not_fit(self):
    with self.assertRaises((ValueError, tf.errors.InvalidArgumentError)):
      shapes.align_leading(tf.zeros([2, 1, 1, 1]), tf.zeros([3, 1, 1, 1]))


if __name__ == '__main__':
  tf.test.main()
