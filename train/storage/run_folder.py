"""A run's folder: where each of its files is, and what it says."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import pathlib

import numpy as np

from train.config import configs
from train.config import fields
from train.config import overrides
from train.storage import json_lines

__all__ = [
  'RunFolder',
  'RunFolderError',
  'check_is_local',
  'describe_os_error',
  'reporting',
  'sync_folder',
  'write_atomically',
  'write_synced',
]


class RunFolderError(ValueError):
  """A run's folder that cannot be used."""

__all__ = ['RunFolder']

_CHANGEABLE = (*configs.PLACES, 'data.max_skipped', 'run.profile_steps')
_REASONS = {
  errno.EACCES: 'no permission',
  errno.EDQUOT: 'the quota is used up',
  errno.EFBIG: 'the file is larger than is allowed',
  errno.ENOENT: 'the file or its folder is gone',
  errno.ENOSPC: 'the disk is full',
  errno.EPERM: 'no permission',
  errno.EROFS: 'the file system is read-only',
}


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


def sync_folder(path):
  """Makes what was created, renamed or removed in a folder outlive a crash."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


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
  path = pathlib.Path(path)
  temporary = path.with_name(f'.{path.name}.{os.getpid()}')
  with reporting(path):
    try:
      write_synced(temporary, data)
      os.replace(temporary, path)
      sync_folder(path.parent)
    finally:
      with contextlib.suppress(OSError):
        temporary.unlink()  # There is one only if something went wrong.


class RunFolder:
  """The files of one run."""

  def __init__(self, path):
    self.path = pathlib.Path(path)
    self.config_file = self.path / 'config.json'
    self.metrics_log = self.path / 'metrics.jsonl'
    self.metrics_file = self.path / 'metrics.json'
    self.scores_file = self.path / 'scores.npz'
    self.labels_file = self.path / 'labels.txt'
    self.skipped_log = self.path / 'skipped_files.jsonl'
    self.checkpoints = self.path / 'checkpoints'
    self.exports = self.path / 'export'
    self.samples = self.path / 'samples'
    self.tensorboard = self.path / 'tensorboard'

  def create(self):
    """Makes the folder and checks that it can be written.

    Raises:
      RunFolderError: if it is a file, not writable or not local.
    """
    files.check_is_local(self.path)
    if self.path.exists() and not self.path.is_dir():
      raise files.RunFolderError(
        f'--workdir expects a folder, but {self.path} is a file.'
      )
    with files.reporting(f'to the run folder {self.path}'):
      for folder in (self.path, self.checkpoints, self.samples):
        folder.mkdir(parents=True, exist_ok=True)
    files.write_atomically(self.path / '.writable', '')
    (self.path / '.writable').unlink(missing_ok=True)

  def claim(self, config):
    """Writes the config, or checks that it is the one the folder has.

    Where the data are and how many files may be skipped is no part of what a
    run is, and may change; of a run without a checkpoint, so may all.

    Returns:
      Whether the folder held a run before.

    Raises:
      RunFolderError: if the folder's run has another config.
    """
    if not self.config_file.exists():
      files.write_atomically(self.config_file, configs.to_json(config))
      return False
    before = self.read_config()
    has_begun = self.metrics_file.exists() or any(self.checkpoints.glob('*'))
    if not has_begun:
      before = config
    changed = [
      line
      for line in overrides.differences(config, before)
      if line.partition(':')[0] not in _CHANGEABLE
    ]
    if not changed:
      files.write_atomically(self.config_file, configs.to_json(config))
    if changed:
      raise files.RunFolderError(
        f'{self.path} holds a run with another config: '
        f'{"; ".join(changed)}. Use another --workdir, or the same config to '
        'resume.'
      )
    return True

  def read_config(self):
    """The run's `Config`.

    Raises:
      RunFolderError: if there is none.
    """
    if not self.config_file.is_file():
      raise files.RunFolderError(
        f'{self.path} holds no run: there is no {self.config_file.name}.'
      )
    return configs.from_json(self.config_file.read_text('utf-8'))

  def is_done(self, config):
    """Whether the folder's run is one of `config` and was trained to its end.

    A run with another config is not done: its program says what differs.
    """
    if not (self.metrics_file.is_file() and self.config_file.is_file()):
      return False
    try:
      before = self.read_config()
    except fields.ConfigError:
      return False
    if overrides.differences(configs.keep_choices(config, before), before):
      return False
    return (
      json.loads(self.metrics_file.read_text('utf-8'))['step']
      == config.run.steps
    )

  def append_metrics(self, kind, step, **values):
    """Adds one line to metrics.jsonl, below one that a crash cut short.

    Raises:
      RunFolderError: if it cannot be written.
    """
    row = {'kind': kind, 'step': int(step), **values}
    with files.reporting(self.metrics_log):
      files.append_line(self.metrics_log, row)

  def read_metrics(self):
    """The rows of metrics.jsonl; a line cut short by a crash is left out."""
    rows = files.read_lines(self.metrics_log)
    return [row for row in rows if {'kind', 'step'} <= row.keys()]

  def truncate_metrics(self, step):
    """Drops the 'train' and 'eval' rows of metrics.jsonl above `step`.

    For a run that goes on from there: it writes them again. Rows of another
    kind are kept, lines cut short are not.

    Args:
      step: Python `int`, the last step to be kept; -1 for none.

    Raises:
      RunFolderError: if it cannot be written.
    """
    rows = self.read_metrics()
    kept = [
      row
      for row in rows
      if row['kind'] not in ('train', 'eval') or row['step'] <= step
    ]
    if len(kept) < len(rows):
      lines = [json.dumps(row) + '\n' for row in kept]
      files.write_atomically(self.metrics_log, ''.join(lines))

  def write_metrics(self, values):
    files.write_atomically(
      self.metrics_file, json.dumps(values, indent=2) + '\n'
    )

  def read_metrics_file(self):
    """What `write_metrics` wrote; empty if it did not."""
    if not self.metrics_file.is_file():
      return {}
    return json.loads(self.metrics_file.read_text('utf-8'))

  def write_arrays(self, name, arrays):
    """Writes a `dict` of arrays as the folder's file `name`, an NPZ."""
    data = io.BytesIO()
    np.savez(data, **arrays)
    files.write_atomically(self.path / name, data.getvalue())

  def read_arrays(self, name):
    """The `dict` that `write_arrays` wrote; empty if it did not."""
    if not (self.path / name).is_file():
      return {}
    with np.load(self.path / name) as arrays:
      return dict(arrays)

  def write_labels(self, names):
    files.write_atomically(self.labels_file, ''.join(f'{n}\n' for n in names))

  def read_labels(self):
    return tuple(self.labels_file.read_text('utf-8').splitlines())
