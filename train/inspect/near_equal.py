"""Finds files that show the same video."""

from __future__ import annotations

import numpy as np

__all__ = ['pairs']

_SIZE = 16  # Pixels to which frames are reduced.
_LEAST_CORRELATION = 0.99
_LEAST_DEVIATION = 2.0  # Levels of 255; frames of one colour are all alike.


def pairs(files):
  """Pairs of files whose first, middle and last small frames are alike.

  They correlate at 0.99 or more, so that another size, codec or brightness does
  not hide an equal video. Each file is paired only with the first that is like
  it: of many equal files, all pairs would be too many.

  Args:
    files: List of `examine.File`; those without frames are left out.

  Returns:
    List of pairs of `File`.
  """
  files = [f for f in files if f.frames is not None]
  vectors = [_vector(f.frames) for f in files]
  kept = [k for k, v in enumerate(vectors) if v.std() >= _LEAST_DEVIATION]
  if not kept:
    return []
  normal = np.stack([vectors[k] for k in kept])
  normal -= normal.mean(axis=1, keepdims=True)
  normal /= np.linalg.norm(normal, axis=1, keepdims=True)
  alike = np.triu(normal @ normal.T >= _LEAST_CORRELATION, k=1)
  first = alike.argmax(axis=0)
  return [
    (files[kept[first[b]]], files[kept[b]])
    for b in np.flatnonzero(alike.any(axis=0))
  ]


def _vector(frames):
  """Frames `[3, H, W, C]` as one float32 vector of means of small areas."""
  step = max(1, frames.shape[1] // _SIZE)
  side = frames.shape[1] // step * step
  small = frames[:, :side, :side].astype(np.float32)
  shape = (len(small), side // step, step, side // step, step, small.shape[-1])
  return small.reshape(shape).mean(axis=(2, 4)).ravel()
