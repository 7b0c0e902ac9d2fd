"""Does a run survive faults? One fault at a time, beside runs without one.

  python benchmarks/drills/faults.py --runs=runs/faults --clean_seeds=3

Trains a small flow on natvid for 300 steps, with a fault in the middle:

  nan_loss        one step's loss is NaN
  nan_frames      one batch's frames are NaN (the others are floats in [0, 1))
  inf_gradient    one gradient of the tail is infinite, the loss is finite
  nan_slot        an optimiser's slot becomes NaN, and with it the weights, for
                  good
  spike           one step's loss is a million times as large
  sigterm         SIGTERM, then the same command again
  truncated       the same, and half of the newest checkpoint is lost
  full_disk       the disk is filled, then emptied, and the same command again;
                  mounts a tmpfs, which needs root

Prints JSON. Each row has, for each seed: the program's exit codes; the steps
skipped; the spikes seen; the steps restored to; the program's messages about
the fault; and the held-out bits/dim, head plus tail, minus those of the run
without a fault. `is_within_seed_noise` says whether the mean of these
differences lies within two standard deviations of the runs without a fault.
Exits with 1 if a run did not end or ended in NaN. The same command again reuses
finished runs.
"""

import concurrent.futures
import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
from unittest import mock

from absl import app
from absl import flags
from absl import logging

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
_ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from benchmarks import training_runs  # noqa: E402
from train import main as program  # noqa: E402
from train.storage import run_folder  # noqa: E402

# Not `workdir` and `seeds`: the program's own flags have these names.
_RUNS = flags.DEFINE_string('runs', None, 'Folder of the runs.')
_NUM_SEEDS = flags.DEFINE_integer('num_seeds', 1, 'Runs of each fault.')
_CLEAN_SEEDS = flags.DEFINE_integer('clean_seeds', 3, 'Runs without a fault.')
_FAULTS = flags.DEFINE_list('faults', [], 'Names of faults; default: all.')
_AT_A_TIME = flags.DEFINE_integer('at_a_time', 2, 'Runs at a time.')
_OUTPUT = flags.DEFINE_string(
  'output', None, 'A file to write the JSON to, too.'
)
_INJECT = flags.DEFINE_string('inject', None, 'Internal: a fault of a run.')

_STEPS, _FAULT_STEP = 300, 163
_OWN = re.compile(
  r'^([IWE])\d{4} [\d:.]+ \d+ \w+\.py:\d+\] '
)  # absl's own flags.
_TELLING = re.compile(
  r'^[WE] |^I Restored|^error:|^Stopped by|^[\w.]*Error: |assertion failed'
  r'|^I .* \d+ (skipped steps|spikes)'
)
_SETTINGS = (
  'data=natvid',
  f'run.steps={_STEPS}',
  f'run.eval_every={_STEPS}',
  'run.checkpoint_every=50',
  'run.log_every=10',
  'run.batch_size=8',
  'optimiser.warmup_steps=50',
  'optimiser.learning_rate=0.003',
  'optimiser.final_learning_rate=0.0003',
  *training_runs.NUMBERS_ONLY,
)


# Runs in the program's process: the faults.


def _at_fault_step(train_step_of_loss):
  """Counts training steps; the step of the fault gets another loss.

  Args:
    train_step_of_loss: Function of the flow, its loss and a boolean scalar,
      whether this is the step of the fault, that gives the loss.
  """
  import tensorflow as tf

  from tfp_cglow.video import objective
  from tfp_cglow.video import video_glow

  count = tf.Variable(0)  # The optimiser's counter leaves out skipped steps.
  train_step, loss_terms = video_glow.VideoGlow.train_step, objective.loss_terms

  def faulty_terms(flow, *args, **kwargs):
    terms = loss_terms(flow, *args, **kwargs)
    is_now = tf.equal(count, _FAULT_STEP)
    return {**terms, 'loss': train_step_of_loss(flow, terms['loss'], is_now)}

  def counted_step(model, data):
    count.assign_add(1)
    with mock.patch.object(objective, 'loss_terms', faulty_terms):
      return train_step(model, data)

  video_glow.VideoGlow.train_step = counted_step


def _scale_loss(factor):
  import tensorflow as tf

  _at_fault_step(
    lambda flow, loss, is_now: loss * tf.where(is_now, factor, 1.0)
  )


