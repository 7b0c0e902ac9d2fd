"""Files of raw frames: uint8 NumPy arrays `[N, H, W, C]`."""

from __future__ import annotations

import numpy as np

__all__ = ['SUFFIX', 'open_frames', 'write_header']

SUFFIX = '.frames.npy'  # Other .npy files are not taken for frames.


def write_header(file, shape):
  """Writes the header; the frames' bytes follow.

  Args:
    file: A file that is open for writing bytes.
    shape: `(N, H, W, C)`, C in {1, 3}.
  """
  header = {'descr': '|u1', 'fortran_order': False, 'shape': shape}
  np.lib.format.write_array_header_1_0(file, header)


def open_frames(path):
  """The frames of a file, mapped into memory: uint8 `[N, H, W, C]`.

  Raises:
    ValueError: if the file is damaged or holds something else.
  """
  try:
    # `np.load` would also open archives and pickles.
    frames = np.lib.format.open_memmap(path, mode='r')
  except (OSError, EOFError) as e:
    raise ValueError(str(e)) from None
  is_whole = frames.ndim == 4 and frames.dtype == np.uint8
  if not is_whole or frames.shape[-1] not in (1, 3):
    raise ValueError(
      'expected uint8 frames [N, H, W, 1 or 3], got '
      f'{frames.dtype} {list(frames.shape)}'
    )
  return frames
