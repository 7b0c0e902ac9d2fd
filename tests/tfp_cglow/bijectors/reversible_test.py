"""Tests of `reversible`."""

import functools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.bijectors import reversible


class LoopTest(tf.test.TestCase):
  def test_reads_every_slice_in_order(self):
    stacks = {'a': tf.constant([1.0, 2.0, 3.0]), 'b': [tf.eye(3)]}
    read = reversible.stack_reader(stacks)
    for k in (2, 0, 1, 0):
      slices = read(k)
      self.assertAllEqual(slices['a'], k + 1.0)
      self.assertAllEqual(slices['b'][0], tf.eye(3)[k])

  def test_gradient_of_reads_is_stacked(self):
    stack = tf.Variable([[1.0], [2.0]])
    with tf.GradientTape() as tape:
      read = reversible.stack_reader(tf.convert_to_tensor(stack))
      y = read(0) * 3.0 + read(1) * 5.0
    self.assertAllClose(tape.gradient(y, stack), [[3.0], [5.0]])

  def test_loop_counts(self):
    (total,) = reversible.loop(4, lambda i, t: (i + 1, t * 10 + i), 0)
    self.assertAllEqual(total, 123)

  def test_loop_of_no_step(self):
    (total,) = reversible.loop(0, lambda i, t: (i + 1, t + 1), 7)
    self.assertAllEqual(total, 7)


class ReversibleGradientTest(tf.test.TestCase, parameterized.TestCase):
  def _gradients(self, make_steps, gradients, dtype):
    """Gradients with respect to data, context and all variables, by name."""
    glow = tfp_cglow.build_glow(
      [4, 4, 2],
      1,
      make_steps(5, 4, gradients=gradients),
      context=tfp_cglow.Context(3),
      labels=tfp_cglow.LabelPriors(3),
      dtype=dtype,
      seed=0,
    )
    rng = np.random.default_rng(1)
    for variable in glow.trainable_variables:
      variable.assign(0.1 * rng.standard_normal(variable.shape))
    y = tf.constant(rng.standard_normal([2, 4, 4, 2]), dtype)
    context = tf.constant(rng.standard_normal([2, 4, 4, 3]), dtype)
    with tf.GradientTape() as tape:
      tape.watch([y, context])
      x = glow.inverse(y, context=context, label=[0, 2])
      ildj = glow.inverse_log_det_jacobian(y, 3, context=context, label=[0, 2])
      loss = tf.reduce_sum(x**2) - tf.reduce_sum(ildj)
    sources = [y, context, *glow.trainable_variables]
    gradients = tape.gradient(loss, sources)
    return [tf.convert_to_tensor(g) for g in gradients]

  @parameterized.product(
    make_steps=[
      tfp_cglow.AdditiveSteps,
      tfp_cglow.AffineSteps,
      functools.partial(tfp_cglow.AffineSteps, scale='sigmoid'),
    ],
    precision=[(tf.float32, 1e-3), (tf.float64, 1e-9)],
  )
  def test_equals_the_stored_gradient(self, make_steps, precision):
    dtype, tolerance = precision
    for r, s in zip(
      self._gradients(make_steps, 'reversible', dtype),
      self._gradients(make_steps, 'stored', dtype),
    ):
      self.assertGreater(tf.norm(s), 0.0)
      self.assertLess(tf.norm(r - s) / tf.norm(s), tolerance)

  def test_no_tensor_grows_with_the_number_of_steps(self):
    def accumulates(gradients):
      glow = tfp_cglow.build_glow(
        [4, 4, 1], 1, tfp_cglow.AdditiveSteps(7, 4, gradients=gradients), seed=0
      )

      @tf.function
      def gradient(y):
        with tf.GradientTape() as tape:
          loss = tf.reduce_sum(glow.inverse(y) ** 2)
        return tape.gradient(loss, glow.trainable_variables)

      graph = gradient.get_concrete_function(tf.TensorSpec([5, 4, 4, 1])).graph
      names = {node.op for node in graph.as_graph_def().node}
      for function in graph.as_graph_def().library.function:
        names |= {node.op for node in function.node_def}
      return 'TensorListPushBack' in names

    self.assertTrue(accumulates('stored'))
    self.assertFalse(accumulates('reversible'))

  def test_a_variable_in_the_closure_raises(self):
    hidden = tf.Variable([0.1])
    scan = tfp_cglow.Scan(
      lambda shift: tfp_cglow.ActNorm(shift + hidden, tf.zeros([1])),
      tf.zeros([2, 1]),
    )
    with tf.GradientTape() as tape, self.assertRaises((TypeError, ValueError)):
      loss = tf.reduce_sum(scan.inverse(tf.ones([2, 2, 1])))
      tape.gradient(loss, hidden)


if __name__ == '__main__':
  tf.test.main()
