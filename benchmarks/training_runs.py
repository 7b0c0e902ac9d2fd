"""Runs of the training program, each in a process and a folder of its own.

The same command again reuses the runs that are done and continues the others.
"""

import os
import pathlib
import subprocess
import sys

from absl import logging

from train import configs
from train import paired
from train import presets
from train import run_folder

__all__ = [
  'MOTION_LABELS',
  'NUMBERS_ONLY',
  'ONE_THREAD',
  'over_seeds',
  'train',
]

# Neither a SavedModel nor samples nor continuations.
NUMBERS_ONLY = ('export=false', 'num_samples=0', 'quality_samples=0')

# A tail of `cglow_small` on clips whose first frame says nothing of the label.
MOTION_LABELS = (
  'model=tail',
  'dataset=shapes:motion',
  'previous_frames=1',
  'videos_per_label=100',
  'tail_labels=true',
  'tail.label_conditioning=embedding',
  'label_loss_weight=0',
  'tail.motion_radius=3',
  'tail_frames_per_step=3',
)

# Of the environment: for runs that share a machine.
ONE_THREAD = {
  'TF_NUM_INTRAOP_THREADS': '1',
  'TF_NUM_INTEROP_THREADS': '1',
  'OMP_NUM_THREADS': '1',
}

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def train(path, preset, assignments):
  """Trains a run, unless that is done.

  Args:
    path: Of the run's folder; its `log.txt` has the program's output.
    preset: Name in `presets.PRESETS`.
    assignments: List of `key=value`, as of `--set`.

  Returns:
    The run's `RunFolder`.

  Raises:
    RuntimeError: if the program fails, with the end of its log.
  """
  folder = run_folder.RunFolder(path)
  wanted = configs.check(configs.override(presets.PRESETS[preset], assignments))
  if folder.is_done(wanted):
    return folder
  logging.info('Training %s.', path)
  folder.path.mkdir(parents=True, exist_ok=True)
  log = folder.path / 'log.txt'
  with open(log, 'a') as f:
    done = subprocess.run(
      [
        *(sys.executable, '-m', 'train.main', f'--preset={preset}'),
        f'--workdir={folder.path.resolve()}',
        *(f'--set={assignment}' for assignment in assignments),
      ],
      stdout=f,
      stderr=f,
      cwd=_ROOT,
      env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '2'},
      check=False,
    )
  if done.returncode:
    end = log.read_text(errors='replace')[-2000:]
    raise RuntimeError(f'{path} failed:\n{end}')
  return folder


def over_seeds(values):
  """Mean and sample standard deviation of numbers, one a seed, and these."""
  mean, deviation, _ = paired.mean_and_spread(values)
  return {'mean': mean, 'standard_deviation': deviation, 'by_seed': values}
