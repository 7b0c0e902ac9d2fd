"""Reads videos with PyAV (FFmpeg), on the CPU or with NVDEC."""

from __future__ import annotations

import contextlib
import functools
import re
import time

import av
from av.codec import hwaccel
import numpy as np
import tensorflow as tf

from tfp_cglow.internal import plain_paths
from train.data.decoding import orientation
from train.data.decoding import pixels
from train.data.decoding import readers
from train.data.decoding import timeline

__all__ = ['PyavReader', 'check_cuda', 'layout_of', 'open_video']

# The `yuvj` formats have the full range.
_PLANAR = re.compile(r'yuv(?P<j>j?)a?4\d\dp((?P<depth>\d+)le)?$')
_SEMI_PLANAR = {'nv12': 8, 'p010le': 16}  # p010 has its ten bits on top.
_GREY = {'gray': 8, 'gray10le': 10, 'gray12le': 12, 'gray16le': 16}
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_DEFAULT_RATE = 25.0
_MOST = 0.9  # A stated duration may include a little more than the pictures.
_ERRORS = (av.FFmpegError, OSError, ValueError, tf.errors.OpError)


@contextlib.contextmanager
def open_video(path, device='cpu', max_seconds=None, max_pixels=None):
  """Opens the first video stream of a file.

  Args:
    path: `str`, local or anything that `tf.io.gfile` reads.
    device: 'cpu' or 'cuda': NVDEC for the codecs it knows, else the CPU.
    max_seconds: `float` or None, limit on the processor time without a picture,
      checked between packets, and on the waiting time for a read.
    max_pixels: `int` or None, limit on the size of a picture.

  Yields:
    A `PyavReader`.

  Raises:
    DecodeError: if there is no such file, or no video stream or decoder in it.
  """
  with contextlib.ExitStack() as stack:
    if plain_paths.is_remote(path):
      file = stack.enter_context(tf.io.gfile.GFile(path, 'rb'))
    else:
      file = plain_paths.plain(path)
    try:
      container = stack.enter_context(
        av.open(
          file,
          metadata_errors='ignore',
          timeout=max_seconds,
          hwaccel=_hardware() if device == 'cuda' else None,
        )
      )
    except _ERRORS as e:
      is_late = isinstance(e, av.error.ExitError)  # PyAV's timeout.
      reason = readers.TOO_LONG if is_late else 'cannot be opened'
      message = str(e).replace(str(file), path)
      raise readers.DecodeError(path, reason, message) from None
    video = _main_stream(path, container.streams.video)
    if video.codec_context is None:
      raise readers.DecodeError(path, 'no decoder for its codec')
    # One thread for each file; several files keep the cores busy.
    video.codec_context.thread_count = 1
    yield PyavReader(path, container, video, max_seconds, max_pixels)


def check_cuda():
  """Raises ValueError, with the reason, if no GPU can decode."""
  try:
    _hardware().create(av.Codec('h264', 'r'))
  except Exception as e:  # PyAV raises several kinds.
    raise ValueError(
      'decode_device=cuda expects an NVIDIA GPU with its driver and an FFmpeg '
      f'with NVDEC in PyAV, but none can be used ({e}). Use '
      'decode_device=auto or cpu.'
    ) from None


def _hardware():
  return hwaccel.HWAccel('cuda', allow_software_fallback=True)


def _main_stream(path, streams):
  """The stream that the ffmpeg program takes: a default one, or the largest."""
  whole = [s for s in streams if not _is_cover(s) and not _is_tile(s)]
  if not whole:
    message = 'a picture in tiles' if any(map(_is_tile, streams)) else ''
    raise readers.DecodeError(path, 'no video stream', message)
  return max(whole, key=_rank)


def _rank(stream):
  context = stream.codec_context
  size = context.width * context.height if context else 0
  is_default = bool(stream.disposition & av.stream.Disposition.default)
  return 5_000_000 * is_default + size


