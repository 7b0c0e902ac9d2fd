"""Looks at the files of a data set, a few frames of each, before training."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import time

import av
import numpy as np
import tensorflow as tf

from tfp_cglow.internal import plain_paths
from train.data.decoding import decode
from train.data.decoding import readers
from train.data.records import worker_pool
from train.loop import progress

__all__ = ['File', 'examine', 'examine_file']

_NUMBER = re.compile(r'^\[Errno \d+\] ')
_FILE_SECONDS = 60.0  # Limit on the wall time of one file.
_MAX_WORKERS = 4  # Each imports TensorFlow.
_LEAST_FILES = 200  # That are looked at, however long it takes.


@dataclasses.dataclass(frozen=True)
class File:
  """What was seen of a file.

  Attributes:
    path: `str`.
    num_frames: `int`, 0 if it is not known.
    frames: uint8 `[3, size, size, C]`, its first, middle and last frame, or
      None.
    container: `dict` of `str`: size, rate, codec and rotation, as far as FFmpeg
      knows them.
    problem: `str`, why it gives no clip; '' if it gives one.
  """

  path: str
  num_frames: int = 0
  frames: object = None
  container: dict = dataclasses.field(default_factory=dict)
  problem: str = ''


def examine(paths, decoder, num_frames, max_seconds):
  """Looks at files in worker processes: at some, then until the time is over.

  The order is shuffled, always in the same way, so that files of all labels are
  seen if the time is short.

  Args:
    paths: List of `str`.
    decoder: A `decode.Decoder`.
    num_frames: `int`, number of frames of a clip.
    max_seconds: Float; after 200 files, no file is begun later than so many
      seconds after the first.

  Returns:
    List of `File`, those that were looked at, sorted by path.
  """
  begin = bar = None
  found = []
  look = functools.partial(examine_file, decoder=decoder, num_frames=num_frames)
  order = np.random.default_rng(0).permutation(len(paths))
  with contextlib.ExitStack() as stack:
    for path, result in _results(look, [paths[k] for k in order]):
      if isinstance(result, Exception):  # The worker crashed, or took too long.
        result = File(path, problem=f'cannot be decoded: {result}')
      found.append(result)
      if bar is None:  # Workers need some seconds to start.
        begin = time.monotonic()
        bar = progress.Progress(1, len(paths), name='file')
        stack.callback(bar.close)
      else:
        bar.show(len(found), [f'{sum(bool(f.problem) for f in found)} skipped'])
      is_late = time.monotonic() - begin > max_seconds
      if is_late and len(found) >= _LEAST_FILES:
        break
  return sorted(found, key=lambda file: file.path)


def _results(look, paths):
  """Yields pairs of a path and its `File` or exception."""
  # At least one: this process has no limit on time, and must not crash.
  num_workers = max(1, min(os.cpu_count() or 1, _MAX_WORKERS, len(paths)))
  with worker_pool.WorkerPool(
    look, num_workers, _FILE_SECONDS, start=_use_one_core
  ) as pool:
    yield from pool.map(paths)


def _use_one_core():
  """Limits a worker to one core; it resizes frames with TensorFlow."""
  tf.config.set_visible_devices([], 'GPU')
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)


def examine_file(path, decoder, num_frames):
  """Decodes a first, middle and last frame of a file: `File`."""
  container = _container(path)
  try:
    count = decoder.num_frames(path)
    if not count:
      return File(path, 0, None, container, 'no frames')
    places = (0, count // 2, count - 1)
    frames = np.concatenate([decoder.clip(path, k, 1) for k in places])
  except readers.DecodeError as e:
    return File(path, 0, None, container, _words(e))
  problem = _problem(frames, count, num_frames)
  return File(path, count, frames, container, problem)


def _words(error):
  """The reason of a `DecodeError`, without the number and the path in it."""
  message = _NUMBER.sub('', error.message).removesuffix(f": '{error.path}'")
  return f'{error.reason} ({message})' if message else error.reason


def _problem(frames, count, num_frames):
  """Why a file that can be decoded gives no clip; '' if it gives one."""
  if count < num_frames:
    return f'too few frames (expected {num_frames}, got {count})'
  if decode.is_blank(frames):
    return f'{readers.BLANK} (the first, middle and last one)'
  return ''


def _container(path):
  """What FFmpeg says of a file: `dict` of `str`, empty for other files."""
  try:
    with av.open(plain_paths.plain(path), metadata_errors='ignore') as opened:
      video = opened.streams.video[0]
      frame = next(opened.decode(video))
      rate = video.average_rate
      return {
        'size': f'{frame.width}x{frame.height}',
        'rate': f'{float(rate):.4g}' if rate else '',
        'codec': video.codec_context.name,
        'rotation': f'{frame.rotation % 360:.0f}',
      }
  except (av.FFmpegError, OSError, ValueError, IndexError, StopIteration):
    return {}
