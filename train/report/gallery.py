"""Every figure of a run: the paper's and ours, as `train.report` shows them.

  figures = plots.of_run('runs/demo')
  plots.save(figures, 'runs/demo/figures')

A figure that cannot be drawn says why (`Figure.missing`).
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
from train.storage import run_folder
from train.systems import choice

__all__ = ['of_ablation', 'of_files', 'of_model', 'of_run', 'of_runs', 'save']

# What is drawn with the model, in the order of the time that it takes.
_OF_MODEL = (
  ('first_frames', pictures.first_frames),
  ('strips', pictures.strips),
  ('temperatures', pictures.temperatures),
  ('interpolation', pictures.interpolation),
  ('round_trip', inverse.error_map),
  ('invertibility', inverse.by_step),
)
_MAX_SECONDS = 180.0
# What weights that are not finite, or too little memory, make of a figure.
_FAILURES = (tf.errors.OpError, np.linalg.LinAlgError)

of_ablation = ablation.figure


def of_run(workdir, which='newest'):
  """All figures of a run.

  Args:
    workdir: Path.
    which: As of `runs.load`.

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
  """The figures that a run's restored model makes.

  Args:
    run: `run_data.RunData`.
    which: As of `runs.load`.
    max_seconds: No figure is begun after so many.

  Returns:
    List of `Figure`.
  """
  end = time.monotonic() + max_seconds
  try:
    shown = subject.load(run.folder.path, which)
  except (*errors.USER_ERRORS, OSError) as e:
    drawn = [_missing(name, str(e)) for name, _ in _OF_MODEL]
    return [_untrained_architecture(run), *drawn]
  drawn = [_draw(name, draw, shown, end) for name, draw in _OF_MODEL]
  return [architecture.figure(shown.model), *drawn]


def _untrained_architecture(run):
  """That of the model that the config asks for: no checkpoint is needed."""
  try:
    system = choice.of(run.config)
    model = system.build_model(run.config, len(run.label_names))
    return architecture.figure(system.sampler(model))
  except errors.USER_ERRORS as e:
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
  """Writes the figures' images, a file each: SVG plots, PNG and GIF pictures.

  Args:
    figures: Sequence of `Figure`.
    folder: `pathlib.Path`; made if it is not there.

  Returns:
    List of paths.

  Raises:
    RunFolderError: if they cannot be written.
  """
  with run_folder.reporting(folder):
    folder.mkdir(parents=True, exist_ok=True)
  paths = []
  for figure in figures:
    images = [*figure.images, *(i for row in figure.rows for i in row.images)]
    for number, image in enumerate(images, 1):
      paths.append(folder / f'{figure.name}_{number}.{image.kind}')
      run_folder.write_atomically(paths[-1], image.data)
  return paths
