"""Bits/dim of different tails at equal training time.

  python benchmarks/experiments/equal_time.py \\
      --workdir=runs/equal_time --seconds=200

Trains the tail of each row below on natvid (or `--dataset`) without labels. A
probe of each row, with one thread, measures how many steps take `--seconds` of
a processor; the row then trains for as many. Each run is the training program
in its own process with one TensorFlow thread, `--jobs` at a time. The same
command again continues. A row differs from `cglow_small` (an affine first
bijector centred on the moved previous frame) or from `cglow_mixture` by what
its name says. All rows see two previous frames and mirrored clips, and train on
two random frames of a clip in each step.

Prints JSON. Each row has the bits/dim of held-out frames 1.., by seed with mean
and deviation; the same bound with `--importance_samples` draws of noise; and
steps and processor seconds of training. `--figure` plots the bits/dim of each
run's evaluations against seconds of training, at the probe's speed.
"""

import concurrent.futures
import itertools
import json
import os
import statistics
import sys

from absl import app
from absl import flags
from absl import logging

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from benchmarks import training_runs  # noqa: E402
from train.config import configs  # noqa: E402

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of the runs.', required=True
)
_DATASET = flags.DEFINE_string('dataset', 'natvid', 'Data set of clips.')
_FRAME_SIZE = flags.DEFINE_integer('frame_size', 32, 'Size of its frames.')
_SECONDS = flags.DEFINE_float('seconds', 200.0, 'Training seconds of a run.')
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs of each row.')
_ROWS = flags.DEFINE_list('rows', None, 'Only these rows.')
_DRAWS = flags.DEFINE_integer(
  'importance_samples', 16, 'Draws of noise of the tighter bound.'
)
_JOBS = flags.DEFINE_integer('jobs', 2, 'Runs at a time.')
_FIGURE = flags.DEFINE_string('figure', None, 'A PNG to write.')

_PROBE_STEPS = 100
_EVALUATIONS = 4
_SHARED = (
  'model.head=none',
  'data.symmetry=mirror',
  'model.tail.frames_per_step=2',
  *training_runs.NUMBERS_ONLY,
  'run.log_every=20',
)
_ROWS_BY_NAME = {
  'affine': ('cglow_small', ()),
  'affine with half the steps twice as wide': (
    'cglow_small',
    ('model.tail.steps.num_steps=2', 'model.tail.steps.hidden_channels=128'),
  ),
  'affine with twice the context': (
    'cglow_small',
    ('model.tail.pyramid.channels=32',),
  ),
  # Marino et al. (2021): only one autoregressive affine transform.
  'affine alone': (
    'cglow_small',
    (
      'model.tail.first.mean=previous_frame',
      'model.tail.first.hidden_channels=128',
      'model.tail.num_glow_blocks=1',
      'model.tail.steps=none',
    ),
  ),
  'mixture of pixels and small flow': ('cglow_mixture', ()),
  'mixture of moved pixels and small flow': (
    'cglow_mixture',
    ('model.tail.first.motion_radius=3',),
  ),
  'mixture of moved pixels with strips and small flow': (
    'cglow_mixture',
    ('model.tail.first.motion_radius=3', 'model.tail.first.strip_pooling=true'),
  ),
  'mixture of pixels with strips and small flow': (
    'cglow_mixture',
    ('model.tail.first.strip_pooling=true',),
  ),
  'mixture of quarters alone': (
    'cglow_mixture',
    ('model.tail.first.halvings=1', 'model.tail.steps=none'),
  ),
  'mixture of quarters and small flow': (
    'cglow_mixture',
    ('model.tail.first.halvings=1',),
  ),
  "mixture of quarters and the affine row's flow": (
    'cglow_mixture',
    (
      'model.tail.first.halvings=1',
      'model.tail.num_glow_blocks=3',
      'model.tail.steps.num_steps=4',
      'model.tail.steps.hidden_channels=64',
    ),
  ),
}