def _is_cover(stream):
  """Whether the stream is the cover picture of a music file."""
  return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _is_tile(stream):
  """Whether the stream is a part of a picture, as in HEIC files of phones."""
  return bool(stream.disposition & av.stream.Disposition.dependent)


class PyavReader:
  """Reads the pictures of an open video, up to its end or a decoding error.

  Attributes:
    aspect: `float`, width of a pixel over its height.
    error: `str`, the error that ended the pictures early, or ''.
  """

  def __init__(self, path, container, stream, max_seconds, max_pixels):
    self._path = path
    self._container = container
    self._stream = stream
    self._max_seconds = max_seconds
    self._last_picture = time.thread_time()
    self._last_stamp = 0  # The end of the packets read so far.
    self._max_pixels = max_pixels
    self.aspect = float(
      stream.sample_aspect_ratio
      or stream.codec_context.sample_aspect_ratio
      or 1
    )
    self.error = ''

  @property
  def seconds(self):
    """The duration that the container states, or None."""
    duration = self._container.duration
    return None if duration is None else duration / av.time_base

  def timeline(self):
    """The pictures' times from the packets; reads the whole file.

    Returns:
      A `timeline.Timeline` of the packets that are shown.

    Raises:
      DecodeError: if the file cannot be read.
    """
    try:
      packets = [
        (packet.pts, packet.dts, packet.duration or 0)
        for packet in self._container.demux(self._stream)
        # Packets outside of the edit list are decoded, but not shown.
        if self._in_time() and packet.size and not packet.is_discard
      ]
    except _ERRORS as e:
      raise readers.DecodeError(self._path, 'cannot be read', str(e)) from None
    base = float(self._stream.time_base)
    return timeline.of_packets(packets, base, self._rate())

  def pictures(self, times=None):
    """Iterates over the pictures from the first one on.

    Args:
      times: A `timeline.Timeline` that says when each picture is shown, or
        None: the pictures say it themselves.
    """
    yield from self._pictures(self._decode(), times)
    if not self.error:
      self.error = self._missing()

  def pictures_near(self, index, times):
    """Like `pictures`, starting at the key frame before picture `index`.

    Args:
      index: `int`.
      times: The result of `timeline` for the same file.

    Returns:
      An iterator, or None if the file's times do not identify the picture that
      a seek found.
    """
    if index >= len(times) or not times.can_seek:
      return None
    try:
      self._container.seek(int(times.stamps[index]), stream=self._stream)
    except _ERRORS:
      return None
    frames = self._decode()
    first = next(frames, None)
    if first is None or first.pts is None:
      return None
    found = int(np.searchsorted(times.stamps, first.pts))
    is_one = np.count_nonzero(times.stamps == first.pts) == 1
    if found > index or not is_one:
      return None
    return self._pictures(_chain(first, frames), times, found)

  def _decode(self):
    """Iterates over frames until the end, an error or a corrupt frame."""
    self._check_size(self._stream.codec_context)
    try:
      for packet in self._container.demux(self._stream):
        self._in_time()
        for stamp in (packet.pts, packet.dts):
          if stamp is not None:
            end = stamp + (packet.duration or 0)
            self._last_stamp = max(self._last_stamp, end)
        for frame in packet.decode():
          if frame.is_corrupt:
            self.error = f'frame at {frame.time} s is corrupt'
            return
          self._check_size(frame)
          yield frame
          self._last_picture = time.thread_time()
    except readers.DecodeError:
      raise
    except av.error.ExitError as e:
      raise readers.DecodeError(self._path, readers.TOO_LONG, str(e)) from None
    except _ERRORS as e:
      self.error = str(e)

  def _in_time(self):
    # Processor time, because a busy machine is not the file's fault.
    seconds = time.thread_time() - self._last_picture
    readers.check_time(self._path, seconds, self._max_seconds)
    return True

  def _check_size(self, frame):
    readers.check_size(self._path, frame.width, frame.height, self._max_pixels)

  def _pictures(self, frames, times=None, index=0):
    rate, first_stamp = self._rate(), None
    turns = orientation.Orientations(
      self._path,
      self._container.format.name,
      self._stream.codec_context.name,
    )
    for frame in frames:
      if first_stamp is None:
        first_stamp = frame.pts
      layout, planes = layout_of(frame)
      if times is None:
        span = functools.partial(_span, frame, index, first_stamp, rate)
      else:
        span = functools.partial(times.span, index)
      turn = turns.of_frame(frame)
      yield readers.Picture(index, span, layout, planes, turn)
      index += 1

  def _rate(self):
    # A stream without times has the rate that its own header states; its
    # average rate is FFmpeg's default.
    rates = [self._stream.average_rate, self._stream.guessed_rate]
    if self._stream.start_time is None:
      rates.reverse()
    return float(rates[0] or rates[1] or _DEFAULT_RATE)

  def _missing(self):
    """What the container states and the file does not hold, or ''."""
    entries, base = self._stream.index_entries, self._stream.time_base
    if len(entries) and entries[-1].timestamp > self._last_stamp:
      return f'nothing after {float(self._last_stamp * base):.2f} s is there'
    stated = _seconds(self._stream.metadata.get('DURATION', ''))
    seconds = float(self._last_stamp * base)
    if seconds < _MOST * stated:
      return f'{seconds:.2f} s of {stated:.2f} s are there'
    return ''


