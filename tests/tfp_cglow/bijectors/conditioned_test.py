"""Tests of `conditioned`."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow

tfb, tfd = tfp.bijectors, tfp.distributions


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

  def test_the_conditions_rows_are_the_batch(self):
    glow = tfp_cglow.build_glow(
      [2, 2, 1],
      1,
      tfp_cglow.AdditiveSteps(1, 4),
      context=tfp_cglow.Context(2),
      vector_channels=3,
      labels=tfp_cglow.LabelPriors(2),
    )
    base = tfd.Sample(tfd.Normal(0.0, 1.0), [4])
    for conditions, batch in (
      ({'context': tf.zeros([5, 2, 2, 2])}, [5]),
      ({'vector': tf.zeros([5, 3]), 'label': [0, 1, 0, 1, 0]}, [5]),
      ({'label': tf.zeros([5, 2]), 'vector': tf.zeros([6, 1, 3])}, [6, 5]),
      ({'context': tf.zeros([2, 2, 2]), 'vector': tf.zeros([3])}, []),
      ({'label': None, 'context': tf.zeros([1, 2, 2, 2])}, [1]),
    ):
      bound = tfp_cglow.Conditioned(glow, **conditions)
      self.assertEqual(bound.experimental_batch_shape(x_event_ndims=1), batch)
      self.assertAllEqual(
        bound.experimental_batch_shape_tensor(x_event_ndims=1), batch
      )
      flow = tfd.TransformedDistribution(base, bound)
      self.assertEqual(flow.batch_shape, batch)
    larger = bound.experimental_batch_shape(y_event_ndims=4)
    self.assertEqual(larger, [])

  def test_rows_are_drawn_independently(self):
    glow = tfp_cglow.build_glow(
      [2, 2, 1],
      1,
      tfp_cglow.AdditiveSteps(1, 4),
      labels=tfp_cglow.LabelPriors(2),
    )
    flow = tfd.TransformedDistribution(
      tfd.Sample(tfd.Normal(0.0, 1.0), [4]),
      tfp_cglow.Conditioned(glow, label=[0, 0, 1]),
    )
    self.assertEqual(flow.sample(seed=[0, 1]).shape, [3, 2, 2, 1])
    samples = flow.sample(5, seed=[0, 1])
    self.assertEqual(samples.shape, [5, 3, 2, 2, 1])
    first = samples.numpy().reshape(15, -1)[:, 0]
    self.assertLen(set(first.tolist()), 15)
    self.assertEqual(flow.log_prob(tf.identity(samples)).shape, [5, 3])

  def test_batch_of_unknown_size(self):
    glow = tfp_cglow.build_glow(
      [2, 2, 1], 1, tfp_cglow.AdditiveSteps(1, 4), context=tfp_cglow.Context(2)
    )

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 2, 2])])
    def sample(context):
      flow = tfd.TransformedDistribution(
        tfd.Sample(tfd.Normal(0.0, 1.0), [4]),
        tfp_cglow.Conditioned(glow, context=context),
      )
      return flow.sample(seed=[0, 1])

    rows = sample(tf.zeros([7, 2, 2, 2])).numpy()
    self.assertLen({row.tobytes() for row in rows}, 7)

  def test_rows_of_a_chain_s_conditions(self):
    chain = tfb.Chain([tfb.Exp(), tfp_cglow.build_label_prior(2, 3)])
    bound = tfp_cglow.Conditioned(chain, label_prior={'label': [0, 1]})
    self.assertEqual(bound.experimental_batch_shape(x_event_ndims=1), [2])

  def test_slices(self):
    glow = tfp_cglow.build_glow(
      [2, 2, 1],
      1,
      tfp_cglow.AdditiveSteps(1, 4),
      context=tfp_cglow.Context(2),
      vector_channels=2,
      labels=tfp_cglow.LabelPriors(3),
      seed=0,
    )
    rng = np.random.default_rng(0)
    for variable in glow.trainable_variables:
      variable.assign(0.3 * rng.standard_normal(variable.shape))
    base = tfd.Sample(tfd.Normal(0.0, 1.0), [4])
    y = tf.ones([2, 2, 1])
    for label in ([[0], [1], [2]], np.eye(3, dtype='f')[:, np.newaxis]):
      bound = tfp_cglow.Conditioned(
        glow,
        context=rng.standard_normal([2, 2, 2]).astype('f'),
        vector=rng.standard_normal([2, 2]).astype('f'),
        label=tf.constant(label),
      )
      flow = tfd.TransformedDistribution(base, bound)
      every = flow.log_prob(y)
      self.assertEqual(every.shape, [3, 2])
      for index in (1, (2, 1), (slice(None), 0), (slice(1, 3), slice(1))):
        self.assertEqual(flow[index].batch_shape, every[index].shape)
        self.assertAllClose(flow[index].log_prob(y), every[index], 1e-5)

  def test_conditions_of_a_part_are_not_sliced(self):
    chain = tfb.Chain([tfb.Exp(), tfp_cglow.build_label_prior(2, 3)])
    bound = tfp_cglow.Conditioned(chain, label_prior={'label': [0, 1]})
    base = tfd.Sample(tfd.Normal(0.0, 1.0), [3])
    with self.assertRaisesRegex(NotImplementedError, 'Slice the conditions'):
      tfd.TransformedDistribution(base, bound)[1]

  def test_copy_with_another_condition(self):
    bound = tfp_cglow.Conditioned(
      tfp_cglow.LabelPrior([[0.0], [2.0]], [[0.0], [0.0]]), label=0
    )
    self.assertAllClose(bound.copy(label=1).forward([1.0]), [3.0])

  def test_an_unknown_condition_raises_at_once(self):
    with self.assertRaisesRegex(ValueError, 'Did you mean `label`'):
      tfp_cglow.Conditioned(tfp_cglow.build_label_prior(2, 3), lable=0)

  def test_a_missing_condition_raises(self):
    bound = tfp_cglow.Conditioned(tfp_cglow.build_label_prior(2, 3))
    with self.assertRaisesRegex(ValueError, 'needs the condition `label`'):
      bound.forward(tf.zeros([3]))


if __name__ == '__main__':
  tf.test.main()
