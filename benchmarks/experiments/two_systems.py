"""The paper's two systems, its GAN and a flow: which runs end healthy?

  python benchmarks/experiments/two_systems.py \\
      --workdir=runs/two_systems --seeds=3

Trains `gan_paper` and the flow `cglow_small`, head and tail, with learning
rates 1e-4, 1e-3 and 5e-3 (constant), and `gan_stable` with its own; on natvid
at 32x32 and shapes at 16x16; from several seeds. Each run is the training
program in its own process with one TensorFlow thread, two at a time; the same
command again continues. GANs train for `--gan_steps`. The flow trains for as
many steps as take the same time, measured by the quickest `gan_paper` run on
that data set and a flow run of a hundred steps; start-ups are not counted.

A run is healthy if it did not diverge and its own videos, eight of each label
at temperature 1, meet criteria that were fixed before any run was judged
(`train/samples/sample_health.py`): the deviation is within 30% of the held-out
clips'; fewer than 20% of the values are in the lowest or highest of 32 levels;
and two videos of one label are at least half as far apart as two real ones. A
flow is not restored here (`run.max_restores=0`). It has its preset's warm-up of
50 steps, the usual clip norms and no label loss, and continues clips at
temperature 1, as a GAN does.

Prints JSON. `rows` has, for each system, data set and learning rate, the
healthy runs, and mean and standard deviation over the seeds of

- these statistics;
- PSNR and SSIM of the best of ten continuations (two frames given, means over
  the rest; beside a copy of the last given frame), and the distance between
  continuations of one clip (for the flow at 1e-3 only);
- seconds of training and steps a second.

`collapse` has deviation and saturation at some steps of `gan_paper`'s training
at its own learning rate, as the paper's Fig. 7. `gan_curves_<data set>.png` is
the figure with all steps.

`--flow_steps=1500 --datasets=shapes --rates=1e-3` trains flows alone, for
longer.
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
import numpy as np

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
_GAN_STEPS = flags.DEFINE_integer('gan_steps', 400, 'Training steps of a GAN.')
_FLOW_STEPS = flags.DEFINE_integer(
  'flow_steps', None, 'Steps of a flow, without GANs; None: see above.'
)
_CHOSEN = flags.DEFINE_list(
  'datasets', None, 'Some of natvid and shapes; default: both.'
)
_RATES = flags.DEFINE_list(
  'rates', None, 'Some of the learning rates; default: all.'
)
_JOBS = flags.DEFINE_integer('jobs', 2, 'Runs at a time.')
_OUTPUT = flags.DEFINE_string(
  'output', None, 'A file to write the JSON to, too.'
)

_DATASETS = {'natvid': 32, 'shapes': 16}
_LEARNING_RATES = (1e-4, 1e-3, 5e-3)
_COMPARED_RATE = (
  1e-3  # Learning rate of the flow whose continuations are measured.
)
_PROBE_STEPS = 100  # Steps of the flow that measure its speed.
_HEALTH = (
  'deviation_ratio',
  'diversity_ratio',
  'generated_saturation',
  'generated_mean',
  'real_mean',
)


def _assignments(system, dataset, rate, seed, steps):
  shared = [
    f'data={dataset}',
    f'data.frame_size={_DATASETS[dataset]}',
    f'seed={seed}',
    f'run.steps={steps}',
    'data.symmetry=mirror',
    'run.log_every=20',
    f'run.eval_every={steps}',
    f'run.checkpoint_every={steps}',
    'run.num_samples=2',
    'run.quality_given=2',
  ]
  if rate is not None:
    shared += [
      f'optimiser.learning_rate={rate}',
      f'optimiser.final_learning_rate={rate}',
    ]
  if system == 'flow':
    shared += [
      'model.label_weight=0',
      'model.export_max_frames=none',
      'run.temperature=1.0',
      'run.max_restores=0',
    ]
    if rate != _COMPARED_RATE:
      shared.append('run.quality_samples=0')
  return shared


def _preset(system):
  return 'cglow_small' if system == 'flow' else system


def _train(name, system, dataset, rate, seed, steps):
  """The run's folder, or None, with a message, if it diverged."""
  try:
    return training_runs.train(
      os.path.join(_WORKDIR.value, name),
      _preset(system),
      _assignments(system, dataset, rate, seed, steps),
    )
  except RuntimeError as e:
    if 'Training diverged' not in str(e):
      raise
    logging.warning('%s', e)
    return None


def _judge(folder):
  """A finished run's numbers: `dict`."""
  from train.runs import loading
  from train.samples import continuations
  from train.samples import sample_health

  done = folder.path / 'health.json'
  if done.exists():
    return json.loads(done.read_text())
  metrics, config = folder.read_metrics_file(), folder.read_config()
  result = metrics.get('samples')  # A GAN's own run has measured it.
  if result is None:
    run = loading.load(folder.path)
    clips = continuations.even_clips(run.inputs().valid_dataset(), 256)
    result = sample_health.measure(run.sampler, *clips, seed=config.seed)
  if config.run.quality_samples:
    for name in ('psnr', 'ssim'):
      for kind in (f'continuation_{name}_best_of_samples', f'copy_{name}'):
        result[kind] = float(np.mean(metrics[kind]))
    result['continuation_distance'] = float(np.mean(metrics['diversity']))
  result['seconds'] = metrics['seconds']
  result['steps_per_second'] = 1.0 / _seconds_per_step(folder)
  done.write_text(json.dumps(result))
  return result


