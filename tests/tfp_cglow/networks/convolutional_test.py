"""Tests of `convolutional`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfp_cglow.networks import convolutional


def _randomised(params):
  rng = np.random.default_rng(0)
  return {
    k: tf.constant(rng.standard_normal(v.shape), tf.float32)
    for k, v in params.items()
  }


class Conv2dTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(([],), ([2],), ([2, 3],), ([2, 1, 3],))
  def test_any_leading_dimensions(self, leading):
    x = tf.random.normal([*leading, 4, 6, 2])
    kernel = tf.random.normal([3, 3, 2, 5])
    y = convolutional.conv2d(x, kernel, tf.ones([5]))
    self.assertEqual(y.shape, [*leading, 4, 6, 5])
    flat = tf.nn.conv2d(tf.reshape(x, [-1, 4, 6, 2]), kernel, 1, 'SAME') + 1.0
    self.assertAllClose(tf.reshape(y, [-1, 4, 6, 5]), flat, 1e-5, 1e-5)

  def test_stride(self):
    y = convolutional.conv2d(
      tf.ones([4, 4, 1]), tf.ones([1, 1, 1, 1]), strides=2
    )
    self.assertAllEqual(y, tf.ones([2, 2, 1]))


class ConvNetworkTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters((None, 'input'), (3, 'input'), (3, 'last'))
  def test_starts_at_zero(self, context_channels, injection):
    init, apply = convolutional.conv_network(4, context_channels, injection)
    params = init(0, 2 + (context_channels or 0), 6)
    context = [] if context_channels is None else [tf.ones([2, 4, 4, 3])]
    y = apply(params, tf.ones([2, 4, 4, 2]), *context)
    self.assertAllEqual(y, tf.zeros([2, 4, 4, 6]))

  @parameterized.parameters(('input', False), ('last', True))
  def test_last_is_linear_in_the_context(self, injection, linear):
    init, apply = convolutional.conv_network(8, 3, injection)
    params = _randomised(init(0, 5, 6))
    x, context = tf.random.normal([4, 4, 2]), tf.random.normal([4, 4, 3])
    at = lambda scale: apply(params, x, scale * context)
    curvature = tf.reduce_max(tf.abs(at(2.0) - 2 * at(1.0) + at(0.0)))
    self.assertEqual(bool(curvature < 1e-3), linear)

  def test_context_of_fewer_leading_dimensions(self):
    init, apply = convolutional.conv_network(4, 3)
    params = _randomised(init(0, 5, 2))
    x, context = tf.random.normal([2, 4, 4, 2]), tf.random.normal([4, 4, 3])
    self.assertAllClose(
      apply(params, x, context), apply(params, x, tf.stack([context] * 2))
    )

  def test_output_keeps_the_input_dtype(self):
    init, apply = convolutional.conv_network(4, network_dtype=tf.bfloat16)
    params = _randomised(init(0, 2, 2))
    self.assertEqual(apply(params, tf.ones([4, 4, 2])).dtype, tf.float32)

  def test_seed(self):
    init, _ = convolutional.conv_network(4)
    self.assertAllEqual(init(1, 2, 2)['kernel_1'], init(1, 2, 2)['kernel_1'])
    self.assertNotAllEqual(init(1, 2, 2)['kernel_1'], init(2, 2, 2)['kernel_1'])

  def test_unknown_injection(self):
    with self.assertRaisesRegex(ValueError, "'input' or 'last'.*'first'"):
      convolutional.conv_network(4, context_injection='first')


class PaddingTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.product(size=[1, 3], strides=[1, 2], rank=[3, 4])
  def test_wrap_is_the_convolution_of_a_tiled_map(self, size, strides, rank):
    rng = np.random.default_rng(0)
    x = rng.standard_normal([2, 4, 6, 3])
    x = x if rank == 4 else x[0]
    kernel = rng.standard_normal([size, size, 3, 2])
    tiled = np.concatenate([x] * 3, axis=-3)
    tiled = np.concatenate([tiled] * 3, axis=-2)
    expected = convolutional.conv2d(tf.constant(tiled), kernel, strides=strides)
    h, w = 4 // strides, 6 // strides
    self.assertAllClose(
      convolutional.conv2d(
        tf.constant(x), kernel, strides=strides, padding='wrap'
      ),
      expected[..., h : 2 * h, w : 2 * w, :],
    )

  @parameterized.parameters(
    (1, 1, 1), (2, 2, 1), (3, 2, 2), (4, 1, 2), (4, 0, 2), (4, 1, 0), (4, 0, 0)
  )
  def test_wrap_continues_maps_of_any_size(self, size, before, after):
    x = np.random.default_rng(0).standard_normal([2, size, 3])
    widths = [(0, 0), (before, after), (0, 0)]
    self.assertAllEqual(
      convolutional.wrap(tf.constant(x), -2, before, after),
      np.pad(x, widths, mode='wrap'),
    )

  def test_wrap_in_a_network(self):
    init, apply = convolutional.conv_network(4, padding='wrap')
    params = _randomised(init(0, 2, 2))
    x = np.random.default_rng(0).standard_normal([4, 4, 2]).astype(np.float32)
    shifted = apply(params, tf.constant(np.roll(x, [1, 2], [0, 1])))
    expected = np.roll(apply(params, tf.constant(x)), [1, 2], [0, 1])
    self.assertAllClose(shifted, expected)


class PartsTest(tf.test.TestCase):
  def test_he_normal(self):
    kernel = convolutional.he_normal(np.random.default_rng(0), 3, 3, 50, 60)
    self.assertEqual(kernel.dtype, np.float32)
    self.assertAllClose(kernel.std(), np.sqrt(2 / 450), rtol=0.02)

  def test_bounded(self):
    self.assertAllClose(convolutional.bounded(tf.constant(1e6), 3.0), 3.0)
    self.assertAllClose(convolutional.bounded(tf.constant(1e-3), 3.0), 1e-3)

  def test_bound_network_tracks_its_variables(self):
    params = convolutional.to_variables({'a': np.ones([2])}, tf.float64)
    network = convolutional.BoundNetwork(lambda p, x: p['a'] * x, params)
    self.assertLen(network.trainable_variables, 1)
    self.assertAllClose(network(tf.constant(3.0, tf.float64)), [3.0, 3.0])


if __name__ == '__main__':
  tf.test.main()
