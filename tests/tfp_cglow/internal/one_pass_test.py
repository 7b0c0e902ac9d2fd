"""Tests of `one_pass`: nothing is stale, nothing is kept, one pass a call."""

import gc
import weakref

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow

tfb, tfd = tfp.bijectors, tfp.distributions


def _glow(dtype=tf.float64, gradients='reversible'):
  glow = tfp_cglow.build_glow(
    [4, 4, 1],
    1,
    tfp_cglow.AffineSteps(1, 4, gradients=gradients),
    dtype=dtype,
    seed=0,
  )
  rng = np.random.default_rng(1)
  for variable in glow.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return glow


def _flow(bijector):
  zero = tf.zeros([], bijector.dtype)
  return tfd.TransformedDistribution(
    tfd.Sample(tfd.Normal(zero, 1.0), [16]), bijector
  )


def _move(module):
  for variable in module.trainable_variables:
    variable.assign_add(0.1 * tf.ones_like(variable))


def _point(dtype=tf.float64):
  return tf.constant(
    np.random.default_rng(2).standard_normal([2, 4, 4, 1]), dtype
  )


class StaleTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_log_prob_after_an_assignment(self, in_function):
    glow = _glow()
    flow = _flow(glow)

    def before_and_after(y):
      before = flow.log_prob(y)
      _move(glow)
      return before, flow.log_prob(y), flow.log_prob(tf.identity(y))

    if in_function:
      before_and_after = tf.function(before_and_after)
    before, after, expected = before_and_after(_point())
    self.assertAllEqual(after, expected)
    self.assertNotAllClose(before, after)

  @parameterized.parameters(False, True)
  def test_every_method_after_an_assignment(self, in_function):
    glow, y = _glow(), _point()
    bound = tfp_cglow.Conditioned(glow)

    def check(y):
      x = glow.inverse(y)
      held = [glow.forward(x), bound.inverse(y), bound.forward(x)]
      _move(glow)
      results = []
      for b in (glow, bound):
        for method, tensor in (
          (b.inverse, y),
          (b.forward, x),
          (b.inverse_log_det_jacobian, y),
          (b.forward_log_det_jacobian, x),
        ):
          results.append((method(tensor), method(tf.identity(tensor))))
      return results, held

    results, _ = (tf.function(check) if in_function else check)(y)
    for kept, new in results:
      self.assertAllEqual(kept, new)

  def test_while_the_tape_lives(self):
    glow, y = _glow(), _point()
    flow = _flow(glow)
    with tf.GradientTape(persistent=True) as tape:
      before = flow.log_prob(y)
      _move(glow)
      after = flow.log_prob(y)
    self.assertNotAllClose(before, after)
    self.assertIsNotNone(tape.gradient(after, glow.trainable_variables[0]))


class AutoGraphTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(
    (lambda glow, y: glow.inverse_and_log_det(y),),
    (lambda glow, y: glow.forward_and_log_det(glow.inverse(y)),),
    (lambda glow, y: _flow(glow).log_prob(y),),
  )
  def test_a_converted_function_computes_nothing_twice(self, compute):
    glow, y = _glow(), _point()

    def operations(autograph):
      def run(y):
        return compute(glow, y)

      function = tf.function(run, autograph=autograph)
      return len(function.get_concrete_function(y).graph.get_operations())

    self.assertEqual(operations(autograph=True), operations(autograph=False))


class GradientTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_at_an_own_sample(self, in_function):
    flow = _flow(_glow())

    def gradient():
      sample = flow.sample(seed=[0, 1])
      with tf.GradientTape() as tape:
        tape.watch(sample)
        log_prob = flow.log_prob(sample)
      return sample, tape.gradient(log_prob, sample)

    sample, exact = (tf.function(gradient) if in_function else gradient)()
    direction = tf.constant(
      np.random.default_rng(3).standard_normal(sample.shape)
    )
    step = 1e-6 * direction
    finite = (
      flow.log_prob(sample + step) - flow.log_prob(sample - step)
    ) / 2e-6
    self.assertAllClose(tf.reduce_sum(exact * direction), finite, 1e-7)

  def test_at_own_latents(self):
    glow = _glow()
    x = glow.inverse(_point())
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = glow.forward(x)
    self.assertIsNotNone(tape.gradient(y, x))

  def test_of_the_elbo(self):
    glow = _glow()
    q = _flow(glow)
    target = tfd.Sample(tfd.Normal(tf.zeros([], tf.float64), 1.0), [4, 4, 1])
    with tf.GradientTape() as tape:
      loss = tfp.vi.monte_carlo_variational_loss(
        target.log_prob, q, sample_size=4, seed=[0, 1]
      )
    gradients = tape.gradient(loss, glow.trainable_variables)
    for variable, gradient in zip(glow.trainable_variables, gradients):
      self.assertIsNotNone(gradient, variable.name)


class MachineryTest(tf.test.TestCase):
  def test_hmc(self):
    flow = _flow(_glow())
    kernel = tfp.mcmc.HamiltonianMonteCarlo(flow.log_prob, 0.01, 2)
    states = tfp.mcmc.sample_chain(
      2, _point()[0], kernel=kernel, trace_fn=None, seed=[0, 1]
    )
    self.assertAllEqual(tf.math.is_finite(states), tf.ones_like(states, bool))
    kernel = tfp.mcmc.TransformedTransitionKernel(
      tfp.mcmc.HamiltonianMonteCarlo(
        tfd.Sample(tfd.Normal(np.float64(0.0), 1.0), [4, 4, 1]).log_prob, 0.1, 2
      ),
      flow.bijector,
    )
    states = tfp.mcmc.sample_chain(
      2, _point()[0], kernel=kernel, trace_fn=None, seed=[0, 1]
    )
    self.assertEqual(states.shape, [2, 4, 4, 1])

  def test_joint_distribution(self):
    glow = _glow(tf.float32)
    joint = tfd.JointDistributionNamed(
      dict(
        scale=tfd.LogNormal(0.0, 1.0),
        frame=lambda scale: tfd.TransformedDistribution(
          tfd.Sample(tfd.Normal(0.0, scale), [16]), glow
        ),
      )
    )
    drawn = joint.sample(seed=[0, 1])
    expected = joint.log_prob(tf.nest.map_structure(tf.identity, drawn))
    self.assertAllEqual(joint.log_prob(drawn), expected)


class MemoryTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters('reversible', 'stored', 'unrolled')
  def test_a_dropped_glow_is_freed(self, gradients):
    glow = _glow(tf.float32, gradients)
    flow = _flow(glow)
    function = tf.function(flow.log_prob, autograph=False)
    function(_point(tf.float32))
    graph = weakref.ref(
      function.get_concrete_function(_point(tf.float32)).graph
    )
    flow.log_prob(flow.sample(2))
    reference = weakref.ref(glow)
    del glow, flow, function
    gc.collect()
    self.assertIsNone(reference())
    self.assertIsNone(graph())


if __name__ == '__main__':
  tf.test.main()
