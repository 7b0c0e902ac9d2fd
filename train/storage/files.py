"""Files that are there as a whole or not at all, and that outlive a crash."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import shutil
import uuid

from train import errors

__all__ = [
  'RunFolderError',
  'append_line',
  'check_is_local',
  'describe_os_error',
  'digest',
  'read_lines',
  'replacing',
  'reporting',
  'sync',
  'write_atomically',
  'write_synced',
]

_REASONS = {
  errno.EACCES: 'no permission',
  errno.EDQUOT: 'the quota is used up',
  errno.EFBIG: 'the file is larger than is allowed',
  errno.ENOENT: 'the file or its folder is gone',
  errno.ENOSPC: 'the disk is full',
  errno.EPERM: 'no permission',
  errno.EROFS: 'the file system is read-only',
}


class RunFolderError(errors.UserError):
  """A run's folder that cannot be used."""


def describe_os_error(error):
  """What an `OSError` means, with the system's words: `str`."""
  words = f'{error.strerror or error}'
  if error.errno in errno.errorcode:
    words += f', {errno.errorcode[error.errno]}'
  reason = _REASONS.get(error.errno)
  return f'{reason} ({words})' if reason else words


@contextlib.contextmanager
def reporting(path, doing='write'):
  """Turns an `OSError` into a `RunFolderError` that names `path`."""
  try:
    yield
  except OSError as e:
    raise RunFolderError(
      f'Cannot {doing} {path}: {describe_os_error(e)}.'
    ) from e


def check_is_local(path):
  """Raises `RunFolderError` for a path like 'gs://bucket/run'."""
  # pathlib makes one slash of two.
  scheme = re.match(r'([a-z][a-z0-9+.-]+):/', str(path))
  if scheme:
    raise RunFolderError(
      'Expected a folder of a local file system, which can lock, rename and '
      f'sync, but {path} is of {scheme[1]}.'
    )


def sync(path):
  """Makes a file's content, or what a folder lists, outlive a crash."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def digest(path):
  """A file's size and SHA-256: `dict`."""
  digest, size = hashlib.sha256(), 0
  with open(path, 'rb') as f:
    while block := f.read(2**20):
      digest.update(block)
      size += len(block)
  return {'size': size, 'sha256': digest.hexdigest()}


@contextlib.contextmanager
def replacing(path, temporary=None):
  """Gives a path to write to, which becomes `path` if nothing goes wrong.

  ```python
  with files.replacing('metrics.json') as temporary:
    temporary.write_text('{}')
  ```

  Nothing is synced, and no error is turned into another.

  Args:
    path: Path of a file, which is replaced, or of a folder, which does not
      exist or is empty.
    temporary: Path to be used, beside `path`; None: a hidden one of a new name.
      Nothing is left of it.

  Yields:
    `pathlib.Path`, for a file or folder to be made.
  """
  path = pathlib.Path(path)
  new_name = f'.{path.name}.{uuid.uuid4().hex[:12]}'
  temporary = temporary or path.with_name(new_name)
  try:
    yield temporary
    os.replace(temporary, path)
  finally:
    # There is one only if something went wrong.
    if temporary.is_dir():
      shutil.rmtree(temporary, ignore_errors=True)
    else:
      with contextlib.suppress(OSError):
        temporary.unlink()


def write_synced(path, data):
  """Writes text or bytes to the disk itself; raises `OSError`."""
  with open(path, 'wb') as f:
    f.write(data if isinstance(data, bytes) else data.encode('utf-8'))
    f.flush()
    os.fsync(f.fileno())


def write_atomically(path, data):
  """Writes text or bytes so that no reader sees half a file.

  Args:
    path: Path; a file there is replaced.
    data: `str` or `bytes`.

  Raises:
    RunFolderError: if it cannot be written; what was at `path` is left as is.
  """
  with reporting(path):
    with replacing(path) as temporary:
      write_synced(temporary, data)
    sync(pathlib.Path(path).parent)


def append_line(path, row):
  """Adds a line of JSON, below one that a crash cut short; raises `OSError`.

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


def read_lines(path):
  """The JSON of the whole lines: list of `dict`; of no file, none."""
  if not os.path.exists(path):
    return []
  rows = []
  # A crash of the machine may leave any bytes in place of the last line.
  for line in pathlib.Path(path).read_text('utf-8', 'replace').split('\n'):
    with contextlib.suppress(json.JSONDecodeError):
      row = json.loads(line)
      if isinstance(row, dict):
        rows.append(row)
  return rows
