"""Writes and checks the files of one checkpoint.

A checkpoint is a folder `step_00000400` with TensorFlow's files and a manifest
of the step, the held-out bits/dim and each file's size and SHA-256.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import stat

from tfp_cglow.internal import plain_paths
from train import errors
from train.storage import files as files_lib

__all__ = [
  'CheckpointError',
  'DamageError',
  'check_content',
  'describe',
  'first_line',
  'looks_whole',
  'path_of',
  'prefix_of',
  'read_manifest',
  'sync_file',
  'write_manifest',
]

PREFIX = 'variables'  # Prefix of TensorFlow's files.
_INDEX = f'{PREFIX}.index'
_FILE = re.compile(rf'{PREFIX}\.(index|data-\d{{5}}-of-\d{{5}})')
_NOT_JSON = (ValueError, RecursionError)
_FORMAT = 1
_MANIFEST = 'manifest.json'
_MAX_MANIFEST_BYTES = 2**20


class CheckpointError(errors.UserError):
  """A checkpoint cannot be written, read or used."""


class DamageError(Exception):
  """The bytes of a checkpoint are not those that were written.

  Only a checksum of bytes that were read says so. What cannot be read is a
  `CheckpointError`: the checkpoint may be intact.
  """


def path_of(folder, step):
  """The folder of a step's checkpoint."""
  return folder / f'step_{step:08}'


def prefix_of(path):
  """The prefix of a checkpoint's files, for TensorFlow: `str`."""
  return f'{plain_paths.plain(path)}/{PREFIX}'


def read_manifest(path):
  """Reads the manifest, and checks its own checksum.

  Raises:
    DamageError: if it is not as it was written.
    CheckpointError: if it cannot be read, another version wrote it, or it
      names other files than those of this folder.
  """
  with _reading(path):
    text = _read_regular(path / _MANIFEST, _MAX_MANIFEST_BYTES)
    names = sorted(os.listdir(path))
  manifest = _parse(text)
  if manifest.get('format') != _FORMAT:
    raise CheckpointError(
      f'Expected a checkpoint of format {_FORMAT}, but {path} is of '
      f'{manifest.get("format")}: another version of this program wrote it.'
    )
  if not _has_fields(manifest):
    raise _foreign(path, f'{_MANIFEST} has other fields')
  if path_of(path.parent, manifest['step']) != path:
    raise CheckpointError(
      f'{path} has been renamed: its {_MANIFEST} is of step '
      f'{manifest["step"]}. Give it its name back, or move it away.'
    )
  _check_names(path, manifest['files'], names)
  return manifest


def _parse(text):
  """The manifest in a text; `DamageError` unless it has its own checksum."""
  try:
    manifest = json.loads(text)
    sha256 = manifest.pop('sha256')
  except (*_NOT_JSON, AttributeError, KeyError, TypeError) as e:
    raise DamageError(f'{_MANIFEST} cannot be read: {e!r}') from e
  if sha256 != _manifest_digest(manifest):
    raise DamageError(f'{_MANIFEST} does not have the SHA-256 that it states')
  return manifest


def _has_fields(manifest):
  """Whether a manifest has the fields that this program writes."""
  files, score = manifest.get('files'), manifest.get('held_out_bits_per_dim')
  return (
    type(manifest.get('step')) is int
    and (score is None or type(score) in (int, float))
    and isinstance(files, dict)
    and all(
      isinstance(digest, dict)
      and digest.keys() == {'size', 'sha256'}
      and type(digest['size']) is int
      and digest['size'] >= 0
      for digest in files.values()
    )
  )


def _check_names(path, listed, present):
  """Raises unless the manifest lists all of TensorFlow's files in the folder.

  Args:
    path: Path of the checkpoint.
    listed: Names in the manifest.
    present: List of the names in the folder.
  """
  foreign = [name for name in listed if not _FILE.fullmatch(name)]
  if foreign:
    raise _foreign(path, f'{_MANIFEST} lists {foreign[0]!r}')
  own = [name for name in present if _FILE.fullmatch(name)]
  unlisted = [name for name in own if name not in listed]
  if unlisted:
    raise _foreign(path, f'{_MANIFEST} does not list {unlisted[0]}')
  if _INDEX not in listed or len(listed) < 2:
    raise _foreign(path, f'{_MANIFEST} does not list all files')
  missing = sorted(set(listed) - set(own))
  if missing:
    raise _incomplete(path, missing[0])


