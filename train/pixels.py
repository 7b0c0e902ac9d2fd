"""Decoded planes to small frames: area averages first, colour after.

Averaging the decoder's own planes and converting the small result costs a
sixteenth of the colour conversion of a 256x256 frame for a 64x64 one, and half
the bytes on the way to a GPU.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import tensorflow as tf

__all__ = ['CROPS', 'Layout', 'RGB', 'matrix_weights', 'to_frames']

CROPS = ('center', 'letterbox')

# Luma weights (k_r, k_b) by FFmpeg's AVColorSpace. Unspecified (2) is BT.601,
# as in FFmpeg's scaler.
_BT601 = (0.299, 0.114)
_LUMA_WEIGHTS = {
  1: (0.2126, 0.0722),  # BT.709
  2: _BT601,
  4: (0.30, 0.11),  # FCC
  5: _BT601,  # BT.470 B/G
  6: _BT601,  # SMPTE 170M
  7: (0.212, 0.087),  # SMPTE 240M
  9: (0.2627, 0.0593),  # BT.2020
  10: (0.2627, 0.0593),
}


@dataclasses.dataclass(frozen=True)
class Layout:
  """What the planes of a frame mean.

  Attributes:
    kind: 'rgb' (one plane `[h, w, 3]`), 'grey' (one plane `[h, w]`) or 'yuv'
      (three planes, the last two subsampled).
    depth: `int`, bits a sample.
    luma_weights: `(k_r, k_b)` of the matrix.
    full_range: `bool`: 0 is black and `2**depth - 1` white; else 16 and 235 of
      8 bits are.
  """

  kind: str
  depth: int = 8
  luma_weights: tuple[float, float] = _BT601
  full_range: bool = True


RGB = Layout('rgb')


def matrix_weights(colorspace):
  """`(k_r, k_b)` of an AVColorSpace number, or None: not a luma matrix."""
  return _LUMA_WEIGHTS.get(int(colorspace))


def to_frames(
  planes,
  layout,
  size,
  channels=3,
  crop='center',
  aspect=1.0,
  rotation=0,
  box=None,
):
  """Square frames of `size` pixels from planes of one shape.

  Each result pixel is the mean of the source area that it covers, also where
  that is less than one source pixel.

  Args:
    planes: List of uint8 or uint16 arrays: one `[N, h, w, 3]` ('rgb'), one
      `[N, h, w]` ('grey') or three `[N, h, w]` ('yuv').
    layout: Their `Layout`.
    size: `int`, pixels.
    channels: `int`, 3 (RGB) or 1 (their mean).
    crop: 'center' (short side to `size`, the middle of the long side) or
      'letterbox' (long side to `size`, black beside the short one).
    aspect: `float`, width of a source pixel over its height.
    rotation: `int`, multiple of 90: degrees counter-clockwise to turn by.
    box: `int` or None: only the middle of the picture, at most so many pixels
      high and wide, is there.

  Returns:
    uint8 `Tensor` `[N, size, size, channels]`, on the GPU if there is one.
  """
  height, width = planes[0].shape[1:3]
  rows, cols = _axes(height, width, size, crop, aspect, box)
  with tf.device(_device()):
    if layout.kind == 'yuv':
      # A chroma plane covers the picture, as in FFmpeg's scaler: each of the 68
      # rows of a picture of 135 is a little less than two rows high.
      y, u, v = (
        _area_mean(
          plane,
          rows.edges * (plane.shape[1] / height),
          cols.edges * (plane.shape[2] / width),
        )
        for plane in planes
      )
      rgb = _yuv_to_rgb(y, u, v, layout)
    else:
      rgb = _area_mean(planes[0], rows.edges, cols.edges)
      rgb = rgb * (255.0 / (2**layout.depth - 1))
      if layout.kind == 'grey':
        rgb = tf.repeat(rgb[..., tf.newaxis], 3, axis=-1)
    if channels == 1:
      rgb = tf.reduce_mean(rgb, axis=-1, keepdims=True)
    frames = tf.saturate_cast(tf.round(rgb), tf.uint8)
    if crop == 'letterbox':
      frames = tf.pad(frames, [[0, 0], rows.padding, cols.padding, [0, 0]])
    return tf.image.rot90(frames, rotation // 90) if rotation else frames


@dataclasses.dataclass(frozen=True, eq=False)
class _Axis:
  """Where result pixels lie on one axis of the source.

  Attributes:
    edges: float64 `[n + 1]`, of the n result pixels, in source pixels.
    padding: (before, after), result pixels that show nothing.
  """

  edges: np.ndarray
  padding: tuple[int, int]


@functools.lru_cache(maxsize=256)
def _axes(height, width, size, crop, aspect, box):
  lengths = [n if box is None else min(n, box) for n in (height, width)]
  shown = lengths[0], lengths[1] * aspect
  whole = min(shown) if crop == 'center' else max(shown)
  axes = []
  for total, length, shown_length in zip((height, width), lengths, shown):
    resized = int(shown_length * size / whole + 0.5)
    if crop == 'center':
      resized = max(size, resized)
      indices = np.arange(size + 1) + (resized - size) // 2
      padding = (0, 0)
    else:
      resized = min(size, max(1, resized))
      indices = np.arange(resized + 1)
      before = (size - resized) // 2
      padding = (before, size - resized - before)
    edges = (total - length) // 2 + indices * (length / resized)
    axes.append(_Axis(edges, padding))
  return axes


def _area_mean(x, row_edges, col_edges):
  """`x` `[N, h, w, ...]` averaged over the boxes, float32."""
  rows = _Boxes(row_edges, x.shape[1])
  cols = _Boxes(col_edges, x.shape[2])
  num, channels = x.shape[0], x.shape[3:]
  # Sliced on the host: less to convert and, for a GPU, to copy.
  x = tf.constant(
    x[:, rows.first : rows.last, cols.first : cols.last],
    tf.uint8 if x.dtype == np.uint8 else tf.uint16,
  )
  x = tf.cast(x, tf.float32)
  x = rows.mean(tf.reshape(x, [num, rows.length, -1]))
  x = tf.reshape(x, [num * rows.count, cols.length, -1])
  return tf.reshape(cols.mean(x), [num, rows.count, cols.count, *channels])


class _Boxes:
  """Means over boxes of one axis; the boxes cover pixels `[first, last)`."""

  def __init__(self, edges, length):
    self.count = len(edges) - 1
    self.first = int(edges[0] + 1e-6)
    self.last = min(length, max(self.first + 1, int(np.ceil(edges[-1] - 1e-6))))
    self.length = self.last - self.first
    self._edges = edges - self.first

  def mean(self, x):
    """`[B, length, K]` to `[B, count, K]`."""
    pitch, remainder = divmod(self.length, self.count)
    if not remainder and np.allclose(
      self._edges, pitch * np.arange(self.count + 1)
    ):
      if pitch == 1:
        return x
      batch, _, inner = x.shape
      return tf.reduce_mean(
        tf.reshape(x, [batch, self.count, pitch, inner]), axis=2
      )
    # A matrix product: tf.image.resize has no GPU kernel for 'area'.
    return tf.matmul(_box_weights(tuple(self._edges), self.length), x)


@functools.lru_cache(maxsize=64)
def _box_weights(edges, length):
  edges, pixels = np.array(edges), np.arange(length)
  covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(
    edges[:-1, None], pixels
  )
  covered = np.maximum(covered, 0.0)
  return (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)


def _yuv_to_rgb(y, u, v, layout):
  """Float RGB `[..., 3]`, 0 to 255, not clipped (BT.601, BT.709, ...)."""
  top = 2.0**layout.depth
  if layout.full_range:
    luma, chroma, black = top - 1, top - 1, 0.0
  else:
    luma, chroma, black = top * 219 / 256, top * 224 / 256, top * 16 / 256
  k_r, k_b = layout.luma_weights
  y = (y - black) * (255.0 / luma)
  b_minus_y = (u - top / 2) * (255.0 / chroma * 2 * (1 - k_b))
  r_minus_y = (v - top / 2) * (255.0 / chroma * 2 * (1 - k_r))
  g_minus_y = -(k_b * b_minus_y + k_r * r_minus_y) / (1 - k_r - k_b)
  return tf.stack([y + r_minus_y, y + g_minus_y, y + b_minus_y], axis=-1)


@functools.lru_cache(maxsize=1)
def _device():
  return '/GPU:0' if tf.config.list_physical_devices('GPU') else '/CPU:0'
