"""Clips a second of the video pipeline, of its decoder and of `ffmpeg`.

  python benchmarks/speed/video_pipeline.py --ffmpeg=ffmpeg --json=pipeline.json

Reads 64 H.264 clips of 256x256 and 90 frames, made from natvid: the first 30
frames to RGB at 64x64, in batches of 8, without cache. In one run:

  bare     PyAV alone, two threads, frames discarded: the limit
  pyav     the training pipeline
  tfio     the same with TensorFlow I/O's decoder, if it loads
  ffmpeg   the program, one process for each file, two at a time
  prepared the same clips as `--mode=prepare` wrote them

The runs are repeated in turn; the best of each counts. Each also reports the
peak memory of a process that reads `--memory_clips` clips.
"""

import concurrent.futures
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from absl import app
from absl import flags

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

_JSON = flags.DEFINE_string('json', None, 'File for the result.')
_FFMPEG = flags.DEFINE_string('ffmpeg', 'ffmpeg', 'The ffmpeg program.')
_REPEATS = flags.DEFINE_integer('repeats', 3, 'Rounds.')
_MEMORY = flags.DEFINE_list(
  'memory_clips', ['64', '640'], 'Numbers of clips to try.'
)
_RUN = flags.DEFINE_string('run', None, 'Internal: measures memory.')

_NUM_CLIPS, _LENGTH, _FRAMES, _SOURCE_SIZE, _SIZE = 64, 90, 30, 256, 64
_BATCH, _THREADS = 8, 2
_EPOCHS = 8  # The clips after the last batch are decoded but not used.


def _write_clips(folder):
  import av
  import numpy as np

  from train.data.decoding import decode
  from train.data.sets import natvid

  paths = list(natvid.fetch().values())
  decoder = decode.Decoder(_SOURCE_SIZE)
  films = [decoder.frames(path) for path in paths]
  for k in range(_NUM_CLIPS):
    film = films[k % len(films)]
    start = (
      (k // len(films)) * (len(film) - _LENGTH) // (_NUM_CLIPS // len(films))
    )
    label = os.path.join(folder, str(k % len(films)))
    os.makedirs(label, exist_ok=True)
    with av.open(os.path.join(label, f'{k:03d}.mp4'), 'w') as container:
      stream = container.add_stream('libx264', rate=30)
      stream.width = stream.height = _SOURCE_SIZE
      stream.pix_fmt = 'yuv420p'
      for frame in film[start : start + _LENGTH]:
        frame = av.VideoFrame.from_ndarray(
          np.ascontiguousarray(frame), format='rgb24'
        )
        container.mux(stream.encode(frame))
      container.mux(stream.encode())


def _paths(folder):
  return sorted(
    os.path.join(root, name)
    for root, _, names in os.walk(folder)
    for name in names
    if name.endswith('.mp4')
  )


def _bare(folder):
  import av

  def decode(path):
    with av.open(path) as container:
      stream = container.streams.video[0]
      stream.codec_context.thread_count = 1
      for k, _ in enumerate(container.decode(stream)):
        if k == _FRAMES - 1:
          return

  with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
    list(pool.map(decode, _paths(folder)))
  return _NUM_CLIPS


def _ffmpeg(folder):
  def decode(path):
    command = [_FFMPEG.value, '-v', 'error', '-i', path]
    command += ['-frames:v', str(_FRAMES)]
    command += ['-vf', f'scale={_SIZE}:{_SIZE}:flags=area']
    command += ['-pix_fmt', 'rgb24', '-f', 'rawvideo', '-']
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    assert len(done.stdout) == _FRAMES * _SIZE * _SIZE * 3

  with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
    list(pool.map(decode, _paths(folder)))
  return _NUM_CLIPS


def _source(folder):
  from train.data import sources

  regions = tuple(
    sources.Region(
      path, int(os.path.basename(os.path.dirname(path))), 0, _FRAMES
    )
    for path in _paths(folder)
  )
  return sources.Source('benchmark', tuple('0123'), regions, regions[:1])


def _clips(folder, backend):
  from train.data import clips
  from train.data.decoding import decode

  decoder = decode.Decoder(_SIZE, backend=backend)
  return clips.Clips(_source(folder), _FRAMES, decoder, cache_bytes=0)


def _pipeline(folder, backend, num_clips=_NUM_CLIPS):
  from train.data import clip_batches

  dataset = clip_batches.train_dataset(_clips(folder, backend), _BATCH, seed=0)
  for frames, _ in dataset.take(num_clips // _BATCH):
    assert frames.shape == (_BATCH, _FRAMES, _SIZE, _SIZE, 3)
  return num_clips


def _prepare(folder, prepared):
  from train.data.decoding import decode
  from train.data.records import prepare

  prepare.prepare(_source(folder), decode.Decoder(_SIZE), prepared)


def _prepared(prepared):
  from train.data.records import record_inputs
  from train.data.records import records

  index = records.read_index(prepared)
  inputs = record_inputs.RecordInputs(index, _FRAMES, _BATCH, seed=0)
  num_batches = 4 * _EPOCHS * _NUM_CLIPS // _BATCH
  for frames, _ in inputs.train_dataset(0).take(num_batches):
    assert frames.shape == (_BATCH, _FRAMES, _SIZE, _SIZE, 3)
  return num_batches * _BATCH


def _has_tfio():
  from train.data.decoding import decode

  try:
    decode.resolve('tfio', 'cpu')
    return True
  except ValueError:
    return False


def _peak_bytes(folder, num_clips):
  """Peak memory of a separate process."""
  command = [sys.executable, os.path.abspath(__file__)]
  command.append(f'--run={json.dumps([folder, num_clips])}')
  done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
  return int(done.stdout.split()[-1])


def main(argv):
  del argv
  if _RUN.value:
    folder, num_clips = json.loads(_RUN.value)
    _pipeline(folder, 'pyav', num_clips)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    return
  with tempfile.TemporaryDirectory() as scratch:
    folder = os.path.join(scratch, 'clips')
    prepared = os.path.join(scratch, 'prepared')
    _write_clips(folder)
    _prepare(folder, prepared)
    runs = {
      'bare': lambda: _bare(folder),
      'pyav': lambda: _pipeline(folder, 'pyav', _EPOCHS * _NUM_CLIPS),
      'prepared': lambda: _prepared(prepared),
    }
    if shutil.which(_FFMPEG.value):
      runs['ffmpeg'] = lambda: _ffmpeg(folder)
    if _has_tfio():
      runs['tfio'] = lambda: _pipeline(folder, 'tfio', _EPOCHS * _NUM_CLIPS)
    rates = {name: [] for name in runs}
    for _ in range(_REPEATS.value):
      for name, run in runs.items():
        start = time.perf_counter()
        num_clips = run()
        rates[name].append(num_clips / (time.perf_counter() - start))
    best = {name: max(values) for name, values in rates.items()}
    result = {
      'cores': os.cpu_count(),
      'clips_per_second': best,
      'all_clips_per_second': rates,
      'pyav_to': {k: best['pyav'] / v for k, v in best.items()},
      'prepared_to_pyav': best['prepared'] / best['pyav'],
      'peak_bytes': {n: _peak_bytes(folder, int(n)) for n in _MEMORY.value},
    }
  print(json.dumps(result, indent=2))
  if _JSON.value:
    with open(_JSON.value, 'w') as f:
      json.dump(result, f, indent=2)


if __name__ == '__main__':
  app.run(main)
