from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from train.config import overrides
from train.config import presets
from train.report import architecture
from train.systems import systems

_SMALL = [
  'data.frame_size=8',
  'model.head.steps.hidden_channels=4',
  'model.tail.steps.hidden_channels=4',
]
_GAN = [
  'model.num_levels=2',
  'model.base_channels=4',
  'model.num_first_view_nets=1',
]


def _model(*assignments):
  config = overrides.override(presets.PRESETS['smoke'], [*_SMALL, *assignments])
  system = systems.of(config)
  return system.sampler(system.build_model(num_labels=3))


class ArchitectureTest(parameterized.TestCase):
  @parameterized.parameters(
    [()],
    [('model.tail=none', 'model.head.labels=label_images')],
    [
      (
        'model.head=none',
        'model.tail.memory=gru_memory',
        'model.tail.previous_frames=2',
      )
    ],
    [('model.head.labels=none', 'model.tail.memory=none')],
    [('model.tail.first=level_mixture', 'model.tail.first.halvings=1')],
    [('model.head.steps=none', 'model.tail.steps=none')],
    [('model=gan', *_GAN)],
  )
  def test_every_parameter_is_in_one_box(self, assignments):
    model = _model(*assignments)
    boxes = [b for p in architecture.structure(model).values() for b in p]
    expected = sum(np.prod(v.shape) for v in model.trainable_variables)
    self.assertEqual(sum(b.num_parameters for b in boxes), expected)

  def test_boxes_are_the_models(self):
    model = _model(
      'model.head.num_glow_blocks=2', 'model.head.steps.num_steps=3'
    )
    parts = architecture.structure(model)
    self.assertEqual(list(parts), list(model.submodels()))
    titles = [box.title for box in parts['head']]
    self.assertEqual(
      titles,
      [
        'frame',
        'block 1: Squeeze, 3 × FlowStep',
        'Split',
        'block 2: Squeeze, 3 × FlowStep',
        'LabelPrior',
        'latent',
      ],
    )
    split = parts['head'][2]
    self.assertEqual(split.beside, 'latent 4×4×6')
    self.assertIn('AffineCoupling', parts['head'][1].detail)
    self.assertIn('context: frame before, state', parts['tail'][1].title)

  def test_figure(self):
    figure = architecture.figure(_model('model.head.steps=additive_steps'))
    self.assertLen(figure.images, 3)
    self.assertIn(b'AdditiveCoupling', figure.images[0].data)


if __name__ == '__main__':
  absltest.main()
