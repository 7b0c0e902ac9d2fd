"""Tests of `labels`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow
from tfp_cglow.bijectors import labels

tfd = tfp.distributions


class CheckLabelTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(
    ([0, 3], r'\[0, 3\), but got values from 0 to 3'),
    ([-1, 0], r'\[0, 3\), but got values from -1'),
    ([[0.5, 0.5]], r'\[..., 3\], but got \(1, 2\)'),
    (0.5, r'\[..., 3\], but got'),
    ([True], 'but got dtype bool'),
    (['cat'], 'but got dtype string'),
  )
  def test_refuses(self, label, message):
    with self.assertRaisesRegex(ValueError, f'`owner`.*{message}'):
      labels.check_label('owner', label, 3)

  def test_range_is_checked_in_a_graph(self):
    check = tf.function(lambda t: labels.check_label('owner', t, 3))
    self.assertAllEqual(check(tf.constant([0, 2])), [0, 2])
    for bad in ([3], [-1]):
      with self.assertRaisesRegex(tf.errors.InvalidArgumentError, 'owner'):
        check(tf.constant(bad))

  @parameterized.parameters('uint8', 'int16', 'uint32', 'int64')
  def test_integers_of_every_kind(self, dtype):
    label = tf.constant([0, 2], dtype)
    checked = labels.check_label('x', label, 3)
    self.assertAllEqual(labels.lookup(tf.constant([5, 6, 7]), checked), [5, 7])

  def test_empty_batch(self):
    self.assertEqual(
      labels.check_label('owner', tf.zeros([0], tf.int32), 3).shape, [0]
    )

  def test_weights_get_the_dtype(self):
    label = labels.check_label('owner', [[1.0, 0.0]], 2, tf.float64)
    self.assertEqual(label.dtype, tf.float64)


class LookupTest(tf.test.TestCase):
  def test_integers_and_one_hot_rows_agree(self):
    table = tf.random.normal([3, 2, 2, 1])
    label = tf.constant([[0, 2], [1, 1]])
    rows = labels.lookup(table, label)
    self.assertEqual(rows.shape, [2, 2, 2, 2, 1])
    self.assertAllClose(rows, labels.lookup(table, tf.one_hot(label, 3)))

  def test_mixture(self):
    table = tf.constant([[1.0, 2.0], [3.0, 5.0]])
    mixed = labels.lookup(table, tf.constant([[0.5, 0.5], [0.0, 0.0]]))
    self.assertAllClose(mixed, [[2.0, 3.5], [0.0, 0.0]])


class LabelPriorTest(tf.test.TestCase):
  def test_is_a_normal_distribution_a_label(self):
    mean, raw = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.1], [9.0]])
    raw = np.broadcast_to(raw, [2, 2])
    flow = tfd.TransformedDistribution(
      tfd.Sample(tfd.Normal(tf.zeros([], tf.float64), 1.0), [2]),
      tfp_cglow.LabelPrior(mean, raw),
    )
    y = tf.constant([[0.3, -0.5], [0.3, -0.5]], tf.float64)
    expected = tfd.MultivariateNormalDiag(
      mean, np.exp(4 * np.tanh(raw / 4))
    ).log_prob(y)
    self.assertAllClose(
      expected, flow.log_prob(y, bijector_kwargs={'label': [0, 1]})
    )

  def test_build_is_the_identity_for_every_label(self):
    prior = tfp_cglow.build_label_prior(3, 4)
    x = tf.random.normal([3, 4])
    self.assertAllClose(prior.forward(x, label=[0, 1, 2]), x)
    self.assertEqual(prior.num_labels, 3)

  def test_each_row_gets_its_own_gradient_only(self):
    prior = tfp_cglow.build_label_prior(3, 2)
    with tf.GradientTape() as tape:
      x = prior.inverse(tf.ones([1, 2]), label=[1])
    mean, _ = prior.trainable_variables
    gradient = tf.convert_to_tensor(tape.gradient(x, mean))
    self.assertAllClose(gradient, [[0.0, 0.0], [-1.0, -1.0], [0.0, 0.0]])


if __name__ == '__main__':
  tf.test.main()
