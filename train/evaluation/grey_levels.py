"""Errors of frames whose levels are read as numbers in [0, 1]."""

from __future__ import annotations

import numpy as np

__all__ = ['cross_entropy', 'entropy', 'squared_errors']


def squared_errors(frames, predicted):
  """Squared error of each frame, summed over its pixels and channels.

  Args:
    frames: uint8 `[..., H, W, C]`.
    predicted: Real `[..., H, W, C]`, 0 to 255.

  Returns:
    Float64 `[...]`; white minus black is 1.
  """
  difference = np.asarray(predicted, np.float64) - frames
  return (difference**2).sum((-3, -2, -1)) / 255**2


def cross_entropy(frames, predicted):
  """Cross entropy of each frame's grey levels, as shares of white, in nats.

  Args:
    frames: uint8 `[..., H, W, C]`; the targets are shares q = level / 255.
    predicted: Real `[..., H, W, C]`, 0 to 255; p = predicted / 255.

  Returns:
    Float64 `[...]`, the sum of -q log p - (1 - q) log(1 - p) over pixels.
  """
  q = np.asarray(frames, np.float64) / 255
  p = np.asarray(predicted, np.float64) / 255
  with np.errstate(divide='ignore', invalid='ignore'):
    white = np.where(q > 0, q * np.log(p), 0.0)
    black = np.where(q < 1, (1 - q) * np.log1p(-p), 0.0)
  return -(white + black).sum((-3, -2, -1))


def entropy(frames):
  """`cross_entropy` of frames predicted exactly: its lower bound."""
  return cross_entropy(frames, frames)
