"""Tests of evaluation.py; training's own tests have the rest."""

import numpy as np
import tensorflow as tf

import tfp_cglow
from train.evaluation import evaluation


class InvertibilityTest(tf.test.TestCase):
  def test_of_a_flow_without_steps(self):
    first = tfp_cglow.LevelMixture(halvings=1, hidden_channels=4)
    head = tfp_cglow.GlowSpec(1, steps=None, first=first)
    flow = tfp_cglow.build_video_flow([4, 4, 3], head, seed=0)
    frames = np.random.default_rng(0).integers(256, size=[2, 1, 4, 4, 3])
    report = evaluation.invertibility(flow, frames.astype(np.uint8), None)
    self.assertEqual(list(report), ['head'])
    self.assertLess(report['head']['round_trip_error_levels'], 0.1)
    for name in ('min_scale', 'max_scale', 'max_condition_number'):
      self.assertEqual(report['head'][name], 1.0)


if __name__ == '__main__':
  tf.test.main()
