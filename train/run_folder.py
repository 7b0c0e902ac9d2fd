"""A run's folder: where each of its files is, and how they are written."""

from __future__ import annotations

import io
import json
import os
import pathlib

import numpy as np

from train import configs

__all__ = ['RunFolder', 'RunFolderError', 'write_atomically']


class RunFolderError(ValueError):
  """A run's folder that cannot be used."""


def write_atomically(path, data):
  """Writes text or bytes so that no reader sees half a file."""
  path = pathlib.Path(path)
  temporary = path.with_name(f'.{path.name}.{os.getpid()}')
  mode = 'wb' if isinstance(data, bytes) else 'w'
  with open(temporary, mode) as f:
    f.write(data)
    f.flush()
    os.fsync(f.fileno())
  os.replace(temporary, path)


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
      RunFolderError: if it is a file or not writable.
    """
    if self.path.exists() and not self.path.is_dir():
      raise RunFolderError(
        f'--workdir expects a folder, but {self.path} is a file.'
      )
    try:
      for folder in (self.path, self.checkpoints, self.samples):
        folder.mkdir(parents=True, exist_ok=True)
      write_atomically(self.path / '.writable', '')
      (self.path / '.writable').unlink()
    except OSError as e:
      raise RunFolderError(
        f'Cannot write to the run folder {self.path}: {e.strerror}.'
      ) from e

  def claim(self, config):
    """Writes the config, or checks that it is the one the folder has.

    Returns:
      Whether the folder held a run before.

    Raises:
      RunFolderError: if the folder's run has another config.
    """
    if not self.config_file.exists():
      write_atomically(self.config_file, configs.to_json(config))
      return False
    changed = configs.differences(config, self.read_config())
    if changed:
      raise RunFolderError(
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
      raise RunFolderError(
        f'{self.path} holds no run: there is no {self.config_file.name}.'
      )
    return configs.from_json(self.config_file.read_text())

  def append_metrics(self, kind, step, **values):
    """Adds one line to metrics.jsonl."""
    row = {'kind': kind, 'step': int(step), **values}
    with open(self.metrics_log, 'a') as f:
      f.write(json.dumps(row) + '\n')

  def read_metrics(self):
    """The rows of metrics.jsonl; a line cut short by a crash is left out."""
    if not self.metrics_log.exists():
      return []
    rows = []
    for line in self.metrics_log.read_text().splitlines():
      try:
        rows.append(json.loads(line))
      except json.JSONDecodeError:
        continue
    return rows

  def write_metrics(self, values):
    write_atomically(self.metrics_file, json.dumps(values, indent=2) + '\n')

  def write_scores(self, arrays):
    """Writes scores.npz, each clip's numbers: `dict` of arrays."""
    data = io.BytesIO()
    np.savez(data, **arrays)
    write_atomically(self.scores_file, data.getvalue())

  def write_labels(self, names):
    write_atomically(self.labels_file, ''.join(f'{n}\n' for n in names))

  def read_labels(self):
    return tuple(self.labels_file.read_text().splitlines())
