"""Tests of `conditioned`."""

import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow

tfb = tfp.bijectors


class ConditionedTest(tf.test.TestCase):
  def test_is_the_bijector_with_its_condition(self):
    prior = tfp_cglow.LabelPrior(
      mean=[[0.0, 1.0], [2.0, 3.0]], raw_log_scale=[[0.1, 0.2], [0.3, 0.4]]
    )
    x = tf.constant([[1.0, -1.0], [0.5, 2.0]])
    for label in (0, 1):
      bound = tfp_cglow.Conditioned(prior, label=label)
      self.assertAllClose(bound.forward(x), prior.forward(x, label=label))
      self.assertAllClose(
        bound.forward_log_det_jacobian(x, 1),
        prior.forward_log_det_jacobian(x, 1, label=label),
      )

  def test_two_conditions_do_not_share_results(self):
    prior = tfp_cglow.LabelPrior([[0.0], [2.0]], [[0.0], [0.0]])
    x = tf.constant([[1.0]])
    first = tfp_cglow.Conditioned(prior, label=tf.constant(0))
    second = tfp_cglow.Conditioned(prior, label=tf.constant(1))
    self.assertAllClose(first.forward(x), [[1.0]])
    self.assertAllClose(second.forward(x), [[3.0]])

  def test_binds_any_bijector(self):
    chain = tfb.Chain(
      [tfb.Exp(), tfp_cglow.LabelPrior([[1.0], [2.0]], tf.zeros([2, 1]))]
    )
    bound = tfp_cglow.Conditioned(chain, label_prior={'label': 1})
    self.assertAllClose(bound.forward([[0.0]]), tf.exp([[2.0]]))

  def test_variables_of_bijector_and_condition_are_tracked(self):
    prior = tfp_cglow.build_label_prior(2, 3)
    weights = tf.Variable([0.5, 0.5])
    bound = tfp_cglow.Conditioned(prior, label=weights)
    self.assertIs(bound.bijector, prior)
    self.assertLen(bound.trainable_variables, 3)

  def test_a_missing_condition_raises(self):
    bound = tfp_cglow.Conditioned(tfp_cglow.build_label_prior(2, 3))
    with self.assertRaisesRegex(ValueError, 'needs the condition `label`'):
      bound.forward(tf.zeros([3]))


if __name__ == '__main__':
  tf.test.main()