def _row(system, dataset, rate, results):
  ended = [r for r in results if r is not None]
  numbers = set.intersection(*map(set, ended)) if ended else set()
  return {
    'system': system,
    'dataset': dataset,
    'learning_rate': rate,
    'runs': len(results),
    'ended': len(ended),
    'healthy': sum(r['is_healthy'] for r in ended),
    **{
      k: training_runs.over_seeds([r[k] for r in ended])
      for k in sorted(numbers - {'is_healthy'})
    },
  }


def _collapse(folder):
  """Deviation and saturation through training, at six steps."""
  rows = folder.read_metrics('train')
  chosen = np.linspace(0, len(rows) - 1, 6).round().astype(int)
  keys = ('step', 'generated_mean', 'generated_deviation', 'real_deviation')
  keys += ('saturation', 'discriminator_loss', 'generator_loss')
  return [{k: rows[i][k] for k in keys} for i in chosen]


def _datasets():
  return _CHOSEN.value or list(_DATASETS)


def _rated(system):
  rates = map(float, _RATES.value or _LEARNING_RATES)
  return list(itertools.product(_datasets(), [system], rates))


def _gan_settings():
  stable = [(dataset, 'gan_stable', None) for dataset in _datasets()]
  return [*_rated('gan_paper'), *stable]


def _name(dataset, system, rate, seed):
  return f'{system}_{dataset}_{rate}_seed_{seed}'


def _train_all(pool, settings, steps_of):
  """Folders by setting, a list over seeds; seeds are the outer loop."""
  jobs = list(itertools.product(range(_SEEDS.value), settings))

  def run(job):
    seed, (dataset, system, rate) = job
    name = _name(dataset, system, rate, seed)
    return _train(name, system, dataset, rate, seed, steps_of(dataset, system))

  folders = dict(zip(jobs, pool.map(run, jobs)))
  return {s: [folders[i, s] for i in range(_SEEDS.value)] for s in settings}


def _seconds_per_step(folder):
  """Seconds of a step of eight clips, after tracing."""
  rows = folder.read_metrics('train')
  return 8.0 / statistics.median(r['clips_per_second'] for r in rows)


def _flow_steps(gan_folders):
  """Number of flow steps that take as long as the paper's GAN's."""
  steps = {}
  for dataset in _datasets():
    of_gan = [
      f
      for (d, system, _), folders in gan_folders.items()
      for f in folders
      if d == dataset and system == 'gan_paper' and f
    ]
    probe = _train(f'probe_{dataset}', 'flow', dataset, 1e-3, 0, _PROBE_STEPS)
    # From the run that was disturbed least.
    of_gan = min(map(_seconds_per_step, of_gan))
    steps[dataset] = round(_GAN_STEPS.value * of_gan / _seconds_per_step(probe))
  return steps


def _figure(dataset, folders):
  from train.storage import files
  from train.systems.gan import curves

  drawn = {
    f'{system} {i}': f.read_metrics()
    for (d, system, rate), of_seeds in folders.items()
    for i, f in enumerate(of_seeds)
    if d == dataset and rate in (None, 1e-3) and f
  }
  files.write_atomically(
    os.path.join(_WORKDIR.value, f'gan_curves_{dataset}.png'),
    curves.figure(drawn),
  )


def main(argv):
  del argv
  logging.set_verbosity(logging.INFO)
  os.environ.update(training_runs.ONE_THREAD)
  folders, steps = {}, dict.fromkeys(_datasets(), _FLOW_STEPS.value)
  with concurrent.futures.ThreadPoolExecutor(_JOBS.value) as pool:
    if _FLOW_STEPS.value is None:
      folders = _train_all(
        pool, _gan_settings(), lambda dataset, system: _GAN_STEPS.value
      )
      for dataset in _datasets():
        _figure(dataset, folders)
      steps = _flow_steps(folders)
    logging.info('Steps of the flow: %s.', steps)
    folders |= _train_all(
      pool, _rated('flow'), lambda dataset, system: steps[dataset]
    )
  rows = [
    _row(system, dataset, rate, [f and _judge(f) for f in of_seeds])
    for (dataset, system, rate), of_seeds in folders.items()
  ]
  text = json.dumps(
    {
      'gan_steps': _GAN_STEPS.value,
      'flow_steps': steps,
      'rows': rows,
      'collapse': {
        f'{system}_{dataset}': [f and _collapse(f) for f in of_seeds]
        for (dataset, system, rate), of_seeds in folders.items()
        if system != 'flow' and rate in (None, 1e-3)
      },
    },
    indent=2,
  )
  print(text)
  if _OUTPUT.value:
    with open(_OUTPUT.value, 'w', encoding='utf-8') as f:
      f.write(text + '\n')


if __name__ == '__main__':
  app.run(main)
