"""What every reader of files gives: pictures, in the order they are shown."""

from __future__ import annotations

import dataclasses
from typing import Callable

import numpy as np

from train.data.decoding import pixels

__all__ = ['DecodeError', 'Picture']


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

  def __reduce__(self):  # To cross processes.
    return DecodeError, (self.path, self.reason, self.message)


@dataclasses.dataclass(frozen=True)
class Picture:
  """One decoded picture.

  Attributes:
    index: `int`, its place in the file.
    span: Function without arguments that gives its time and duration, `float`,
      seconds after the first picture's and as far as the file tells.
    layout: `pixels.Layout`.
    planes: Function without arguments that gives the list of planes, which are
      to be copied before the next picture is asked for.
    rotation: `int`, degrees counter-clockwise to turn it by.
  """

  index: int
  span: Callable[[], tuple[float, float]]
  layout: pixels.Layout
  planes: Callable[[], list[np.ndarray]]
  rotation: int = 0
