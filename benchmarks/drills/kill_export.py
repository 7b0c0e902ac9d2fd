"""Kills exports at random moments and checks which files are visible.

  python benchmarks/drills/kill_export.py --times=10

Each export runs in its own process, into the same folder, and is killed by
SIGKILL: two in ten at any moment, the others while files are being written.
Exports that end before the kill do not count. Meanwhile the folder is watched:
a version must have all its files as soon as it is visible. Finally one export
runs to its end, and every version is loaded and asked for a video. Prints JSON;
exits with 1 if a version was incomplete or gave another video, or if anything
else than versions is left.
"""

import json
import os
import pathlib
import random
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

_TIMES = flags.DEFINE_integer('times', 10, 'Number of kills.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the moments.')
_RUN = flags.DEFINE_string('run', None, 'Internal: exports to this folder.')

_DEADLINE = 600.0  # Seconds of one export.


def _export(folder):
  from train.config import presets
  from train.serving import export
  from train.systems.flow import models

  model = models.build_model(presets.PRESETS['smoke'], 2)
  export.export_model(model.flow, folder)


def _start(folder):
  command = [sys.executable, os.path.abspath(__file__), f'--run={folder}']
  return subprocess.Popen(
    command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
  )


def _files(version):
  """The names of all files of a version."""
  return {
    p.relative_to(version).as_posix() for p in version.rglob('*') if p.is_file()
  }


def _versions(folder):
  return sorted(p for p in folder.iterdir() if p.name.isdigit())


def _watch(process, folder, until, expected):
  """Watches the folder; returns the incomplete versions."""
  halves = set()
  deadline = time.monotonic() + _DEADLINE
  while process.poll() is None and not until():
    for version in _versions(folder):
      if expected is not None and _files(version) != expected:
        halves.add(version.name)
    if time.monotonic() > deadline:
      raise RuntimeError(f'An export took more than {_DEADLINE:.0f} s.')
    time.sleep(0.001)
  return halves


def _after(seconds):
  end = time.monotonic() + seconds
  return lambda: time.monotonic() > end


def _finish(process):
  """Waits; returns whether the process was killed."""
  _, errors = process.communicate()
  if process.returncode not in (0, -signal.SIGKILL):
    raise RuntimeError(f'An export failed:\n{errors[-2000:]}')
  return process.returncode != 0


def _run_through(folder):
  """One export without a kill: its seconds, and its seconds of writing."""
  start = time.monotonic()
  process = _start(folder)
  unfinished = folder / '.unfinished'
  _watch(process, folder, unfinished.exists, None)
  writing = time.monotonic()
  _watch(process, folder, lambda: not unfinished.exists(), None)
  end = time.monotonic()
  _finish(process)
  return end - start, end - writing


def _kill(folder, seconds, writing_seconds, rng, expected):
  """One kill: when, whether in time, and incomplete versions seen."""
  process = _start(folder)
  unfinished = folder / '.unfinished'
  # A killed export's folder may still exist: the next export removes it.
  before = unfinished.stat().st_ino if unfinished.exists() else None
  is_new = lambda: unfinished.exists() and unfinished.stat().st_ino != before
  halves = set()
  moment = 'any'
  if rng.random() < 0.2:
    wait = rng.uniform(0.0, seconds)
  else:
    moment = 'writing'
    halves |= _watch(process, folder, is_new, expected)
    wait = rng.uniform(0.0, 1.2 * writing_seconds)
  halves |= _watch(process, folder, _after(wait), expected)
  process.kill()
  return {
    'moment': moment,
    'killed': _finish(process),
    'left': sorted(os.listdir(folder)),
    'halves': sorted(halves),
  }


def _video(version):
  import tensorflow as tf

  loaded = tf.saved_model.load(str(version))
  request = {
    'labels': tf.constant([1]),
    'seed': tf.constant([[3, 4]]),
    'temperature': tf.constant([1.0]),
    'min_p': tf.constant([0.0]),
    'num_frames': tf.constant([3]),
  }
  return loaded.signatures['sample'](**request)['frames'].numpy().tobytes()


def _compare(folder):
  seconds, writing_seconds = _run_through(folder)
  expected = _files(folder / '1')
  rng = random.Random(_SEED.value)
  kills = []
  while (
    sum(k['killed'] for k in kills) < _TIMES.value
  ):  # Some kills come too late.
    kills.append(_kill(folder, seconds, writing_seconds, rng, expected))
  _run_through(folder)
  versions = _versions(folder)
  hidden = {p.name for p in folder.iterdir()} - {p.name for p in versions}
  halves = {h for k in kills for h in k['halves']}
  halves |= {v.name for v in versions if _files(v) != expected}
  is_equal = len({_video(v) for v in versions}) == 1
  return {
    'kills': kills,
    'export_seconds': seconds,
    'writing_seconds': writing_seconds,
    'versions': [v.name for v in versions],
    'half_written': sorted(halves),
    'left_over': sorted(hidden - {'.lock'}),
    'videos_equal': is_equal,
    'ok': is_equal and not halves and hidden == {'.lock'},
  }


def main(argv):
  del argv
  if _RUN.value:
    _export(_RUN.value)
    return 0
  with tempfile.TemporaryDirectory() as folder:
    result = _compare(pathlib.Path(folder))
  print(json.dumps(result, indent=2))
  return 0 if result['ok'] else 1


if __name__ == '__main__':
  app.run(main)
