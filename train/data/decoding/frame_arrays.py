"""Reads files of raw frames (`frame_files`)."""

from __future__ import annotations

import functools

from train.data.decoding import pixels
from train.data.decoding import readers
from train.storage import frame_files

__all__ = ['count', 'is_frames', 'read']


def is_frames(path):
  return path.endswith(frame_files.SUFFIX)


def count(path):
  """The number of frames; `DecodeError` if the file holds something else."""
  return len(_frames(path))


def read(path, start=0, stop=None):
  """Yields the `Picture`s `[start, stop)`, or as many as there are."""
  frames = _frames(path)
  is_grey = frames.shape[-1] == 1
  layout = pixels.Layout('grey') if is_grey else pixels.RGB
  stop = len(frames) if stop is None else min(stop, len(frames))
  for i in range(start, stop):
    yield readers.Picture(
      i,
      lambda i=i: (float(i), 1.0),
      layout,
      lambda i=i: [frames[i, :, :, 0] if is_grey else frames[i]],
    )


@functools.lru_cache(maxsize=16)
def _frames(path):
  try:
    return frame_files.open_frames(path)
  except ValueError as e:
    raise readers.DecodeError(path, 'cannot be opened', str(e)) from None
