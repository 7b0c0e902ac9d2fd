"""Tests of overrides.py: assignments, JSON, and what differs."""

import dataclasses
import json

from absl.testing import absltest
from absl.testing import parameterized

import tfp_cglow
from train.config import configs
from train.config import data_sets
from train.config import fields
from train.config import models
from train.config import overrides
from train.config import presets

# Has every kind of part that the tests change.
_DEMO = dataclasses.replace(
  presets.PRESETS['demo'],
  data=data_sets.Natvid(),
  model=presets.PRESETS['overfit'].model,
)


def _get(config, key):
  return fields.flat(config)[key]


def _keys_of_kinds(cls, path=()):
  """Yields (assignments that choose the parts, keys of a kind's own)."""
  for name, field in fields.fields_of(cls).items():
    for kind in field.kinds:
      here = (*path, name)
      choose = [f'{".".join(here)}={fields.kind_name(kind)}']
      if len(field.kinds) == 1 and not field.is_optional:
        choose = []
      keys = ['.'.join((*here, k)) for k in fields.fields_of(kind)]
      yield choose, keys
      for inner, inner_keys in _keys_of_kinds(kind, here):
        yield [*choose, *inner], inner_keys


class OverrideTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('int', 'run.steps=12', 12),
    ('float', 'optimiser.learning_rate=1', 1.0),
    ('choice', 'data.symmetry=none', 'none'),
    ('optional', 'model.tail.frames_per_step=4', 4),
    ('none', 'model.tail.frames_per_step=None', None),
    ('text', 'data.data_dir=/a=b', '/a=b'),
    ('choice_of_numbers', 'data.channels=1', 1),
    ('choice_of_texts', 'model.dequantisation=legacy', 'legacy'),
    ('part', 'model.tail.memory=gru_memory', 'gru_memory'),
    ('no_part', 'model.head=none', None),
  )
  def test_value(self, assignment, expected):
    config = overrides.override(_DEMO, [assignment])
    value = _get(config, assignment.partition('=')[0])
    self.assertEqual(value, expected)
    self.assertIs(type(value), type(expected))

  def test_another_kind_keeps_what_the_two_have_in_common(self):
    config = overrides.override(
      _DEMO,
      [
        'data.num_frames=5',
        'data=shapes',
        'model.head.steps.num_steps=7',
        'model.head.steps=additive_steps',
      ],
    )
    self.assertEqual(config.data, data_sets.Shapes(num_frames=5))
    self.assertEqual(
      config.model.head.steps,
      tfp_cglow.AdditiveSteps(num_steps=7, gradients='stored'),
    )

  def test_another_kind_keeps_no_field_with_another_default(self):
    config = overrides.override(
      presets.PRESETS['movement'], ['data.channels=1', 'data=balls']
    )
    self.assertEqual(config.data, data_sets.Balls(channels=1))

  def test_another_kind_without_a_common_base_has_its_own_defaults(self):
    config = overrides.override(_DEMO, ['model.tail.first=level_mixture'])
    self.assertEqual(config.model.tail.first, tfp_cglow.LevelMixture())

  def test_the_same_kind_again_changes_nothing(self):
    config = overrides.override(_DEMO, ['model.tail.pyramid.channels=3'])
    again = overrides.override(config, ['model.tail=tail', 'data=natvid'])
    self.assertEqual(again, config)

  @parameterized.named_parameters(
    ('unknown', 'optimiser.learning_rat=1', 'optimiser.learning_rate'),
    ('without_its_part', 'steps=3', "'steps'.*Did you mean .*run.steps"),
    ('too_deep', 'run.steps.x=1', "'run.steps.x'.*no keys"),
    ('group', 'run=3', "'run' is a part.*steps"),
    ('kind', 'model.tail.first=mixture', 'frame_affine or level_mixture or no'),
    (
      'of_another_kind',
      'model.tail.first.halvings=1',
      'is frame_affine, which',
    ),
    (
      'of_no_part',
      'model.head.first.halvings=1',
      'is none; make it one of frame_affine, level_mixture first',
    ),
    (
      'type',
      'run.steps=many',
      "takes int, at least 1 and at most .*, but got 'many'",
    ),
    ('not_whole', 'run.steps=1.5', 'takes int'),
    ('choice', 'data.channels=2', "takes 1 or 3, but got '2'"),
    ('no_value', 'run.steps', 'key=value'),
    ('filled_in', 'model.head.labels.num_labels=3', 'No such config key'),
  )
  def test_bad_assignment_says_what_is_expected(self, assignment, message):
    with self.assertRaisesRegex(fields.ConfigError, message):
      overrides.override(_DEMO, [assignment])

  def test_keys_of_absent_parts_and_other_kinds_are_refused(self):
    # Whatever was chosen: a key is accepted if and only if it is a field of it.
    choices = list(_keys_of_kinds(configs.Config))
    every_key = {key for _, keys in choices for key in keys}
    self.assertGreater(len(every_key), 100)
    num_refused = 0
    for choose, _ in choices:
      config = overrides.override(_DEMO, choose)
      known = fields.flat(config)
      for key in sorted(every_key - set(known)):
        if any(k.startswith(f'{key}.') for k in known):
          continue  # A part that is always there has no key of its own.
        with self.assertRaisesRegex(fields.ConfigError, 'No such config key'):
          overrides.override(config, [f'{key}=1'])
        num_refused += 1
    self.assertGreater(num_refused, 1000)

  @parameterized.parameters(
    ('gan_paper', 'model.head.steps.hidden_channels=7'),
    ('gan_paper', 'model.tail.memory.channels=99'),
    ('demo', 'model.loss=nonsense'),
    ('demo', 'data.variant=nobody'),
    ('overfit', 'model.tail.first.halvings=1'),
  )
  def test_what_was_accepted_without_a_word(self, preset, assignment):
    with self.assertRaisesRegex(fields.ConfigError, 'No such config key'):
      overrides.override(presets.PRESETS[preset], [assignment])


