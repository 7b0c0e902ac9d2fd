"""Samples judged by classifiers that were trained on real data only.

  python benchmarks/experiments/judged_samples.py \\
      --workdir=runs/judged --group=fashion
  python benchmarks/experiments/judged_samples.py \\
      --workdir=runs/judged --group=motion

- fashion: heads on Fashion-MNIST at 16x16, 5 bits, with the cross entropy of
  p(label | image) weighted 0, 1 and 10; and one whose first bijector is a
  mixture of levels that sees the label. Images of every label are drawn.
- motion: tails on 'shapes:motion', whose label is the direction. Held-out clips
  are continued under every label from their first frame, which does not show
  the label.

The training program trains each row from each seed (the same command again
continues). Samples at temperatures 1.0 and 0.7 are judged
(`train/evaluation/judges/classifier.py`):

- recognised: the share of samples that a classifier, trained on real training
  videos, assigns to their label.
- classification_score: the accuracy on real held-out videos of a classifier
  trained on the samples alone; `real` has that of one trained on as many real
  videos.
- frechet: the distance between the first classifier's features of samples and
  of held-out videos; `real` has that of as many training videos. It is not FVD,
  whose network is not included. `--fvd_model` takes a SavedModel of one (I3D,
  for example), called with float32 `[B, T, S, S, 3]` from 0 to 1 (S is
  `--fvd_size`), which returns `[B, F]`.

Prints JSON: `real`, the results of real videos, and the classifier's hash;
`rows`, by temperature, with mean, deviation and seeds.
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
_GROUP = flags.DEFINE_enum(
  'group', None, ['fashion', 'motion'], 'Group of rows.'
)
_ROWS = flags.DEFINE_list('rows', None, 'Only these rows.')
_SEEDS = flags.DEFINE_list('seeds', ['0', '1', '2'], 'Seeds of each row.')
_SAMPLES = flags.DEFINE_integer('samples', 2000, 'Most samples of each run.')
_DATA_DIR = flags.DEFINE_string('data_dir', '', "Fashion-MNIST's, if moved.")
_FVD_MODEL = flags.DEFINE_string(
  'fvd_model', None, 'A SavedModel that computes features.'
)
_FVD_SIZE = flags.DEFINE_integer('fvd_size', 224, 'Frame size of its input.')
flags.mark_flag_as_required('group')

_TEMPERATURES = (1.0, 0.7)
_JUDGE_STEPS = 1000
_MAX_REAL = 10_000
_FASHION = (
  'faces',
  (
    'data=fashion_mnist',
    'data.frame_size=16',
    'model.head.num_glow_blocks=2',
    'model.head.steps.num_steps=4',
    'model.head.steps.hidden_channels=48',
    'data.symmetry=none',
    'run.batch_size=64',
    'run.steps=1200',
    'optimiser.learning_rate=1e-3',
    'optimiser.warmup_steps=100',
  ),
)
_MOTION = ('cglow_small', (*training_runs.MOTION_LABELS, 'run.steps=300'))
_ROWS_OF = {
  'fashion': {
    **{
      f'cross entropy {weight}': (_FASHION, (f'model.label_weight={weight}',))
      for weight in (0, 1, 10)
    },
    'mixture': (
      _FASHION,
      (
        'model.head.first=level_mixture',
        'model.head.first.halvings=2',
        'model.head.labels=label_embedding',
        'model.head.steps.num_steps=1',
        'model.label_weight=0',
      ),
    ),
  },
  'motion': {'motion': (_MOTION, ())},
}
_QUIET = (
  *training_runs.NUMBERS_ONLY,
  'run.eval_every=100000',
  'run.checkpoint_every=100000',
  'run.log_every=100',
)


def _train(row, seed):
  (preset, shared), own = _ROWS_OF[_GROUP.value][row]
  return training_runs.train(
    pathlib.Path(_WORKDIR.value) / row.replace(' ', '_') / f'seed_{seed}',
    preset,
    [
      *_QUIET,
      *shared,
      *own,
      f'seed={seed}',
      *([f'data.data_dir={_DATA_DIR.value}'] if _DATA_DIR.value else []),
    ],
  )


class _Real:
  """Real videos as a run's model sees them, and their judge."""

  def __init__(self, run):
    from train.evaluation.judges import classifier

    inputs = run.inputs()
    self.num_labels = len(run.label_names)
    self.train = _gather(run, inputs.train_dataset(0), _MAX_REAL)
    self.valid = _gather(run, inputs.valid_dataset(), _MAX_REAL)
    self.judge = self.judge_of(*self.train)
    self.features = _features(self.judge, self.valid[0])
    some = tuple(part[: _SAMPLES.value] for part in self.train)
    self.numbers = {
      'judge': self.judge.weights_hash,
      'recognised': self.judge.accuracy(*self.valid),
      'classification_score': self.judge_of(*some).accuracy(*self.valid),
      **{
        name: classifier.frechet_distance(of_some, self.features[name])
        for name, of_some in _features(self.judge, some[0]).items()
      },
    }

  def judge_of(self, videos, labels):
    from train.evaluation.judges import classifier

    return classifier.train_classifier(
      videos, labels, self.num_labels, _JUDGE_STEPS
    )


