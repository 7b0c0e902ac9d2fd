"""Tests of `flow_step`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.bijectors import flow_step
from tfp_cglow.networks import convolutional


def _randomise(module):
  rng = np.random.default_rng(0)
  for variable in module.trainable_variables:
    variable.assign(0.2 * rng.standard_normal(variable.shape))
  return module


class FlowStepTest(tf.test.TestCase, parameterized.TestCase):
  def test_is_its_three_parts_in_order(self):
    step = _randomise(tfp_cglow.build_flow_step(4, 4, 'affine', seed=0))
    y = tf.random.normal([2, 2, 2, 4])
    x = step.coupling.inverse(step.conv.inverse(step.actnorm.inverse(y)))
    self.assertAllClose(step.inverse(tf.identity(y)), x)

  def test_starts_as_a_rotation_of_channels(self):
    step = tfp_cglow.build_flow_step(4, 4, seed=0)
    y = tf.random.normal([2, 2, 2, 4])
    x = step.inverse(y)
    self.assertNotAllClose(x, y)
    self.assertAllClose(tf.norm(x, axis=-1), tf.norm(y, axis=-1))
    ildj = step.inverse_log_det_jacobian(y, 3)
    self.assertAllClose(tf.broadcast_to(ildj, [2]), [0.0, 0.0], atol=1e-5)

  def test_all_variables_are_tracked(self):
    step = tfp_cglow.build_flow_step(4, 4, seed=0)
    # ActNorm 2, convolution 3, network 6; sign and permutation are constants.
    self.assertLen(step.trainable_variables, 11)
    self.assertLen(step.variables, 13)

  @parameterized.parameters('additive', 'affine', 'affine_sigmoid')
  def test_inverse_vjp_is_ordinary_backpropagation(self, kind):
    step = _randomise(
      tfp_cglow.build_flow_step(
        4, 4, kind, context_channels=2, seed=0, dtype=tf.float64
      )
    )
    rng = np.random.default_rng(1)
    y = tf.constant(rng.standard_normal([2, 2, 2, 4]))
    context = tf.constant(rng.standard_normal([2, 2, 2, 2]))
    dx = tf.constant(rng.standard_normal([2, 2, 2, 4]))
    dildj = tf.constant(rng.standard_normal([2]))
    variables = list(step.trainable_variables)
    with tf.GradientTape() as tape:
      tape.watch([y, context])
      x = step.inverse(y, context=context)
      ildj = step.inverse_log_det_jacobian(y, 3, context=context)
      inner = tf.reduce_sum(x * dx) + tf.reduce_sum(ildj * dildj)
    expected = tape.gradient(inner, [y, context, *variables])
    y_back, dy, dsources = step.inverse_vjp(
      tf.identity(x), dx, dildj, [context, *variables], context=context
    )
    self.assertAllClose(y_back, y, 1e-12, 1e-12)
    for e, a in zip(expected, [dy, *dsources]):
      self.assertAllClose(tf.convert_to_tensor(e), a, 1e-10, 1e-10)


class FlowStepMakerTest(tf.test.TestCase, parameterized.TestCase):
  def test_unknown_coupling(self):
    with self.assertRaisesRegex(ValueError, "additive.*got 'afine'"):
      flow_step.FlowStepMaker('afine', None)

  @parameterized.parameters(
    ('additive', None, (2, 2)), ('affine', None, (2, 4)), ('affine', 3, (5, 4))
  )
  def test_network_channels(self, kind, context_channels, expected):
    maker = flow_step.FlowStepMaker(kind, None, context_channels)
    self.assertEqual(maker.network_channels(4), expected)

  def test_with_inverses_adds_them_once_for_the_stack(self):
    network = convolutional.conv_network(4)
    maker = flow_step.FlowStepMaker('additive', network.apply)
    values = flow_step.init_flow_steps(np.random.default_rng(0), 4, 3)
    parameters = flow_step.make_step_variables(values, tf.float64)
    prepared = maker.with_inverses(parameters)
    inverses = prepared['conv']['inverse_matrix']
    self.assertEqual(inverses.shape, [3, 4, 4])
    for k in range(3):
      conv = tfp_cglow.InvertibleConv1x1(
        **{name: p[k] for name, p in parameters['conv'].items()}
      )
      self.assertAllClose(inverses[k] @ conv.matrix(), np.eye(4))
    self.assertIs(maker.with_inverses(prepared), prepared)
    self.assertNotIn('inverse_matrix', parameters['conv'])


if __name__ == '__main__':
  tf.test.main()