def _inject_inf_gradient():
  import tensorflow as tf

  def faulty_loss(flow, loss, is_now):
    @tf.custom_gradient
    def poison(x):
      def gradient(upstream):
        return tf.fill(tf.shape(x), upstream * tf.where(is_now, math.inf, 0.0))

      return tf.zeros([]), gradient

    return loss + poison(flow.tail.trainable_variables[0].read_value())

  _at_fault_step(faulty_loss)


def _inject_nan_slot():
  import numpy as np
  import tf_keras as tfk

  from tfp_cglow.video import video_glow

  class Poison(tfk.callbacks.Callback):
    num_steps = 0  # Callbacks of every `fit`.

    def on_train_batch_end(self, batch, logs=None):
      Poison.num_steps += 1
      if Poison.num_steps == _FAULT_STEP:
        variable = self.model.flow.tail.trainable_variables[0]
        slot = self.model.optimizer.get_slot(variable, 'm')
        slot.assign(np.full(slot.shape, np.nan))

  fit = video_glow.VideoGlow.fit

  def poisoned_fit(model, *args, callbacks, **kwargs):
    return fit(model, *args, callbacks=[Poison(), *callbacks], **kwargs)

  video_glow.VideoGlow.fit = poisoned_fit


def _inject_nan_frames():
  import tensorflow as tf

  from train.data import inputs

  train_dataset = inputs.Inputs.train_dataset

  def faulty_dataset(self, step, rows=None):
    def poison(index, batch):
      frames, label = batch
      is_now = tf.equal(step + index + 1, _FAULT_STEP)
      frames = tf.cast(frames, tf.float32) / 256.0
      return tf.where(is_now, math.nan, frames), label

    return train_dataset(self, step, rows).enumerate().map(poison)

  inputs.Inputs.train_dataset = faulty_dataset


_INJECTIONS = {
  'nan_loss': lambda: _scale_loss(math.nan),
  'spike': lambda: _scale_loss(1e6),
  'inf_gradient': _inject_inf_gradient,
  'nan_slot': _inject_nan_slot,
  'nan_frames': _inject_nan_frames,
}


# Runs in this process: runs of the program.


class _Run:
  """A run of one process, or of several if the fault ends the first."""

  def __init__(self, name, seed, path):
    self.folder = run_folder.RunFolder(path)
    self.exit_codes = []
    self.log = pathlib.Path(_RUNS.value) / f'{name}_seed_{seed}.txt'
    self._seed = seed

  def train(self, inject=None):
    """Runs the program to its end, with the fault `inject`."""
    script = ['-m', 'train.main']
    if inject is not None:
      script = [os.path.abspath(__file__), f'--inject={inject}']
    self.wait(self._start(script))

  def start(self):
    """Starts the program; waits until it is in the middle of training."""
    process = self._start(['-m', 'train.main'])
    while process.poll() is None and self._step() < _FAULT_STEP:
      time.sleep(0.1)
    return process

  def wait(self, process):
    self.exit_codes.append(process.wait())

  def _start(self, script):
    settings = [*_SETTINGS, f'seed={self._seed}']
    with open(self.log, 'a', encoding='utf-8') as f:
      return subprocess.Popen(
        [
          *(sys.executable, *script, '--preset=smoke'),
          f'--workdir={self.folder.path.resolve()}',
          *(f'--set={setting}' for setting in settings),
        ],
        stdout=f,
        stderr=f,
        cwd=_ROOT,
      )

  def _step(self):
    return max((row['step'] for row in self.folder.read_metrics()), default=0)

  def numbers(self):
    """Results of the run: `dict`."""
    rows = self.folder.read_metrics()
    bits = None
    if self.folder.metrics_file.exists():
      metrics = json.loads(self.folder.metrics_file.read_text('utf-8'))
      bits = metrics['head_bits_per_dim'] + metrics['tail_bits_per_dim']
    return {
      'exit_codes': self.exit_codes,
      **{
        key: sum(int(r[key]) for r in rows if r['kind'] == 'train')
        for key in ('skipped_steps', 'spikes')
      },
      'restored_steps': [
        r['restored_step'] for r in rows if r.get('event') == 'restore'
      ],
      'bits_per_dim': bits,
    }

  def said(self):
    """The log's messages about a fault, each once: list of `str`."""
    text = self.log.read_text('utf-8', 'replace')
    text = text.replace(str(self.folder.path.resolve()), 'RUN')
    lines = [_OWN.sub(r'\1 ', line) for line in text.splitlines()]
    return list(dict.fromkeys(line for line in lines if _TELLING.search(line)))


