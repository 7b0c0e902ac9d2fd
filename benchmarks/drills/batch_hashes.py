"""Same seed, same batches: across processes, thread counts, kills and resumes.

  python benchmarks/drills/batch_hashes.py --json=batch_hashes.json

Each variant runs in its own processes and hashes the first 200 training
batches, of video files and of prepared records. One variant is killed (SIGKILL)
in the middle of an epoch and continues at the step after its last one. All
variants of a seed must have the same hashes.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile

from absl import app
from absl import flags

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

_BATCHES = flags.DEFINE_integer('batches', 200, 'Batches of each variant.')
_JSON = flags.DEFINE_string('json', None, 'File for the result.')
_RUN = flags.DEFINE_string('run', None, 'Internal: one variant, as JSON.')

_BATCH, _FRAMES = 8, 4


def _source(folder):
  from train.config import data_sets
  from train.data import datasets

  shapes = data_sets.Shapes(num_frames=_FRAMES, data_dir=folder)
  return datasets.make_source(shapes)


def _decoder():
  from train.data.decoding import decode

  return decode.Decoder(16)


def _dataset(folder, kind, step, threads, seed):
  if kind == 'files':
    from train.data import clip_batches
    from train.data import clips

    clips = clips.Clips(_source(folder), _FRAMES, _decoder())
    return clip_batches.train_dataset(
      clips, _BATCH, seed, step, threads, symmetry='mirror'
    )
  from train.data.records import record_inputs
  from train.data.records import records

  index = records.read_index(os.path.join(folder, 'prepared'))
  inputs = record_inputs.RecordInputs(
    index, _FRAMES, _BATCH, seed, symmetry='mirror'
  )
  return inputs.train_dataset(step)


def _print_hashes(folder, kind, step=0, threads=4, intra=2, seed=0):
  import tensorflow as tf

  tf.config.threading.set_intra_op_parallelism_threads(intra)
  dataset = _dataset(folder, kind, step, threads, seed)
  for frames, label in dataset.take(_BATCHES.value - step):
    digest = hashlib.sha256(frames.numpy().tobytes() + label.numpy().tobytes())
    print(digest.hexdigest(), flush=True)


def _start(**request):
  command = [sys.executable, os.path.abspath(__file__)]
  command += [f'--run={json.dumps(request)}', f'--batches={_BATCHES.value}']
  return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _hashes(**request):
  output, _ = _start(**request).communicate()
  return output.split()


def _killed_and_resumed(**request):
  process, hashes = _start(**request), []
  for line in process.stdout:
    hashes.append(line.strip())
    if len(hashes) == _BATCHES.value * 5 // 12:
      process.send_signal(signal.SIGKILL)
      break
  process.wait()
  process.stdout.close()
  return hashes + _hashes(step=len(hashes), **request)


def _compare(folder, kind):
  expected = _hashes(folder=folder, kind=kind)
  others = {
    'another process': _hashes(folder=folder, kind=kind),
    'one thread': _hashes(folder=folder, kind=kind, threads=1, intra=1),
    'eight threads': _hashes(folder=folder, kind=kind, threads=8, intra=8),
    'killed and resumed': _killed_and_resumed(folder=folder, kind=kind),
  }
  result = {name: hashes == expected for name, hashes in others.items()}
  result['batches'] = len(expected)
  result['distinct'] = len(set(expected))
  other_seed = _hashes(folder=folder, kind=kind, seed=1)
  result['in common with another seed'] = len(set(expected) & set(other_seed))
  return result


def main(argv):
  del argv
  if _RUN.value:
    _print_hashes(**json.loads(_RUN.value))
    return
  from train.data.records import prepare

  with tempfile.TemporaryDirectory() as folder:
    prepare.prepare(
      _source(folder),
      _decoder(),
      os.path.join(folder, 'prepared'),
      num_shards=6,
    )
    result = {kind: _compare(folder, kind) for kind in ('files', 'records')}
  print(json.dumps(result, indent=2))
  if _JSON.value:
    with open(_JSON.value, 'w') as f:
      json.dump(result, f, indent=2)


if __name__ == '__main__':
  app.run(main)