class ChangesTest(parameterized.TestCase):
  @parameterized.parameters(*presets.PRESETS)
  def test_make_any_preset_of_any_other(self, name):
    config = presets.PRESETS[name]
    for base in presets.PRESETS.values():
      made = overrides.override(base, overrides.changes(config, base))
      self.assertEqual(made, config)

  def test_nothing_to_change(self):
    self.assertEmpty(overrides.changes(_DEMO, _DEMO))


class JsonTest(parameterized.TestCase):
  @parameterized.parameters(*presets.PRESETS)
  def test_round_trip(self, name):
    config = presets.PRESETS[name]
    values = json.loads(json.dumps(overrides.to_values(config)))
    self.assertEqual(
      overrides.construct(configs.Config, values, 'x.json'), config
    )

  def test_defaults_of_what_is_not_given(self):
    config = overrides.construct(configs.Config, {'seed': 3}, 'x.json')
    self.assertEqual(config, configs.Config(seed=3))

  @parameterized.parameters(
    ({'stops': 1}, 'x.json has keys .*: stops'),
    ({'run': {'stops': 1}}, 'x.json: run has keys .*: stops'),
    ({'run': 3}, 'x.json: run must be an object .* is 3'),
    ({'model': {'kind': 'vae'}}, '"kind" of flow, gan, but got .vae'),
    ({'model': {}}, '"kind" of flow, gan'),
    ([], r'x.json must be an object .* is \[\]'),
  )
  def test_bad_values(self, values, message):
    with self.assertRaisesRegex(fields.ConfigError, message):
      overrides.construct(configs.Config, values, 'x.json')


class DifferencesTest(absltest.TestCase):
  def test_values(self):
    ours = overrides.override(_DEMO, ['seed=3', 'run.steps=5'])
    self.assertEqual(
      overrides.differences(ours, _DEMO),
      ['seed: 0 -> 3', f'run.steps: {_DEMO.run.steps} -> 5'],
    )

  def test_keys_that_one_has_alone(self):
    ours = dataclasses.replace(_DEMO, model=models.Gan())
    lines = overrides.differences(ours, _DEMO)
    self.assertIn("model: 'flow' -> 'gan'", lines)
    self.assertIn("model.loss: None -> 'least_squares'", lines)
    self.assertIn("model.head.steps: 'affine_steps' -> None", lines)


if __name__ == '__main__':
  absltest.main()
