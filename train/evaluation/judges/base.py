"""`Judge`: what all judges of generated videos have in common."""

from __future__ import annotations

import abc

import numpy as np

__all__ = ['HORIZONS', 'Judge', 'horizons', 'rate']

HORIZONS = (8, 16, 32, 60, 120)  # Frames.


class Judge(abc.ABC):
  """Says how many videos are what they should be.

  Attributes:
    name: `str` for tables and messages.
  """

  name: str

  @abc.abstractmethod
  def judge(self, videos, labels=None, num_given=0):
    """Judges videos; deterministic.

    Args:
      videos: uint8 `[N, T, H, W, C]`.
      labels: int `[N]`, the labels they were drawn for; None: none.
      num_given: Python `int`, real frames at the start of each video.

    Returns:
      `dict` for JSON of rates, see `rate`, and of such `dict`s.
    """

  def marks(self, videos, labels=None):
    """A mark for each frame, for pictures; see `judge`.

    Returns:
      int `[N, T]`: 2, the video is right up to this frame; 1, the frame is
      right; 0, it is not. None if the judge does not say so.
    """
    del videos, labels
    return None


def rate(is_right, is_judged=None):
  """The share of what is right in what is judged.

  Args:
    is_right: bool array.
    is_judged: bool array of the same shape; None: all.

  Returns:
    `dict` with `rate`, a float, or None if nothing was judged, and `judged`,
    the number that was.
  """
  is_right = np.asarray(is_right, bool)
  if is_judged is not None:
    is_right = is_right[np.asarray(is_judged, bool)]
  share = float(is_right.mean()) if is_right.size else None
  return {'rate': share, 'judged': int(is_right.size)}


def horizons(num_frames):
  """The `HORIZONS` that videos reach, and their length: list of `int`."""
  return sorted({*(h for h in HORIZONS if h < num_frames), num_frames})
