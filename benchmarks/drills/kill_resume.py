"""Kills a training run repeatedly and compares its final state.

  python benchmarks/drills/kill_resume.py --times=25

Trains the smoke preset twice: once without interruption, and once with
`--times` times SIGKILL, each followed by the same command. About a fifth of the
kills come while the program starts, two fifths at a random time of training and
two fifths while a checkpoint is being written. Prints JSON; exits with 1 if any
tensor of the two final checkpoints differs in any bit, or if a line of the
metrics is missing, doubled or different. A kill takes as long as one start-up:
25 kills take half an hour on two busy cores.
"""

import collections
import glob
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

from absl import app
from absl import flags

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
_ROOT = os.path.dirname(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
)
sys.path.insert(0, _ROOT)

_TIMES = flags.DEFINE_integer('times', 25, 'Number of kills.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the moments.')
_STEPS = flags.DEFINE_integer('steps', 240, 'Training steps.')
_EVERY = flags.DEFINE_integer('every', 5, 'Steps between two checkpoints.')
_SET = flags.DEFINE_multi_string('set', [], 'key=value, as for train.main.')
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'A folder that is kept; default: temporary.'
)

_Kill = collections.namedtuple('_Kill', 'seconds step phase')


class _Run:
  """A run's folder, and the one process that trains in it."""

  def __init__(self, workdir, name):
    self.folder = os.path.join(workdir, name)
    self.checkpoints = os.path.join(self.folder, 'checkpoints')
    self.log = os.path.join(workdir, f'{name}.log')
    settings = [
      f'run.steps={_STEPS.value}',
      f'run.checkpoint_every={_EVERY.value}',
      f'run.eval_every={4 * _EVERY.value}',
      'run.log_every=1',
      'run.num_samples=0',
      'run.quality_samples=0',
      'model.export_max_frames=none',
      'data.cache=none',
      *_SET.value,
    ]
    self._command = [sys.executable, '-m', 'train.main', '--preset=smoke']
    self._command += [f'--workdir={self.folder}']
    self._command += [f'--data_dir={os.path.join(workdir, "data")}']
    self._command += [f'--set={setting}' for setting in settings]
    self._process = None
    self._start = None

  def start(self):
    self._start = time.perf_counter()
    with open(self.log, 'wb') as log:
      self._process = subprocess.Popen(
        self._command, cwd=_ROOT, stdout=log, stderr=log
      )

  @property
  def seconds(self):
    return time.perf_counter() - self._start

  def is_running(self):
    return self._process.poll() is None

  def kill(self):
    """Kills; returns a `_Kill`, or None if the run had ended."""
    seconds = self.seconds
    self._process.kill()
    if not self.finish():
      return None
    return _Kill(round(seconds, 2), self.newest_step(), self._phase())

  def finish(self):
    """Waits for the end; returns whether the process was killed."""
    code = self._process.wait()
    if code not in (0, -signal.SIGKILL):
      with open(self.log, encoding='utf-8') as f:
        raise RuntimeError(f'Training failed:\n{f.read()[-3000:]}')
    return code != 0

  def is_training(self):
    """Whether this process has logged a step."""
    with open(self.log, 'rb') as f:
      return re.search(rb'\bstep \d+/\d+', f.read()) is not None

  def is_writing(self):
    names = _list(self.checkpoints)
    return any(name.startswith(('.new_', '.old_')) for name in names)

  def newest_step(self):
    """The step of the newest checkpoint; -1 if there is none."""
    names = map(re.compile(r'step_(\d+)').fullmatch, _list(self.checkpoints))
    return max((int(m[1]) for m in names if m), default=-1)

  def _phase(self):
    if self.is_writing():
      return 'writing a checkpoint'
    if self.newest_step() == _STEPS.value:
      return 'measuring the trained model'
    return 'training' if self.is_training() else 'start-up'


def _list(folder):
  return os.listdir(folder) if os.path.isdir(folder) else []


def _wait_until(run, condition):
  while run.is_running() and not condition():
    time.sleep(0.001)


