"""Data sets that a program draws: rendered once, into one file a part.

A part, 'train' or 'valid', is an array of all frames of all videos. Video i of
a part depends on the set's version, the part and i alone. So a longer part
begins with the videos of a shorter one, and equal versions give equal bytes on
every machine.
"""

from __future__ import annotations

from concurrent import futures
import dataclasses
import os
from typing import Callable

from absl import logging
import numpy as np

from train.data import sources
from train.storage import files
from train.storage import frame_files

__all__ = ['PARTS', 'Videos', 'rendered_source', 'video_rng', 'write_part']

PARTS = ('train', 'valid')
_CHUNK = 32  # Videos rendered at a time.


@dataclasses.dataclass(frozen=True)
class Videos:
  """The videos of a set.

  Attributes:
    name: `str`, the name that --dataset takes.
    version: `int`; one more whenever a byte changes.
    shape: `[T, H, W, C]` of a video, `int`s.
    render: Function of a part and a `range` of numbers that returns the videos'
      frames, uint8 `[N, T, H, W, C]`.
  """

  name: str
  version: int
  shape: tuple[int, int, int, int]
  render: Callable[[str, range], np.ndarray]


def video_rng(part, number):
  """The random numbers of video `number` of a part: a `np.random.Generator`.

  Use `random()` alone. Its numbers are exact multiples of 2**-53, and what is
  computed of them by sums, products, quotients and square roots is the same on
  every machine.
  """
  seed = np.random.SeedSequence([PARTS.index(part), number])
  return np.random.Generator(np.random.Philox(seed))


def rendered_source(videos, numbers, label_names, label_of, folder=None):
  """A `Source` of rendered videos, which are written on first use.

  Args:
    videos: `Videos`.
    numbers: `dict` from each of `PARTS` to its number of videos.
    label_names: Sequence of `str`.
    label_of: Function of a part and a video's number that returns its label,
      `int`.
    folder: `str`, folder of the files, or `None`: `videos.name` in
      `sources.default_cache_dir()`.

  Returns:
    A `sources.Source` with one `Region` for each video.

  Raises:
    DataError: if a file cannot be written, or one of its name holds something
      else.
  """
  folder = sources.set_folder(videos.name, folder)
  length = videos.shape[0]
  parts = {}
  for part in PARTS:
    path = write_part(folder, videos, part, numbers[part])
    parts[part] = tuple(
      sources.Region(path, label_of(part, i), i * length, (i + 1) * length)
      for i in range(numbers[part])
    )
  return sources.Source(
    videos.name, tuple(label_names), parts['train'], parts['valid']
  )


def write_part(folder, videos, part, number):
  """Writes the videos of a part, unless the file exists; returns its path.

  The file's name holds the version, so files of other versions stay beside it.

  Args:
    folder: `str`.
    videos: `Videos`.
    part: One of `PARTS`.
    number: `int`, number of videos.

  Raises:
    DataError: see `rendered_source`.
  """
  name = f'{videos.name}-v{videos.version}-{part}-{number}'
  path = os.path.join(folder, name + frame_files.SUFFIX)
  length, *frame_shape = videos.shape
  shape = (number * length, *frame_shape)
  if os.path.exists(path):
    _check(path, shape)
    return path
  logging.info('Rendering %d videos into %s.', number, path)
  try:
    os.makedirs(folder, exist_ok=True)
    with files.replacing(path) as partial, open(partial, 'wb') as f:
      frame_files.write_header(f, shape)
      for frames in _rendered(videos, part, number):
        f.write(frames.tobytes())
  except OSError as e:
    raise sources.DataError(f'Cannot write {path}: {e}.') from None
  return path


def _rendered(videos, part, number):
  """Yields arrays of frames, in order; threads render them."""
  chunks = [
    range(first, min(first + _CHUNK, number))
    for first in range(0, number, _CHUNK)
  ]
  workers = os.cpu_count() or 1
  with futures.ThreadPoolExecutor(workers) as pool:
    for i in range(0, len(chunks), workers):
      some = chunks[i : i + workers]
      yield from pool.map(lambda chunk: videos.render(part, chunk), some)


def _check(path, shape):
  try:
    found = frame_files.open_frames(path).shape
  except ValueError as e:
    found = str(e)
  if found != shape:
    raise sources.DataError(
      f'Expected {path} to hold frames of shape {shape}, found {found}. Remove '
      'it, and it is rendered again.'
    )
