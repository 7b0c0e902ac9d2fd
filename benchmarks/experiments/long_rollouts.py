"""Do rollouts many times as long as training clips keep contrast and detail?

  python benchmarks/experiments/long_rollouts.py \\
      --workdir=runs/rollouts --dataset=natvid

Trains `cglow_mixture` on clips of eight frames from each seed. Each run is the
training program in its own process with one TensorFlow thread, `--jobs` at a
time (the same command again continues). Then continues held-out clips from two
given frames to `--frames` frames, at several temperatures.

Writes some of them to the runs' samples: `rollout_TEMPERATURE.gif` and `.png`.
Prints JSON with the held-out bits/dim and, for each temperature:

- the ratio of the generated frames' deviation, and of their gradient energy
  (mean squared difference of neighbouring pixels), to those of the held-out
  clips, over blocks of eight frames;
- the extremes over all blocks and seeds, and whether all are within 25%;
- the distance of the newest frame from the first (root-mean-square, levels of
  255); 0 would be a still image.
"""

import concurrent.futures
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
from train.config import configs  # noqa: E402

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of all runs.', required=True
)
_DATASET = flags.DEFINE_string('dataset', 'natvid', 'Data set of clips.')
_FRAME_SIZE = flags.DEFINE_integer('frame_size', 32, 'Size of its frames.')
_STEPS = flags.DEFINE_integer('steps', 800, 'Training steps of each run.')
_SEEDS = flags.DEFINE_list('seeds', ['0', '1', '2'], 'Seeds, a run for each.')
_FRAMES = flags.DEFINE_integer('frames', 120, 'Frames of a rollout.')
_CLIPS = flags.DEFINE_integer('clips', 16, 'Held-out clips that are continued.')
_TEMPERATURES = flags.DEFINE_list(
  'temperatures', ['0.7', '0.85', '1'], 'Temperatures of the rollouts.'
)
_JOBS = flags.DEFINE_integer('jobs', 2, 'Runs at a time.')
_SET = flags.DEFINE_multi_string('set', [], 'key=value, for every run.')

_GIVEN = 2
_BLOCK = 8  # Frames.
_SHOWN = 4  # Rollouts, of those measured.
_TOLERANCE = 0.25
_STATISTICS = ('deviations', 'gradient_energies')


def _train(seed):
  return training_runs.train(
    pathlib.Path(_WORKDIR.value) / f'seed_{seed}',
    'cglow_mixture',
    [
      *training_runs.NUMBERS_ONLY,
      'model.head=none',
      *configs.dataset_assignments(_DATASET.value),
      f'data.frame_size={_FRAME_SIZE.value}',
      f'run.steps={_STEPS.value}',
      'run.eval_every=100000',
      'run.checkpoint_every=100000',
      f'seed={seed}',
      *_SET.value,
    ],
  )


def _rollouts(folder, temperature):
  """Ratios to the data's by block, and the distance from the first frame."""
  from train.runs import loading
  from train.samples import continuations
  from train.samples import sample_files

  run = loading.load(folder.path)
  frames, label = continuations.even_clips(
    run.inputs().valid_dataset(), _CLIPS.value
  )
  (videos,) = continuations.continue_clips(
    run.sampler,
    frames,
    label,
    num_samples=1,
    num_given=_GIVEN,
    num_frames=_FRAMES.value,
    temperature=temperature,
  )
  sample_files.save_videos(
    folder.samples / f'rollout_{temperature}', videos[:_SHOWN]
  )
  drift = continuations.drift(
    continuations.as_context(run.sampler, frames), videos, _GIVEN
  )
  moved = np.float64(videos[:, -1]) - videos[:, 0]
  return {
    **{k: _blocks(drift['ratios'][k]) for k in _STATISTICS},
    'distance_from_first': float(np.sqrt(np.mean(moved**2))),
  }


def _blocks(values):
  """Means of blocks of frames; the last may be shorter."""
  starts = range(0, len(values), _BLOCK)
  return [float(np.mean(values[i : i + _BLOCK])) for i in starts]


def _row(temperature, folders):
  of_runs = [_rollouts(folder, temperature) for folder in folders]
  row = {'temperature': temperature}
  for name in _STATISTICS:
    ratios = np.array([r[name] for r in of_runs])
    row[name] = {
      'by_block': np.mean(ratios, axis=0).round(3).tolist(),
      'least': float(ratios.min()),
      'most': float(ratios.max()),
    }
  row['is_within_25_percent'] = all(
    abs(row[name][k] - 1.0) <= _TOLERANCE
    for name in _STATISTICS
    for k in ('least', 'most')
  )
  row['distance_from_first'] = training_runs.over_seeds(
    [r['distance_from_first'] for r in of_runs]
  )
  row['tail_bits_per_dim'] = training_runs.over_seeds(
    [f.read_metrics_file()['tail_bits_per_dim'] for f in folders]
  )
  return row


def main(argv):
  del argv
  os.environ.update(training_runs.ONE_THREAD)
  with concurrent.futures.ThreadPoolExecutor(_JOBS.value) as pool:
    folders = list(pool.map(_train, _SEEDS.value))
  rows = [_row(t, folders) for t in map(float, _TEMPERATURES.value)]
  print(json.dumps(rows, indent=2))


if __name__ == '__main__':
  app.run(main)