def _train_whole(run):
  """Trains without interruption: seconds of the start-up and of a step."""
  run.start()
  _wait_until(run, run.is_training)
  start_seconds = run.seconds
  _wait_until(run, lambda: run.newest_step() == _STEPS.value)
  step_seconds = (run.seconds - start_seconds) / _STEPS.value
  run.finish()
  return start_seconds, step_seconds


def _train_and_kill(run, start_seconds, step_seconds, rng):
  """Trains until one kill; None if the run ended before."""
  run.start()
  choice = rng.random()
  if choice < 0.2:
    time.sleep(rng.uniform(0, start_seconds))
  elif choice < 0.6:
    # Each kill costs another start-up, so this one may end.
    _wait_until(run, run.is_training)
    time.sleep(rng.expovariate(1 / (2 * _EVERY.value * step_seconds)))
  else:
    _wait_until(run, run.is_training)
    for _ in range(rng.randrange(3)):
      _wait_until(run, run.is_writing)
      _wait_until(run, lambda: not run.is_writing())
    _wait_until(run, run.is_writing)
    time.sleep(rng.choice([0, rng.uniform(0, 0.05)]))
  return run.kill()


def _tensors(run):
  import tensorflow as tf

  newest = os.path.join(run.checkpoints, f'step_{run.newest_step():08}')
  (index,) = glob.glob(os.path.join(newest, '*.index'))
  reader = tf.train.load_checkpoint(index[: -len('.index')])
  names = set(reader.get_variable_to_dtype_map())
  # It numbers variables in order of creation; restored slots come earlier.
  names.remove('_CHECKPOINTABLE_OBJECT_GRAPH')
  return {name: reader.get_tensor(name) for name in names}


def _is_equal(x, y):
  return (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())


def _different(ours, theirs):
  return sorted(
    name
    for name in {*ours, *theirs}
    if name not in ours
    or name not in theirs
    or not _is_equal(ours[name], theirs[name])
  )


def _rows(run):
  """The rows of the metrics, without times."""
  from train.storage import run_folder

  return [
    {k: v for k, v in row.items() if 'bits_per_dim' in k or k in _COMPARED}
    for row in run_folder.RunFolder(run.folder).read_metrics()
    if row['kind'] in ('train', 'eval')
  ]


_COMPARED = ('kind', 'step', 'model', 'loss', 'learning_rate')


def _compare(workdir):
  whole, killed = (_Run(workdir, name) for name in ('whole', 'killed'))
  start_seconds, step_seconds = _train_whole(whole)
  rng = random.Random(_SEED.value)
  kills = []
  for _ in range(_TIMES.value):
    kill = _train_and_kill(killed, start_seconds, step_seconds, rng)
    if kill is None:
      break
    kills.append(kill)
    print(len(kills), *kill, file=sys.stderr, flush=True)
  killed.start()
  killed.finish()
  tensors = _tensors(whole)
  different = _different(_tensors(killed), tensors)
  same_rows = _rows(killed) == _rows(whole)
  return {
    'kills': [{'nr': i + 1, **k._asdict()} for i, k in enumerate(kills)],
    'phases': dict(collections.Counter(k.phase for k in kills)),
    'start_seconds': start_seconds,
    'step_seconds': step_seconds,
    'steps': [whole.newest_step(), killed.newest_step()],
    'tensors': len(tensors),
    'different': different,
    'metrics_rows': len(_rows(whole)),
    'metrics_equal': same_rows,
    'damaged': [n for n in _list(killed.checkpoints) if 'corrupt' in n],
    'equal': not different and same_rows,
  }


def main(argv):
  del argv
  with tempfile.TemporaryDirectory() as temporary:
    workdir = os.path.abspath(_WORKDIR.value or temporary)
    os.makedirs(workdir, exist_ok=True)
    result = _compare(workdir)
  print(json.dumps(result, indent=2))
  return 0 if result['equal'] else 1


if __name__ == '__main__':
  app.run(main)
