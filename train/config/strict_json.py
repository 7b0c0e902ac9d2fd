"""Parses the JSON of a run's files; errors say where and what was expected."""

from __future__ import annotations

import json

from train.config import fields

__all__ = ['JsonError', 'parse']

_TYPES = {
  dict: 'an object of keys and values',
  list: 'a list',
  str: 'a string',
  bool: 'true or false',
  type(None): 'null',
  int: 'a number',
  float: 'a number',
}


class JsonError(fields.ConfigError):
  """A text is not the JSON that was expected."""


def parse(text, where, expected=dict):
  """Parses JSON.

  Args:
    text: `str`.
    where: `str`, the source of the text, for messages.
    expected: `dict` or `list`, type of the outermost value.

  Returns:
    The value.

  Raises:
    JsonError: if the text is not valid JSON, names a key twice, is nested too
      deeply, or is of another type.
  """
  try:
    value = json.loads(text, object_pairs_hook=_without_duplicates)
  except _Duplicate as e:
    raise JsonError(
      f'{where}: expected each key once, but {e.args[0]!r} is there twice.'
    ) from None
  except json.JSONDecodeError as e:
    raise JsonError(f'{where}, line {e.lineno}: {_problem(text, e)}.') from None
  except ValueError:  # Python refuses to parse thousands of digits.
    raise JsonError(
      f'{where}: expected numbers of at most 4300 digits.'
    ) from None
  except RecursionError:
    raise JsonError(f'{where}: is nested too deeply.') from None
  if type(value) is not expected:
    raise JsonError(
      f'{where} must be {_TYPES[expected]}, but is {_TYPES[type(value)]}.'
    )
  return value


class _Duplicate(Exception):
  """A key that an object has twice."""


def _without_duplicates(pairs):
  found = dict(pairs)
  if len(found) < len(pairs):
    names = [name for name, _ in pairs]
    raise _Duplicate(next(name for name in names if names.count(name) > 1))
  return found


def _problem(text, error):
  if not text.strip():
    return 'expected JSON, but the file is empty'
  if error.pos >= len(text.rstrip()):
    return f'not valid JSON: it ends too early ({error.msg})'
  return f'not valid JSON: {error.msg} at column {error.colno}'
