"""`RunFolder`: paths, reading and writing of a run's files."""

from __future__ import annotations

import io
import json
import pathlib

import numpy as np

from train.config import configs
from train.config import fields
from train.config import overrides
from train.storage import files
from train.storage import label_names
from train.storage import reading

__all__ = ['RunFolder']

# Keys that may change when a run is resumed.
_CHANGEABLE = (*configs.PLACES, 'data.max_skipped', 'run.profile_steps')

# Ends of the names of values in metrics.json that are numbers, or null.
_NUMBERS = (
  'accuracy',
  'bits_per_dim',
  '_clips',
  'seconds',
  'standard_error',
)


class RunFolder:
  """The files of one run."""

  def __init__(self, path):
    self.path = pathlib.Path(path)
    self.config_file = self.path / 'config.json'
    self.metrics_log = self.path / 'metrics.jsonl'
    self.metrics_file = self.path / 'metrics.json'
    self.scores_file = self.path / 'scores.npz'
    self.labels_file = self.path / 'labels.txt'
    self.log = self.path / 'log.txt'  # Output, if a program started the run.
    self.sessions = self.path / 'sessions.jsonl'
    self.skipped_log = self.path / 'skipped_files.jsonl'
    self.checkpoints = self.path / 'checkpoints'
    self.exports = self.path / 'export'
    self.samples = self.path / 'samples'
    self.tensorboard = self.path / 'tensorboard'

  def create(self):
    """Creates the folder and checks that it can be written.

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
    """Writes the config, or checks that the folder's run has the same one.

    The place of the data, the number of files that may be skipped and the steps
    to profile may change. Before the first checkpoint everything may change.

    Raises:
      RunFolderError: if the folder's run has another config.
    """
    # Unlike `glob`, `iterdir` raises if the folder cannot be read.
    with files.reporting(self.checkpoints, 'read'):
      has_begun = self.metrics_file.exists() or any(self.checkpoints.iterdir())
    if self.config_file.exists() and has_begun:
      changed = [
        line
        for line in overrides.differences(config, self.read_config())
        if line.partition(':')[0] not in _CHANGEABLE
      ]
      if changed:
        raise files.RunFolderError(
          f'{self.path} holds a run with another config: '
          f'{"; ".join(changed)}. Use another --workdir, or the same config to '
          'resume.'
        )
    files.write_atomically(self.config_file, configs.to_json(config))

  def read_config(self):
    """The run's `Config`.

    Raises:
      RunFolderError: if there is none, or it is no text.
      ConfigError: if it is not the JSON of a config.
    """
    if not self.config_file.is_file():
      raise files.RunFolderError(
        f'{self.path} holds no run: there is no {self.config_file.name}.'
      )
    text = reading.read_text(self.config_file)
    return configs.from_json(text, str(self.config_file))

  def is_done(self, config):
    """Whether the folder's run has this config and was trained to its end."""
    if not (self.metrics_file.is_file() and self.config_file.is_file()):
      return False
    try:
      before = self.read_config()
    except fields.ConfigError:
      return False
    if overrides.differences(configs.keep_choices(config, before), before):
      return False
    return self.read_metrics_file()['step'] == config.run.steps

  def append_metrics(self, kind, step, **values):
    """Appends a row to metrics.jsonl; see `files.append_line`.

    Raises:
      RunFolderError: if it cannot be written.
    """
    row = {'kind': kind, 'step': int(step), **values}
    with files.reporting(self.metrics_log):
      files.append_line(self.metrics_log, row)

  def read_metrics(self, kind=None):
    """The rows of metrics.jsonl, all of them or those of one kind.

    A line that a crash cut short is left out.

    Raises:
      RunFolderError: if a value is of another type than was written.
    """
    rows = []
    for number, row in reading.numbered_lines(self.metrics_log):
      if {'kind', 'step'} <= row.keys():
        _check_row(f'{self.metrics_log}, line {number}', row)
        rows.append(row)
    return [row for row in rows if kind in (None, row['kind'])]

  def check_is_untrained(self):
    """Raises `RunFolderError` if the log has steps of training.

    For a run without checkpoints: they are written before the first step, so
    someone has taken them away.
    """
    rows = self.read_metrics('train')
    if rows:
      raise files.RunFolderError(
        f'{self.path} holds a run that was trained to step {rows[-1]["step"]}, '
        f'but {self.checkpoints} has no checkpoint. Put them back, or use '
        'another --workdir.'
      )

  def truncate_metrics(self, step):
    """Drops the 'train' and 'eval' rows of metrics.jsonl above `step`.

    A run that is resumed from `step` writes them again. Rows of other kinds are
    kept; lines that a crash cut short are dropped.

    Args:
      step: Python `int`, the last step to keep; -1 for none.

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
    """The `dict` of metrics.json; empty if there is none.

    Raises:
      RunFolderError: if a value is of another type than was written.
      JsonError: if it is not valid JSON.
    """
    if not self.metrics_file.exists():
      return {}
    values = reading.read_json(self.metrics_file)
    reading.require(str(self.metrics_file), values, {'step': int})
    _check_numbers(str(self.metrics_file), values)
    return values

  def write_arrays(self, name, arrays):
    """Writes a `dict` of arrays as the folder's file `name`, an NPZ."""
    data = io.BytesIO()
    np.savez(data, **arrays)
    files.write_atomically(self.path / name, data.getvalue())

  def read_arrays(self, name):
    """The `dict` that `write_arrays` wrote; empty if there is no such file."""
    return reading.read_arrays(self.path / name)

  def write_labels(self, names):
    label_names.check(names, str(self.path))
    files.write_atomically(self.labels_file, label_names.to_text(names))

  def read_labels(self):
    data = reading.read_bytes(self.labels_file)
    return label_names.from_bytes(data, self.labels_file)


def _check_row(where, row):
  """Raises `RunFolderError` unless a row of metrics.jsonl can be used."""
  reading.require(where, row, {'kind': str, 'step': int})
  if row['kind'] in ('train', 'eval'):
    names = {'kind': str, 'model': str, 'invertibility': dict}
    given = {k: v for k, v in row.items() if v is not None}
    reading.require(where, given, {k: names.get(k, float) for k in given})


def _check_numbers(where, values):
  """Raises `RunFolderError` if a number of metrics.json is something else."""
  given = {k: v for k, v in values.items() if v is not None}
  names = [k for k in given if k.endswith(_NUMBERS)]
  reading.require(where, given, dict.fromkeys(names, float))
