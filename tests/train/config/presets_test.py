"""The presets' sizes: what the paper states, and equal costs."""

import dataclasses

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from train.config import configs
from train.config import presets
from train.systems.flow import models


def _preset(name, **changes):
  return dataclasses.replace(presets.PRESETS[name], **changes)


def _num_parameters(module):
  return sum(int(np.prod(v.shape)) for v in module.trainable_variables)


def _multiplications(config, part):
  """Of the convolutions of `part`'s coupling networks, a frame."""
  # One step: the kernels are stacked, their shapes tell the rest.
  model = models.build_model(dataclasses.replace(config, model=part), 4)
  total = 0
  for i, block in enumerate(getattr(model.flow, part).blocks):
    pixels = (config.frame_size // 2 ** (i + 1)) ** 2
    kernels = [v for v in block[1].trainable_variables if 'kernel' in v.name]
    total += pixels * sum(int(np.prod(v.shape)) for v in kernels)
  return total


class PresetsTest(parameterized.TestCase):
  def test_paper_states_these(self):
    paper = _preset('paper')
    shape = lambda glow: (glow.num_glow_blocks, glow.num_steps_per_block)
    self.assertEqual(shape(paper.head), (4, 32))
    self.assertEqual(shape(paper.tail), (4, 1))
    for glow in (paper.head, paper.tail):
      self.assertEqual((glow.hidden_channels, glow.coupling), (512, 'additive'))
      self.assertEqual(glow.label_init_std, 1.0)
      self.assertIsNone(glow.context_affine)
    self.assertEqual((paper.learning_rate, paper.batch_size), (1e-4, 8))

  def test_papers_parameters(self):
    one_step = dataclasses.replace(_preset('paper').head, num_steps_per_block=1)
    model = models.build_model(_preset('paper', head=one_step), 200)
    self.assertAlmostEqual(
      _num_parameters(model.flow.memory), 10_000, delta=200
    )
    (images,) = model.flow.head.label_variables
    self.assertEqual(int(np.prod(images.shape)), 200 * 3 * 64 * 64)
    self.assertEqual(model.flow.memory.state_channels, 16)
    kernels = model.flow.tail._context_network.kernels
    self.assertEqual([k.shape[-1] for k in kernels], [19] * 4)

  @parameterized.parameters(
    ('paper_small', 'cglow_small', 'head'),
    ('paper_small', 'cglow_small', 'tail'),
    ('paper', 'cglow', 'tail'),
  )
  def test_ours_costs_about_the_papers(self, theirs, ours, part):
    costs = [_multiplications(_preset(name), part) for name in (theirs, ours)]
    self.assertBetween(costs[1] / costs[0], 0.6, 1.3)

  @parameterized.parameters('cglow', 'cglow_small')
  def test_ours_is_what_won(self, name):
    config = _preset(name)
    self.assertEqual(config.tail.context_affine, 'motion')
    self.assertEqual(config.previous_frames, 2)
    self.assertEqual(config.head.label_conditioning, 'prior')
    self.assertEqual(config.dequantisation, 'matched')
    configs.check(config)

  def test_the_mixture_is_cglow_small_but_for_its_flows(self):
    config = _preset('cglow_mixture')
    self.assertEqual(
      {
        line.partition(':')[0]
        for line in configs.differences(config, _preset('cglow_small'))
        if not line.startswith(('head.', 'tail.'))
      },
      {'preset', 'tail_frames_per_step', 'flip', 'label_loss_weight'},
    )
    configs.check(config)
    model = models.build_model(dataclasses.replace(config, model='tail'), 4)
    self.assertIsInstance(model.flow.tail.first, tfp_cglow.ContextMixture)


if __name__ == '__main__':
  tf.test.main()