def _stop(run):
  process = run.start()
  process.send_signal(signal.SIGTERM)
  run.wait(process)


def _sigterm(run):
  _stop(run)
  run.train()


def _truncated(run):
  _stop(run)
  newest = max(run.folder.checkpoints.glob('step_*'))
  (data,) = newest.glob('variables.data*')
  os.truncate(data, data.stat().st_size // 2)
  run.train()


def _full_disk(run):
  process = run.start()
  filler = run.folder.path.parent / 'filler'
  free = shutil.disk_usage(filler.parent).free
  filler.write_bytes(
    bytes(max(free - 2**17, 0))
  )  # There is still room for logs.
  run.wait(process)
  filler.unlink()
  run.train()


_SCENARIOS = {
  'clean': lambda run: run.train(),
  'nan_loss': lambda run: run.train('nan_loss'),
  'nan_frames': lambda run: run.train('nan_frames'),
  'inf_gradient': lambda run: run.train('inf_gradient'),
  'nan_slot': lambda run: run.train('nan_slot'),
  'spike': lambda run: run.train('spike'),
  'sigterm': _sigterm,
  'truncated': _truncated,
  'full_disk': _full_disk,
}


@contextlib.contextmanager
def _small_disk(path):
  """A file system of 32 MB at `path`."""
  path.mkdir(exist_ok=True)
  subprocess.run(
    ['mount', '-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', str(path)], check=True
  )
  try:
    yield
  finally:
    subprocess.run(['umount', str(path)], check=True)


def _run(name, seed):
  """Results of a run with a fault; kept in a file."""
  folder = pathlib.Path(_RUNS.value)
  path = folder / f'{name}_seed_{seed}'
  run = _Run(name, seed, path / 'run')
  done = folder / f'{name}_seed_{seed}.json'
  if not done.exists():
    shutil.rmtree(path, ignore_errors=True)
    run.log.unlink(missing_ok=True)
    disk = contextlib.nullcontext()
    if name == 'full_disk':
      disk = _small_disk(path)
    with disk:
      _SCENARIOS[name](run)
      numbers = run.numbers()
    done.write_text(json.dumps(numbers, indent=2) + '\n', 'utf-8')
    logging.info('%s, seed %d: %s', name, seed, numbers)
  return {**json.loads(done.read_text('utf-8')), 'said': run.said()}


def _row(runs, clean):
  bits = [run['bits_per_dim'] for run in runs]
  has_ended = all(b is not None and math.isfinite(b) for b in bits)
  row = {'has_ended': has_ended, 'runs': runs}
  if has_ended:
    expected = [run['bits_per_dim'] for run in clean]
    noise = training_runs.over_seeds(expected)['standard_deviation']
    less = training_runs.over_seeds([b - e for b, e in zip(bits, expected)])
    row['bits_per_dim'] = training_runs.over_seeds(bits)
    row['less_clean'] = less
    if noise is not None:
      row['is_within_seed_noise'] = abs(less['mean']) <= 2 * noise
  return row


def _compare():
  names = ['clean', *(_FAULTS.value or [n for n in _SCENARIOS if n != 'clean'])]
  pathlib.Path(_RUNS.value).mkdir(parents=True, exist_ok=True)
  num_seeds = {name: _NUM_SEEDS.value for name in names}
  num_seeds['clean'] = max(_NUM_SEEDS.value, _CLEAN_SEEDS.value)
  jobs = [(name, seed) for name in names for seed in range(num_seeds[name])]
  with concurrent.futures.ThreadPoolExecutor(_AT_A_TIME.value) as pool:
    done = dict(zip(jobs, pool.map(lambda job: _run(*job), jobs)))
  runs = {n: [done[n, seed] for seed in range(num_seeds[n])] for n in names}
  return {name: _row(runs[name], runs['clean']) for name in names}


def main(argv):
  if _INJECT.value is not None:
    _INJECTIONS[_INJECT.value]()
    return program.main(argv)
  if _RUNS.value is None:
    raise app.UsageError('Expected --runs=<folder of the runs>.')
  logging.set_verbosity(logging.INFO)
  rows = _compare()
  result = {'steps': _STEPS, 'fault_step': _FAULT_STEP, 'faults': rows}
  text = json.dumps(result, indent=2)
  print(text)
  if _OUTPUT.value:
    pathlib.Path(_OUTPUT.value).write_text(text + '\n', 'utf-8')
  return 0 if all(row['has_ended'] for row in rows.values()) else 1


if __name__ == '__main__':
  app.run(main)
