"""Reads the text and JSON files of a folder that others may have edited.

Run folders are copied, mailed and edited. What cannot be used is an error that
names the file, the line and what was expected.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import zipfile

import numpy as np

from train.config import strict_json
from train.storage import files

__all__ = [
  'numbered_lines',
  'read_arrays',
  'read_bytes',
  'read_json',
  'read_lines',
  'read_text',
  'require',
]

_MAX_BYTES = 2**28


def read_text(path):
  """The text of a file in UTF-8, without a byte order mark.

  Args:
    path: Path.

  Returns:
    `str`.

  Raises:
    RunFolderError: if it is missing, is no plain file, is too large, cannot be
      read or is not UTF-8.
  """
  data = read_bytes(path)
  try:
    return data.decode('utf-8-sig')
  except UnicodeDecodeError as e:
    line = data.count(b'\n', 0, e.start) + 1
    raise files.RunFolderError(
      f'{path}, line {line}: expected text in UTF-8, but got the byte '
      f'0x{data[e.start]:02x}.'
    ) from None


def read_bytes(path):
  """The content of a plain file; `RunFolderError` as by `read_text`."""
  path = pathlib.Path(path)
  with files.reporting(path, 'read'):
    # A pipe would block, and a device has no end.
    if path.exists() and not path.is_file():
      raise files.RunFolderError(f'Expected {path} to be a file.')
    size = os.path.getsize(path)
    if size > _MAX_BYTES:
      raise files.RunFolderError(
        f'Expected {path} to have at most {_MAX_BYTES} bytes, but it has '
        f'{size}.'
      )
    return path.read_bytes()


def read_json(path, expected=dict):
  """The value in a file of JSON.

  Args:
    path: Path.
    expected: `dict` or `list`, type of the outermost value.

  Returns:
    The value.

  Raises:
    RunFolderError: see `read_text`.
    JsonError: see `strict_json.parse`.
  """
  return strict_json.parse(read_text(path), str(path), expected)


def read_lines(path):
  """Reads the complete lines of JSON: list of `dict`, empty without a file."""
  return [row for _, row in numbered_lines(path)]


def numbered_lines(path):
  """The complete lines of JSON, as pairs of line number and `dict`."""
  if not os.path.exists(path):
    return []
  rows = []
  # A crash of the machine may leave arbitrary bytes in the last line.
  text = read_bytes(pathlib.Path(path)).decode('utf-8-sig', 'replace')
  for number, line in enumerate(text.split('\n'), 1):
    # ValueError also stands for numbers of thousands of digits.
    with contextlib.suppress(ValueError, RecursionError):
      row = json.loads(line)
      if isinstance(row, dict):
        rows.append((number, row))
  return rows


def read_arrays(path):
  """The `dict` of arrays in an NPZ file; empty if there is no such file.

  Raises:
    RunFolderError: if it cannot be read.
  """
  if not pathlib.Path(path).is_file():
    return {}
  try:
    with files.reporting(path, 'read'), np.load(path) as arrays:
      return dict(arrays)
  except (ValueError, EOFError, zipfile.BadZipFile, TypeError) as e:
    if isinstance(e, files.RunFolderError):
      raise
    raise files.RunFolderError(
      f'Expected arrays of NumPy (NPZ) in {path}, but: {e}.'
    ) from None


def require(where, values, types):
  """Raises `RunFolderError` unless values have the types that are expected.

  Args:
    where: `str`, the file and, if it has several, the line.
    values: `dict`.
    types: `dict` from keys to `int`, `float` (any number), `str` or `dict`. The
      keys are required.
  """
  for key, kind in types.items():
    value = values.get(key)
    fits = (int, float) if kind is float else kind
    if not isinstance(value, fits) or isinstance(value, bool):
      raise files.RunFolderError(
        f'{where}: expected `{key}` to be {_WORDS[kind]}, but got {value!r}.'
      )


_WORDS = {
  int: 'a whole number',
  float: 'a number',
  str: 'a string',
  dict: 'an object of keys and values',
}
