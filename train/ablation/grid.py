"""The ablation: trains a run for each row and seed, each in its own process.

A cell is the run folder `<workdir>/<row>/seed_<n>`. If the command is repeated,
finished cells are left out and the others are resumed. A cell that fails does
not stop the others.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
import shlex
import sys
import time

from absl import logging

from train import errors
from train.ablation import ablation_report
from train.ablation import ablation_rows
from train.ablation import child_runs
from train.config import configs
from train.config import fields
from train.config import models
from train.config import overrides
from train.config import presets

__all__ = ['AblationError', 'run']


class AblationError(errors.UserError):
  """Cells have failed, or their folder cannot be written."""


@dataclasses.dataclass(frozen=True)
class _Plan:
  """Settings that all cells share."""

  preset_name: str
  assignments: tuple[str, ...]
  jobs: int
  program: tuple[str, ...]

  @property
  def num_threads(self):
    """Number of threads of a process; None: TensorFlow's own choice."""
    if self.jobs == 1:
      return None
    return max((os.cpu_count() or 1) // self.jobs, 1)

  def environment(self):
    if self.num_threads is None:
      return {}
    threads = str(self.num_threads)
    return {
      'TF_NUM_INTRAOP_THREADS': threads,
      'TF_NUM_INTEROP_THREADS': threads,
    }

  def preset_of(self, row):
    return row.preset or self.preset_name

  def config_of(self, cell):
    """The config of a cell; the row's assignments override the given ones.

    A row with its own preset takes data, steps, batch size and quantisation
    from the given preset.
    """
    row = cell.row
    given, own = (
      presets.PRESETS[name] for name in (self.preset_name, self.preset_of(row))
    )
    run = dataclasses.replace(
      own.run, steps=given.run.steps, batch_size=given.run.batch_size
    )
    model = dataclasses.replace(
      own.model,
      n_bits=given.model.n_bits,
      dequantisation=given.model.dequantisation,
    )
    start = dataclasses.replace(own, data=given.data, run=run, model=model)
    (other,) = set(ablation_rows.PARTS) - {row.part}
    assignments = [*self.assignments, f'model.{other}=none', *row.assignments]
    assignments += [f'seed={cell.seed}', *child_runs.NUMBERS_ONLY]
    return configs.check(overrides.override(start, assignments))

  def child_of(self, cell):
    preset = self.preset_of(cell.row)
    settings = overrides.changes(self.config_of(cell), presets.PRESETS[preset])
    arguments = [
      f'--preset={preset}',
      *(f'--set={setting}' for setting in settings),
    ]
    return child_runs.ChildRun(
      cell.path,
      arguments,
      self.program,
      environment=self.environment(),
      facts={'jobs': self.jobs, 'num_threads': self.num_threads},
    )


def run(
  preset_name,
  assignments,
  workdir,
  num_seeds=3,
  row_names=(),
  jobs=1,
  program=child_runs.PROGRAM,
):
  """Trains every cell that is not done and writes the report.

  Args:
    preset_name: Key of `presets.PRESETS`, for the rows without a preset.
    assignments: `key=value` strings for `overrides.override`, for all rows; a
      row's own assignments override them.
    workdir: Path of the folder of all cells and the report.
    num_seeds: Python `int`; the seeds are 0, 1, ...
    row_names: Sequence of `str`; empty: all rows.
    jobs: Python `int`, number of processes at a time. Several share the
      machine's cores evenly.
    program: Sequence of `str`, the command that trains a run.

  Returns:
    Paths of ablation.md, ablation.json and ablation.png.

  Raises:
    ConfigError: if a config is not valid, before anything is trained.
    AblationError: if cells have failed, after the report is written.
  """
  start = time.monotonic()
  _check(assignments, num_seeds, jobs)
  plan = _Plan(preset_name, tuple(assignments), jobs, tuple(program))
  base = overrides.override(presets.PRESETS[preset_name], assignments)
  if not isinstance(base.model, models.Flow):
    raise fields.ConfigError(
      f'--mode=ablate is for flows, but {preset_name} trains a GAN.'
    )
  rows = ablation_rows.rows_for(base.data.num_frames > 1, row_names)
  cells = ablation_rows.cells_of(rows, num_seeds, workdir)
  wanted = {cell.name: plan.config_of(cell) for cell in cells}
  _create(workdir)
  undone = [
    cell for cell in cells if not cell.folder.is_done(wanted[cell.name])
  ]
  failures = _train_all(undone, plan, len(cells))
  paths = ablation_report.write(
    workdir,
    cells,
    failures,
    {
      'command': _command(),
      'preset': preset_name,
      'assignments': list(assignments),
      'num_seeds': num_seeds,
      'jobs': jobs,
      'num_threads': plan.num_threads,
      'seconds': time.monotonic() - start,
    },
  )
  if failures:
    raise AblationError(_failures_text(cells, failures, paths[0]))
  return paths


def _command():
  """The command line, without the path of this machine's Python."""
  arguments = getattr(sys, 'orig_argv', sys.argv)  # With `-m train.main`.
  return shlex.join(['python', *arguments[1:]])


def _check(assignments, num_seeds, jobs):
  for assignment in assignments:
    if assignment.partition('=')[0].strip() in (
      'model',
      'model.head',
      'model.tail',
      'seed',
      'preset',
    ):
      raise fields.ConfigError(
        'The ablation sets preset, parts and seed of each cell itself, but '
        f'got {assignment!r}; use --rows and --seeds.'
      )
  for name, value in (('seeds', num_seeds), ('jobs', jobs)):
    if value < 1:
      raise fields.ConfigError(
        f'The ablation expects at least 1 of {name}, but got {value}.'
      )


def _create(workdir):
  try:
    pathlib.Path(workdir).mkdir(parents=True, exist_ok=True)
  except OSError as e:
    raise AblationError(f'Cannot write to {workdir}: {e.strerror}.') from None


def _train_all(cells, plan, num_cells):
  """Trains cells; returns a `dict` from names of failed ones to messages."""
  logging.info('%d of %d cells to train.', len(cells), num_cells)
  numbers = itertools.count(num_cells - len(cells) + 1)
  by_name = {cell.name: cell for cell in cells}
  return child_runs.run_all(
    {name: plan.child_of(cell) for name, cell in by_name.items()},
    plan.jobs,
    lambda name, error: _log(by_name[name], error, next(numbers), num_cells),
  )


def _log(cell, error, number, num_cells):
  if error:
    logging.error(
      'Cell %d of %d, %s, failed: %s', number, num_cells, cell.name, error
    )
    return
  result = ablation_report.read_cell(cell)
  logging.info(
    'Cell %d of %d, %s: %.0f s, %.4f bits/dim.',
    number,
    num_cells,
    cell.name,
    result.seconds,
    result.bits_per_dim,
  )


def _failures_text(cells, failures, path):
  logs = {cell.name: cell.log for cell in cells}
  failed = '; '.join(f'{n} ({e}; {logs[n]})' for n, e in failures.items())
  return (
    f'{len(failures)} of {len(cells)} cells failed: {failed}. {path} has the '
    'others; the same command tries the failed ones again.'
  )
