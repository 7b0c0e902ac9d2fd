"""Tests of `any_rows`."""

import tensorflow as tf

from tfp_cglow.internal import any_rows


class AnyRowsTest(tf.test.TestCase):
  def test_is_traced_once(self):
    shapes = []

    def total(x, owner, y, offset):
      self.assertIs(owner, self)
      self.assertIsNone(y)
      shapes.append((x.shape.as_list(), offset.shape.as_list()))
      return tf.reduce_sum(x, axis=0) + offset

    function = any_rows.AnyRows(total)
    offset = tf.constant([1.0, 2.0])
    for rows in (3, 1, 7):
      x = tf.ones([rows, 2])
      self.assertAllEqual(function(x, self, None, offset=offset), rows + offset)
    self.assertEqual(shapes, [([None, 2], [2])])

  def test_other_shapes_and_dtypes(self):
    function = any_rows.AnyRows(lambda x: 2 * x)
    for x in (tf.ones([2, 3]), tf.ones([2, 5]), tf.ones([2], tf.int32)):
      self.assertAllEqual(function(x), 2 * x)


if __name__ == '__main__':
  tf.test.main()
