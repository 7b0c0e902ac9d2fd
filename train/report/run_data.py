"""Reads a run's folder without building its model.

Missing or damaged files do not stop a report; the report lists them.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import zipfile

from train import shown_text
from train.config import configs
from train.storage import files
from train.storage import origin
from train.storage import reading
from train.storage import run_folder
from train.systems import systems

__all__ = ['RunData', 'read', 'read_ablation']

_ABLATION_ROW = {
  'name': str,
  'part': str,
  'title': str,
  'failed': dict,
  'num_seeds': int,
}


@dataclasses.dataclass(frozen=True)
class RunData:
  """A run's files.

  Attributes:
    folder: `RunFolder`.
    config: `Config`.
    metrics: `dict`, metrics.json; empty before the run's end.
    rows: List of `dict`, metrics.jsonl.
    label_names: Tuple of `str`.
    scores: `dict` of arrays, scores.npz; empty if there is none.
    skipped: List of `dict`, skipped_files.jsonl.
    problems: Tuple of `str`, messages about files that could not be read.
    origin: `str`, the runs whose weights it started from; '': none.
  """

  folder: run_folder.RunFolder
  config: configs.Config
  metrics: dict
  rows: list
  label_names: tuple
  scores: dict
  skipped: list
  problems: tuple = ()
  origin: str = ''

  @property
  def name(self):
    """`str`, name of the folder, as it is shown."""
    return shown_text.visible(self.folder.path.resolve().name)

  @property
  def places(self):
    """Pairs of a path on this machine and the word that a page has for it."""
    folders = {os.path.dirname(str(row.get('path'))) for row in self.skipped}
    data = getattr(self.config.data, 'data_dir', None)
    return [
      (self.folder.path, self.name),
      *([(data, 'DATA_DIR')] if data else []),
      *((folder, f'…/{os.path.basename(folder)}') for folder in folders),
    ]

  @property
  def system(self):
    """The `System` that trains its model."""
    return systems.of(self.config)

  @property
  def step(self):
    """Python `int`, the last step in the run's files."""
    steps = [r['step'] for r in self.rows if r['kind'] in ('train', 'eval')]
    return self.metrics.get('step', max(steps, default=0))

  @property
  def is_finished(self):
    """Python `bool`, whether it was trained to its last step and measured."""
    return bool(self.metrics) and self.step >= self.config.run.steps

  def of_kind(self, kind):
    """The rows of one kind, such as 'train'."""
    return [row for row in self.rows if row['kind'] == kind]


def read(workdir):
  """Reads a run's folder.

  Args:
    workdir: Path.

  Returns:
    A `RunData`.

  Raises:
    RunFolderError: if it holds no run.
    ConfigError: if another version wrote its config.
  """
  folder = run_folder.RunFolder(workdir)
  config = folder.read_config()
  problems = []

  def attempt(read_, path, default):
    if not pathlib.Path(path).exists():  # A run that has just begun.
      return default
    try:
      return read_()
    except (OSError, ValueError, zipfile.BadZipFile) as e:
      problems.append(f'{pathlib.Path(path).name} cannot be read: {e}')
      return default

  scores, started = folder.scores_file, folder.path / origin.FILE
  started_from = attempt(lambda: origin.words(folder.path), started, '')
  return RunData(
    folder,
    config,
    attempt(folder.read_metrics_file, folder.metrics_file, {}),
    attempt(folder.read_metrics, folder.metrics_log, []),
    attempt(folder.read_labels, folder.labels_file, ()),
    attempt(lambda: folder.read_arrays(scores.name), scores, {}),
    attempt(
      lambda: reading.read_lines(folder.skipped_log), folder.skipped_log, []
    ),
    tuple(problems),
    started_from,
  )


def read_ablation(workdir):
  """Reads ablation.json.

  Args:
    workdir: Path.

  Returns:
    `dict`, or None if the folder has none.

  Raises:
    RunFolderError, JsonError: if the file is damaged.
  """
  path = pathlib.Path(workdir) / 'ablation.json'
  if not path.is_file():
    return None
  values = reading.read_json(path)
  rows = values.get('rows')
  if not isinstance(rows, list):
    raise files.RunFolderError(
      f'{path}: expected `rows` to be a list, as --mode=ablate writes it.'
    )
  reading.require(str(path), values, {'histograms': dict, 'untrained': dict})
  for number, row in enumerate(rows, 1):
    row = row if isinstance(row, dict) else {}
    reading.require(f'{path}, row {number}', row, _ABLATION_ROW)
  return values
