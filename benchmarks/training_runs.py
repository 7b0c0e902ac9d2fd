"""Runs of the training program, each in its own process and folder.

The same command again reuses finished runs and continues the others.
"""

import pathlib

from absl import logging

from train.ablation import child_runs
from train.config import configs
from train.config import overrides
from train.config import presets
from train.evaluation import paired
from train.storage import run_folder

__all__ = [
  'MOTION_LABELS',
  'NUMBERS_ONLY',
  'ONE_THREAD',
  'over_seeds',
  'tightened',
  'train',
]

NUMBERS_ONLY = child_runs.NUMBERS_ONLY

# A tail of `cglow_small` on clips whose first frame does not show the label.
MOTION_LABELS = (
  'model.head=none',
  'data=shapes',
  'data.variant=motion',
  'data.videos_per_label=100',
  'model.tail.previous_frames=1',
  'model.tail.labels=label_embedding',
  'model.label_weight=0',
  'model.tail.first.mean.radius=3',
  'model.tail.frames_per_step=3',
)

# Environment variables, for runs that share a machine.
ONE_THREAD = {
  'TF_NUM_INTRAOP_THREADS': '1',
  'TF_NUM_INTEROP_THREADS': '1',
  'OMP_NUM_THREADS': '1',
}

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def train(path, preset, assignments):
  """Trains a run, unless it is finished.

  Args:
    path: The run's folder; its `log.txt` has the program's output.
    preset: Name in `presets.PRESETS`.
    assignments: List of `key=value`, as for `--set`.

  Returns:
    The run's `RunFolder`.

  Raises:
    RuntimeError: if the program fails, with its error.
  """
  folder = run_folder.RunFolder(path)
  wanted = configs.check(
    overrides.override(presets.PRESETS[preset], assignments)
  )
  if folder.is_done(wanted):
    return folder
  logging.info('Training %s.', path)
  _run(
    folder,
    f'--preset={preset}',
    *(f'--set={assignment}' for assignment in assignments),
  )
  return folder


def tightened(folder, num_samples):
  """A run's held-out numbers with the importance-weighted bound.

  Args:
    folder: `RunFolder` of a finished run.
    num_samples: Python `int`, draws of noise of each frame.

  Returns:
    `dict`, as in metrics.json, to which it is written, too.

  Raises:
    RuntimeError: See `train`.
  """
  if folder.read_metrics_file().get('num_importance_samples') != num_samples:
    logging.info('Evaluating %s.', folder.path)
    _run(folder, '--mode=evaluate', f'--importance_samples={num_samples}')
  return folder.read_metrics_file()


def _run(folder, *arguments):
  error = child_runs.ChildRun(folder.path.resolve(), arguments, cwd=_ROOT).run()
  if error:
    raise RuntimeError(f'{folder.path} failed: {error} ({folder.log})')


def over_seeds(values):
  """Mean and sample standard deviation over seeds, and the numbers."""
  mean, deviation, _ = paired.mean_and_spread(values)
  return {'mean': mean, 'standard_deviation': deviation, 'by_seed': values}
