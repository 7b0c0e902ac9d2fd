"""The presets' sizes: what the paper states, and equal costs."""

import dataclasses

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from train.config import configs
from train.config import overrides
from train.config import presets
from train.systems.flow import models


def _num_parameters(module):
  return sum(int(np.prod(v.shape)) for v in module.trainable_variables)


def _multiplications(config, part):
  """Of the convolutions of `part`'s coupling networks, a frame."""
  # One step: the kernels are stacked, their shapes tell the rest.
  (other,) = {'head', 'tail'} - {part}
  config = overrides.override(config, [f'model.{other}=none'])
  flow = models.build_model(config, 4).flow
  total = 0
  for i, block in enumerate(getattr(flow, part).blocks):
    pixels = (config.data.frame_size // 2 ** (i + 1)) ** 2
    kernels = [v for v in block[1].trainable_variables if 'kernel' in v.name]
    total += pixels * sum(int(np.prod(v.shape)) for v in kernels)
  return total


class PresetsTest(parameterized.TestCase):
  def test_paper_states_these(self):
    paper = presets.PRESETS['paper']
    model = paper.model
    shape = lambda glow: (glow.num_glow_blocks, glow.steps.num_steps)
    self.assertEqual(shape(model.head), (4, 32))
    self.assertEqual(shape(model.tail), (4, 1))
    for glow in (model.head, model.tail):
      self.assertIsInstance(glow.steps, tfp_cglow.AdditiveSteps)
      self.assertEqual(glow.steps.hidden_channels, 512)
      self.assertIsNone(glow.first)
    self.assertEqual(model.head.labels, tfp_cglow.LabelImages(init_std=1.0))
    self.assertEqual(paper.optimiser.learning_rate, 1e-4)
    self.assertEqual(paper.run.batch_size, 8)

  def test_papers_parameters(self):
    config = overrides.override(
      presets.PRESETS['paper'], ['model.head.steps.num_steps=1']
    )
    flow = models.build_model(config, 200).flow
    self.assertAlmostEqual(_num_parameters(flow.memory), 10_000, delta=200)
    (images,) = flow.head.label_variables
    self.assertEqual(int(np.prod(images.shape)), 200 * 3 * 64 * 64)
    self.assertEqual(flow.memory.state_channels, 16)
    kernels = flow.tail.context_network.kernels
    self.assertEqual([k.shape[-1] for k in kernels], [19] * 4)

  @parameterized.parameters(
    ('paper_small', 'cglow_small', 'head'),
    ('paper_small', 'cglow_small', 'tail'),
    ('paper', 'cglow', 'tail'),
  )
  def test_ours_costs_about_the_papers(self, theirs, ours, part):
    costs = [
      _multiplications(presets.PRESETS[name], part) for name in (theirs, ours)
    ]
    self.assertBetween(costs[1] / costs[0], 0.6, 1.3)

  @parameterized.parameters('cglow', 'cglow_small')
  def test_ours_is_what_won(self, name):
    config = presets.PRESETS[name]
    tail = config.model.tail
    self.assertEqual(tail.first.mean, tfp_cglow.MovedFrame())
    self.assertEqual(tail.previous_frames, 2)
    self.assertEqual(config.model.head.labels, tfp_cglow.LabelPriors())
    self.assertEqual(config.model.dequantisation, 'matched')
    configs.check(config)

  def test_the_mixture_is_cglow_small_but_for_its_flows(self):
    config = presets.PRESETS['cglow_mixture']
    self.assertEqual(
      {
        line.partition(':')[0]
        for line in overrides.differences(
          config, presets.PRESETS['cglow_small']
        )
        if not line.startswith(('model.head', 'model.tail'))
      },
      {'preset', 'data.symmetry', 'model.label_weight'},
    )
    self.assertEqual(config.model.tail.frames_per_step, 2)
    configs.check(config)
    alone = dataclasses.replace(config.model, head=None)
    flow = models.build_model(dataclasses.replace(config, model=alone), 4).flow
    self.assertIsInstance(flow.tail.first, tfp_cglow.ContextMixture)


if __name__ == '__main__':
  tf.test.main()
