"""Encodes sampled videos as MP4 files that browsers and phones play."""

from __future__ import annotations

import fractions
import itertools
import pathlib
import tempfile

import av
import numpy as np

__all__ = ['encode', 'enlarged', 'grid', 'is_cut']

_LEAST_WIDTH = 256  # Of one video, pixels; smaller ones are scaled up.
_MOST_PIXELS = 4096  # Width and height that decoders of hardware take.
_BT709 = 1  # The number of this colour matrix in H.264.


def grid(videos):
  """Puts videos beside each other, in as many rows as they need.

  Args:
    videos: uint8 `[N, T, H, W, 3]`.

  Returns:
    uint8 `[T, rows * H, columns * W, 3]`; places without a video are black.
  """
  num, num_frames, height, width, channels = videos.shape
  factor = _factor(width)
  columns = min(num, max(1, _MOST_PIXELS // (width * factor)))
  rows = -(-num // columns)
  padded = np.zeros([rows * columns, *videos.shape[1:]], np.uint8)
  padded[:num] = videos
  table = padded.reshape([rows, columns, *videos.shape[1:]])
  table = table.transpose([2, 0, 3, 1, 4, 5])  # [T, rows, H, columns, W, 3]
  return table.reshape(num_frames, rows * height, columns * width, channels)


def is_cut(movie):
  """Whether a movie `[T, H, W, 3]` is too large, so that a part is shown."""
  return max(movie.shape[1:3]) > _MOST_PIXELS


def enlarged(movie, width):
  """Scales a movie up by an integer, without smoothing, to even sizes.

  Args:
    movie: uint8 `[T, H, W, 3]`.
    width: Python `int`, width of one of the movie's videos; small ones are
      scaled up.

  Yields:
    The frames, uint8 `[H', W', 3]`, H' and W' even. The last row and column of
    an odd size are repeated; what is too large for players is cut off.
  """
  most = min(_MOST_PIXELS // side for side in movie.shape[1:3])
  factor = max(1, min(_factor(width), most))
  # One frame at a time: a whole movie may not fit into memory.
  for frame in movie[:, :_MOST_PIXELS, :_MOST_PIXELS]:
    large = frame.repeat(factor, axis=0).repeat(factor, axis=1)
    odd = [(0, side % 2) for side in large.shape[:2]]
    yield np.pad(large, [*odd, (0, 0)], mode='edge')


def encode(frames, frames_per_second):
  """Encodes H.264 in MP4, yuv420p, with the index in front.

  Args:
    frames: Iterable of at least one uint8 `[H, W, 3]`, H and W even.
    frames_per_second: Number.

  Returns:
    `bytes`.
  """
  # To put the index in front, FFmpeg reads a file again.
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, 'movie.mp4')
    _write(path, iter(frames), frames_per_second)
    return path.read_bytes()


def _write(path, frames, frames_per_second):
  first = next(frames)
  rate = fractions.Fraction(frames_per_second).limit_denominator(1000)
  options = {'movflags': '+faststart'}
  with av.open(str(path), 'w', options=options) as container:
    stream = container.add_stream('libx264', rate=rate)
    stream.height, stream.width = first.shape[:2]
    stream.pix_fmt = 'yuv420p'
    stream.options = {'crf': '12', 'threads': '1'}  # Equal bytes, sharp edges.
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    for pixels in itertools.chain([first], frames):
      frame = av.VideoFrame.from_ndarray(pixels, format='rgb24')
      frame = frame.reformat(format='yuv420p', dst_colorspace='ITU709')
      container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _factor(width):
  """By how much a video is scaled up: the least integer that suffices."""
  return max(1, -(-_LEAST_WIDTH // width))
