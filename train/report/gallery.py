"""All figures of a run, the paper's and ours, as its report shows them.

  figures = gallery.of_run('runs/demo')
  gallery.save(figures, pathlib.Path('runs/demo/figures'))

A figure that cannot be drawn has the reason in `Figure.missing`.
"""

from __future__ import annotations

import time

from absl import logging
import numpy as np
import tensorflow as tf

from train import errors
from train.report import ablation
from train.report import architecture
from train.report import curves
from train.report import figures as figures_lib
from train.report import held_out
from train.report import inverse
from train.report import pictures
from train.report import run_data
from train.report import subject
from train.storage import files
from train.systems import systems

__all__ = ['of_ablation', 'of_files', 'of_model', 'of_run', 'of_runs', 'save']

# Figures that need the model, the fastest first.
_OF_MODEL = (
  ('first_frames', pictures.first_frames),
  ('strips', pictures.strips),
  ('temperatures', pictures.temperatures),
  ('interpolation', pictures.interpolation),
  ('round_trip', inverse.error_map),
  ('invertibility', inverse.by_step),
)
_MAX_SECONDS = 180.0
# Errors if weights are not finite, or memory is too small.
_FAILURES = (tf.errors.OpError, np.linalg.LinAlgError, MemoryError)

of_ablation = ablation.figure


def of_run(workdir, which='newest'):
  """All figures of a run.

  Args:
    workdir: Path.
    which: See `train.runs.loading.load`.

  Returns:
    List of `train.report.figures.Figure`.

  Raises:
    RunFolderError: if there is no run.
  """
  run = run_data.read(workdir)
  return [*of_files(run), *of_model(run, which)]


def of_files(run):
  """The figures that need no model: list of `Figure`.

  Args:
    run: `run_data.RunData`.
  """
  rows = {run.name: run.rows}
  return [
    curves.training(rows),
    curves.gradients(rows),
    curves.gan(rows),
    held_out.by_frame({run.name: run}),
    held_out.by_label(run),
    held_out.label_use(run),
    held_out.by_horizon({run.name: run}),
  ]


def of_runs(runs):
  """The figures in which several runs can be compared: list of `Figure`.

  Args:
    runs: `dict` from names to `run_data.RunData`.
  """
  rows = {name: run.rows for name, run in runs.items()}
  return [
    curves.training(rows),
    curves.gradients(rows),
    curves.gan(rows),
    held_out.by_frame(runs),
    held_out.by_horizon(runs),
  ]


def of_model(run, which='newest', max_seconds=_MAX_SECONDS):
  """The figures that need a run's restored model.

  Args:
    run: `run_data.RunData`.
    which: See `train.runs.loading.load`.
    max_seconds: No figure is started after so many seconds.

  Returns:
    List of `Figure`.
  """
  end = time.monotonic() + max_seconds
  try:
    shown = subject.load(run.folder.path, which)
  except (errors.UserError, OSError) as e:
    drawn = [_missing(name, str(e)) for name, _ in _OF_MODEL]
    return [_untrained_architecture(run), *drawn]
  drawn = [_draw(name, draw, shown, end) for name, draw in _OF_MODEL]
  return [architecture.figure(shown.model), *drawn]


def _untrained_architecture(run):
  """The architecture of a new model from the run's config."""
  try:
    system = systems.of(run.config)
    model = system.build_model(len(run.label_names))
    return architecture.figure(system.sampler(model))
  except errors.UserError as e:
    return _missing('architecture', str(e))


def _draw(name, draw, shown, end):
  if time.monotonic() > end:
    return _missing(name, 'the time for evaluations of the model was used up')
  start = time.monotonic()
  try:
    figure = draw(shown)
  except _FAILURES as e:
    return _missing(name, f'the model failed: {e}')
  logging.info('Figure %s: %.1f s.', name, time.monotonic() - start)
  return figure


def _missing(name, why):
  title = name.replace('_', ' ').capitalize()
  return figures_lib.Figure(name, title, missing=why)


def save(figures, folder):
  """Writes each image of the figures to a file, SVG, PNG or GIF.

  Args:
    figures: Sequence of `Figure`.
    folder: `pathlib.Path`; created if it does not exist.

  Returns:
    List of paths.

  Raises:
    RunFolderError: if they cannot be written.
  """
  with files.reporting(folder):
    folder.mkdir(parents=True, exist_ok=True)
  paths = []
  for figure in figures:
    images = [*figure.images, *(i for row in figure.rows for i in row.images)]
    for number, image in enumerate(images, 1):
      paths.append(folder / f'{figure.name}_{number}.{image.kind}')
      files.write_atomically(paths[-1], image.data)
  return paths
