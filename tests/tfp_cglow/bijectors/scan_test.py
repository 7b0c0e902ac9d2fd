"""Tests of `scan`."""

from absl.testing import parameterized
import tensorflow as tf

import tfp_cglow


def _actnorm(slices):
  return tfp_cglow.ActNorm(slices['shift'], slices['log_scale'])


_STACKS = {
  'shift': tf.constant([[1.0, 0.0], [0.0, 3.0], [5.0, 5.0]]),
  'log_scale': tf.constant([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]),
}


class _Shift(tfp_cglow.ConditionalBijector):
  """y = x + scale * by, with a float and an integer condition."""

  def __init__(self, scale, validate_args=False, name='shift'):
    parameters = dict(locals())
    self._scale = scale
    super().__init__(
      forward_min_event_ndims=3,
      validate_args=validate_args,
      parameters=parameters,
      dtype=scale.dtype,
      name=name,
    )

  @property
  def conditions(self):
    return {'by': 'float map', 'times': 'int'}

  def _forward_and_ildj(self, x, by, times):
    return x + self._scale * by * tf.cast(times, x.dtype), tf.zeros([])

  def _inverse_and_ildj(self, y, by, times):
    return y - self._scale * by * tf.cast(times, y.dtype), tf.zeros([])


class ScanTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters('reversible', 'stored')
  def test_is_the_loop_by_hand(self, gradients):
    scan = tfp_cglow.Scan(_actnorm, _STACKS, gradients=gradients)
    self.assertEqual(scan.num_steps, 3)
    y = tf.random.normal([2, 4, 4, 2])
    x, ildj = y, 0.0
    for k in range(3):
      step = _actnorm({name: p[k] for name, p in _STACKS.items()})
      ildj += step.inverse_log_det_jacobian(x, 3)
      x = step.inverse(x)
    self.assertAllClose(scan.inverse(tf.identity(y)), x)
    self.assertAllClose(
      scan.inverse_log_det_jacobian(tf.identity(y), 3), [ildj] * 2
    )
    self.assertAllClose(scan.forward(tf.identity(x)), y, 1e-5, 1e-5)

  def test_order_of_steps_matters(self):
    flipped = tf.nest.map_structure(lambda p: p[::-1], _STACKS)
    y = tf.ones([1, 1, 2])
    self.assertNotAllClose(
      tfp_cglow.Scan(_actnorm, _STACKS).inverse(y),
      tfp_cglow.Scan(_actnorm, flipped).inverse(tf.identity(y)),
    )

  def test_graph_does_not_grow_with_depth(self):
    def size(steps):
      glow = tfp_cglow.build_glow(
        [4, 4, 1], 1, tfp_cglow.AdditiveSteps(steps, 4)
      )
      graph = tf.function(glow.inverse).get_concrete_function(
        tf.TensorSpec([2, 4, 4, 1])
      )
      definition = graph.graph.as_graph_def()
      functions = definition.library.function
      return len(definition.node) + sum(len(f.node_def) for f in functions)

    self.assertEqual(size(2), size(9))

  @parameterized.parameters('reversible', 'stored')
  def test_float_and_integer_conditions(self, gradients):
    scan = tfp_cglow.Scan(
      _Shift,
      tf.constant([1.0, 10.0]),
      conditions={'by': 'float map', 'times': 'int'},
      gradients=gradients,
    )
    by = tf.fill([2, 2, 1], 2.0)
    y = tf.zeros([3, 2, 2, 1])
    with tf.GradientTape() as tape:
      tape.watch(by)
      x = scan.inverse(y, by=by, times=tf.constant(3))
    self.assertAllClose(x, tf.fill([3, 2, 2, 1], -66.0))
    self.assertAllClose(tape.gradient(x, by), tf.fill([2, 2, 1], -99.0))

  @parameterized.parameters('reversible', 'stored')
  def test_gradient_of_a_condition_of_fewer_dimensions_is_summed(self, way):
    scan = tfp_cglow.build_glow(
      [4, 4, 1],
      1,
      tfp_cglow.AdditiveSteps(2, 4, gradients=way),
      context=tfp_cglow.Context(1),
      seed=0,
    ).blocks[0][1]
    for variable in scan.trainable_variables:
      variable.assign(tf.ones_like(variable) * 0.1)
    context = tf.ones([2, 2, 1])
    with tf.GradientTape() as tape:
      tape.watch(context)
      x = scan.inverse(tf.ones([3, 5, 2, 2, 4]), context=context)
    gradient = tape.gradient(x, context)
    self.assertEqual(gradient.shape, [2, 2, 1])
    self.assertAllGreater(tf.abs(gradient), 0.0)

  def test_prepared_is_equal(self):
    scan = tfp_cglow.build_glow(
      [4, 4, 1], 1, tfp_cglow.AdditiveSteps(3, 4), seed=0
    ).blocks[0][1]
    prepared = scan.prepared()
    self.assertEqual(prepared.name, scan.name)
    self.assertIn('inverse_matrix', prepared.stacks['conv'])
    x = tf.random.normal([2, 2, 2, 4])
    self.assertAllClose(scan.forward(x), prepared.forward(tf.identity(x)))
    # With the inverses kept beside them, the parameters still invert.
    self.assertAllClose(prepared.inverse(scan.forward(x)), x, 1e-5, 1e-5)

  def test_bad_arguments(self):
    with self.assertRaisesRegex(ValueError, "'reversible' or 'stored'.*'none'"):
      tfp_cglow.Scan(_actnorm, _STACKS, gradients='none')
    ragged = {'shift': tf.zeros([2, 1]), 'log_scale': tf.zeros([3, 1])}
    with self.assertRaisesRegex(ValueError, r"one static length K.*'2', '3'"):
      tfp_cglow.Scan(_actnorm, ragged)


if __name__ == '__main__':
  tf.test.main()
