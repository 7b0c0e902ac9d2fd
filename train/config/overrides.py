"""Configs as text: `key=value` assignments, JSON, and differences."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import json

from train.config import fields

__all__ = [
  'changes',
  'construct',
  'differences',
  'override',
  'pairs',
  'to_values',
]


_ABSENT = object()
_LARGE = 10**300  # Whole numbers may be above the largest float.


def override(config, assignments):
  """Applies `key=value` assignments, one after another.

  `model.tail.first=level_mixture` replaces a part by one of another kind.
  Fields that both kinds inherit from a common base keep their values, if these
  were changed; all others take the new kind's defaults.
  `model.tail.first.halvings=1` sets a field of a part.

  Args:
    config: A config dataclass.
    assignments: List of `str`. The value `none` stands for None.

  Returns:
    A new config.

  Raises:
    ConfigError: if a key does not exist (the message lists similar ones) or a
      value does not fit its key.
  """
  for assignment in assignments:
    key, separator, value = assignment.partition('=')
    if not separator:
      raise fields.ConfigError(
        f'--set expects key=value, but got {assignment!r}.'
      )
    key = key.strip()
    config = _assign(config, config, key, key.split('.'), value)
  return config


def _assign(whole, config, key, path, text):
  name, *rest = path
  known = fields.fields_of(type(config))
  if name not in known:
    raise fields.ConfigError(_unknown_key(whole, config, key, path))
  field, current = known[name], getattr(config, name)
  is_text = not rest and str in field.values
  text = text if is_text else text.strip()
  if rest:
    if not dataclasses.is_dataclass(current):
      raise fields.ConfigError(_no_part(field, key, rest, current))
    value = _assign(whole, current, key, rest, text)
  elif field.kinds:
    value = _part(field, key, current, text)
  else:
    value = _parse(field, key, text)
  return dataclasses.replace(config, **{name: value})


def _part(field, key, current, text):
  """A part of the kind that `text` names."""
  if field.is_optional and text.lower() == 'none':
    return None
  kinds = {fields.kind_name(kind): kind for kind in field.kinds}
  if text not in kinds:
    inner = ''
    if dataclasses.is_dataclass(current):
      names = ', '.join(fields.fields_of(type(current)))
      inner = f'; or set one of its keys: {names}' if names else ''
    raise fields.ConfigError(
      f'{key!r} is a part, {field.expected}, but got {text!r}{inner}.'
    )
  cls = kinds[text]
  if type(current) is cls:
    return current
  return cls(**_shared(current, cls))


def _shared(current, cls):
  """Values of the fields of a common base, with the same default in both."""
  if not dataclasses.is_dataclass(current):
    return {}
  bases = [c for c in type(current).__mro__ if c in cls.__mro__]
  names = [
    f.name
    for base in bases
    if dataclasses.is_dataclass(base)
    for f in dataclasses.fields(base)
  ]
  before, after = (
    {f.name: f.default for f in dataclasses.fields(kind)}
    for kind in (current, cls)
  )
  return {
    name: getattr(current, name)
    for name in names
    if before[name] == after[name]
  }


def _unknown_key(whole, config, key, path):
  here = key.split('.')[: -len(path)]
  known = list(fields.flat(whole))
  last = path[-1]
  by_name = {}
  for k in known:
    by_name.setdefault(k.split('.')[-1], []).append(k)
  names = difflib.get_close_matches(last, by_name, n=3, cutoff=0.6)
  near = [k for name in names for k in by_name[name]][:4]
  near = near or difflib.get_close_matches(key, known, n=3, cutoff=0.6)
  words = f'No such config key: {key!r}.'
  if here:
    words += (
      f' `{".".join(here)}` is {fields.kind_name(type(config))}, which has '
      f'{", ".join(fields.fields_of(type(config))) or "no keys"}.'
    )
  return words + (f' Did you mean {", ".join(near)}?' if near else '')


def _no_part(field, key, rest, current):
  here = '.'.join(key.split('.')[: -len(rest)])
  if field.kinds:
    kinds = ', '.join(fields.kind_name(k) for k in field.kinds)
    return (
      f'No such config key: {key!r}. `{here}` is none; make it one of {kinds} '
      f'first, as in --set {here}={fields.kind_name(field.kinds[-1])}.'
    )
  return (
    f'No such config key: {key!r}. `{here}` is {current!r} and has no keys.'
  )


def _parse(field, key, text):
  if field.is_optional and text.lower() == 'none':
    return None
  if str in field.values or text in field.choices:
    return text
  if bool in field.values and text.lower() in ('true', 'false'):
    return text.lower() == 'true'
  try:
    value = ast.literal_eval(text)
  except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
    value = text
  if any(type(c) is type(value) and c == value for c in field.choices):
    return value
  if float in field.values and type(value) in (int, float):
    return _as_float(value)
  if int in field.values and type(value) is int:
    return value
  raise fields.ConfigError(f'{key!r} takes {field.expected}, but got {text!r}.')


def _as_float(value):
  """A number as a float; a whole number too large for one is left as it is."""
  return float(value) if abs(value) < _LARGE else value


def to_values(config):
  """A config as nested `dict`s for JSON; 'kind' is the first key of a part."""
  values = {}
  for name, field in fields.fields_of(type(config)).items():
    value = getattr(config, name)
    if dataclasses.is_dataclass(value):
      is_chosen = len(field.kinds) > 1
      kind = {'kind': fields.kind_name(type(value))} if is_chosen else {}
      value = {**kind, **to_values(value)}
    values[name] = value
  return values


def construct(cls, values, where):
  """Makes a config from the `dict` that `to_values` gave; its inverse.

  Args:
    cls: The config's dataclass.
    values: `dict`.
    where: `str`, the source of the values, for messages.

  Returns:
    An object of `cls`; fields that `values` lacks have their defaults.

  Raises:
    ConfigError: if a key or kind is unknown, or a part is not a `dict`.
  """
  known = fields.fields_of(cls)
  if not isinstance(values, dict):
    raise fields.ConfigError(
      f'{where} must be an object of keys and values, but is '
      f'{json.dumps(values)}.'
    )
  unknown = set(values) - set(known)
  if unknown:
    raise fields.ConfigError(
      f'{where} has keys that this version does not know: '
      f'{", ".join(sorted(map(str, unknown)))}.'
    )
  return cls(
    **{
      name: _construct_value(known[name], value, f'{where}: {name}')
      for name, value in values.items()
    }
  )


def _construct_value(field, value, where):
  if not field.kinds or value is None:
    is_whole = type(value) is int and float in field.values
    return _as_float(value) if is_whole else value
  kinds = {fields.kind_name(kind): kind for kind in field.kinds}
  if len(kinds) == 1:
    return construct(field.kinds[0], value, where)
  kind = value.get('kind') if isinstance(value, dict) else value
  if not isinstance(value, dict) or kind not in list(kinds):
    raise fields.ConfigError(
      f'{where} must have a "kind" of {", ".join(kinds)}, but got {kind!r}.'
    )
  rest = {k: v for k, v in value.items() if k != 'kind'}
  return construct(kinds[kind], rest, where)


def changes(config, base):
  """The assignments that turn `base` into `config`.

  Args:
    config: A config dataclass.
    base: Another object of the same class.

  Returns:
    List of `key=value`, for `override`; a part's kind comes before its fields.
  """
  made = []
  for key, value in fields.flat(config).items():
    if fields.flat(base).get(key, _ABSENT) != value:
      made.append(f'{key}={value}')
      base = override(base, made[-1:])
  return made


def pairs(ours, theirs):
  """Every key of two configs: list of (key, ours, theirs).

  The value is None if a config lacks the key.
  """
  left, right = fields.flat(ours), fields.flat(theirs)
  keys = [*left, *(k for k in right if k not in left)]
  return [(key, left.get(key), right.get(key)) for key in keys]


def differences(ours, theirs):
  """Lines `key: theirs -> ours` for every key that differs."""
  return [
    f'{key}: {b!r} -> {a!r}' for key, a, b in pairs(ours, theirs) if a != b
  ]
