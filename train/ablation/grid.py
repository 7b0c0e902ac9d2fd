"""The ablation: every row and seed is a run of its own, by its own process.

A cell is the run folder `<workdir>/<row>/seed_<n>`. The same command again
leaves out the cells that are done and continues the others, as the runs
themselves do. A cell that fails does not stop the others.
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
  """Cells that failed, or a folder that cannot hold them."""


@dataclasses.dataclass(frozen=True)
class _Plan:
  """What all cells share."""

  preset_name: str
  assignments: tuple[str, ...]
  jobs: int
  program: tuple[str, ...]

  @property
  def num_threads(self):
    """Of a process; None: TensorFlow's own choice."""
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
    """The config of a cell: what its row fixes holds, whatever was given.

    Rows with a preset of their own have the given preset's data and steps.
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
    preset_name: Key of `presets.PRESETS`, of the rows that name none.
    assignments: `key=value` strings of `overrides.override`; they hold for
      every row but for what the row itself fixes.
    workdir: Path, of all cells and the report.
    num_seeds: Python `int`; the seeds are 0, 1, ...
    row_names: Sequence of `str`; empty: every row.
    jobs: Python `int`, processes at a time. More than one share the machine's
      cores evenly.
    program: Sequence of `str`, the command that trains a run.

  Returns:
    Paths of ablation.md, ablation.json and ablation.png.

  Raises:
    ConfigError: before anything is trained.
    AblationError: at the end, with all cells that failed; the report is
      written.
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
  """The command line, as another machine could run it."""
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
        f'got {assignment!r}; choose rows and a number of seeds.'
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
  """Trains cells; `dict` from the names of those that failed to the reason."""
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
    'others; the same command tries these again.'
  )
