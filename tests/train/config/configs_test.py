"""Tests of configs.py: what no single field shows, and config.json."""

import dataclasses
import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized

import tfp_cglow
from train import flags
from train.config import configs
from train.config import data_sets
from train.config import fields
from train.config import models
from train.config import overrides
from train.config import presets
from train.data import datasets

# Has every kind of part that the tests change.
_DEMO = dataclasses.replace(
  presets.PRESETS['demo'],
  data=data_sets.Natvid(),
  model=presets.PRESETS['overfit'].model,
)
_ROOT = pathlib.Path(__file__).resolve().parents[3]


class ConfigsTest(parameterized.TestCase):
  @parameterized.parameters(*presets.PRESETS)
  def test_json_round_trip(self, name):
    preset = configs.check(presets.PRESETS[name])
    self.assertEqual(preset.preset, name)
    self.assertEqual(configs.from_json(configs.to_json(preset)), preset)

  def test_json_of_an_older_version(self):
    old = json.dumps({'preset': 'demo', 'model': 'video', 'frame_size': 32})
    with self.assertRaisesRegex(
      fields.ConfigError, 'of format 1, which tfp_cglow 0.1 reads'
    ):
      configs.from_json(old)

  def test_json_of_a_later_version(self):
    later = configs.to_json(_DEMO).replace('"version": 2', '"version": 3')
    with self.assertRaisesRegex(fields.ConfigError, 'a later version'):
      configs.from_json(later)

  @parameterized.named_parameters(
    ('field', ['data.frame_size=1'], 'data.frame_size'),
    ('nothing', ['model.head=none', 'model.tail=none'], 'nothing to train'),
    ('one_frame', ['data.num_frames=1'], 'model.tail=none'),
    ('gan', ['model=gan', 'data.num_frames=1'], 'num_frames of at least 2'),
    ('given', ['run.quality_given=8'], 'below data.num_frames=8'),
    (
      'fps',
      ['data=folder', 'data.fps=5', 'data.frame_stride=2'],
      'excludes `data.frame_stride`',
    ),
    (
      'no_labels',
      ['model.head.labels=none', 'model.label_dropout=0.1'],
      'label_dropout` needs labels',
    ),
  )
  def test_check(self, assignments, message):
    config = overrides.override(_DEMO, assignments)
    with self.assertRaisesRegex(fields.ConfigError, message):
      configs.check(config)

  @parameterized.parameters(
    (None, data_sets.Natvid()),
    ('shapes', data_sets.Shapes()),
    ('shapes:motion', data_sets.Shapes(variant='motion')),
    ('tfds:mnist', data_sets.Tfds(dataset='mnist')),
    ('moments_in_time', data_sets.MomentsInTime()),
  )
  def test_dataset(self, name, expected):
    config = overrides.override(_DEMO, configs.dataset_assignments(name))
    self.assertEqual(config.data, expected)
    if name is not None:
      self.assertEqual(config.data.name, name)

  @parameterized.parameters('shape', 'shapes:moton', 'natvid:motion', 'tfds')
  def test_no_such_dataset(self, name):
    with self.assertRaises(fields.ConfigError):
      overrides.override(_DEMO, configs.dataset_assignments(name))

  def test_steps_to_profile(self):
    config = lambda text: overrides.override(
      _DEMO, [f'run.profile_steps={text}']
    )
    self.assertIsNone(configs.profile_steps(_DEMO))
    self.assertEqual(configs.profile_steps(config('10,20')), (10, 20))
    for text in ('10', '0,2', '5,4', 'a,4', '1,2,3'):
      with self.assertRaisesRegex(fields.ConfigError, 'FIRST,LAST'):
        configs.check(config(text))

  def test_every_listed_set_has_its_files_its_help_and_its_page(self):
    page = (_ROOT / 'docs' / 'api' / 'train.md').read_text()
    kinds = fields.fields_of(configs.Config)['data'].kinds
    for kind in kinds:
      self.assertIn(f'::: train.config.data_sets.{kind.__name__}\n', page)
      self.assertIn(
        f"'{fields.kind_name(kind)}", flags.FLAGS['dataset'].help, kind
      )
      self.assertIn(kind.__name__, data_sets.__all__)
      if issubclass(kind, data_sets.Listed):
        self.assertIn(kind, datasets._SOURCES)

  def test_a_field_that_is_no_setting_cannot_be_lost(self):
    steps = tfp_cglow.AffineSteps(scale='sigmoid')
    model = dataclasses.replace(
      _DEMO.model, head=dataclasses.replace(_DEMO.model.head, steps=steps)
    )
    with self.assertRaisesRegex(fields.ConfigError, 'steps.scale` is no sett'):
      configs.check(dataclasses.replace(_DEMO, model=model))

  @parameterized.parameters(
    ('{"version": 2, "data": "natvid"}', 'data must have a "kind"'),
    ('{"version": 2, "data": {"kind": []}}', 'data must have a "kind"'),
    ('{"version": 2, "run": {"steps": "10"}}', 'run.steps` must be int'),
    ('{"version": 2', 'not valid JSON'),
    ('[]', 'must be an object of keys and values, but is a list'),
    ('null', 'must be an object of keys and values, but is null'),
    ('', 'line 1: expected JSON, but the file is empty'),
    ('{"version": "2"}', "`version` must be 2, but got '2'"),
    ('{"version": 2, "seed": 1, "seed": 2}', "'seed' is there twice"),
    ('{"version": 2, "seed": NaN}', '`seed` must be int'),
    ('{"version": 2, "seed": 1e400}', '`seed` must be int'),
    ('{"version": 2, "seed": 1' + '0' * 400 + '}', '`seed` must be int'),
    ('{"version": 2, "seed": 1' + '0' * 5000 + '}', 'at most 4300 digits'),
    (
      '{"version": 2, "optimiser": {"learning_rate": 1' + '0' * 400 + '}}',
      'learning_rate` must be float',
    ),
    ('{"version": 2, "data": ' + '[' * 100_000, 'nested too deeply'),
    (
      '{"version": 2, "data": {"kind": "folder", "data_dir": "a\\u0000b"}}',
      'data_dir` must be str',
    ),
    ('{"version": 2,\n"seed": }', 'line 2: not valid JSON'),
  )
  def test_edited_json(self, text, message):
    with self.assertRaisesRegex(fields.ConfigError, message):
      configs.from_json(text)

  def test_data_of(self):
    same = overrides.override(_DEMO, ['data.symmetry=mirror', 'run.steps=3'])
    other = overrides.override(_DEMO, ['model.n_bits=4'])
    self.assertEqual(configs.data_of(same), configs.data_of(_DEMO))
    self.assertNotEqual(configs.data_of(other), configs.data_of(_DEMO))

  @parameterized.parameters('train_videos=9', 'max_train_frames=9')
  def test_training_clips_change_no_held_out_data(self, assignment):
    balls = presets.PRESETS['balls']
    fewer = overrides.override(balls, [f'data.{assignment}'])
    self.assertEqual(configs.data_of(fewer), configs.data_of(balls))

  def test_choices_are_kept(self):
    before = configs.Config(data=data_sets.Folder(decode_device='cuda'))
    now = configs.Config(data=data_sets.Folder())
    self.assertEqual(configs.keep_choices(now, before), before)
    asked = configs.Config(data=data_sets.Folder(decode_device='cpu'))
    self.assertEqual(configs.keep_choices(asked, before), asked)
    self.assertEqual(configs.keep_choices(_DEMO, before), _DEMO)

  def test_without_places(self):
    records = data_sets.Tfrecord(data_dir='/a', data_service='grpc://b:1')
    config = dataclasses.replace(_DEMO, data=records)
    self.assertEqual(configs.without_places(config).data, data_sets.Tfrecord())

  def test_parts(self):
    flow = presets.PRESETS['cglow_small'].model
    self.assertEqual(flow.parts, ('head', 'tail'))
    self.assertEqual(dataclasses.replace(flow, head=None).parts, ('tail',))
    self.assertTrue(flow.takes_labels)
    self.assertFalse(dataclasses.replace(flow, head=None).takes_labels)
    self.assertFalse(models.Flow().takes_labels)


if __name__ == '__main__':
  absltest.main()
