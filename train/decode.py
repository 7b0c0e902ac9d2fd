"""Video files to small frames: PyAV decodes, TensorFlow averages areas."""

from __future__ import annotations

import contextlib
import functools

import av
import numpy as np
import tensorflow as tf

__all__ = [
  'DecodeError',
  'area_resize',
  'count_packets',
  'decode_frames',
  'decode_region',
]

_CHUNK_BYTES = 2**24  # Decoded frames held at a time; at least one frame.


class DecodeError(ValueError):
  """A file that does not give its frames.

  Attributes:
    path: `str`.
    reason: `str`, a few words that are the same for the same kind of failure.
    message: `str`, the particulars, e.g. the decoder's own words.
  """

  def __init__(self, path, reason, message=''):
    super().__init__(f'{path}: {reason}{message and f" ({message})"}')
    self.path = path
    self.reason = reason
    self.message = message


def decode_region(path, start, count, size, channels=3):
  """Decodes exactly `count` frames from frame `start` on.

  Args:
    path: `str`.
    start: `int`, in frames.
    count: `int`, in frames.
    size: `int`, pixels: height and width of the result.
    channels: `int`, 3 (RGB) or 1 (their mean).

  Returns:
    uint8 array `[count, size, size, channels]`.

  Raises:
    DecodeError: as `decode_frames`, and if there are fewer frames.
  """
  frames = decode_frames(path, size, channels, start, start + count)
  if len(frames) < count:
    message = f'expected {start + count}, got {start + len(frames)}'
    raise DecodeError(path, 'too few frames', message)
  return frames


def decode_frames(path, size, channels=3, start=0, stop=None):
  """Decodes the frames `[start, stop)` that the file has, in small chunks.

  The clip ends where the file does, at a frame that the decoder calls corrupt,
  or at an error of the decoder. Reading stops after frame `stop - 1`.

  Args:
    path: `str`.
    size: `int`, pixels: height and width of the result.
    channels: `int`, 3 (RGB) or 1 (their mean).
    start: `int`, in frames.
    stop: `int`, in frames, or `None`: to the end.

  Returns:
    uint8 array `[n, size, size, channels]`, n at least 1; see `area_resize`.

  Raises:
    DecodeError: if there is no such file, no video stream in it, no decoder
      for it, or no frame from `start` on.
  """
  if channels not in (1, 3):
    raise ValueError(f'Expected 1 or 3 channels, got {channels}.')
  with _open(path) as (container, stream):
    frames = _Frames(container, stream, start, stop)
    small = [_shrink(chunk, size, channels) for chunk in _chunks(frames)]
  if not small:
    reason = 'no frames' if not frames.seen else 'too few frames'
    message = frames.error or f'got {frames.seen}, expected over {start}'
    raise DecodeError(path, reason, message)
  return np.concatenate(small)


def count_packets(path):
  """Packets of the video stream: its frames, unless the file is damaged.

  Raises:
    DecodeError: if the file cannot be opened or has no video stream.
  """
  with _open(path) as (container, stream):
    try:
      return sum(packet.size > 0 for packet in container.demux(stream))
    except (av.FFmpegError, OSError, ValueError) as e:
      raise DecodeError(path, 'cannot be read', str(e)) from None


def area_resize(frames, size):
  """Short side to `size` pixels by area averaging, then a centre crop.

  The long side goes to the nearest whole number of pixels before the crop.
  Each result pixel is the mean of the source area that it covers, also where
  that is less than one source pixel.

  Args:
    frames: uint8 array `[N, H, W, C]`.
    size: `int`, pixels.

  Returns:
    uint8 `Tensor` `[N, size, size, C]`, on the GPU if there is one.
  """
  num, height, width, channels = frames.shape
  rows, top, bottom = _area_weights(height, min(height, width), size)
  cols, left, right = _area_weights(width, min(height, width), size)
  # Two matrix products: tf.image.resize has no GPU kernel for 'area'.
  with tf.device(_device()):
    x = tf.constant(frames[:, top:bottom, left:right])
    x = tf.reshape(tf.cast(x, tf.float32), [num, bottom - top, -1])
    x = tf.matmul(rows, x)  # [N, size, w * C]
    x = tf.reshape(x, [num * size, right - left, channels])
    x = tf.matmul(cols, x)  # [N * size, size, C]
    x = tf.reshape(x, [num, size, size, channels])
    return tf.saturate_cast(tf.round(x), tf.uint8)


@functools.lru_cache(maxsize=64)
def _area_weights(length, short, size):
  """Weights `[size, n]` of source pixels `[first, first + n)` on one axis."""
  resized = max(size, int(length * size / short + 0.5))
  edges = (np.arange(size + 1) + (resized - size) // 2) * (length / resized)
  pixels = np.arange(length)
  covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(
    edges[:-1, None], pixels
  )
  weights = np.maximum(covered, 0.0) / (length / resized)  # [size, length]
  used = np.flatnonzero(weights.any(axis=0))
  first, last = int(used[0]), int(used[-1]) + 1
  return weights[:, first:last].astype(np.float32), first, last


@functools.lru_cache(maxsize=1)
def _device():
  return '/GPU:0' if tf.config.list_physical_devices('GPU') else '/CPU:0'


def _shrink(frames, size, channels):
  small = area_resize(np.stack(frames), size).numpy()
  if channels == 1:
    small = np.rint(small.mean(axis=-1, keepdims=True)).astype(np.uint8)
  return small


@contextlib.contextmanager
def _open(path):
  try:
    container = av.open(path, metadata_errors='ignore')
  except (av.FFmpegError, OSError, ValueError) as e:
    raise DecodeError(path, 'cannot be opened', str(e)) from None
  with container:
    if not container.streams.video:
      raise DecodeError(path, 'no video stream')
    stream = container.streams.video[0]
    if stream.codec_context is None:
      raise DecodeError(path, 'no decoder for its codec')
    stream.thread_type = 'AUTO'
    yield container, stream


class _Frames:
  """Iterates over RGB frames `[start, stop)`, each uint8 `[H, W, 3]`."""

  def __init__(self, container, stream, start, stop):
    self._container = container
    self._stream = stream
    self._start = start
    self._stop = float('inf') if stop is None else stop
    self.seen = 0
    self.error = ''

  def __iter__(self):
    try:
      for frame in self._container.decode(self._stream):
        if frame.is_corrupt:
          self.error = f'frame {self.seen} is corrupt'
          return
        if self.seen >= self._start:
          yield frame.to_ndarray(format='rgb24')
        self.seen += 1
        if self.seen >= self._stop:
          return
    except (av.FFmpegError, OSError, ValueError) as e:
      self.error = str(e)


def _chunks(frames):
  """Lists of frames of one shape, of at most `_CHUNK_BYTES`."""
  chunk = []
  for frame in frames:
    full = (len(chunk) + 1) * frame.nbytes > _CHUNK_BYTES
    if chunk and (full or chunk[0].shape != frame.shape):
      yield chunk
      chunk = []
    chunk.append(frame)
  if chunk:
    yield chunk