def _rows():
  rows = _ROWS.value or list(_ROWS_BY_NAME)
  unknown = set(rows) - set(_ROWS_BY_NAME)
  if unknown:
    raise app.UsageError(
      f'Expected --rows of {", ".join(_ROWS_BY_NAME)}, but got '
      f'{", ".join(sorted(unknown))}.'
    )
  return rows


def _train(name, row, seed, steps):
  preset, assignments = _ROWS_BY_NAME[row]
  every = max(steps // _EVALUATIONS, 1)
  return training_runs.train(
    os.path.join(_WORKDIR.value, name),
    preset,
    [
      *_SHARED,
      *configs.dataset_assignments(_DATASET.value),
      f'data.frame_size={_FRAME_SIZE.value}',
      *assignments,
      f'seed={seed}',
      f'run.steps={steps}',
      f'run.eval_every={every}',
      f'run.checkpoint_every={steps}',
    ],
  )


def _measured(seed, row, steps):
  folder = _train(_folder_name(row, seed), row, seed, steps[row])
  training_runs.tightened(folder, _DRAWS.value)
  return folder


def _folder_name(row, seed):
  return f'{"".join(c if c.isalnum() else "_" for c in row)}_seed_{seed}'


def _seconds_per_step(folder):
  """Processor time of a step; other work on the machine disturbs it less."""
  rows = folder.read_metrics('train')
  # The first interval includes the tracing.
  ends = zip(rows, rows[1:])
  return statistics.median(
    b['processor_seconds'] / (b['step'] - a['step']) for a, b in ends
  )


def _curve(folder):
  """Pairs of training seconds, by the probe, and bits/dim."""
  steps = folder.read_config().run.steps
  rows = folder.read_metrics('eval')
  return [
    (r['step'] / steps * _SECONDS.value, r['tail_bits_per_dim'])
    for r in rows
    if r['step']
  ]


def _result(row, folders):
  metrics = [f.read_metrics_file() for f in folders]
  bits = lambda key: training_runs.over_seeds([m[key] for m in metrics])
  return {
    'row': row,
    'bits_per_dim': bits('tail_bits_per_dim'),
    f'bits_per_dim_of_{_DRAWS.value}_draws': bits('tail_bits_per_dim_iw'),
    'steps': folders[0].read_config().run.steps,
    'seconds': [
      f.read_config().run.steps * _seconds_per_step(f) for f in folders
    ],
    'curves': [_curve(f) for f in folders],
  }


def _figure(results):
  from matplotlib import figure
  from matplotlib import ticker

  drawing = figure.Figure(figsize=(8, 5), layout='constrained')
  axes = drawing.add_subplot()
  for i, result in enumerate(results):
    for j, curve in enumerate(result['curves']):
      axes.plot(
        *zip(*curve),
        color=f'C{i}',
        marker='.',
        label=result['row'] if not j else None,
      )
  axes.set(xlabel='processor seconds of training', ylabel='held-out bits/dim')
  axes.set_yscale('log')
  axes.yaxis.set_major_formatter(ticker.ScalarFormatter())
  axes.yaxis.set_minor_formatter(ticker.ScalarFormatter())
  axes.legend()
  drawing.savefig(_FIGURE.value, dpi=100)


def main(argv):
  del argv
  logging.set_verbosity(logging.INFO)
  os.environ.update(training_runs.ONE_THREAD)
  rows = _rows()
  with concurrent.futures.ThreadPoolExecutor(_JOBS.value) as pool:
    probe = lambda row: _seconds_per_step(
      _train(_folder_name(row, 'probe'), row, 0, _PROBE_STEPS)
    )
    steps = {
      row: round(_SECONDS.value / seconds)
      for row, seconds in zip(rows, pool.map(probe, rows))
    }
    logging.info('Steps: %s.', steps)
    jobs = list(itertools.product(range(_SEEDS.value), rows))
    folders = dict(
      zip(jobs, pool.map(lambda job: _measured(*job, steps), jobs))
    )
  results = [
    _result(row, [folders[i, row] for i in range(_SEEDS.value)]) for row in rows
  ]
  if _FIGURE.value:
    _figure(results)
  print(json.dumps(results, indent=2))


if __name__ == '__main__':
  app.run(main)
