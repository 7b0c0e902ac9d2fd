"""`Picture`: what all readers yield, in the order in which it is shown."""

from __future__ import annotations

import dataclasses
from typing import Callable

import numpy as np

from train.data.decoding import pixels

__all__ = ['DecodeError', 'Picture']


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
    rotation: `int`, counter-clockwise rotation in degrees to apply.
  """

  index: int
  span: Callable[[], tuple[float, float]]
  layout: pixels.Layout
  planes: Callable[[], list[np.ndarray]]
  rotation: int = 0
