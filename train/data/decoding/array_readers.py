"""Readers for formats that PyAV does not read; they read whole files."""

from __future__ import annotations

import functools
import gzip
import io
import struct

import numpy as np
import tensorflow as tf

from tfp_cglow.internal import plain_paths
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


def read_webp(path):
  """`Picture`s of an animated WebP, read by Pillow, as FFmpeg does not."""
  from PIL import Image
  from PIL import ImageSequence

  pictures, time = [], 0.0
  try:
    with tf.io.gfile.GFile(plain_paths.plain(path), 'rb') as f:
      image = Image.open(io.BytesIO(f.read()))
    for index, frame in enumerate(ImageSequence.Iterator(image)):
      array = np.array(frame.convert('RGB'))
      seconds = frame.info.get('duration', 40) / 1000 or 0.04
      pictures.append(
        readers.Picture(
          index,
          lambda span=(time, seconds): span,
          pixels.RGB,
          lambda a=array: [a],
        )
      )
      time += seconds
  except Exception as e:  # Pillow raises many kinds.
    if not pictures:
      raise readers.DecodeError(path, 'cannot be opened', str(e)) from None
  return pictures


def read_tfio(path, rate, rotation=0):
  """All `Picture`s of a video, decoded by TensorFlow I/O's FFmpeg op.

  Args:
    path: `str`.
    rate: `float`, frames a second.
    rotation: `int`, see `Picture`.

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
      rotation,
    )
    for i in range(len(frames))
  ]
