"""Broken files through the decoder, `prepare` and a training run.

  python benchmarks/drills/fuzz_video.py --num_files=500 --json=fuzz.json

Valid clips of natvid in nine formats are truncated, bit-flipped and spliced.
All files of three packages whose test files break decoders are added. Every
file must soon give frames or one line with the reason why not. `prepare`
decodes the same files in worker processes, and two training runs read a folder
of which a third is broken.
"""

import collections
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

from absl import app
from absl import flags
import numpy as np

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
_ROOT = os.path.dirname(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
)
sys.path.insert(0, _ROOT)

_NUM_FILES = flags.DEFINE_integer('num_files', 500, 'Number of fuzzed files.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the damage.')
_JSON = flags.DEFINE_string('json', None, 'File for the result.')
_RUNS = flags.DEFINE_bool('runs', True, 'Also run `prepare` and training.')

_PACKAGES = ('puremagic==1.30', 'filetype==1.2.0', 'hachoir==3.4.0')
_FORMATS = (
  ('h264.mp4', 'libx264', 'yuv420p'),
  ('h264_444.mkv', 'libx264', 'yuv444p'),
  ('hevc.mkv', 'libx265', 'yuv420p10le'),
  ('mpeg4.avi', 'mpeg4', 'yuv420p'),
  ('mjpeg.mov', 'mjpeg', 'yuvj420p'),
  ('mpeg2.ts', 'mpeg2video', 'yuv420p'),
  ('vp9.webm', 'libvpx-vp9', 'yuv420p'),
  ('flv1.flv', 'flv', 'yuv420p'),
  ('animation.gif', 'gif', 'rgb8'),
)


def _write_good(folder, num_each):
  """Clips of 40 frames of natvid in every format that PyAV can write."""
  import av

  from train.data.decoding import decode
  from train.data.sets import natvid

  decoder = decode.Decoder(96)
  films = [decoder.frames(path) for path in natvid.fetch().values()]
  paths = []
  for name, codec, pixel_format in _FORMATS:
    for k in range(num_each):
      path = os.path.join(folder, f'{k}_{name}')
      film = films[k % len(films)]
      start = (7 * k) % (len(film) - 40)
      with av.open(path, 'w') as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 96
        stream.pix_fmt = pixel_format
        for frame in film[start : start + 40]:
          frame = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(frame), format='rgb24'
          )
          container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode())
      paths.append(path)
  return paths


def _damage(rng, content, other):
  kind = rng.integers(4)
  if kind == 0:  # Truncated.
    return 'truncated', content[: rng.integers(1, len(content))]
  content = bytearray(content)
  if kind == 1:  # A few bits, or many.
    for _ in range(int(2 ** rng.uniform(0, 10))):
      content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    return 'flipped', bytes(content)
  first, last = sorted(rng.integers(0, len(content), 2))
  if kind == 2:  # A stretch of another file.
    content[first:last] = other[first:last]
    return 'spliced', bytes(content)
  content[first:last] = bytes(last - first)
  return 'zeroed', bytes(content)


def _write_broken(folder, good, num, seed):
  rng = np.random.default_rng(seed)
  paths = []
  for k in range(num):
    a, b = (good[i] for i in rng.integers(0, len(good), 2))
    with open(a, 'rb') as f, open(b, 'rb') as g:
      kind, content = _damage(rng, f.read(), g.read())
    path = os.path.join(folder, f'{k:03d}_{kind}_{os.path.basename(a)}')
    with open(path, 'wb') as f:
      f.write(content)
    paths.append(path)
  return paths


def _fetch_packages(folder):
  command = [sys.executable, '-m', 'pip', 'download', '-q', '--no-deps']
  command += ['--no-binary=:all:', '-d', folder, *_PACKAGES]
  subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
  paths = []
  for name in sorted(os.listdir(folder)):
    with tarfile.open(os.path.join(folder, name)) as archive:
      for member in archive.getmembers():
        if member.isfile() and '/test' in member.name:
          base = member.name.replace('/', '_')
          path = os.path.join(folder, base)
          with open(path, 'wb') as f:
            shutil.copyfileobj(archive.extractfile(member), f)
          paths.append(path)
  return paths


