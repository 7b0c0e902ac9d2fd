"""The ablation's report: ablation.json, ablation.md and ablation.png.

Head and tail have a table each. The difference of a row to its reference
compares the same seeds on the same clips, see `paired`.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import pathlib
import platform
from typing import Any

import numpy as np

from train.ablation import ablation_figure
from train.ablation import ablation_markdown
from train.ablation import ablation_rows
from train.config import configs
from train.evaluation import paired
from train.storage import files
from train.storage import reading

__all__ = ['CellResult', 'read_cell', 'summary', 'write']


@dataclasses.dataclass(frozen=True)
class CellResult:
  """The results of a finished cell.

  Attributes:
    cell: `Cell`.
    metrics: `dict`, metrics.json.
    config: `Config`.
    sessions: List of `dict`, one for each process that trained the cell.
  """

  cell: Any
  metrics: dict
  config: configs.Config
  sessions: list

  @property
  def bits_per_dim(self):
    return self.metrics[f'{self.cell.row.part}_bits_per_dim']

  @property
  def seconds(self):
    """Total time of all its processes, including start and evaluation."""
    return sum(session['seconds'] for session in self.sessions)

  def clip_scores(self):
    """Labels int `[N]` and bits/dim `[N]` of all held-out clips."""
    file = self.cell.folder.scores_file
    scores = reading.read_arrays(file)
    if not {'label', self.cell.row.part} <= scores.keys():
      raise files.RunFolderError(
        f'{file}: expected the arrays `label` and `{self.cell.row.part}`, but '
        f'got {sorted(scores)}.'
      )
    values = scores[self.cell.row.part]  # [N] or [N, T - 1]
    return scores['label'], values.reshape([len(values), -1]).mean(axis=1)


def read_cell(cell):
  """Reads the `CellResult` of a finished cell."""
  sessions = reading.numbered_lines(cell.sessions)
  for number, session in sessions:
    where = f'{cell.sessions}, line {number}'
    reading.require(where, session, {'seconds': float})
  return CellResult(
    cell,
    cell.folder.read_metrics_file(),
    cell.folder.read_config(),
    [session for _, session in sessions],
  )


def write(workdir, cells, failures, facts):
  """Writes the report of the finished cells.

  Args:
    workdir: Path.
    cells: Sequence of `Cell`.
    failures: `dict` from the names of failed cells to error messages.
    facts: `dict` about this session: command, preset, assignments, num_seeds,
      jobs, num_threads and seconds.

  Returns:
    Paths of ablation.md, ablation.json and, if a cell has finished,
    ablation.png.
  """
  workdir = pathlib.Path(workdir)
  values = summary(cells, failures, facts)
  contents = {
    'ablation.md': ablation_markdown.markdown(values),
    'ablation.json': json.dumps(values, indent=2) + '\n',
  }
  if any(row['num_seeds'] for row in values['rows']):
    contents['ablation.png'] = ablation_figure.figure(values)
  for name, data in contents.items():
    files.write_atomically(workdir / name, data)
  return [workdir / name for name in contents]


def summary(cells, failures, facts):
  """The report's numbers.

  Args:
    cells, failures, facts: See `write`.

  Returns:
    `dict`, as in ablation.json: the facts, cpu, num_cpus, date, cell_seconds,
    jobs_of_cells, data, `rows` (bits/dim, labels, differences, seconds),
    `untrained` and `histograms`, both by part.
  """
  results = [read_cell(c) for c in cells if c.name not in failures]
  by_row = {cell.row.name: {} for cell in cells}
  for result in results:
    by_row[result.cell.row.name][result.cell.seed] = result
  rows = {cell.row.name: cell.row for cell in cells}
  return {
    **facts,
    'cpu': _cpu(),
    'num_cpus': os.cpu_count(),
    'date': datetime.datetime.now().astimezone().isoformat(timespec='seconds'),
    'cell_seconds': sum(result.seconds for result in results),
    'jobs_of_cells': _jobs(results),
    'data': _data(results),
    'num_train_clips': _distinct(r.metrics['num_train_clips'] for r in results),
    'num_valid_clips': _distinct(r.metrics['num_valid_clips'] for r in results),
    'untrained': {
      part: _untrained(part, rows, by_row) for part in ablation_rows.PARTS
    },
    'histograms': {
      part: _histograms(part, results) for part in ablation_rows.PARTS
    },
    'rows': [
      _row_summary(row, by_row, failures, facts['num_seeds'])
      for row in rows.values()
    ],
  }


def _data(results):
  """The settings of `configs.data_of`: `dict` from keys to distinct values."""
  named = [
    {**configs.data_of(r.config), 'data': r.config.data.name} for r in results
  ]
  keys = _distinct(key for values in named for key in values)
  return {key: _distinct(v.get(key) for v in named) for key in keys}


def _distinct(values):
  """The distinct values, in order."""
  return list(dict.fromkeys(values))


def _jobs(results):
  sessions = [session for result in results for session in result.sessions]
  return [
    {'jobs': jobs, 'num_threads': threads}
    for jobs, threads in _distinct(
      (s['jobs'], s['num_threads']) for s in sessions
    )
  ]


def _cpu():
  """The name of the CPU."""
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
  except OSError:
    return platform.processor() or platform.machine()
  names = [x.partition(':')[2].strip() for x in lines if 'model name' in x]
  return names[0] if names else platform.machine()


def _statistics(values):
  values = list(values)
  mean, spread, _ = paired.mean_and_spread(values)
  return {'mean': mean, 'spread': spread, 'by_seed': values}


def _metric(results, key):
  return _statistics(result.metrics.get(key) for result in results)


def _untrained(part, rows, by_row):
  """Numbers of untrained flows, of the first row of the paper and of ours."""
  lines = []
  for owner, is_papers in (("paper's flow", True), ('our flow', False)):
    finished = [
      list(by_row[row.name].values())
      for row in rows.values()
      if row.part == part and (row.preset is not None) == is_papers
    ]
    results = next((found for found in finished if found), None)
    if results is None:
      continue
    for kind, title in (('identity', 'identity'), ('adapted', 'adapted only')):
      lines.append(
        {
          'title': f'{owner}: {title}',
          'row': results[0].cell.row.name,
          'bits_per_dim': _metric(results, f'{kind}_{part}_bits_per_dim'),
        }
      )
  return lines


def _histograms(part, results):
  """Bits/dim of histograms, from the first cell.

  Only the tail has the histogram given the previous pixel.
  """
  metrics = [r.metrics for r in results if r.cell.row.part == part][:1]
  keys = [
    k for k in ablation_rows.HISTOGRAMS if part == 'tail' or 'previous' not in k
  ]
  return {key: m.get(key) for m in metrics for key in keys}


def _row_summary(row, by_row, failures, num_seeds):
  results = list(by_row[row.name].values())
  return {
    **dataclasses.asdict(row),
    'num_seeds': len(results),
    'failed': {
      name: failures[name]
      for name in (f'{row.name}/seed_{seed}' for seed in range(num_seeds))
      if name in failures
    },
    'bits_per_dim': _statistics(result.bits_per_dim for result in results),
    'difference': _difference(by_row[row.name], by_row.get(row.reference, {})),
    'label_accuracy': _metric(results, 'label_accuracy'),
    'calibrated_label_information_bits': _metric(
      results, 'calibrated_label_information_bits'
    ),
    'label_entropy_bits': _metric(results, 'label_entropy_bits'),
    'steps': _distinct(result.metrics['step'] for result in results),
    'train_seconds': _metric(results, 'seconds'),
    'seconds': _statistics(result.seconds for result in results),
  }


def _difference(ours, theirs):
  """`dict` of a row's difference to its reference, or with the reason `why`.

  Returns None if the two have no seed in common.

  Args:
    ours, theirs: `dict` from seed to `CellResult`.
  """
  seeds = [seed for seed in ours if seed in theirs]
  if not seeds:
    return None
  pairs = [(ours[seed], theirs[seed]) for seed in seeds]
  why = next((w for w in (_incomparable(*pair) for pair in pairs) if w), None)
  if why:
    return {'why': why}
  difference = paired.paired_difference(
    *([result.clip_scores()[1] for result in side] for side in zip(*pairs))
  )
  return {**dataclasses.asdict(difference), 'seeds': seeds}


def _incomparable(a, b):
  """Why two cells cannot be compared clip by clip, or None."""
  theirs, ours = (configs.data_of(x.config) for x in (b, a))
  for key in {**theirs, **ours}:
    if theirs.get(key) != ours.get(key):
      return f'other {key}: {theirs.get(key)}, {ours.get(key)}'
  if not all(x.cell.folder.scores_file.exists() for x in (a, b)):
    return 'no scores.npz'
  if not np.array_equal(a.clip_scores()[0], b.clip_scores()[0]):
    return 'other clips'
  return None
