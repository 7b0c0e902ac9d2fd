"""Reads uploaded pictures and videos as a run's training reads files."""

from __future__ import annotations

import pathlib
import re

import numpy as np

from train import errors
from train import shown_text
from train.data.decoding import decode
from train.data.decoding import readers
from train.samples import sample_files

__all__ = ['STRIP_FRAMES', 'UploadError', 'read', 'strip']

STRIP_FRAMES = 8
_LEAST_WIDTH = 96  # Of a frame in a strip, pixels.
_GAP = 4
_ERRNO = re.compile(r'\[Errno \d+\] ')  # FFmpeg's numbers say nothing.
# The decoder's arguments by the data set's fields.
_FIELDS = {
  'crop': 'crop',
  'fps': 'fps',
  'stride': 'frame_stride',
  'max_seconds': 'max_file_seconds',
  'max_pixels': 'max_picture_pixels',
}


class UploadError(errors.UserError):
  """An upload that cannot be used; the message is shown on the page."""


def read(path, data, most):
  """Reads the first frames of a picture, GIF or video.

  Args:
    path: Path of the file.
    data: The run's `data_sets.Clips`: size, channels, crop, frame rate.
    most: Python `int`, most frames to read.

  Returns:
    - uint8 `[T, size, size, channels]`, 1 <= T <= `most`.
    - `str`, a sentence on what is damaged, or ''.

  Raises:
    UploadError: if the file has no frame that can be decoded.
  """
  path = pathlib.Path(path)
  try:
    frames, damage = _decoder(data).read(str(path), 0, most)
  except readers.DecodeError as e:
    raise UploadError(
      f'{_name(path)} cannot be used as a picture, GIF or video: '
      f'{_words(path, e)}.'
    ) from e
  return frames, f'{_name(path)} {_words(path, damage)}.' if damage else ''


def _decoder(data):
  """As `data.inputs` makes it, for the fields that the data set has."""
  own = {k: getattr(data, v) for k, v in _FIELDS.items() if hasattr(data, v)}
  return decode.Decoder(data.frame_size, data.channels, **own)


def _name(path):
  return shown_text.visible(path.name)


def _words(path, error):
  """What is wrong with the file."""
  details = _ERRNO.sub('', error.message.replace(str(path), path.name))
  return shown_text.visible(f'{error.reason}{details and f" ({details})"}')


def strip(frames):
  """The first eight frames beside each other, enlarged without smoothing.

  Args:
    frames: uint8 `[T, H, W, C]`, C 1 or 3.

  Returns:
    uint8 `[H', W', 3]`, with a white gap after each frame.
  """
  shown = sample_files.as_rgb(frames[:STRIP_FRAMES])
  factor = max(1, -(-_LEAST_WIDTH // frames.shape[2]))
  large = shown.repeat(factor, axis=1).repeat(factor, axis=2)
  gap = [(0, 0), (0, 0), (0, _GAP), (0, 0)]
  return np.concatenate(list(np.pad(large, gap, constant_values=255)), axis=1)
