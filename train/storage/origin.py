"""The runs whose weights a run started from (--init_from), in its folder."""

from __future__ import annotations

import json
import os

from train.storage import files
from train.storage import reading

__all__ = ['FILE', 'clear', 'copy', 'words', 'write']

FILE = 'init_from.json'


def write(folder, runs, not_copied):
  """Notes where a run's first weights come from.

  Args:
    folder: `pathlib.Path` of the run.
    runs: List of pairs of `str`: a run's path, and the part of its model that
      was copied, '' for all of it.
    not_copied: List of `str`, the weights that were not copied, and why.

  Raises:
    RunFolderError: if it cannot be written.
  """
  values = {
    'runs': [{'path': path, 'part': part} for path, part in runs],
    'not_copied': list(not_copied),
  }
  with files.reporting(folder / FILE):
    files.write_atomically(folder / FILE, json.dumps(values, indent=2) + '\n')


def clear(folder):
  """Removes the note of a run that begins anew, without other weights."""
  with files.reporting(folder / FILE):
    (folder / FILE).unlink(missing_ok=True)


def copy(folder, target):
  """Copies a run's note, if it has one, without places on this machine.

  Args:
    folder: `pathlib.Path` of the run.
    target: `pathlib.Path` of the folder that is to have the note.

  Raises:
    RunFolderError, JsonError: see `words`; or it cannot be written.
  """
  runs, left_out = _read(folder / FILE)
  for path, _ in runs:
    # The form of the lines of `weights.init_from`.
    here, there = f' {path} has ', f' {_name(path)} has '
    left_out = [line.replace(here, there) for line in left_out]
  if runs:
    write(target, [(_name(path), part) for path, part in runs], left_out)


def words(folder):
  """The note in words, without places on this machine.

  Args:
    folder: `pathlib.Path` of the run.

  Returns:
    `str`, such as 'heads:head, tails:tail'; '' for a run with weights of its
    own.

  Raises:
    RunFolderError: if a value is of another type than was written.
    JsonError: if it is not valid JSON.
  """
  runs, left_out = _read(folder / FILE)
  names = [
    f'{_name(path)}:{part}' if part else _name(path) for path, part in runs
  ]
  text = ', '.join(names)
  return text + (f'; {len(left_out)} weights not copied' if left_out else '')


def _read(path):
  """The arguments of `write`; no runs if there is no note."""
  if not path.exists():
    return [], []
  values = reading.read_json(path)
  runs, left_out = values.get('runs'), values.get('not_copied')
  if not isinstance(runs, list) or not isinstance(left_out, list):
    raise files.RunFolderError(
      f'{path}: expected `runs` and `not_copied` to be lists.'
    )
  return [_one(str(path), run) for run in runs], list(map(str, left_out))


def _one(where, run):
  run = run if isinstance(run, dict) else {}
  reading.require(where, run, {'path': str, 'part': str})
  return run['path'], run['part']


def _name(path):
  return os.path.basename(os.path.abspath(path))
