"""Kills the preparation of a data set repeatedly and compares the result.

  python benchmarks/drills/kill_prepare.py --times=10

Prepares the same videos twice: once without interruption, and once with
`--times` times SIGKILL at random moments, each followed by the same call.
Prints JSON; exits with 1 if any file of the two folders differs.
"""

import hashlib
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

_TIMES = flags.DEFINE_integer('times', 10, 'Number of kills.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the moments.')
_VIDEOS = flags.DEFINE_integer('videos', 400, 'Videos of 60 frames of 64x64.')
_ENCODING = flags.DEFINE_enum(
  'encoding', 'png', ['raw', 'png'], 'Encoding of frames.'
)
_COMPRESSION = flags.DEFINE_enum(
  'compression', '', ['', 'GZIP'], 'Compression of shards.'
)
_WORKERS = flags.DEFINE_integer('workers', 2, 'Worker processes.')
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'A folder that is kept; default: temporary.'
)
_RUN = flags.DEFINE_string('run', None, 'Internal: one preparation, as JSON.')


def _write_videos(root):
  """Two labels of videos, some of which are broken."""
  import numpy as np

  from train.data.sets import moving_shapes

  for k in range(_VIDEOS.value):
    path = os.path.join(root, 'ab'[k % 2], f'{k:05}.mp4')
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if k % 40 == 7:
      with open(path, 'w', encoding='utf-8') as f:
        f.write('no video')
      continue
    rng = np.random.Generator(np.random.Philox(k))
    colors = rng.integers(0, 256, [60, 4, 4, 3]).astype(np.uint8)
    frames = colors.repeat(16, axis=1).repeat(16, axis=2)
    moving_shapes.write_video(path, frames)


def _prepare(root, folder, num_shards, encoding, compression, num_workers):
  from train.data import sources
  from train.data.decoding import decode
  from train.data.records import prepare

  start = time.perf_counter()
  prepare.prepare(
    sources.folder_source(root, 8),
    decode.Decoder(64, max_seconds=None),
    folder,
    num_shards=num_shards,
    encoding=encoding,
    compression=compression,
    num_workers=num_workers,
  )
  return time.perf_counter() - start


def _start(root, folder):
  request = {
    'root': root,
    'folder': folder,
    'num_shards': 4 * _TIMES.value,
    'encoding': _ENCODING.value,
    'compression': _COMPRESSION.value,
    'num_workers': _WORKERS.value,
  }
  command = [sys.executable, os.path.abspath(__file__)]
  return subprocess.Popen(
    [*command, f'--run={json.dumps(request)}'],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _finish(process):
  """Waits for a preparation; returns its seconds, or None if it was killed."""
  output, errors = process.communicate()
  if process.returncode == -signal.SIGKILL:
    return None
  if process.returncode:
    raise RuntimeError(f'A preparation failed:\n{errors[-2000:]}')
  return json.loads(output.splitlines()[-1])


def _num_shards(folder):
  names = os.listdir(folder) if os.path.isdir(folder) else []
  is_json = re.compile(r'(train|valid)-.*\.tfrecord(\.gz)?\.json').fullmatch
  return sum(is_json(name) is not None for name in names)


def _kill(process, folder, whole_seconds, rng):
  """Kills at a random moment of the start, or after a new shard appeared.

  Returns:
    The number of finished shards, or None if it was too late.
  """
  before = _num_shards(folder)
  deadline = time.monotonic() + 10 * whole_seconds + 60
  if rng.random() < 0.3:
    time.sleep(rng.uniform(0, whole_seconds / 2))
  else:
    while _num_shards(folder) == before and process.poll() is None:
      if time.monotonic() > deadline:
        break
      time.sleep(0.002)
    time.sleep(rng.expovariate(2 * 4 * _TIMES.value / whole_seconds))
  process.kill()
  return _num_shards(folder) if _finish(process) is None else None


def _hashes(folder):
  hashes = {}
  for name in sorted(os.listdir(folder)):
    with open(os.path.join(folder, name), 'rb') as f:
      hashes[name] = hashlib.sha256(f.read()).hexdigest()
  return hashes


def _compare(workdir):
  root = os.path.join(workdir, 'videos')
  _write_videos(root)
  whole, killed = (os.path.join(workdir, n) for n in ('whole', 'killed'))
  start = time.perf_counter()
  prepare_seconds = _finish(_start(root, whole))
  whole_seconds = time.perf_counter() - start
  rng = random.Random(_SEED.value)
  left = [
    _kill(_start(root, killed), killed, whole_seconds, rng)
    for _ in range(_TIMES.value)
  ]
  _finish(_start(root, killed))
  hashes, expected = _hashes(killed), _hashes(whole)
  different = sorted(
    name
    for name in {*hashes, *expected}
    if hashes.get(name) != expected.get(name)
  )
  return {
    'kills': sum(n is not None for n in left),
    'shards_finished_at_kills': left,
    'shards': _num_shards(whole),
    'files': len(expected),
    'different': different,
    'equal': not different,
    'clips': _VIDEOS.value,
    'prepare_seconds': prepare_seconds,
    'process_seconds': whole_seconds,
  }


def main(argv):
  del argv
  if _RUN.value:
    print(_prepare(**json.loads(_RUN.value)))
    return 0
  with tempfile.TemporaryDirectory() as temporary:
    result = _compare(_WORKDIR.value or temporary)
  print(json.dumps(result, indent=2))
  return 0 if result['equal'] else 1


if __name__ == '__main__':
  app.run(main)