def _decode_all(paths, num_frames=8):
  """Decodes two files at a time, as the pipeline does."""
  from train.data.decoding import decode
  from train.data.decoding import readers

  decoder = decode.Decoder(32)

  def outcome(path):
    start = time.perf_counter()
    try:
      frames = decoder.clip(path, 0, num_frames)
      result = 'blank frames' if decode.is_blank(frames) else 'decoded'
    except readers.DecodeError as e:
      result = e.reason
    return result, time.perf_counter() - start

  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    outcomes = list(pool.map(outcome, paths))
  slowest = int(np.argmax([seconds for _, seconds in outcomes]))
  return {
    'files': len(paths),
    'outcomes': dict(collections.Counter(r for r, _ in outcomes)),
    'slowest_seconds': outcomes[slowest][1],
    'slowest_file': os.path.basename(paths[slowest]),
  }


def _tree(folder, paths):
  """Writes a tree of two labels."""
  for k, path in enumerate(paths):
    label = os.path.join(folder, f'label_{k % 2}')
    os.makedirs(label, exist_ok=True)
    shutil.copy(path, label)


def _run(arguments):
  command = [sys.executable, '-m', 'train.main', '--preset=smoke']
  done = subprocess.run(
    command + arguments, cwd=_ROOT, capture_output=True, text=True, check=False
  )
  errors = [x for x in done.stderr.splitlines() if x.startswith('error:')]
  return {'exit_code': done.returncode, 'error': errors[-1:]}


def _count_lines(path):
  with open(path, encoding='utf-8') as f:
    return [json.loads(line) for line in f]


def _runs(scratch, good, broken):
  tree = os.path.join(scratch, 'tree')
  bad = [path for path in broken if _is_bad(path)]
  _tree(tree, good + bad[: len(good) // 2])
  data = [
    '--dataset=folder',
    f'--data_dir={tree}',
    '--set=data.valid_fraction=0.2',
  ]
  work = os.path.join(scratch, 'run')
  results = {
    'default': _run([*data, f'--workdir={work}_1']),
    'data.max_skipped=0.5': _run(
      [*data, f'--workdir={work}_2', '--set=data.max_skipped=0.5']
    ),
  }
  skipped = _count_lines(f'{work}_2/skipped_files.jsonl')
  results['data.max_skipped=0.5']['skipped'] = len(skipped)
  results['data.max_skipped=0.5']['without_reason'] = sum(
    not row['reason'] for row in skipped
  )
  fuzz = os.path.join(scratch, 'fuzz')
  _tree(fuzz, broken)
  prepared = os.path.join(scratch, 'prepared')
  results['prepare'] = _run(
    [
      '--mode=prepare',
      '--dataset=folder',
      f'--data_dir={fuzz}',
      '--set=data.valid_fraction=0.1',
      '--set=data.max_skipped=1',
      f'--output_dir={prepared}',
    ]
  )
  skipped = _count_lines(f'{prepared}/skipped_files.jsonl')
  reasons = collections.Counter(row['reason'] for row in skipped)
  results['prepare']['skipped'] = dict(reasons)
  return results


def _is_bad(path):
  return _decode_all([path], 4)['outcomes'].get('decoded', 0) == 0


def main(argv):
  del argv
  with tempfile.TemporaryDirectory() as scratch:
    folders = [os.path.join(scratch, x) for x in ('good', 'broken', 'packages')]
    for folder in folders:
      os.makedirs(folder)
    good = _write_good(folders[0], 8)
    broken = _write_broken(folders[1], good, _NUM_FILES.value, _SEED.value)
    packages = _fetch_packages(folders[2])
    result = {
      'good': _decode_all(good),
      'fuzzed': _decode_all(broken),
      'packages': _decode_all(packages),
    }
    print(json.dumps(result, indent=2), flush=True)
    if _RUNS.value:
      result['runs'] = _runs(scratch, good, broken)
      print(json.dumps(result['runs'], indent=2))
  if _JSON.value:
    with open(_JSON.value, 'w') as f:
      json.dump(result, f, indent=2)


if __name__ == '__main__':
  app.run(main)
