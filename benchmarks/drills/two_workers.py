"""Two workers on loopback compared with one process, also with kills.

  python benchmarks/drills/two_workers.py

Runs one config in one process, with two workers that share each batch, and
again with one of them killed or told to stop. A supervisor restarts a worker,
with the same command, whenever its exit code is not 0. Prints JSON; exits with
1 if the workers do not train as one process does, or if a run with a signal
ends with other weights than the run without.
"""

import json
import os
import pathlib
import re
import signal
import socket
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

_STEPS = flags.DEFINE_integer('steps', 20, 'Training steps of each run.')
_SIGNAL_AT = flags.DEFINE_integer(
  'signal_at', 8, 'Send the signal after this step.'
)
_SIGNALS = flags.DEFINE_list(
  'signals',
  ['0:SIGKILL', '1:SIGKILL', '1:SIGTERM'],
  'Worker and signal, each in a run of its own.',
)
_PRESET = flags.DEFINE_string('preset', 'smoke', 'Preset of the config.')
_TIMEOUT = flags.DEFINE_float('timeout', 600, 'Seconds that a run may take.')
_WORKDIR = flags.DEFINE_string(
  'workdir',
  None,
  'A folder that is kept, with its finished runs; default: temporary.',
)

_LOSS_GOAL = 1e-4
_ACTNORM_GOAL = 1e-5


def _command(folder, strategy):
  assignments = {
    'run.batch_size': 8,
    'run.steps': _STEPS.value,
    'run.log_every': 1,
    'run.eval_every': _STEPS.value // 2,
    'run.checkpoint_every': 5,
    'run.keep_checkpoints': _STEPS.value,
    'run.num_samples': 0,
    'run.quality_samples': 0,
    'model.export_max_frames': 'none',
  }
  return [
    *(sys.executable, '-m', 'train.main', f'--preset={_PRESET.value}'),
    *(f'--workdir={folder}', f'--strategy={strategy}'),
    *(f'--set={key}={value}' for key, value in assignments.items()),
  ]


class _Worker:
  """A process that is restarted until it succeeds.

  Attributes:
    ends: List of `dict`, one per exit: exit code and time.
  """

  def __init__(self, folder, index, addresses):
    self._folder = folder
    self._log = folder.with_name(f'{folder.name}_{index}.log')
    self._environment = dict(os.environ)
    strategy = 'default'
    if addresses:
      strategy = 'multi_worker'
      self._environment['TF_CONFIG'] = json.dumps(
        {
          'cluster': {'worker': addresses},
          'task': {'type': 'worker', 'index': index},
        }
      )
    self._command = _command(folder, strategy)
    self.ends = []
    self.start()

  def start(self):
    with open(self._log, 'ab') as log:
      self.process = subprocess.Popen(
        self._command,
        stdout=log,
        stderr=log,
        cwd=_ROOT,
        env=self._environment,
      )

  def poll(self, start):
    """Whether it succeeded; restarts it if it failed."""
    code = self.process.poll()
    if code is None:
      return False
    if code or not self.ends or self.ends[-1]['exit_code']:
      end = {'exit_code': code, 'second': time.monotonic() - start}
      if code > 0:
        end['says'] = self._last_line()
      self.ends.append(end)
    if code:
      self.start()
    return code == 0

  def _last_line(self):
    """Last line of the log, without TensorFlow's own."""
    lines = self._log.read_text('utf-8', 'replace').splitlines()
    lines = [line for line in lines if not re.match(r'[IWEF]\d{4} ', line)]
    return (lines or [''])[-1][:300]


