"""Which way a picture is to be shown, as EXIF's orientation: 1 to 8."""

from __future__ import annotations

import io

from av.sidedata import sidedata
import numpy as np

from train.data import sources

__all__ = ['of_exif', 'of_frame', 'of_matrix']

_EXIF_TAG = 0x112
# By the signs of the display matrix (a, b; c, d): of a and d, or of b and c.
_UPRIGHT = {(1, 1): 1, (-1, 1): 2, (-1, -1): 3, (1, -1): 4}
_TURNED = {(1, 1): 5, (1, -1): 6, (-1, -1): 7, (-1, 1): 8}
_BY_ROTATION = (1, 8, 3, 6)


def of_frame(frame, path):
  """The orientation of a decoded frame, from its display matrix.

  Args:
    frame: `av.VideoFrame`.
    path: `str`, its file.
  """
  try:
    matrix = frame.side_data.get(sidedata.Type.DISPLAYMATRIX)
  except ValueError:  # PyAV 18 does not know the type of EXIF data.
    by_rotation = _BY_ROTATION[round(frame.rotation / 90) % 4]
    return _of_picture(path) or by_rotation
  if matrix is None:
    return 1
  return of_matrix(np.frombuffer(matrix, np.int32)[:9])


def of_matrix(matrix):
  """The orientation nearest to a display matrix of nine numbers."""
  a, b, _, c, d = (int(x) for x in matrix[:5])
  if abs(a) + abs(d) >= abs(b) + abs(c):
    return _UPRIGHT[_sign(a), _sign(d)]
  return _TURNED[_sign(b), _sign(c)]


def of_exif(image):
  """The orientation in the EXIF data of a Pillow image; 1 if there is none."""
  orientation = image.getexif().get(_EXIF_TAG)
  return orientation if orientation in range(1, 9) else 1


def _of_picture(path):
  """The orientation that Pillow finds in a picture file, or None."""
  from PIL import Image

  try:
    return of_exif(Image.open(io.BytesIO(sources.read_bytes(path))))
  except Exception:  # Pillow raises many kinds.
    return None


def _sign(number):
  return -1 if number < 0 else 1
