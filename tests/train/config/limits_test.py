"""Walks over every field of every config object: each has limits and a type."""

from __future__ import annotations

import dataclasses
import math
import os
import time
import unittest.mock

from absl.testing import absltest
from absl.testing import parameterized

from train.config import configs
from train.config import data_sets
from train.config import fields
from train.config import models
from train.config import overrides
from train.config import presets
from train.data import inputs
from train.loop import session

_HUGE = (10**20, 10**400)
_SCALARS = (None, True, 'nonsense', -7.5, math.nan, math.inf, [], {}, '\0')


def _walk(cls, prefix='', assignments=()):
  """Yields (key, `Field`, assignments that make the key exist)."""
  for name, field in fields.fields_of(cls).items():
    key = prefix + name
    for kind in field.kinds:
      made = f'{key}={fields.kind_name(kind)}'
      is_chosen = len(field.kinds) > 1 or field.is_optional
      yield from _walk(
        kind, f'{key}.', assignments + ((made,) if is_chosen else ())
      )
    if not field.kinds:
      yield key, field, assignments


_FIELDS = list(_walk(configs.Config))
_NUMBERS = [row for row in _FIELDS if set(row[1].values) & {int, float}]


def _with(config, key, value):
  """`config` with a value that no assignment would give."""
  name, _, rest = key.partition('.')
  if rest:
    value = _with(getattr(config, name), rest, value)
  return dataclasses.replace(config, **{name: value})


def _config(assignments):
  return overrides.override(configs.Config(), assignments)


def _fits(field, value):
  """Whether a value has a type that the annotation of a field lists."""
  if value is None:
    return field.is_optional
  kinds = (*field.values, *((int,) if float in field.values else ()))
  return type(value) in kinds or value in field.choices


def _outside(limits):
  """Numbers just below and above the limits."""
  least, above = limits.get('least'), limits.get('above')
  below, most = limits.get('below'), limits.get('most')
  if least is not None:
    yield least - 1 if isinstance(least, int) else _just_below(least)
  if above is not None:
    yield above
  if below is not None:
    yield below
  if most is not None:
    yield most + 1 if isinstance(most, int) else most * 1.01 + 1e-9


def _just_below(number):
  return math.nextafter(number, -math.inf)


class LimitsTest(parameterized.TestCase):
  def test_the_walk_sees_all_kinds(self):
    keys = {key for key, _, _ in _FIELDS}
    for preset in presets.PRESETS.values():
      scalars = {
        key
        for key, value in fields.flat(preset).items()
        if not _is_part(preset, key)
      }
      self.assertLessEqual(scalars, keys)
    self.assertGreater(len(_NUMBERS), 60)

  def test_every_number_has_two_limits(self):
    for key, field, _ in _NUMBERS:
      limits = {k for k, v in field.limits.items() if v is not None}
      self.assertTrue(limits & {'least', 'above'}, key)
      self.assertTrue(limits & {'below', 'most'}, key)

  def test_wrong_types_and_numbers_out_of_range_are_refused(self):
    start = time.monotonic()
    for key, field, assignments in _FIELDS:
      config = _config(assignments)
      values = [v for v in _SCALARS if v == '\0' or not _fits(field, v)]
      if set(field.values) & {int, float}:
        values += [*_HUGE, *_outside(field.limits), math.nan, math.inf, '3']
      for value in values:
        with self.assertRaises(fields.ConfigError, msg=f'{key}={value!r}') as e:
          configs.check(_with(config, key, value))
        self.assertIn(f'`{key}` must be', str(e.exception))
        self.assertLen(str(e.exception).splitlines(), 1)
    self.assertLess(time.monotonic() - start, 10)

  def test_limits_themselves_are_taken(self):
    for key, field, assignments in _NUMBERS:
      for name in ('least', 'most'):
        value = field.limits.get(name)
        if value is not None:
          fields.check_values(_with(_config(assignments), key, value))

  @parameterized.parameters(
    'data.frame_size=31',
    'data.frame_size=1e9',
    'data.frame_size=8192',
    'data.num_frames=10001',
    'data.num_frames=10000',
    'model.head.num_glow_blocks=13',
    'model.head.steps.num_steps=1000000000',
    'model.head.steps.hidden_channels=16384',
    'model.tail.first.mean.radius=16',
    'run.batch_size=1000000',
    'run.sample_frames=0',
    'run.temperature=-1',
    'run.temperature=nan',
    'run.profile_steps=7,8',
  )
  def test_a_run_is_refused_before_its_data_are_opened(self, assignment):
    base = presets.PRESETS['cglow_small']
    base = overrides.override(base, ['data=shapes', 'run.steps=6'])
    if 'hidden_channels' in assignment:
      base = overrides.override(base, ['model.head.steps.num_steps=1000'])
    if 'radius' in assignment:
      base = overrides.override(base, ['data.frame_size=8'])
    if 'num_frames' in assignment:
      base = overrides.override(base, ['data.frame_size=128'])
    workdir = os.path.join(self.create_tempdir().full_path, 'run')
    start = time.monotonic()
    with (
      unittest.mock.patch.object(inputs, 'make_inputs') as opened,
      self.assertRaises(fields.ConfigError),
    ):
      session.train(overrides.override(base, [assignment]), workdir)
    opened.assert_not_called()
    self.assertFalse(os.path.exists(workdir))
    self.assertLess(time.monotonic() - start, 10)

  def test_a_gan_is_refused_before_its_data_are_opened(self):
    config = dataclasses.replace(
      presets.PRESETS['gan_paper'],
      data=data_sets.Shapes(frame_size=30),
      model=models.Gan(num_levels=2),
    )
    workdir = os.path.join(self.create_tempdir().full_path, 'run')
    with (
      unittest.mock.patch.object(inputs, 'make_inputs') as opened,
      self.assertRaisesRegex(fields.ConfigError, 'divisible by 4, but got 30'),
    ):
      session.train(config, workdir)
    opened.assert_not_called()


def _is_part(config, key):
  value = config
  for name in key.split('.'):
    value = getattr(value, name)
  return value is None or dataclasses.is_dataclass(value)


if __name__ == '__main__':
  absltest.main()
