"""Tests of fields.py: what keys there are, and what each takes."""

from __future__ import annotations

import dataclasses
from typing import Any
from typing import Literal
from typing import Optional
from typing import Union

from absl.testing import absltest
from absl.testing import parameterized

from train.config import fields


@dataclasses.dataclass(frozen=True)
class Round:
  radius: float = fields.number(1.0, above=0.0, below=10.0)


@dataclasses.dataclass(frozen=True)
class HardSquare:
  side: int = fields.number(2, least=1)


@dataclasses.dataclass(frozen=True)
class _Picture:
  shape: Union[None, Round, HardSquare] = Round()
  frame: HardSquare = HardSquare()
  channels: Literal[1, 3] = 3
  crop: Literal['center', 'letterbox'] = 'center'
  halvings: Union[int, Literal['all']] = 0
  rate: Optional[float] = None
  is_flipped: bool = False
  network: Any = None
  hidden: int = dataclasses.field(default=3, metadata={'is_setting': False})


class FieldsTest(parameterized.TestCase):
  def test_flat_has_a_key_for_each_choice_and_value(self):
    self.assertEqual(
      fields.flat(_Picture()),
      {
        'shape': 'round',
        'shape.radius': 1.0,
        'frame.side': 2,
        'channels': 3,
        'crop': 'center',
        'halvings': 0,
        'rate': None,
        'is_flipped': False,
      },
    )
    without = fields.flat(_Picture(shape=None))
    self.assertIsNone(without['shape'])
    self.assertNotIn('shape.radius', without)

  def test_kind_name(self):
    self.assertEqual(fields.kind_name(HardSquare), 'hard_square')

  @parameterized.parameters(
    ({'shape': HardSquare()},),
    ({'channels': 1, 'halvings': 'all', 'rate': 0.5},),
    ({'rate': 1},),
  )
  def test_good_values(self, values):
    fields.check_values(_Picture(**values))

  @parameterized.parameters(
    ({'shape': 3}, '`shape` must be .*round or .*hard_square or none.*got 3'),
    ({'shape': Round(0.0)}, '`shape.radius` must be float, above 0.0'),
    ({'shape': Round(float('nan'))}, '`shape.radius`.*got nan'),
    ({'shape': HardSquare(0)}, '`shape.side` must be int, at least 1.*got 0'),
    ({'frame': None}, '`frame`.*got None'),
    ({'channels': 2}, '`channels` must be 1 or 3, but got 2'),
    ({'channels': True}, '`channels`.*got True'),
    ({'crop': 'centre'}, "`crop` must be 'center' or 'letterbox'.*'centre'"),
    ({'halvings': 'some'}, "`halvings` must be int or 'all'.*'some'"),
    ({'halvings': 1.0}, '`halvings`.*got 1.0'),
    ({'rate': '2'}, "`rate` must be float or none.*'2'"),
    ({'is_flipped': 1}, '`is_flipped` must be bool, but got 1'),
    ({'is_flipped': None}, '`is_flipped`.*got None'),
  )
  def test_bad_values(self, values, message):
    with self.assertRaisesRegex(fields.ConfigError, message):
      fields.check_values(_Picture(**values))


if __name__ == '__main__':
  absltest.main()
