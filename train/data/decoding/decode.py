"""`Decoder`: chooses pictures of a file and makes small frames of them."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import threading
from typing import Optional

import numpy as np

from train.data.decoding import array_readers
from train.data.decoding import frame_arrays
from train.data.decoding import pixels
from train.data.decoding import pyav_reader
from train.data.decoding import readers

__all__ = ['Decoder', 'is_blank', 'resolve']

DecodeError = readers.DecodeError

_CROPS = ('center', 'letterbox')
_BACKENDS = ('pyav', 'tfio')
_DEVICES = ('auto', 'cpu', 'cuda')
_CHUNK_BYTES = 2**24  # Decoded planes held at a time; at least one picture.
_SEEK_PICTURES = 64  # A window that starts after so many pictures is sought.
_EPSILON = 1e-6  # Seconds.
_MAX_REPEATS = 3000  # Frames, two minutes at 25 a second.


@dataclasses.dataclass(frozen=True)
class Decoder:
  """How files become frames.

  Frame k is picture `k * stride` or, with `fps`, the picture that is shown
  `k / fps` seconds after the first. Pictures are turned and mirrored as the
  file's display matrix or EXIF data say.

  Attributes:
    size: `int`, pixels: height and width of the frames.
    channels: `int`, 3 (RGB) or 1 (their mean).
    crop: 'center' or 'letterbox'; see `pixels.to_frames`.
    pixel_aspect: `bool`, whether to use the file's pixel aspect ratio; if not,
      pixels are square.
    box: `int` or None, pixels; side of the central box to which each picture is
      cropped first.
    fps: `float` or None, frames a second.
    stride: `int`; 1 with `fps`.
    backend: 'pyav' or 'tfio'.
    device: 'cpu' or 'cuda', where PyAV decodes.
    max_seconds: `float` or None, the time limit; see `pyav_reader.open_video`.
      Runs that must be reproducible to the bit need None.
    max_pixels: `int` or None, limit on the size of a picture.
    tfio_max_seconds: `float`; PyAV decodes longer files, because TensorFlow I/O
      decodes the whole file into memory.
  """

  size: int
  channels: int = 3
  crop: str = 'center'
  pixel_aspect: bool = True
  box: Optional[int] = None
  fps: Optional[float] = None
  stride: int = 1
  backend: str = 'pyav'
  device: str = 'cpu'
  max_seconds: Optional[float] = 10.0
  max_pixels: Optional[int] = 2**25
  tfio_max_seconds: float = 30.0

  def __post_init__(self):
    if self.channels not in (1, 3):
      raise ValueError(f'Expected 1 or 3 channels, got {self.channels}.')
    if self.crop not in _CROPS:
      raise ValueError(f'Expected crop in {_CROPS}, got {self.crop!r}.')
    if self.stride < 1 or (self.fps is not None and not self.fps > 0):
      raise ValueError(
        f'Expected positive fps and stride, got {self.fps} and {self.stride}.'
      )
    if self.fps is not None and self.stride > 1:
      raise ValueError('Expected fps or stride, got both.')

  def clip(self, path, start, count):
    """Exactly `count` frames from frame `start` on.

    Args:
      path: `str`, local or anything that `tf.io.gfile` reads.
      start: `int`.
      count: `int`.

    Returns:
      uint8 array `[count, size, size, channels]`.

    Raises:
      DecodeError: as `frames`, and if there are fewer frames.
    """
    frames, error = self.read(path, start, start + count)
    if len(frames) < count:
      message = f'expected {start + count}, got {start + len(frames)}'
      message += f'; {error.message}' if error else ''
      raise DecodeError(path, 'too few frames', message)
    return frames

  def frames(self, path, start=0, stop=None):
    """The frames `[start, stop)`, or as many of them as the file has.

    See `read`, which also says why they ended early.
    """
    return self.read(path, start, stop)[0]

  def read(self, path, start=0, stop=None):
    """The frames `[start, stop)`, and whether the file is damaged after them.

    The result ends early at the end of the file, at a picture that the decoder
    calls corrupt, or at a decoding error. Reading stops after the last frame.

    Args:
      path: `str`, local or anything that `tf.io.gfile` reads.
      start: `int`.
      stop: `int`, or None: to the end.

    Returns:
      - uint8 array `[n, size, size, channels]`, n at least 1.
      - None, or the `DecodeError` that ended the file early.

    Raises:
      DecodeError: if there is no such file, no video stream in it, no decoder
        for it, no frame from `start` on, or a limit is exceeded.
    """
    log = _Log()
    try:
      small = self._small(path, start, stop, log)
    except _Disordered:
      log = _Log()
      small = self._small(path, start, stop, log, _timeline(self, path))
    if not small:
      reason = 'too few frames' if log.seen else 'no frames'
      message = log.error or f'got {log.seen} pictures, expected over {start}'
      raise DecodeError(path, reason, message)
    error = None
    if log.error:
      message = f'{log.seen} pictures can be used; {log.error}'
      error = DecodeError(path, readers.ENDS_EARLY, message)
    return np.concatenate(small), error

  def num_frames(self, path):
    """The number of frames of an undamaged file, found without decoding.

    Raises:
      DecodeError: if the file cannot be opened or has no video stream.
    """
    if array_readers.is_idx(path):
      return -(-array_readers.count_idx(path) // self.stride)
    if frame_arrays.is_frames(path):
      return -(-frame_arrays.count(path) // self.stride)
    if array_readers.is_webp(path):
      spans = [p.span() for p in self._webp(path, _Log())]
    else:
      times = _timeline(self, path)
      spans = [times.span(i) for i in range(len(times))]
    if self.fps is None or not spans:
      return -(-len(spans) // self.stride)
    for _, length in spans:
      _check_stay(path, length * self.fps)
    return int(np.ceil((sum(spans[-1]) - _EPSILON) * self.fps))

  def _open(self, path):
    return pyav_reader.open_video(
      path, self.device, self.max_seconds, self.max_pixels
    )

  def _webp(self, path, log):
    try:
      yield from log.count(
        array_readers.read_webp(path, self.max_seconds, self.max_pixels)
      )
    except DecodeError as e:
      if e.reason != readers.ENDS_EARLY:
        raise
      log.error = e.message

  def _small(self, path, start, stop, log, times=None):
    """List of arrays of frames; `times` are those of the pictures, or None."""
    pictures = self._pictures(path, start, stop, log, times)
    selected = self._select(path, pictures, start, stop)
    return [self._shrink(chunk, log.aspect) for chunk in _chunks(selected)]

  def _pictures(self, path, start, stop, log, times):
    """Pictures of the file, beginning at or before frame `start`."""
    read = _reader_of_arrays(path)
    if read is not None:
      first = start * self.stride
      last = None if stop is None else (stop - 1) * self.stride + 1
      yield from log.count(read(path, first, last))
      return
    if array_readers.is_webp(path):
      yield from self._webp(path, log)
      return
    if start * self.stride > _SEEK_PICTURES:
      times = _timeline(self, path)
      with self._open(path) as reader:
        log.aspect = reader.aspect
        index = self._index(start, times.seconds)
        pictures = reader.pictures_near(index, times)
        if pictures is not None:
          yield from log.count(pictures)
          log.error = reader.error
          return
    with self._open(path) as reader:
      log.aspect = reader.aspect
      yield from log.count(self._all_pictures(path, reader, times))
      log.error = reader.error

  def _all_pictures(self, path, reader, times):
    is_short = (reader.seconds or np.inf) <= self.tfio_max_seconds
    if self.backend == 'tfio' and is_short:
      first = next(reader.pictures(), None)
      if first is None:
        return ()
      rate = 1 / first.span()[1]
      return array_readers.read_tfio(path, rate, first.orientation)
    return reader.pictures(times)

  def _index(self, start, times):
    """The index of the picture that is frame `start`."""
    if self.fps is None:
      return start * self.stride
    shown = start / self.fps + _EPSILON
    return max(0, int(np.searchsorted(times, shown, 'right')) - 1)

  def _select(self, path, pictures, start, stop):
    """The pictures of the frames `[start, stop)`."""
    stop = np.inf if stop is None else stop
    if self.fps is not None:
      yield from _resample(path, pictures, self.fps, start, stop)
      return
    for picture in pictures:
      k, rest = divmod(picture.index, self.stride)
      if not rest and k >= start:
        yield picture
      if k >= stop - 1:
        return

  def _shrink(self, chunk, aspect):
    layout, orientation, planes = chunk
    frames = pixels.to_frames(
      planes,
      layout,
      self.size,
      self.channels,
      self.crop,
      aspect if self.pixel_aspect else 1.0,
      orientation,
      self.box,
    )
    return frames.numpy()


def resolve(backend, device):
  """The device that decodes on this machine, where 'auto' is replaced.

  Args:
    backend: 'pyav' or 'tfio'.
    device: 'auto', 'cpu' or 'cuda'.

  Returns:
    'cpu' or 'cuda'.

  Raises:
    ValueError: if the decoder or device is not available, with the reason.
  """
  for name, value, choices in (
    ('decoder', backend, _BACKENDS),
    ('decode_device', device, _DEVICES),
  ):
    if value not in choices:
      raise ValueError(f'Expected {name} in {choices}, got {value!r}.')
  if backend == 'tfio':
    _check_tfio()
    if device == 'cuda':
      raise ValueError('decode_device=cuda is for decoder=pyav, got tfio.')
    return 'cpu'
  if device == 'cpu':
    return 'cpu'
  try:
    pyav_reader.check_cuda()
  except ValueError:
    if device == 'cuda':
      raise
    return 'cpu'
  return 'cuda'


def is_blank(frames):
  """Whether every frame of a clip `[T, H, W, C]` has a single colour."""
  return all((frame == frame[:1, :1]).all() for frame in frames)


def _check_tfio():
  try:
    tfio = importlib.import_module('tensorflow_io')
    _ = tfio.experimental.ffmpeg.decode_video  # Loads the native library.
  except Exception as e:  # ImportError, NotImplementedError, NotFoundError.
    raise ValueError(
      'decoder=tfio expects tensorflow-io with a TensorFlow whose native ops '
      'load (tensorflow-io 0.37.1 with TensorFlow 2.17.1) and FFmpeg 4 '
      f'libraries, but: {str(e).splitlines()[0]} Use decoder=pyav.'
    ) from None


def _reader_of_arrays(path):
  """The function that reads a file of raw pictures; None for other files."""
  if array_readers.is_idx(path):
    return array_readers.read_idx
  return frame_arrays.read if frame_arrays.is_frames(path) else None


@functools.lru_cache(maxsize=64)
def _timeline(decoder, path):
  with decoder._open(path) as reader:  # pylint: disable=protected-access
    return reader.timeline()


class _Disordered(Exception):
  """A picture's own time is before that of the picture shown before it."""


