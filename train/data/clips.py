"""`Clips`: clips of a source, decoded on demand."""

from __future__ import annotations

import functools

import numpy as np

from train.data import skip_log
from train.data.decoding import decode
from train.data.decoding import disk_cache
from train.data.decoding import frame_cache
from train.data.decoding import readers

__all__ = ['Clips']


class Clips:
  """Clips of a source, decoded on demand.

  A small file is decoded once, up to the last frame that any of its regions
  needs, and kept in a `FrameCache`. Of a larger file only the window is
  decoded, each time.
  """

  def __init__(
    self,
    source,
    num_frames,
    decoder,
    skips=None,
    cache_bytes=2**30,
    cache_dir=None,
    max_file_bytes=2**24,
  ):
    """Decodes nothing yet.

    Args:
      source: A `sources.Source`.
      num_frames: `int`, number of frames of a clip.
      decoder: A `decode.Decoder`.
      skips: A `SkipLog`, or `None`: a new one.
      cache_bytes: `int`, size of the cache of decoded frames in memory.
      cache_dir: `str`, a folder that also keeps decoded files, or `None`.
      max_file_bytes: `int`; a file is small if its decoded frames have at most
        so many bytes.
    """
    self.source = source
    self.num_frames = num_frames
    self.decoder = decoder
    self.frame_shape = (decoder.size, decoder.size, decoder.channels)
    self.skips = skip_log.SkipLog(source) if skips is None else skips
    self._cache = frame_cache.FrameCache(cache_bytes)
    self._disk = cache_dir and disk_cache.DiskCache(cache_dir, decoder)
    self._max_file_bytes = max_file_bytes
    self._stops = _file_stops(source)
    self._held_out = frozenset(source.valid)  # They have one window each.
    self._gives = {}  # Whether a region gave a clip, of those that were read.

  def read(self, region, position=0.0):
    """One clip.

    Args:
      region: A `sources.Region` of the source.
      position: `float` in [0, 1), the window's relative place among all windows
        of the region.

    Returns:
      uint8 array `[num_frames, size, size, channels]`.

    Raises:
      DecodeError: if the region does not give `num_frames` frames, or the
        clip is blank.
    """
    clip = self._read(region, position)
    if decode.is_blank(clip):
      raise readers.DecodeError(region.path, readers.BLANK)
    return clip

  def _read(self, region, position):
    stop = self._stops[region.path]
    if stop is None:
      stop = self._num_frames(region.path)
    if stop * np.prod(self.frame_shape) > self._max_file_bytes:
      stop = min(stop, region.stop or stop)
      start = self._window(region, stop, position)
      return self.decoder.clip(region.path, start, self.num_frames)
    frames = self._whole(region.path)
    stop = min(len(frames), region.stop or len(frames))
    start = self._window(region, stop, position)
    return frames[start : start + self.num_frames]

  def read_or_skip(self, region, position=0.0):
    """Like `read`, but records a region that fails and returns `None`."""
    try:
      clip = self.read(region, position)
    except readers.DecodeError as e:
      self.skips.record(e)
      # Of a blank training window, others of its region may show something.
      if e.reason != readers.BLANK or region in self._held_out:
        self._gives.setdefault(region, False)
      return None
    self._gives[region] = True
    return clip

  def is_usable(self, region):
    """Whether a region gives clips, as far as is known.

    A region that was not read yet is usable unless an earlier session skipped
    its file.

    Args:
      region: A `sources.Region` of the source.
    """
    is_skipped = region.path in self.skips.skipped_before
    return self._gives.get(region, not is_skipped)

  def _window(self, region, stop, position):
    num_windows = stop - region.start - self.num_frames + 1
    if num_windows < 1:
      raise readers.DecodeError(
        region.path,
        'too few frames',
        f'expected {self.num_frames}, got {max(0, stop - region.start)}',
      )
    return region.start + int(position * num_windows)

  def _num_frames(self, path):
    count = functools.partial(self.decoder.num_frames, path)
    return _raise_error(self._cache.get(('count', path), _or_error(count)))

  def _whole(self, path):
    whole = functools.partial(self._decode_file, path)
    return _raise_error(self._cache.get(path, _or_error(whole)))

  def _decode_file(self, path):
    stop = self._stops[path]
    try:
      if not self._disk:
        return self._decode(path, 0, stop)
      return self._disk.get(path, stop, self._decode)
    except _EndsEarly as e:
      return e.frames

  def _decode(self, path, start, stop):
    frames, error = self.decoder.read(path, start, stop)
    if error:
      self.skips.record(error)
      raise _EndsEarly(frames)
    return frames


class _EndsEarly(Exception):
  """Keeps a damaged file out of the disk cache, so that each run notes it."""

  def __init__(self, frames):
    super().__init__()
    self.frames = frames


def _file_stops(source):
  """Dict from paths to the frames that their regions need; None: all."""
  stops = {}
  for region in source.train + source.valid:
    stop = stops.get(region.path, 0)
    known = stop is not None and region.stop is not None
    stops[region.path] = max(stop, region.stop) if known else None
  return stops


def _or_error(function):
  """Makes `function` return its `DecodeError`, so that a cache keeps it."""

  def call():
    try:
      return function()
    except readers.DecodeError as e:
      return readers.DecodeError(e.path, e.reason, e.message)

  return call


def _raise_error(value):
  if isinstance(value, readers.DecodeError):
    raise readers.DecodeError(value.path, value.reason, value.message)
  return value
