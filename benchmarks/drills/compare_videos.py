"""Odd video files: our frames against those of the ffmpeg program.

  python benchmarks/drills/compare_videos.py --json=compare.json

Writes the files of `video_cases` and lists, file by file, the numbers of the
pictures that the decoder gives and those that ffmpeg gives, with all pictures
and at 25 frames a second. A file is right if the frames are those that
`video_cases` expects, or the reason is. Needs the ffmpeg program.
"""

import json
import os
import subprocess
import sys
import tempfile

from absl import app
from absl import flags
import numpy as np

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
_ROOT = os.path.dirname(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
)
sys.path.insert(0, _ROOT)

_JSON = flags.DEFINE_string('json', None, 'File for the result.')
_SIDE = 64


def _ours(path, fps):
  """The frames of the decoder, and the reason of an error or ''."""
  from benchmarks.drills import odd_videos
  from train.data.decoding import decode

  try:
    frames, error = decode.Decoder(32, fps=fps).read(path)
  except decode.DecodeError as e:
    return [], e.reason
  return [odd_videos.read(x) for x in frames], error.reason if error else ''


def _theirs(path, fps):
  """The frames of the ffmpeg program; pictures begin at `k / fps`, as ours."""
  from benchmarks.drills import odd_videos

  filters, limit = f'scale={_SIDE}:{_SIDE}:flags=area', []
  if fps:
    filters = f'fps={fps}:round=up,{filters}'
    limit = ['-t', '60']  # A gap of a day is filled.
  command = ['ffmpeg', '-v', 'error', '-i', path, '-an', '-vsync']
  command += ['passthrough', '-vf', filters, *limit, '-f', 'rawvideo']
  done = subprocess.run(
    [*command, '-pix_fmt', 'rgb24', '-'], capture_output=True, check=False
  )
  frames = np.frombuffer(done.stdout, np.uint8)
  return [odd_videos.read(x) for x in frames.reshape([-1, _SIDE, _SIDE, 3])]


def _numbers(frames):
  return [frame and frame[0] for frame in frames]


def _compare(case, path):
  row = {'file': case.name}
  for key, fps, expected, reason in (
    ('all', None, case.shown, case.reason),
    ('fps', 25, case.at_25, case.timed_reason or case.reason),
  ):
    ours, why = _ours(path, fps)
    theirs = _theirs(path, fps)
    shown = [(number, case.orientation) for number in expected]
    row[key] = {
      'right': ours == shown and why == reason,
      'as_ffmpeg': ours == theirs,
      'reason': why,
      'ours': _numbers(ours),
      'ffmpeg': _numbers(theirs),
    }
    if ours and theirs and ours[0] and theirs[0]:
      row[key]['orientations'] = [ours[0][1], theirs[0][1]]
  return row


def main(argv):
  del argv
  from benchmarks.drills import video_cases

  rows = []
  with tempfile.TemporaryDirectory() as folder:
    for case in video_cases.cases():
      path = os.path.join(folder, case.name)
      case.make(path)
      rows.append(_compare(case, path))
  text = '[\n' + ',\n'.join(json.dumps(row) for row in rows) + '\n]'
  print(text)
  if _JSON.value:
    with open(_JSON.value, 'w') as f:
      f.write(text + '\n')


if __name__ == '__main__':
  app.run(main)
