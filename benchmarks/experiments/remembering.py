"""A memory that earns its cost: objects that return after two dark frames.

  python benchmarks/experiments/remembering.py --workdir=runs/memory --seeds=3

Videos of 'shapes:blink' show a scene for two frames, noise for two frames, and
the scene again, so a tail that sees two frames has no information about it. The
models are compared on the frames right after the dark (4 and 5 of 8), on the
same held-out clips: two previous frames; these and a ConvGRU; these and the
paper's processor; and, for equal time, two previous frames with more steps, by
the factor by which a step with memory is slower. The first bijector is a
mixture of levels that models 2x2 pixels one after another.

Prints JSON. For each model: held-out bits/dim by frame, after the dark and of
all frames, and training seconds, mean and sample standard deviation over seeds.
For the model with memory and each other one: the paired difference after the
dark, with a bootstrap interval over seeds and clips
(`train/evaluation/paired.py`, which explains the limits of three seeds). Equal
time counts steps only, not start-up.
"""

import json
import os
import pathlib
import sys

from absl import app
from absl import flags
import numpy as np

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from benchmarks import training_runs  # noqa: E402

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of all runs.', required=True
)
_SEEDS = flags.DEFINE_list('seeds', ['0', '1', '2'], 'Seeds of each model.')
_STEPS = flags.DEFINE_integer('steps', 3000, 'Training steps of each model.')
_MODELS = flags.DEFINE_list('models', [], 'Names of models; default: all.')
_SET = flags.DEFINE_multi_string('set', [], 'key=value, for every run.')

_EQUAL_TIME = 'two_frames_equal_time'
_AFTER_THE_DARK = slice(3, 5)  # Frames 4 and 5, counted from frame 1.
_TWO = [
  'model.tail.previous_frames=2',
  'model.tail.memory=none',
]
_MODELS_AND_SETTINGS = {
  'two_frames': _TWO,
  'memory': [
    'model.tail.previous_frames=2',
    'model.tail.memory=gru_memory',
    'model.tail.memory.channels=8',
  ],
  'papers_processor': [
    'model.tail.previous_frames=2',
    'model.tail.memory=residual_memory',
    'model.tail.memory.channels=16',
  ],
}
_SHARED = [
  'model.head=none',
  'data=shapes',
  'data.variant=blink',
  'data.videos_per_label=250',
  'data.frame_size=16',
  'model.tail.num_glow_blocks=1',
  'model.tail.steps.num_steps=1',
  'model.tail.steps.hidden_channels=16',
  'model.tail.first=level_mixture',
  'model.tail.first.halvings=1',
  'run.log_every=100',
  'run.eval_every=100000',
  'run.checkpoint_every=100000',
  *training_runs.NUMBERS_ONLY,
]


def _train(name, settings, seed, steps):
  """Scores `[N, T - 1]`, bits/dim; seconds of training and of a clip."""
  path = pathlib.Path(_WORKDIR.value) / name / f'seed_{seed}'
  assignments = [*_SHARED, *settings, f'seed={seed}', f'run.steps={steps}']
  folder = training_runs.train(path, 'cglow_small', [*assignments, *_SET.value])
  seconds = folder.read_metrics_file()['seconds']
  return (
    folder.read_arrays('scores.npz')['tail'],
    seconds,
    _step_seconds(folder),
  )


def _train_all():
  """`dict` from name to a list, one per seed, of (scores, seconds)."""
  known = [*_MODELS_AND_SETTINGS, _EQUAL_TIME]
  chosen = _MODELS.value or known
  needed = {_EQUAL_TIME, 'two_frames', 'memory'}
  if set(chosen) - set(known) or (
    _EQUAL_TIME in chosen and not needed <= set(chosen)
  ):
    raise app.UsageError(
      f'--models takes {known}, the last with {sorted(needed)} only, but got '
      f'{chosen}.'
    )
  results = {
    name: [_train(name, settings, seed, _STEPS.value) for seed in _SEEDS.value]
    for name, settings in _MODELS_AND_SETTINGS.items()
    if name in chosen
  }
  if _EQUAL_TIME in chosen:
    runs = zip(_SEEDS.value, results['memory'], results['two_frames'])
    results[_EQUAL_TIME] = [
      _train(_EQUAL_TIME, _TWO, seed, _equal_time_steps(ours[2], theirs[2]))
      for seed, ours, theirs in runs
    ]
  return results


def _equal_time_steps(ours, theirs):
  return int(np.ceil(_STEPS.value * max(ours / theirs, 1.0) / 100)) * 100


def _step_seconds(folder):
  """Median over the log, without the first row, which includes the tracing."""
  rows = folder.read_metrics('train')[1:]
  return float(np.median([1.0 / r['clips_per_second'] for r in rows]))


def _row(runs):
  scores = [s for s, _, _ in runs]
  return {
    'bits_per_dim_by_frame': np.mean(scores, axis=(0, 1)).tolist(),
    'after_the_dark': training_runs.over_seeds(
      [float(s[:, _AFTER_THE_DARK].mean()) for s in scores]
    ),
    'all_frames': training_runs.over_seeds([float(s.mean()) for s in scores]),
    'training_seconds': training_runs.over_seeds(
      [seconds for _, seconds, _ in runs]
    ),
  }


def _difference(runs, to):
  from train.evaluation import paired

  of = lambda r: [s[:, _AFTER_THE_DARK].mean(axis=1) for s, _, _ in r]
  difference = paired.paired_difference(of(runs), of(to))
  return {
    'mean': difference.mean,
    'interval': [difference.low, difference.high],
    'by_seed': difference.by_seed,
  }


def main(argv):
  del argv
  results = _train_all()
  report = {name: _row(runs) for name, runs in results.items()}
  ours = results.get('memory')
  differences = {
    f'memory - {name}': _difference(ours, runs)
    for name, runs in results.items()
    if ours is not None and name != 'memory'
  }
  print(
    json.dumps({**report, 'after_the_dark_differences': differences}, indent=2)
  )


if __name__ == '__main__':
  app.run(main)
