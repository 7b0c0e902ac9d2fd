import dataclasses

from absl.testing import absltest
from absl.testing import parameterized

from train.config import configs
from train.config import presets


class ConfigsTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('int', 'run.steps=12', 'steps', 12),
    ('float', 'optimiser.learning_rate=1', 'learning_rate', 1.0),
    ('bool', 'use_labels=false', 'use_labels', False),
    ('optional', 'model.tail.frames_per_step=4', 'tail_frames_per_step', 4),
    ('none', 'model.tail.frames_per_step=None', 'tail_frames_per_step', None),
    ('text', 'data_dir=/a=b', 'data_dir', '/a=b'),
  )
  def test_override(self, assignment, field, expected):
    config = configs.override(configs.Config(), [assignment])
    self.assertEqual(getattr(config, field), expected)
    self.assertIs(type(getattr(config, field)), type(expected))

  def test_override_reaches_into_groups(self):
    config = configs.override(configs.Config(), ['model.tail.steps=additive_steps'])
    self.assertEqual(config.tail.coupling, 'additive')
    self.assertEqual(config.head, configs.Config().head)

  @parameterized.named_parameters(
    ('unknown', 'learning_rat=1', 'learning_rate'),
    ('unknown_inner', 'coupling=affine', 'head.coupling'),
    ('too_deep', 'steps.x=1', "'steps.x'"),
    ('group', 'head=3', 'num_glow_blocks'),
    ('type', 'run.steps=many', "takes int, but got 'many'"),
    ('not_whole', 'run.steps=1.5', 'takes int'),
    ('no_value', 'steps', 'key=value'),
  )
  def test_bad_override_says_what_is_expected(self, assignment, message):
    with self.assertRaisesRegex(configs.ConfigError, message):
      configs.override(configs.Config(), [assignment])

  @parameterized.parameters(*presets.PRESETS)
  def test_json_round_trip(self, name):
    preset = configs.check(presets.PRESETS[name])
    self.assertEqual(preset.preset, name)
    self.assertEqual(configs.from_json(configs.to_json(preset)), preset)

  def test_from_json_refuses_unknown_keys(self):
    text = configs.to_json(configs.Config()).replace('"steps"', '"stops"')
    with self.assertRaisesRegex(configs.ConfigError, 'stops'):
      configs.from_json(text)

  def test_differences(self):
    ours = configs.override(configs.Config(), ['seed=3', 'head.coupling=x'])
    self.assertEqual(
      configs.differences(ours, configs.Config()),
      ['seed: 0 -> 3', "head.coupling: 'affine' -> 'x'"],
    )

  @parameterized.parameters(
    ('model', 'movie'), ('channels', 2), ('steps', 0), ('num_frames', 1)
  )
  def test_check(self, field, value):
    config = dataclasses.replace(configs.Config(), **{field: value})
    with self.assertRaisesRegex(configs.ConfigError, str(value)):
      configs.check(config)


if __name__ == '__main__':
  absltest.main()
