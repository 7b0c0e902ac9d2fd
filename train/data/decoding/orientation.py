"""Which way a picture is to be shown, as EXIF's orientation: 1 to 8."""

from __future__ import annotations

import io

from av.sidedata import sidedata
import numpy as np

from train.data import sources

__all__ = ['Orientations', 'of_exif', 'of_matrix']

_EXIF_TAG = 0x112
# By the signs of the display matrix (a, b; c, d): of a and d, or of b and c.
_UPRIGHT = {(1, 1): 1, (-1, 1): 2, (-1, -1): 3, (1, -1): 4}
_TURNED = {(1, 1): 5, (1, -1): 6, (-1, -1): 7, (-1, 1): 8}
_BY_ROTATION = (1, 8, 3, 6)


class Orientations:
  """The orientations of a file's frames.

  Of a picture file it is what Pillow finds. Of a video it is what the display
  matrix says, which is read again when the rotation changes.
  """

  def __init__(self, path, format_name, codec_name):
    """Reads nothing yet.

    Args:
      path: `str`.
      format_name: `str`, FFmpeg's name of the container.
      codec_name: `str`, FFmpeg's name of the codec.
    """
    self._path = path
    self._is_picture = format_name.endswith('_pipe')
    # PyAV 18 frees a side datum's name twice, which the PNG decoder sets.
    self._has_matrix = codec_name not in ('png', 'apng')
    self._rotation = None
    self._orientation = 1

  def of_frame(self, frame):
    """The orientation of an `av.VideoFrame`."""
    rotation = frame.rotation
    if rotation != self._rotation:
      self._rotation = rotation
      self._orientation = self._read(frame)
    return self._orientation

  def _read(self, frame):
    orientation = None
    if self._is_picture:
      orientation = _of_picture(self._path)
    elif self._has_matrix:
      orientation = _of_side_data(frame)
    return orientation or _BY_ROTATION[round(frame.rotation / 90) % 4]


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


def _of_side_data(frame):
  """The orientation of a frame's display matrix, or None."""
  try:
    matrix = frame.side_data.get(sidedata.Type.DISPLAYMATRIX)
  except ValueError:  # A type that PyAV does not know.
    return None
  return matrix and of_matrix(np.frombuffer(matrix, np.int32)[:9])


def _of_picture(path):
  """The orientation that Pillow finds in a picture file, or None."""
  from PIL import Image

  try:
    return of_exif(Image.open(io.BytesIO(sources.read_bytes(path))))
  except Exception:  # Pillow raises many kinds.
    return None


def _sign(number):
  return -1 if number < 0 else 1
