"""Labels of motions that one frame does not show.

  python benchmarks/experiments/motion_labels.py --workdir=runs/motion_labels

Trains tails on 'shapes:motion', whose labels are eight directions. A video's
first frame is the same for every direction. The label enters the context of the
tail's first bijector as an embedding. That bijector is centred on the moved
previous frame ('motion') or on the previous frame ('residual').

Prints JSON. For each model and seed:

- the tail's label information about a held-out clip given its first frame
  (bits, of 3), raw and calibrated, and the accuracy of the most probable label;
- the PSNR of one continuation from one frame at temperature 0.7, mean over
  clips, by horizon and over all: under the clip's label, under the other labels
  (mean), and of repeating the frame.
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
_STEPS = flags.DEFINE_integer('steps', 300, 'Training steps of each run.')
_MODELS = flags.DEFINE_list(
  'models', ['motion', 'residual'], 'Names of models.'
)
_CLIPS = flags.DEFINE_integer('clips', 64, 'Held-out clips that are continued.')
_SET = flags.DEFINE_multi_string('set', [], 'key=value, for every run.')

_SETTINGS = [
  *training_runs.MOTION_LABELS,
  'run.log_every=50',
  'run.eval_every=100000',
  'run.checkpoint_every=100000',
  *training_runs.NUMBERS_ONLY,
]
_MEANS = {'motion': 'moved_frame', 'residual': 'previous_frame'}
_LABEL_KEYS = (
  'label_entropy_bits',
  'label_information_bits',
  'calibrated_label_information_bits',
  'label_accuracy',
)


def _measure(name, seed):
  folder = training_runs.train(
    pathlib.Path(_WORKDIR.value) / name / f'seed_{seed}',
    'cglow_small',
    [
      *_SETTINGS,
      f'model.tail.first.mean={_MEANS[name]}',
      f'seed={seed}',
      f'run.steps={_STEPS.value}',
      *_SET.value,
    ],
  )
  metrics = folder.read_metrics_file()
  return {
    **{key: metrics[key] for key in _LABEL_KEYS},
    'tail_bits_per_dim': metrics['tail_bits_per_dim'],
    'training_seconds': metrics['seconds'],
    'psnr': _psnr_by_label(folder),
  }


def _psnr_by_label(folder):
  from train.runs import loading
  from train.samples import continuations

  run = loading.load(folder.path)
  frames, label = continuations.even_clips(
    run.inputs().valid_dataset(), _CLIPS.value
  )
  real = continuations.as_context(run.sampler, frames)
  num_labels = len(run.label_names)

  def quality(shift):
    sampled = continuations.continue_clips(
      run.sampler, frames, (label + shift) % num_labels, num_samples=1
    )
    return continuations.quality(real, sampled)

  by_shift = [quality(shift) for shift in range(num_labels)]
  key = 'continuation_psnr_best_of_samples'  # There is only one sample.
  wrong = np.mean([q[key] for q in by_shift[1:]], axis=0)
  rows = {
    'right_label': by_shift[0][key],
    'wrong_labels': wrong.tolist(),
    'first_frame_repeated': by_shift[0]['copy_psnr'],
  }
  means = {f'{name}_mean': float(np.mean(v)) for name, v in rows.items()}
  return {**rows, **means}


def main(argv):
  del argv
  report = {
    name: [_measure(name, seed) for seed in _SEEDS.value]
    for name in _MODELS.value
  }
  print(json.dumps(report, indent=2))


if __name__ == '__main__':
  app.run(main)
