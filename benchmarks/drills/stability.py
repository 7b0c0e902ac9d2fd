"""Does training stay stable? Couplings x learning rates x data sets x seeds.

  python benchmarks/drills/stability.py --workdir=runs/stability --seeds=3

Trains a small flow for 1,000 steps in each of twelve settings: affine and
additive couplings; learning rates of 1e-4, 1e-3 and 5e-3 (constant after the
warm-up); natvid and shapes. Each run is the training program in its own
process, with one TensorFlow thread. The same command again continues.

Prints JSON. The row of a setting has:

- the numbers of skipped steps, of spikes among the steps taken (losses far
  above the last ones, see `StepGuard`) and of restores, summed over its seeds;
  steps that a restore undid are not counted;
- the held-out bits/dim, head plus tail, mean and standard deviation over seeds;
- the largest round-trip error of a frame, in levels of uint8;
- the runs that failed.

Exits with 1 if a run failed or is not finite.
"""

import concurrent.futures
import itertools
import json
import math
import os
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

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of the runs.', required=True
)
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs of each setting.')
_STEPS = flags.DEFINE_integer('steps', 1000, 'Training steps.')
_JOBS = flags.DEFINE_integer('jobs', 2, 'Runs at a time.')
_OUTPUT = flags.DEFINE_string(
  'output', None, 'A file to write the JSON to, too.'
)

_DATASETS = ('natvid', 'shapes')
_COUPLINGS = ('affine', 'additive')
_LEARNING_RATES = (1e-4, 1e-3, 5e-3)


def _assignments(dataset, coupling, learning_rate, seed):
  return [
    f'data={dataset}',
    f'seed={seed}',
    f'run.steps={_STEPS.value}',
    f'optimiser.learning_rate={learning_rate}',
    f'optimiser.final_learning_rate={learning_rate}',
    *(
      f'model.{part}.{assignment}'
      for part in ('head', 'tail')
      for assignment in (
        'num_glow_blocks=2',
        f'steps={coupling}_steps',
        'steps.num_steps=2',
        'steps.hidden_channels=16',
      )
    ),
    'run.batch_size=8',
    'optimiser.warmup_steps=50',
    'run.log_every=50',
    f'run.eval_every={_STEPS.value}',
    'run.checkpoint_every=250',
    *training_runs.NUMBERS_ONLY,
  ]


def _run(setting, seed):
  """A run's numbers: `dict`; only 'error' if it failed."""
  name = '_'.join(map(str, (*setting, f'seed_{seed}'))).replace(':', '_')
  try:
    folder = training_runs.train(
      os.path.join(_WORKDIR.value, name),
      'smoke',
      _assignments(*setting, seed),
    )
  except RuntimeError as e:
    return {'name': name, 'error': str(e).splitlines()[-1]}
  logging.info('Done: %s.', name)
  return {'name': name, **_numbers(folder)}


def _numbers(folder):
  rows = folder.read_metrics()
  metrics = folder.read_metrics_file()
  restores = [r for r in rows if r.get('event') == 'restore']
  reports = [r for r in rows if r['kind'] == 'invertibility'][-1]
  return {
    **{
      key: sum(int(r[key]) for r in rows if r['kind'] == 'train')
      for key in ('skipped_steps', 'spikes')
    },
    'restores': len(restores),
    'reasons': [r['reason'] for r in restores],
    'bits_per_dim': metrics['head_bits_per_dim'] + metrics['tail_bits_per_dim'],
    'round_trip_error_levels': max(
      reports[part]['round_trip_error_levels'] for part in ('head', 'tail')
    ),
  }


def _row(setting, runs):
  """A setting's row of the table, from its runs, one per seed."""
  done = [run for run in runs if 'error' not in run]
  bits = training_runs.over_seeds([run['bits_per_dim'] for run in done])
  errors = [run['round_trip_error_levels'] for run in done]
  return {
    **dict(zip(('dataset', 'coupling', 'learning_rate'), setting)),
    **{
      key: sum(run[key] for run in done)
      for key in ('skipped_steps', 'spikes', 'restores')
    },
    'bits_per_dim': bits,
    'round_trip_error_levels': max(errors, default=None),
    'reasons': [reason for run in done for reason in run['reasons']],
    'failed': [run['error'] for run in runs if 'error' in run],
    'not_finite': [
      run['name'] for run in done if not math.isfinite(run['bits_per_dim'])
    ],
  }


def _table():
  settings = list(itertools.product(_DATASETS, _COUPLINGS, _LEARNING_RATES))
  # Seeds in the outer loop: early results then cover all settings.
  jobs = list(itertools.product(range(_SEEDS.value), settings))
  with concurrent.futures.ThreadPoolExecutor(_JOBS.value) as pool:
    runs = list(pool.map(lambda job: _run(job[1], job[0]), jobs))
  return [
    _row(s, [run for job, run in zip(jobs, runs) if job[1] == s])
    for s in settings
  ]


def main(argv):
  del argv
  logging.set_verbosity(logging.INFO)
  os.environ.update(training_runs.ONE_THREAD)
  rows = _table()
  result = {
    'steps': _STEPS.value,
    'runs': _SEEDS.value * len(rows),
    'rows': rows,
    **{
      key: sum(row[key] for row in rows)
      for key in ('skipped_steps', 'spikes', 'restores')
    },
    'all_finite': not any(row['failed'] or row['not_finite'] for row in rows),
  }
  text = json.dumps(result, indent=2)
  print(text)
  if _OUTPUT.value:
    with open(_OUTPUT.value, 'w', encoding='utf-8') as f:
      f.write(text + '\n')
  return 0 if result['all_finite'] else 1


if __name__ == '__main__':
  app.run(main)
