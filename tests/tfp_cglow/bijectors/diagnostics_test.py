"""Tests of `diagnostics`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow

_SIZES = dict(
  num_glow_blocks=2,
  context=tfp_cglow.Context(3),
  first=tfp_cglow.FrameAffine(),
  labels=tfp_cglow.LabelPriors(3),
  seed=0,
)


class InvertibilityReportTest(parameterized.TestCase, tf.test.TestCase):
  def _report(self, glow):
    rng = np.random.RandomState(0)
    frames, context = rng.uniform(-0.5, 0.5, [2, 4, 8, 8, 3]).astype('f')
    return tfp_cglow.invertibility_report(
      glow, frames, context=context, label=tf.constant([0, 1, 2, 0])
    )

  @parameterized.parameters(
    (make_steps, gradients)
    for make_steps in (tfp_cglow.AdditiveSteps, tfp_cglow.AffineSteps)
    for gradients in ('reversible', 'unrolled')
  )
  def test_healthy_flow(self, make_steps, gradients):
    report = self._report(
      tfp_cglow.build_glow(
        [8, 8, 3], steps=make_steps(2, 4, gradients=gradients), **_SIZES
      )
    )
    self.assertLess(report['max_error'], 1e-5)
    steps = [r for r in report['steps'] if r['step'] >= 0]
    self.assertEqual(
      [(r['block'], r['step']) for r in steps], [(0, 0), (0, 1), (1, 0), (1, 1)]
    )
    for (
      row
    ) in steps:  # All 1x1 convolutions are rotations, and all scales are 1.
      self.assertAllClose(row['condition_number'], 1.0, atol=1e-4)
      self.assertAllClose([row['min_scale'], row['max_scale']], [1.0, 1.0])
      self.assertLess(row['max_error'], 1e-5)

  def test_finds_the_step_that_lost_its_inverse(self):
    glow = tfp_cglow.build_glow(
      [8, 8, 3], steps=tfp_cglow.AffineSteps(2, 4), **_SIZES
    )
    stacks = glow.blocks[1][1].stacks
    large = 10.0 * np.random.RandomState(1).randn(24, 24).astype('f')
    stacks['conv']['upper'][1].assign(large)
    stacks['actnorm']['log_scale'][1, 2].assign(3.0)
    report = self._report(glow)
    self.assertGreater(report['max_error'], 1e-3)
    worst = max(
      (r for r in report['steps'] if r['step'] >= 0),
      key=lambda r: r['condition_number'],
    )
    self.assertEqual((worst['block'], worst['step']), (1, 1))
    self.assertGreater(worst['condition_number'], 1e5)
    self.assertAllClose(worst['max_scale'], np.exp(3.0))

  def test_error_map(self):
    glow = tfp_cglow.build_glow(
      [8, 8, 3], steps=tfp_cglow.AffineSteps(2, 4), **_SIZES
    )
    rng = np.random.RandomState(0)
    frames, context = rng.uniform(-0.5, 0.5, [2, 2, 8, 8, 3]).astype('f')
    glow.blocks[0][1].stacks['actnorm']['log_scale'][0, 0].assign(8.0)
    conditions = {'context': context, 'label': tf.constant([0, 1])}
    errors = tfp_cglow.round_trip_error(glow, frames, **conditions).numpy()
    report = tfp_cglow.invertibility_report(glow, frames, **conditions)
    self.assertAllEqual(errors.shape, frames.shape)
    self.assertGreater(errors.max(), 1e-6)
    self.assertAllClose(errors.max(), report['max_error'])


if __name__ == '__main__':
  tf.test.main()
