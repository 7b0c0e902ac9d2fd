"""Tests of `adaptation`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow

tfb = tfp.bijectors


def _frames(shape, seed=0):
  rng = np.random.default_rng(seed)
  return tf.constant(rng.normal(3.0, 5.0, shape), tf.float32)


def _channel_moments(x):
  return tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))


class AdaptTest(tf.test.TestCase, parameterized.TestCase):
  def test_actnorm(self):
    norm = tfp_cglow.build_actnorm(3)
    y = _frames([6, 4, 4, 3])
    x = tfp_cglow.adapt(norm, y)
    mean, variance = _channel_moments(x)
    self.assertAllClose(mean, [0.0] * 3, atol=1e-5)
    self.assertAllClose(variance, [1.0] * 3, atol=1e-5)
    self.assertAllClose(x, norm.inverse(tf.identity(y)))

  def test_flow_step_normalises_before_its_convolution(self):
    step = tfp_cglow.build_flow_step(4, 4, context_channels=2, seed=0)
    y, context = _frames([6, 2, 2, 4]), tf.ones([6, 2, 2, 2])
    x = tfp_cglow.adapt(step, y, context=context)
    mean, variance = _channel_moments(step.actnorm.inverse(tf.identity(y)))
    self.assertAllClose(mean, [0.0] * 4, atol=1e-5)
    self.assertAllClose(variance, [1.0] * 4, atol=1e-5)
    self.assertAllClose(
      x, step.inverse(tf.identity(y), context=context), 1e-5, 1e-5
    )

  @parameterized.parameters('reversible', 'unrolled')
  def test_every_step_of_a_glow_sees_normalised_channels(self, gradients):
    glow = tfp_cglow.build_glow(
      [4, 4, 2],
      2,
      tfp_cglow.AffineSteps(3, 4, gradients=gradients),
      context=tfp_cglow.Context(2),
      first=tfp_cglow.FrameAffine(),
      labels=tfp_cglow.LabelPriors(3),
      seed=0,
    )
    # Couplings are not the identity, so every step changes its input.
    rng = np.random.default_rng(1)
    for variable in glow.trainable_variables:
      if 'kernel' in variable.name or 'bias' in variable.name:
        variable.assign(0.3 * rng.standard_normal(variable.shape))
    y, context = _frames([16, 4, 4, 2]), _frames([16, 4, 4, 2], seed=1) / 10.0
    label = tf.range(16) % 3
    self.assertFalse(bool(glow.adapted))
    x = tfp_cglow.adapt(glow, y, context=context, label=label)
    self.assertTrue(bool(glow.adapted))
    self.assertAllClose(
      x, glow.inverse(tf.identity(y), context=context, label=label), 1e-4, 1e-4
    )

    seen = []

    def watch_step(step, y, **kwargs):
      seen.append(_channel_moments(step.actnorm.inverse(tf.identity(y))))
      return step.inverse(y, **kwargs)

    def watch(bijector, y, **kwargs):
      if isinstance(bijector, tfp_cglow.FlowStep):
        return watch_step(bijector, y, **kwargs)
      if isinstance(bijector, tfp_cglow.Scan):
        for k in range(bijector.num_steps):
          take = lambda p, k=k: p[k]
          slices = tf.nest.map_structure(take, bijector.stacks)
          y = watch_step(bijector.make_step(slices), y, **kwargs)
        return y
      return bijector.inverse(y, **kwargs)

    glow.walk_inverse(watch, y, context=context, label=label)
    self.assertLen(seen, 6)
    for mean, variance in seen:
      self.assertAllClose(mean, tf.zeros_like(mean), atol=1e-4)
      self.assertAllClose(variance, tf.ones_like(mean), atol=1e-3)

  def test_a_second_time_raises(self):
    glow = tfp_cglow.build_glow(
      [4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4), seed=0
    )
    tfp_cglow.adapt(glow, _frames([4, 4, 4, 1]))
    before = [v.numpy() for v in glow.variables]
    with self.assertRaisesRegex(ValueError, 'adapted already'):
      tfp_cglow.adapt(glow, _frames([4, 4, 4, 1], seed=1))
    for value, variable in zip(before, glow.variables):
      self.assertAllEqual(value, variable)

  def test_flag_is_saved(self):
    build = lambda: tfp_cglow.build_glow(
      [4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4)
    )
    glow, other = build(), build()
    tfp_cglow.adapt(glow, _frames([4, 4, 4, 1]))
    path = tf.train.Checkpoint(glow=glow).save(
      self.create_tempdir().full_path + '/checkpoint'
    )
    tf.train.Checkpoint(glow=other).restore(path).assert_consumed()
    self.assertTrue(bool(other.adapted))

  def test_refused_in_a_function(self):
    glow = tfp_cglow.build_glow([4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4))
    with self.assertRaisesRegex(RuntimeError, 'eagerly'):
      tf.function(tfp_cglow.adapt)(glow, tf.zeros([2, 4, 4, 1]))

  def test_conditions_are_checked_before_anything_changes(self):
    glow = tfp_cglow.build_glow(
      [4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4), context=tfp_cglow.Context(2)
    )
    with self.assertRaisesRegex(ValueError, 'needs.*`context`.*got'):
      tfp_cglow.adapt(glow, _frames([2, 4, 4, 1]))
    with self.assertRaisesRegex(ValueError, 'unknown.*`label`.*expected'):
      tfp_cglow.adapt(
        glow, _frames([2, 4, 4, 1]), context=tf.zeros([2, 4, 4, 2]), label=0
      )
    self.assertFalse(bool(glow.adapted))

  def test_a_chain_and_bound_conditions(self):
    step = lambda: tfp_cglow.build_flow_step(
      4, 4, context_channels=2, seed=0, name='step'
    )
    y, context = _frames([6, 4, 4, 1]), tf.ones([6, 2, 2, 2])
    expected = step()
    tfp_cglow.adapt(
      expected, tfp_cglow.Squeeze().inverse(y - 2.0), context=context
    )
    for bound in (False, True):
      one = step()
      chain = tfb.Chain([tfb.Shift(2.0), tfp_cglow.Squeeze(), one])
      kwargs = {'step': {'context': context}}
      if bound:
        x = tfp_cglow.adapt(tfp_cglow.Conditioned(chain, **kwargs), y)
      else:
        x = tfp_cglow.adapt(chain, y, **kwargs)
      self.assertAllClose(one.actnorm.shift, expected.actnorm.shift)
      self.assertAllClose(one.actnorm.log_scale, expected.actnorm.log_scale)
      self.assertAllClose(
        x, chain.inverse(tf.identity(y), **kwargs), 1e-4, 1e-4
      )

  def test_an_actnorm_out_of_reach_raises(self):
    norm = tfp_cglow.build_actnorm(1)
    with self.assertRaisesRegex(ValueError, 'cannot reach `actnorm`'):
      tfp_cglow.adapt(tfb.Invert(norm), _frames([2, 2, 2, 1]))
    self.assertAllEqual(norm.shift, [0.0])

  def test_a_scan_of_actnorms_is_out_of_reach(self):
    norms = tfp_cglow.Scan(
      lambda p: tfp_cglow.ActNorm(p['shift'], p['log_scale']),
      {k: tf.Variable(tf.zeros([2, 1])) for k in ('shift', 'log_scale')},
    )
    for bijector in (norms, tfb.Invert(norms), tfb.Chain([norms])):
      with self.assertRaisesRegex(ValueError, 'cannot reach .* inside of'):
        tfp_cglow.adapt(bijector, _frames([2, 2, 2, 1]))

  def test_a_scan_without_actnorm_is_applied(self):
    shifts = tfp_cglow.Scan(tfb.Shift, tf.constant([1.0, 2.0]))
    y = _frames([2, 2, 2, 1])
    self.assertAllClose(tfp_cglow.adapt(shifts, y), y - 3.0)
    self.assertAllClose(tfp_cglow.adapt(tfb.Invert(shifts), y), y + 3.0)

  @parameterized.parameters('uint8', 'int32', 'float32')
  def test_bytes_are_refused(self, dtype):
    glow = tfp_cglow.build_glow([4, 4, 3], 2, tfp_cglow.AdditiveSteps(1, 4))
    frames = np.random.default_rng(0).integers(0, 256, [8, 4, 4, 3])
    with self.assertRaisesRegex(ValueError, '`quantise` and `dequantise`'):
      tfp_cglow.adapt(glow, frames.astype(dtype))
    self.assertFalse(bool(glow.adapted))

  def test_no_bijector(self):
    base = tfp.distributions.Sample(tfp.distributions.Normal(0.0, 1.0), [4])
    glow = tfp_cglow.build_glow([2, 2, 1], 1, tfp_cglow.AdditiveSteps(1, 4))
    flow = tfp.distributions.TransformedDistribution(base, glow)
    with self.assertRaisesRegex(TypeError, 'expects a bijector, but got'):
      tfp_cglow.adapt(flow, _frames([2, 2, 2, 1]))

  def test_other_bijectors_are_only_applied(self):
    y = tf.constant([1.0, 2.0])
    self.assertAllClose(tfp_cglow.adapt(tfb.Shift(1.0), y), [0.0, 1.0])


if __name__ == '__main__':
  tf.test.main()