def _resample(path, pictures, fps, start, stop):
  """Yields the picture that is shown at `k / fps`, for k in `[start, stop)`."""
  k, held, shown = start, None, -np.inf
  for picture in pictures:
    time, _ = picture.span()
    if time < shown - _EPSILON:
      raise _Disordered
    _check_stay(path, (time - shown) * fps if held else 0)
    while held is not None and k / fps < time - _EPSILON:
      yield held
      k += 1
      if k >= stop:
        return
    held, shown = picture, time
  if held is not None:
    end = sum(held.span())
    _check_stay(path, (end - shown) * fps)
    while k < stop and k / fps < end - _EPSILON:
      yield held
      k += 1


def _check_stay(path, num_frames):
  """Raises `DecodeError` if a picture would fill too many frames."""
  if num_frames > _MAX_REPEATS:
    raise DecodeError(
      path,
      'gap in its times',
      f'a picture is to be shown for {num_frames:.0f} frames, expected at most '
      f'{_MAX_REPEATS}',
    )


class _Log:
  """Notes about reading a file, for the message if it gives no frame."""

  def __init__(self):
    self.seen = 0
    self.error = ''
    self.aspect = 1.0

  def count(self, pictures):
    for picture in pictures:
      self.seen += 1
      yield picture


def _chunks(pictures):
  """Groups pictures of one format: (layout, orientation, planes)."""
  chunk = None
  for picture in pictures:
    planes = picture.planes()
    if chunk is not None and not chunk.takes(picture, planes):
      yield chunk.contents()
      chunk = None
    if chunk is None:
      chunk = _Chunk(picture, planes)
    chunk.add(planes)
  if chunk is not None:
    yield chunk.contents()


_BUFFERS = threading.local()


def _buffer(number, shape, dtype):
  """An array of this thread; allocating costs more time than copying."""
  array = _BUFFERS.__dict__.get(number)
  if array is None or array.shape != shape or array.dtype != dtype:
    array = np.empty(shape, dtype)
    _BUFFERS.__dict__[number] = array
  return array


class _Chunk:
  """Copies of the planes of pictures of one format.

  They are copied because a decoder reuses its own. `contents` are valid until
  the next chunk of the same thread.
  """

  def __init__(self, picture, planes):
    self._kind = picture.layout, picture.orientation
    self._count = 0
    capacity = max(1, _CHUNK_BYTES // sum(p.nbytes for p in planes))
    self._planes = [
      _buffer(i, (capacity, *p.shape), p.dtype) for i, p in enumerate(planes)
    ]

  def takes(self, picture, planes):
    return (
      self._count < len(self._planes[0])
      and (picture.layout, picture.orientation) == self._kind
      and all(a.shape[1:] == b.shape for a, b in zip(self._planes, planes))
    )

  def add(self, planes):
    for copies, plane in zip(self._planes, planes):
      copies[self._count] = plane
    self._count += 1

  def contents(self):
    return (*self._kind, [p[: self._count] for p in self._planes])
