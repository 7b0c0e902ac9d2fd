"""Tests of `invertible_conv`."""

import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.bijectors import invertible_conv


class InvertibleConv1x1Test(tf.test.TestCase):
  def _by_hand(self, **kwargs):
    # W = P L U with L = [[1, 0], [2, 1]], U = [[e, 3], [0, -1]].
    return tfp_cglow.InvertibleConv1x1(
      lower=[[9.0, 9.0], [2.0, 9.0]],
      upper=[[9.0, 3.0], [9.0, 9.0]],
      log_diag=[1.0, 0.0],
      sign=[1.0, -1.0],
      permutation=[[0.0, 1.0], [1.0, 0.0]],
      **kwargs,
    )

  def test_values_by_hand(self):
    conv = self._by_hand()
    matrix = np.array([[2 * np.e, 5.0], [np.e, 3.0]])
    self.assertAllClose(conv.matrix(), matrix)
    self.assertAllClose(conv.inverse_matrix(), np.linalg.inv(matrix), 1e-5)
    y = tf.constant([[1.0, 2.0]])
    self.assertAllClose(conv.inverse(y), y @ tf.cast(matrix, tf.float32))
    self.assertAllClose(conv.inverse_log_det_jacobian(y, 1), 1.0)
    self.assertAllClose(np.log(abs(np.linalg.det(matrix))), 1.0)

  def test_log_det_counts_every_pixel(self):
    ildj = self._by_hand().inverse_log_det_jacobian(tf.zeros([3, 4, 5, 2]), 3)
    self.assertAllClose(tf.broadcast_to(ildj, [3]), [20.0] * 3)

  def test_given_inverse_is_used(self):
    conv = self._by_hand(inverse_matrix=[[1.0, 0.0], [0.0, 7.0]])
    self.assertAllClose(conv.forward([[1.0, 1.0]]), [[1.0, 7.0]])

  def test_starts_as_a_rotation(self):
    conv = tfp_cglow.build_invertible_conv1x1(12, seed=0, dtype=tf.float64)
    matrix = conv.matrix()
    self.assertAllClose(tf.transpose(matrix) @ matrix, np.eye(12))
    self.assertAllClose(
      conv.inverse_log_det_jacobian(tf.zeros([12], tf.float64), 1), 0.0
    )

  def test_sign_and_permutation_are_saved_but_not_trained(self):
    conv = tfp_cglow.build_invertible_conv1x1(3, seed=0)
    self.assertLen(conv.variables, 5)
    self.assertLen(conv.trainable_variables, 3)

  def test_stack_of_rotations(self):
    values = invertible_conv.init_invertible_conv1x1(
      np.random.default_rng(0), 4, num_steps=3
    )
    matrices = tfp_cglow.InvertibleConv1x1(**values).matrix()
    self.assertAllClose(
      tf.matmul(matrices, matrices, transpose_a=True), [np.eye(4)] * 3
    )
    self.assertNotAllClose(matrices[0], matrices[1])


if __name__ == '__main__':
  tf.test.main()
