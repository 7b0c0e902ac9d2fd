"""Readers for formats that PyAV does not read; they read whole files."""

from __future__ import annotations

import functools
import gzip
import io
import struct
import time as clock

import numpy as np
import tensorflow as tf

from tfp_cglow.internal import plain_paths
from train.data import sources
from train.data.decoding import orientation
from train.data.decoding import pixels
from train.data.decoding import readers

__all__ = [
  'count_idx',
  'is_idx',
  'is_webp',
  'read_idx',
  'read_tfio',
  'read_webp',
]

_IDX_PADDING = 2  # Fashion-MNIST is usually padded from 28x28 to 32x32.


def is_idx(path):
  """Whether the file's name is that of an image file of MNIST's format."""
  return '-idx3-ubyte' in path.rsplit('/', 1)[-1]


def is_webp(path):
  return path.lower().endswith('.webp')


def read_idx(path, start=0, stop=None):
  """Yields `Picture`s `[start, stop)` of an idx3 file, with a black margin."""
  images = _idx_images(path)
  layout = pixels.Layout('grey')
  for i in range(start, len(images) if stop is None else stop):
    if i >= len(images):
      return
    yield readers.Picture(
      i, lambda i=i: (float(i), 1.0), layout, lambda i=i: [images[i]]
    )


def count_idx(path):
  return len(_idx_images(path))


@functools.lru_cache(maxsize=4)
def _idx_images(path):
  try:
    with tf.io.gfile.GFile(plain_paths.plain(path), 'rb') as f:
      data = f.read()
    data = gzip.decompress(data) if path.endswith('.gz') else data
    magic, num, height, width = struct.unpack('>IIII', data[:16])
    images = np.frombuffer(data, np.uint8, offset=16)
    images = images.reshape([num, height, width])
  except (OSError, EOFError, ValueError, struct.error, tf.errors.OpError) as e:
    raise readers.DecodeError(path, 'cannot be opened', str(e)) from None
  if magic != 0x803:
    raise readers.DecodeError(
      path, 'cannot be opened', f'expected an idx3 file, got magic {magic:#x}'
    )
  margin = [_IDX_PADDING, _IDX_PADDING]
  return np.pad(images, [[0, 0], margin, margin])


def read_webp(path, max_seconds=None, max_pixels=None):
  """Yields `Picture`s of a WebP file, read by Pillow, as FFmpeg does not.

  Args:
    path: `str`.
    max_seconds: `float` or None, limit on the processor time of a picture.
    max_pixels: `int` or None, limit on the size of a picture.

  Raises:
    DecodeError: if it cannot be opened or a limit is exceeded; with the reason
      `readers.ENDS_EARLY` if later pictures are damaged.
  """
  from PIL import Image

  time = 0.0
  try:
    image = Image.open(io.BytesIO(sources.read_bytes(path)))
    readers.check_size(path, *image.size, max_pixels)
    turn = orientation.of_exif(image)
  except readers.DecodeError:
    raise
  except Exception as e:  # Pillow raises many kinds.
    is_large = isinstance(e, Image.DecompressionBombError)
    reason = readers.TOO_LARGE if is_large else 'cannot be opened'
    raise readers.DecodeError(path, reason, str(e)) from None
  for index in range(getattr(image, 'n_frames', 1)):
    array, seconds = _webp_frame(path, image, index, max_seconds)
    yield readers.Picture(
      index,
      lambda span=(time, seconds): span,
      pixels.RGB,
      lambda a=array: [a],
      turn,
    )
    time += seconds


def _webp_frame(path, image, index, max_seconds):
  """Frame `index` of a Pillow image, RGB, and its duration in seconds."""
  start = clock.thread_time()
  try:
    image.seek(index)
    array = np.array(image.convert('RGB'))
  except Exception as e:  # Pillow raises many kinds.
    reason = readers.ENDS_EARLY if index else 'cannot be opened'
    raise readers.DecodeError(path, reason, str(e)) from None
  readers.check_time(path, clock.thread_time() - start, max_seconds)
  return array, image.info.get('duration', 40) / 1000 or 0.04


def read_tfio(path, rate, turn=1):
  """All `Picture`s of a video, decoded by TensorFlow I/O's FFmpeg op.

  Args:
    path: `str`.
    rate: `float`, frames a second.
    turn: `int`, the orientation, see `Picture`.

  Raises:
    DecodeError: if the op cannot decode it.
  """
  import tensorflow_io as tfio

  try:
    frames = tfio.experimental.ffmpeg.decode_video(
      tf.io.read_file(plain_paths.plain(path))
    )
  except (OSError, tf.errors.OpError, ValueError) as e:
    message = str(e).splitlines()[0]
    raise readers.DecodeError(path, 'cannot be opened', message) from None
  frames = frames.numpy()
  return [
    readers.Picture(
      i,
      lambda i=i: (i / rate, 1 / rate),
      pixels.RGB,
      lambda i=i: [frames[i]],
      turn,
    )
    for i in range(len(frames))
  ]
