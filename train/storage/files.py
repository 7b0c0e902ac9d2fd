"""Writes files atomically, so that they survive a crash."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import uuid

from train import errors
from train import failures

__all__ = [
  'RunFolderError',
  'append_line',
  'check_is_local',
  'describe_os_error',
  'digest',
  'replacing',
  'reporting',
  'sync',
  'write_atomically',
  'write_synced',
]

describe_os_error = failures.describe_os_error


class RunFolderError(errors.UserError):
  """The folder of a run cannot be used."""


@contextlib.contextmanager
def reporting(path, doing='write'):
  """Turns an error of the system into a `RunFolderError` that names `path`.

  It is an `OSError`, or what TensorFlow makes of one.
  """
  try:
    yield
  except Exception as e:
    words = failures.words_of_system(e)
    if words is None:
      raise
    raise RunFolderError(f'Cannot {doing} {path}: {words}.') from e


def check_is_local(path):
  """Raises `RunFolderError` for a path like 'gs://bucket/run'."""
  # pathlib replaces two slashes by one.
  scheme = re.match(r'([a-z][a-z0-9+.-]+):/', str(path))
  if scheme:
    raise RunFolderError(
      'Expected a folder on a local file system, which can lock, rename and '
      f'sync, but {path} is of {scheme[1]}.'
    )


def sync(path):
  """Writes a file's content, or a folder's list of names, to the disk."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def digest(path, most=None):
  """Size and SHA-256 of a file, or of its first `most` bytes: `dict`."""
  digest, size = hashlib.sha256(), 0
  with open(path, 'rb') as f:
    while block := f.read(2**20 if most is None else min(2**20, most - size)):
      digest.update(block)
      size += len(block)
  return {'size': size, 'sha256': digest.hexdigest()}


@contextlib.contextmanager
def replacing(path, temporary=None):
  """Yields a path to write to, which is renamed to `path` if nothing fails.

  ```python
  with files.replacing('metrics.json') as temporary:
    temporary.write_text('{}')
  ```

  Nothing is synced, and errors are passed on unchanged.

  Args:
    path: Path of a file, which is replaced, or of a folder that does not exist
      or is empty.
    temporary: Path to use, in the same folder; None: a new hidden name. It is
      removed if something fails.

  Yields:
    `pathlib.Path` of the file or folder to write.
  """
  path = pathlib.Path(path)
  new_name = f'.{path.name}.{uuid.uuid4().hex[:12]}'
  temporary = temporary or path.with_name(new_name)
  try:
    yield temporary
    os.replace(temporary, path)
  finally:
    # It exists only if something failed.
    if temporary.is_dir():
      shutil.rmtree(temporary, ignore_errors=True)
    else:
      with contextlib.suppress(OSError):
        temporary.unlink()


def write_synced(path, data):
  """Writes and syncs text or bytes; raises `OSError`."""
  with open(path, 'wb') as f:
    f.write(data if isinstance(data, bytes) else data.encode('utf-8'))
    f.flush()
    os.fsync(f.fileno())


def write_atomically(path, data):
  """Writes and syncs text or bytes; readers see the old file or the new one.

  Args:
    path: Path; an existing file is replaced.
    data: `str` or `bytes`.

  Raises:
    RunFolderError: if it cannot be written; an existing file is not changed.
  """
  with reporting(path):
    with replacing(path) as temporary:
      write_synced(temporary, data)
    sync(pathlib.Path(path).parent)


def append_line(path, row):
  """Appends a line of JSON; raises `OSError`.

  If a crash cut the last line short, the new one still begins a line.

  Args:
    path: Path.
    row: `dict`.
  """
  line = json.dumps(row) + '\n'
  with open(path, 'ab+') as f:
    if f.seek(0, os.SEEK_END):
      f.seek(-1, os.SEEK_END)
      line = line if f.read(1) == b'\n' else '\n' + line
    f.write(line.encode('utf-8'))
    f.flush()
    os.fsync(f.fileno())
