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

  def is_done(self, config):
    """Whether the folder's run is one of `config` and was trained to its end.

    A run with another config is not done: its program says what differs.
    """
    if not (self.metrics_file.is_file() and self.config_file.is_file()):
      return False
    try:
      before = self.read_config()
    except configs.ConfigError:
      return False
    if configs.differences(configs.keep_choices(config, before), before):
      return False
    return json.loads(self.metrics_file.read_text())['step'] == config.steps

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

  def write_arrays(self, name, arrays):
    """Writes a `dict` of arrays as the folder's file `name`, an NPZ."""
    data = io.BytesIO()
    np.savez(data, **arrays)
    write_atomically(self.path / name, data.getvalue())

  def read_arrays(self, name):
    """The `dict` that `write_arrays` wrote; empty if it did not."""
    if not (self.path / name).is_file():
      return {}
    with np.load(self.path / name) as arrays:
      return dict(arrays)

  def write_labels(self, names):
    write_atomically(self.labels_file, ''.join(f'{n}\n' for n in names))

  def read_labels(self):
    return tuple(self.labels_file.read_text().splitlines())
