"""Tests of `coupling`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.bijectors import coupling


class CouplingTest(tf.test.TestCase, parameterized.TestCase):
  def test_additive_by_hand(self):
    bijector = tfp_cglow.AdditiveCoupling(lambda kept: 10.0 * kept)
    y = tf.constant([[[1.0, 2.0, 3.0, 4.0]]])
    self.assertAllClose(bijector.inverse(y), [[[1.0, 2.0, 13.0, 24.0]]])
    self.assertAllClose(bijector.forward(y), [[[1.0, 2.0, -7.0, -16.0]]])
    self.assertFalse(bijector.is_constant_jacobian)

  def test_affine_by_hand(self):
    bijector = tfp_cglow.AffineCoupling(
      lambda kept: tf.concat([kept, tf.ones_like(kept)], -1),
      log_scale=lambda raw: 2.0 * raw,
    )
    y = tf.constant([[[1.0, 2.0]], [[3.0, 4.0]]])  # [H=2, W=1, C=2]
    scale = np.exp(2.0)
    self.assertAllClose(
      bijector.inverse(y), [[[1.0, 3 * scale]], [[3.0, 7 * scale]]]
    )
    self.assertAllClose(bijector.inverse_log_det_jacobian(y, 3), 4.0)

  def test_context_reaches_the_network(self):
    network = lambda kept, context: kept + context[..., :1]
    bijector = tfp_cglow.AdditiveCoupling(network, context_channels=2)
    y, context = tf.zeros([1, 1, 2]), tf.constant([[[5.0, 7.0]]])
    self.assertAllClose(bijector.inverse(y, context=context), [[[0.0, 5.0]]])

  @parameterized.parameters(
    (coupling.bounded_log_scale, 1.0, np.exp(-2.0), np.exp(2.0)),
    (coupling.sigmoid_log_scale, 0.880797, 0.0, 1.0),
  )
  def test_scales(self, log_scale, start, smallest, largest):
    scale = lambda raw: tf.exp(log_scale(tf.constant(raw)))
    self.assertAllClose(scale(0.0), start)
    self.assertAllClose(scale(-1e4), smallest)
    self.assertAllClose(scale(1e4), largest)

  def test_bounded_scale_has_slope_one_at_zero(self):
    raw = tf.constant(0.0)
    with tf.GradientTape() as tape:
      tape.watch(raw)
      value = coupling.bounded_log_scale(raw)
    self.assertAllClose(tape.gradient(value, raw), 1.0)

  @parameterized.product(
    kind=['additive', 'affine'], network=['wide', 'narrow', 'pooled']
  )
  def test_a_network_of_another_shape_raises(self, kind, network):
    cls = {
      'additive': tfp_cglow.AdditiveCoupling,
      'affine': tfp_cglow.AffineCoupling,
    }[kind]
    right = 1 if kind == 'additive' else 2
    bijector = cls(
      {
        'wide': lambda kept: tf.concat([kept] * (right + 1), -1),
        'narrow': lambda kept: kept[..., :1],
        'pooled': lambda kept: tf.concat([kept[..., :1, :1, :]] * right, -1),
      }[network]
    )
    for call in (bijector.inverse, bijector.forward):
      with self.assertRaisesRegex(ValueError, 'expects its network to give'):
        call(tf.ones([3, 2, 2, 4]))

  def test_odd_or_unknown_channels_raise(self):
    bijector = tfp_cglow.AdditiveCoupling(lambda kept: kept)
    with self.assertRaisesRegex(ValueError, 'even.*got shape'):
      bijector.inverse(tf.zeros([2, 2, 3]))
    unknown = tf.TensorSpec([2, 2, None])
    with self.assertRaisesRegex(ValueError, 'even.*got shape'):
      tf.function(bijector.inverse).get_concrete_function(unknown)


if __name__ == '__main__':
  tf.test.main()