def _seconds(text):
  """The seconds of a duration 'hours:minutes:seconds' of Matroska, or 0."""
  try:
    hours, minutes, seconds = text.split(':')
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
  except ValueError:
    return 0.0


def _span(frame, index, first_stamp, rate):
  time_, length = index / rate, 1 / rate
  if frame.pts is not None and first_stamp is not None:
    time_ = float((frame.pts - first_stamp) * frame.time_base)
    if frame.duration:
      length = float(frame.duration * frame.time_base)
  return time_, length


def _chain(first, rest):
  yield first
  yield from rest


def layout_of(frame):
  """The frame's `pixels.Layout` and a function that returns its planes."""
  layout, planes = _layout(
    frame.format.name, frame.colorspace, frame.color_range
  )
  if any(plane.line_size <= 0 for plane in frame.planes):
    layout, planes = pixels.RGB, _rgb
  return layout, functools.partial(planes, frame, layout.depth)


@functools.lru_cache(maxsize=256)
def _layout(name, colorspace, color_range):
  """The layout of a pixel format, and `planes(frame, depth)`."""
  weights = pixels.matrix_weights(colorspace)
  is_full = color_range == _FULL_RANGE
  match = _PLANAR.match(name)
  if match and weights:
    depth, is_full = int(match['depth'] or 8), is_full or bool(match['j'])
    return pixels.Layout('yuv', depth, weights, is_full), _planar
  if name in _SEMI_PLANAR and weights:
    layout = pixels.Layout('yuv', _SEMI_PLANAR[name], weights, is_full)
    return layout, _semi_planar
  if name in _GREY:
    return pixels.Layout('grey', _GREY[name]), _grey
  return pixels.RGB, _rgb


def _rgb(frame, depth):
  del depth
  return [frame.to_ndarray(format='rgb24')]


def _grey(frame, depth):
  return [_plane(frame.planes[0], depth)]


def _planar(frame, depth):
  return [_plane(plane, depth) for plane in frame.planes[:3]]


def _semi_planar(frame, depth):
  y, uv = frame.planes[:2]
  uv = _plane(uv, depth, 2 * -(-frame.width // 2))
  return [_plane(y, depth), uv[:, 0::2], uv[:, 1::2]]


def _plane(plane, depth, width=None):
  dtype = np.uint8 if depth == 8 else np.uint16
  rows = np.frombuffer(plane, dtype).reshape([plane.height, -1])
  return rows[:, : width or plane.width]