def _gather(run, dataset, most):
  """At most a given number of videos and labels."""
  from train.samples import continuations

  videos, labels, count = [], [], 0
  for frames, label in dataset:
    videos.append(continuations.as_context(run.sampler, frames))
    labels.append(label.numpy())
    count += len(labels[-1])
    if count >= most:
      break
  return np.concatenate(videos)[:most], np.concatenate(labels)[:most]


def _features(judge_, videos):
  result = {'frechet': judge_.features(videos)}
  if _FVD_MODEL.value:
    result['fvd'] = _fvd_features(videos)
  return result


def _fvd_features(videos):
  import tensorflow as tf

  model = tf.saved_model.load(_FVD_MODEL.value)
  call = model if callable(model) else model.signatures['serving_default']
  size = [_FVD_SIZE.value] * 2
  results = []
  for video in videos:
    frames = tf.image.resize(tf.cast(video, tf.float32) / 255.0, size)
    frames = tf.repeat(frames, 3 // frames.shape[-1], axis=-1)
    features = call(frames[tf.newaxis])
    (features,) = tf.nest.flatten(features)
    results.append(features.numpy().reshape(-1))
  return np.stack(results)


def _sample(run, real, temperature):
  """Generated videos and their requested labels."""
  labels = np.arange(_SAMPLES.value) % real.num_labels
  kwargs = {'temperature': temperature, 'seed': 0}
  if run.sampler.head is not None:
    return run.sampler.sample(labels, **kwargs).numpy(), labels
  given, own = real.valid
  given = np.repeat(given[:, :1], real.num_labels, axis=0)[: _SAMPLES.value]
  labels = np.tile(np.arange(real.num_labels), len(own))[: len(given)]
  videos = run.sampler.sample(
    labels, num_frames=run.config.data.num_frames, first_frames=given, **kwargs
  )
  return videos.numpy(), labels


def _judged(run, real, temperature):
  from train.evaluation.judges import classifier

  videos, labels = _sample(run, real, temperature)
  rng = np.random.default_rng(0)
  order = rng.permutation(len(labels))
  own_judge = real.judge_of(videos[order], labels[order])
  return {
    'recognised': real.judge.accuracy(videos, labels),
    'classification_score': own_judge.accuracy(*real.valid),
    **{
      name: classifier.frechet_distance(values, real.features[name])
      for name, values in _features(real.judge, videos).items()
    },
  }


def main(argv):
  del argv
  from train.runs import loading

  real, rows = None, {}
  for row in _ROWS.value or list(_ROWS_OF[_GROUP.value]):
    loaded = [loading.load(_train(row, seed).path) for seed in _SEEDS.value]
    real = real or _Real(loaded[0])
    rows[row] = {}
    for temperature in _TEMPERATURES:
      judged = [_judged(run, real, temperature) for run in loaded]
      rows[row][temperature] = {
        name: training_runs.over_seeds([j[name] for j in judged])
        for name in judged[0]
      }
    print(row, rows[row], file=sys.stderr, flush=True)
  print(json.dumps({'real': real.numbers, 'rows': rows}, indent=2))


if __name__ == '__main__':
  app.run(main)