def write_manifest(folder, step, held_out_bits_per_dim, files):
  value = held_out_bits_per_dim
  manifest = {
    'format': _FORMAT,
    'step': int(step),
    # JSON has no NaN, and NaN cannot be the best value.
    'held_out_bits_per_dim': (
      None if value is None or not math.isfinite(value) else float(value)
    ),
    'files': files,
  }
  manifest['sha256'] = _manifest_digest(manifest)
  files_lib.write_synced(
    folder / _MANIFEST, json.dumps(manifest, indent=2) + '\n'
  )


def _manifest_digest(manifest):
  text = json.dumps(manifest, sort_keys=True)
  return hashlib.sha256(text.encode('utf-8')).hexdigest()


def looks_whole(path, manifest):
  """Whether all files have the sizes of the manifest; reads none of them."""
  with _reading(path):
    for name in manifest['files']:
      _check_regular(path / name)
    return all(
      _size(path / name) == expected['size']
      for name, expected in manifest['files'].items()
    )


def check_content(path, manifest, max_bytes=None):
  """Reads all files, and compares their checksums with the manifest.

  Args:
    path: Path of the checkpoint.
    manifest: `dict`, from `read_manifest`.
    max_bytes: Python `int`, size above which the files are not those of a
      checkpoint that could be used; None: no limit.

  Raises:
    DamageError: if a file's content is not that of the manifest.
    CheckpointError: if a file cannot be read, or is too large.
  """
  total = sum(expected['size'] for expected in manifest['files'].values())
  if max_bytes is not None and total > max_bytes:
    raise _foreign(
      path, f'its files have {total} bytes, {max_bytes} are expected at most'
    )
  with _reading(path):
    for name, expected in manifest['files'].items():
      _check_regular(path / name)
      # One byte more than there should be tells of a longer file.
      found = files_lib.digest(path / name, expected['size'] + 1)
      if found['size'] != expected['size']:
        raise DamageError(
          f'{name} has {_size(path / name)} bytes, expected {expected["size"]}'
        )
      if found != expected:
        raise DamageError(f'{name} has another SHA-256 than when written')


@contextlib.contextmanager
def _reading(path):
  """Turns errors of reading into `CheckpointError`."""
  try:
    yield
  except FileNotFoundError as e:
    raise _incomplete(path, os.path.basename(e.filename or path)) from e
  except OSError as e:
    raise CheckpointError(
      f'Cannot read the checkpoint {path}: {describe(e)}. It may be intact: '
      'try again when it can be read, or move that folder away to use the '
      'one before.'
    ) from e


def _incomplete(path, name):
  return CheckpointError(
    f'The checkpoint {path} is not complete: there is no {name}. Put it back, '
    'or move that folder away to use the one before.'
  )


def _foreign(path, what):
  return CheckpointError(
    f'This program did not write the checkpoint {path}: {what}. It is not '
    'opened.'
  )


def _check_regular(path):
  """Raises unless it is a plain file of the folder; a device may never end."""
  if not stat.S_ISREG(path.lstat().st_mode):
    raise _foreign(path.parent, f'{path.name} is no plain file')


def _read_regular(path, max_bytes):
  """The bytes of a small plain file."""
  _check_regular(path)
  if _size(path) > max_bytes:
    raise _foreign(path.parent, f'{path.name} has {_size(path)} bytes')
  return path.read_bytes()


def _size(path):
  return path.lstat().st_size


def sync_file(path):
  """Writes a file to the disk and drops it from the cache of the system.

  The next reader then reads what is on the disk.
  """
  files_lib.sync(path)
  if hasattr(os, 'posix_fadvise'):
    with open(path, 'rb') as f:
      os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def describe(error):
  if isinstance(error, OSError):
    return files_lib.describe_os_error(error)
  return first_line(error)


def first_line(error):
  text = getattr(error, 'message', None) or str(error)
  line = (text.splitlines() or [type(error).__name__])[0]
  # Remove the place in TensorFlow's graph.
  return re.sub(r'^\{\{.*?\}\} | \[Op:.*', '', line)
