"""`Picture`: what all readers yield, in the order in which it is shown."""

from __future__ import annotations

import dataclasses
from typing import Callable

import numpy as np

from train.data.decoding import pixels

__all__ = [
  'BLANK',
  'DecodeError',
  'ENDS_EARLY',
  'Picture',
  'TOO_LARGE',
  'TOO_LONG',
  'check_size',
  'check_time',
]

BLANK = 'blank frames'
TOO_LARGE = 'frames too large'
TOO_LONG = 'takes too long'

# The reason of an error after which the frames before it can be used.
ENDS_EARLY = 'ends early'


class DecodeError(ValueError):
  """A file that cannot be decoded.

  Attributes:
    path: `str`.
    reason: `str`, the kind of failure in a few fixed words.
    message: `str`, details, for example the decoder's message.
  """

  def __init__(self, path, reason, message=''):
    super().__init__(f'{path}: {reason}{message and f" ({message})"}')
    self.path = path
    self.reason = reason
    self.message = message

  def __reduce__(self):  # For pickling.
    return DecodeError, (self.path, self.reason, self.message)


@dataclasses.dataclass(frozen=True)
class Picture:
  """One decoded picture.

  Attributes:
    index: `int`, its place in the file.
    span: Function without arguments that returns two `float`: its time in
      seconds after the first picture, and its duration, both as far as the file
      states them.
    layout: `pixels.Layout`.
    planes: Function without arguments that returns the list of planes. Copy
      them before asking for the next picture.
    orientation: `int`, EXIF's number of how it is to be shown, 1 to 8.
  """

  index: int
  span: Callable[[], tuple[float, float]]
  layout: pixels.Layout
  planes: Callable[[], list[np.ndarray]]
  orientation: int = 1


def check_size(path, width, height, max_pixels):
  """Raises `DecodeError` if a picture has more than `max_pixels`, or None."""
  if max_pixels and width * height > max_pixels:
    message = f'{width}x{height}, expected at most {max_pixels} pixels'
    raise DecodeError(path, TOO_LARGE, message)


def check_time(path, seconds, max_seconds):
  """Raises `DecodeError` if a picture took over `max_seconds`, or None."""
  if max_seconds is not None and seconds > max_seconds:
    raise DecodeError(path, TOO_LONG, f'no picture in {seconds:.0f} s')
