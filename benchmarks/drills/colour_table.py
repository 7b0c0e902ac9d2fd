"""Our small RGB frames compared with the `ffmpeg` program's, by pixel format.

  python benchmarks/drills/colour_table.py --ffmpeg=ffmpeg --json=colour.json

Stores each of natvid's films losslessly at 256x256 in every pixel format,
matrix and range. Decodes it to 64x64 with `train.data.decoding.decode` and with
the program, with `scale=64:64:flags=area` and with
`flags=area+full_chroma_int+accurate_rnd`. (Without the last two flags the
program computes chroma at half of the *result's* width.) Reports the mean and
the 99th percentile of the differences over all values, in levels of 255.
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
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

_JSON = flags.DEFINE_string('json', None, 'File for the result.')
_FFMPEG = flags.DEFINE_string('ffmpeg', 'ffmpeg', 'The ffmpeg program.')

_FORMATS = ('yuv420p', 'yuv422p', 'yuv444p')
_FORMATS += tuple(f'{name}10le' for name in _FORMATS)
_MATRICES = {'bt601': ('ITU601', 6), 'bt709': ('ITU709', 1)}
_RANGES = {'limited': ('MPEG', 1), 'full': ('JPEG', 2)}
_FRAMES, _SIZE, _SOURCE_SIZE = 8, 64, 256
_EXACT = 'area+full_chroma_int+accurate_rnd'


def _write(path, frames, pixel_format, matrix, color_range):
  import av

  with av.open(path, 'w') as container:
    stream = container.add_stream('ffv1', rate=25)
    stream.width = stream.height = _SOURCE_SIZE
    stream.pix_fmt = pixel_format
    stream.codec_context.colorspace = matrix[1]
    stream.codec_context.color_range = color_range[1]
    for frame in frames:
      frame = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(frame), format='rgb24'
      ).reformat(
        format=pixel_format,
        dst_colorspace=matrix[0],
        dst_color_range=color_range[0],
      )
      frame.colorspace, frame.color_range = matrix[1], color_range[1]
      container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _by_ffmpeg(path, scale_flags):
  command = [_FFMPEG.value, '-v', 'error', '-i', path]
  command += ['-vf', f'scale={_SIZE}:{_SIZE}:flags={scale_flags}']
  command += ['-pix_fmt', 'rgb24', '-f', 'rawvideo', '-']
  done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
  return np.frombuffer(done.stdout, np.uint8).reshape([-1, _SIZE, _SIZE, 3])


def _difference(ours, theirs):
  difference = np.abs(ours.astype(int) - theirs)
  return float(difference.mean()), float(np.percentile(difference, 99))


def main(argv):
  del argv
  from train.data.decoding import decode
  from train.data.sets import natvid

  large, small = decode.Decoder(_SOURCE_SIZE), decode.Decoder(_SIZE)
  films = [large.frames(p, 0, _FRAMES) for p in natvid.fetch().values()]
  rows = []
  with tempfile.TemporaryDirectory() as scratch:
    path = os.path.join(scratch, 'film.mkv')
    for pixel_format in _FORMATS:
      for matrix, matrix_values in _MATRICES.items():
        for name, range_values in _RANGES.items():
          ours, area, exact = [], [], []
          for film in films:
            _write(path, film, pixel_format, matrix_values, range_values)
            ours.append(small.frames(path))
            area.append(_by_ffmpeg(path, 'area'))
            exact.append(_by_ffmpeg(path, _EXACT))
          ours = np.concatenate(ours)
          mean, high = _difference(ours, np.concatenate(area))
          exact_mean, exact_high = _difference(ours, np.concatenate(exact))
          rows.append(
            {
              'format': pixel_format,
              'matrix': matrix,
              'range': name,
              'mean': mean,
              'percentile_99': high,
              'exact_mean': exact_mean,
              'exact_percentile_99': exact_high,
            }
          )
          print(
            f'{pixel_format:12}{matrix:6}{name:8} area: {mean:5.2f} {high:5.1f}'
            f'   full chroma: {exact_mean:5.2f} {exact_high:5.1f}',
            flush=True,
          )
  if _JSON.value:
    with open(_JSON.value, 'w') as f:
      json.dump(rows, f, indent=2)


if __name__ == '__main__':
  app.run(main)
