"""Fields of config objects: their keys, types, choices and ranges.

A config is a tree of frozen dataclasses. A field holds a scalar (number, string
or bool) or a *part*: an object of one of a few dataclasses, the *kinds* of the
field, or None. The type annotation lists what the field takes:
`Union[None, FrameAffine, LevelMixture]`, `Literal['center', 'letterbox']`,
`Optional[float]`. A field of another type, such as a callable, is not a config
key; nor is a field whose metadata sets 'is_setting' to False.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from typing import Literal
from typing import Union

from train import errors

__all__ = [
  'ConfigError',
  'Field',
  'check_values',
  'fields_of',
  'flat',
  'kind_name',
  'number',
]


class ConfigError(errors.UserError):
  """A configuration that cannot be run."""


def number(default, least=None, above=None, below=None, most=None):
  """A field of a number n: least <= n <= most, above < n < below.

  Every number has a lower and an upper limit. The upper one may be far above
  what is useful, but what follows from it must still be an error in words:
  values near it neither overflow nor take minutes before they are refused.
  """
  limits = {'least': least, 'above': above, 'below': below, 'most': most}
  return dataclasses.field(default=default, metadata={'limits': limits})


@dataclasses.dataclass(frozen=True)
class Field:
  """The values that a config key takes.

  Attributes:
    kinds: Tuple of the dataclasses that a part may have; empty for a scalar.
    values: Tuple of the scalar types that it takes.
    choices: Tuple of single strings or numbers that it takes.
    is_optional: Python `bool`, whether it takes None.
    limits: `dict` of the bounds given to `number`.
  """

  kinds: tuple
  values: tuple
  choices: tuple
  is_optional: bool
  limits: dict

  @property
  def expected(self):
    """The accepted values in words: `str`."""
    words = [kind_name(kind) for kind in self.kinds]
    words += [kind.__name__ for kind in self.values]
    words += [repr(choice) for choice in self.choices]
    words += ['none'] if self.is_optional else []
    limits = [
      f'{text} {self.limits[name]}'
      for name, text in (
        ('least', 'at least'),
        ('above', 'above'),
        ('below', 'below'),
        ('most', 'at most'),
      )
      if self.limits.get(name) is not None
    ]
    return ' or '.join(words) + (', ' if limits else '') + ' and '.join(limits)


_MAX_SHOWN = 200  # Characters of a value in a message.
# `int | None` has a type of its own, from Python 3.10 on.
_UNIONS = (Union, getattr(types, 'UnionType', Union))


@functools.cache
def fields_of(cls):
  """The keys of a config dataclass: `dict` from names to `Field`s."""
  hints = typing.get_type_hints(cls)
  found = {}
  for field in dataclasses.fields(cls):
    kinds, values, choices, is_optional = _taken(hints[field.name])
    is_setting = field.metadata.get('is_setting', True)
    if is_setting and (kinds or values or choices):
      found[field.name] = Field(
        kinds,
        values,
        choices,
        is_optional,
        field.metadata.get('limits', {}),
      )
  return found


def _taken(annotation):
  members = (
    typing.get_args(annotation)
    if typing.get_origin(annotation) in _UNIONS
    else (annotation,)
  )
  kinds, values, choices = [], [], []
  for member in members:
    if dataclasses.is_dataclass(member):
      kinds.append(member)
    elif member in (bool, int, float, str):
      values.append(member)
    elif typing.get_origin(member) is Literal:
      choices += typing.get_args(member)
  return tuple(kinds), tuple(values), tuple(choices), type(None) in members


def kind_name(cls):
  """The name of a kind: 'level_mixture' for `LevelMixture`."""
  return re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', cls.__name__).lower()


def flat(config):
  """A config's keys and values: `dict`.

  Args:
    config: A config dataclass.

  Returns:
    `dict` from dotted keys to scalars. The key of a part maps to the name of
    its kind and comes before the keys of its fields.
  """
  return dict(_walk(config))


def _walk(config, prefix=''):
  for name, field in fields_of(type(config)).items():
    value = getattr(config, name)
    if dataclasses.is_dataclass(value):
      if len(field.kinds) > 1 or field.is_optional:
        yield prefix + name, kind_name(type(value))
      yield from _walk(value, f'{prefix}{name}.')
    else:
      yield prefix + name, value


def check_values(config, prefix=''):
  """Checks every field's type and range.

  Args:
    config: A config dataclass.
    prefix: `str`, put before field names in messages.

  Raises:
    ConfigError: if a value does not fit; it names the key, the accepted values
      and the value given.
  """
  settings = fields_of(type(config))
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if field.name not in settings and value != field.default:
      raise ConfigError(
        f'`{prefix}{field.name}` is no setting: a config cannot keep it, so it '
        f'must be {field.default!r}, but got {value!r}.'
      )
  for name, field in settings.items():
    value = getattr(config, name)
    if not _fits(value, field):
      raise ConfigError(
        f'`{prefix}{name}` must be {field.expected}, but got {_shown(value)}.'
      )
    if dataclasses.is_dataclass(value):
      check_values(value, f'{prefix}{name}.')


def _shown(value):
  text = repr(value)
  return text if len(text) <= _MAX_SHOWN else f'{text[:_MAX_SHOWN]}...'


def _fits(value, field):
  if value is None:
    return field.is_optional
  if any(type(c) is type(value) and c == value for c in field.choices):
    return True
  if isinstance(value, bool):
    return bool in field.values
  whole = (int,) if float in field.values else ()
  if not isinstance(value, (*field.kinds, *field.values, *whole)):
    return False
  if isinstance(value, str):
    return '\0' not in value  # The system takes no such path.
  if not isinstance(value, (int, float)):
    return True
  least, above, below, most = (
    field.limits.get(name) for name in ('least', 'above', 'below', 'most')
  )
  return (
    (isinstance(value, int) or math.isfinite(value))
    and (least is None or value >= least)
    and (above is None or value > above)
    and (below is None or value < below)
    and (most is None or value <= most)
  )