def _train(folder, num_workers, signalled=None, number=None):
  """Trains to the end: seconds, and the exits of each worker."""
  done = folder.with_suffix('.json')
  if done.exists():
    return json.loads(done.read_text('utf-8'))
  addresses = [f'localhost:{port}' for port in _free_ports(num_workers)]
  start = time.monotonic()
  workers = [
    _Worker(folder, k, addresses if num_workers > 1 else None)
    for k in range(num_workers)
  ]
  signal_second = None
  try:
    while not all([worker.poll(start) for worker in workers]):
      if time.monotonic() - start > _TIMEOUT.value:
        raise RuntimeError(f'{folder} has not ended: {_ends(workers)}')
      is_due = signalled is not None and signal_second is None
      if is_due and _last_step(folder) >= _SIGNAL_AT.value:
        workers[signalled].process.send_signal(number)
        signal_second = time.monotonic() - start
      time.sleep(0.05)
  finally:
    for worker in workers:
      if worker.process.poll() is None:
        worker.process.kill()
  result = {
    'seconds': time.monotonic() - start,
    'signal_second': signal_second,
    'ends': _ends(workers),
  }
  done.write_text(json.dumps(result), 'utf-8')
  return result


def _ends(workers):
  return [worker.ends for worker in workers]


def _free_ports(num):
  sockets = [socket.socket() for _ in range(num)]
  for s in sockets:
    s.bind(('localhost', 0))
  ports = [s.getsockname()[1] for s in sockets]
  for s in sockets:
    s.close()
  return ports


def _rows(folder):
  from train.storage import run_folder

  return run_folder.RunFolder(folder).read_metrics('train')


def _last_step(folder):
  return max([0, *(row['step'] for row in _rows(folder))])


def _variables(folder, step):
  import tensorflow as tf

  path = folder / 'checkpoints' / f'step_{step:08}' / 'variables'
  reader = tf.train.load_checkpoint(str(path))
  keys = [k for k in reader.get_variable_to_shape_map() if '.ATTR' in k]
  return {k: reader.get_tensor(k) for k in keys}


def _largest_difference(ours, theirs, is_used):
  """Largest difference of float variables whose key is used; their number."""
  import numpy as np

  keys = [k for k in ours if is_used(k) and ours[k].dtype.kind == 'f']
  differences = [np.max(np.abs(ours[k] - theirs[k]), initial=0) for k in keys]
  return {'variables': len(keys), 'largest': float(max(differences))}


def _is_weight(key):
  return key.startswith('model/') and 'OPTIMIZER_SLOT' not in key


def _is_actnorm(key):
  return _is_weight(key) and any(f'/{k}/' in key for k in ('actnorm', 'norm'))


def _compare(ours, theirs):
  """Compares two runs' losses, and weights at the start and at the end."""
  losses = [[row['loss'] for row in _rows(f)] for f in (ours, theirs)]
  steps = _STEPS.value
  start, end = (
    [_variables(f, step) for f in (ours, theirs)] for step in (0, steps)
  )
  return {
    'steps_logged': [len(values) for values in losses],
    'loss': max(abs(a - b) for a, b in zip(*losses)),
    'adapted_actnorm': _largest_difference(*start, _is_actnorm),
    'weights': _largest_difference(*end, _is_weight),
    'bit_identical': _same(*end),
  }


def _same(ours, theirs):
  return ours.keys() == theirs.keys() and all(
    ours[k].tobytes() == theirs[k].tobytes() for k in ours
  )


def _run(root):
  one, two = root / 'one', root / 'two'
  result = {'one': _train(one, 1), 'two': _train(two, 2)}
  result['two_against_one'] = against = _compare(two, one)
  good = [
    against['steps_logged'] == [_STEPS.value] * 2,
    against['loss'] <= _LOSS_GOAL,
    against['adapted_actnorm']['largest'] <= _ACTNORM_GOAL,
  ]
  for text in _SIGNALS.value:
    index, kind = text.split(':')
    name = f'{kind.lower()}_{index}'
    number = getattr(signal, kind)
    result[name] = _train(root / name, 2, int(index), number)
    result[f'{name}_against_two'] = against = _compare(root / name, two)
    good += [
      against['steps_logged'] == [_STEPS.value] * 2,
      against['bit_identical'],
    ]
  return {**result, 'good': all(good)}


def main(argv):
  del argv
  with tempfile.TemporaryDirectory() as temporary:
    root = pathlib.Path(_WORKDIR.value or temporary).resolve()
    root.mkdir(parents=True, exist_ok=True)
    result = _run(root)
  print(json.dumps(result, indent=2))
  return 0 if result['good'] else 1


if __name__ == '__main__':
  app.run(main)
