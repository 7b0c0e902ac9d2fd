"""Writes and checks the files of one checkpoint.

A checkpoint is a folder `step_00000400` with TensorFlow's files and a manifest
of the step, the held-out bits/dim and each file's size and SHA-256.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import pathlib
import re

import tensorflow as tf

from train import errors
from train.storage import files as files_lib

__all__ = [
  'PREFIX',
  'CheckpointError',
  'DamageError',
  'check_content',
  'describe',
  'first_line',
  'path_of',
  'read_manifest',
  'sync_file',
  'write_manifest',
]

PREFIX = 'variables'  # Prefix of TensorFlow's files.
_FORMAT = 1
_MANIFEST = 'manifest.json'
# Errors of reading that mean that the checkpoint is damaged. With others, such
# as a lack of permission, it may be intact.
_DAMAGES = (errno.EIO, errno.EISDIR, errno.ENOENT, errno.ENOTDIR)


class CheckpointError(errors.UserError):
  """A checkpoint cannot be written, read or used."""


class DamageError(Exception):
  """A checkpoint is damaged; the message says how."""


def path_of(folder, step):
  """The folder of a step's checkpoint."""
  return folder / f'step_{step:08}'


def read_manifest(path):
  """Reads the manifest, and checks the files' sizes.

  Raises:
    DamageError: if the manifest is missing or damaged, or a size differs.
    CheckpointError: if another version wrote the checkpoint.
  """
  with _reading(path):
    manifest = json.loads((path / _MANIFEST).read_text('utf-8'))
    if manifest.pop('sha256') != _manifest_digest(manifest):
      raise DamageError(f'{_MANIFEST} does not have the SHA-256 that it states')
    if manifest['format'] != _FORMAT:
      raise CheckpointError(
        f'Expected a checkpoint of format {_FORMAT}, but {path} is of '
        f'{manifest["format"]}: another version of this program wrote it.'
      )
    if path_of(path.parent, manifest['step']) != path:
      raise DamageError(f'{_MANIFEST} is of step {manifest["step"]}')
    for name, expected in manifest['files'].items():
      size = (path / name).stat().st_size
      if size != expected['size']:
        raise DamageError(
          f'{name} has {size} bytes, expected {expected["size"]}'
        )
  return manifest


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


def check_content(path, manifest):
  """Raises `DamageError` if a file's hash is not that of the manifest."""
  with _reading(path):
    for name, expected in manifest['files'].items():
      if files_lib.digest(path / name) != expected:
        raise DamageError(f'{name} has another SHA-256 than when written')
    tf.train.load_checkpoint(str(path / PREFIX))


@contextlib.contextmanager
def _reading(path):
  """Turns errors into `DamageError`, or `CheckpointError` if not damage."""
  try:
    yield
  except (DamageError, CheckpointError):
    raise
  except OSError as e:
    if e.errno in _DAMAGES:
      name = pathlib.Path(e.filename or path).name
      raise DamageError(f'{name}: {e.strerror}') from e
    raise CheckpointError(f'Cannot read {path}: {describe(e)}.') from e
  except (AttributeError, KeyError, TypeError, ValueError) as e:
    raise DamageError(f'{_MANIFEST} cannot be read: {e!r}') from e
  except (tf.errors.OpError, RuntimeError) as e:
    raise DamageError(f'TensorFlow cannot read it: {first_line(e)}') from e


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
