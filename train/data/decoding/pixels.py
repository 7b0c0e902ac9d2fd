"""Converts decoded planes to small frames: averages first, then colours.

Averaging the decoder's planes before the colour conversion saves work: from
256x256 to 64x64 the conversion costs a sixteenth, and half as many bytes are
copied to a GPU.
"""

from __future__ import annotations

import collections
import dataclasses
import functools

import numpy as np
import tensorflow as tf

__all__ = [
  'Layout',
  'RGB',
  'frames_in_graph',
  'matrix_weights',
  'to_frames',
]

_CALLS_BEFORE_COMPILING = 8
# By EXIF's orientation: whether to mirror a picture, left to right, and then
# how many quarter turns to give it, counter-clockwise.
_TURNS = {
  1: (False, 0),
  2: (True, 0),
  3: (False, 2),
  4: (True, 2),
  5: (True, 1),
  6: (False, 3),
  7: (True, 3),
  8: (False, 1),
}
_MAX_TERMS = 64

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
    depth: `int`, bits of a sample.
    luma_weights: `(k_r, k_b)` of the colour matrix.
    full_range: `bool`, whether black is 0 and white is `2**depth - 1`. If not,
      they are 16 and 235 (for 8 bits).
  """

  kind: str
  depth: int = 8
  luma_weights: tuple[float, float] = _BT601
  full_range: bool = True


RGB = Layout('rgb')


def matrix_weights(colorspace):
  """`(k_r, k_b)` of an AVColorSpace number; None if it has no luma matrix."""
  return _LUMA_WEIGHTS.get(int(colorspace))


def to_frames(
  planes,
  layout,
  size,
  channels=3,
  crop='center',
  aspect=1.0,
  orientation=1,
  box=None,
):
  """Square frames of `size` pixels from planes of one shape.

  Each result pixel is the mean of the source area that it covers, even if that
  is smaller than a source pixel.

  Args:
    planes: List of uint8 or uint16 arrays: one `[N, h, w, 3]` ('rgb'), one
      `[N, h, w]` ('grey') or three `[N, h, w]` ('yuv').
    layout: Their `Layout`.
    size: `int`, pixels.
    channels: `int`, 3 (RGB) or 1 (their mean).
    crop: 'center' (short side to `size`, the middle of the long side) or
      'letterbox' (long side to `size`, black beside the short one).
    aspect: `float`, width of a source pixel over its height.
    orientation: `int`, EXIF's number of how the pictures are to be shown.
    box: `int` or None; the picture is first cropped to its middle, at most so
      many pixels high and wide.

  Returns:
    uint8 `Tensor` `[N, size, size, channels]`, on the GPU if there is one.
  """
  if layout.kind == 'yuv':
    planes = [planes[0], np.concatenate(planes[1:])]
  convert = _converter(
    tuple(plane.shape[1:] for plane in planes),
    layout,
    size,
    channels,
    crop,
    aspect,
    orientation,
    box,
  )
  return convert(planes)


def frames_in_graph(frames, size, channels, crop='center'):
  """`to_frames` for RGB or grey frames of unknown size, in a `tf.data` graph.

  It uses TensorFlow ops only. Its values differ from those of `to_frames` by at
  most one. Frames that have the wanted size and channels are returned
  unchanged.

  Args:
    frames: uint8 `Tensor` `[T, H, W, C]`, C in {1, 3, 4}; an alpha channel is
      dropped.
    size: `int`, pixels.
    channels: `int`, 3 or 1: the mean of RGB.
    crop: 'center' or 'letterbox', as in `to_frames`.

  Returns:
    uint8 `Tensor` `[T, size, size, channels]`.
  """
  frames = tf.cast(frames[..., :3], tf.float32)
  shape = tf.shape(frames)[1:3]
  side = tf.reduce_min(shape) if crop == 'center' else tf.reduce_max(shape)
  resized = (2 * shape * size + side) // (2 * side)  # Rounded.
  resized = tf.maximum(resized, 1)
  frames = tf.image.resize(frames, resized, method='area')
  if crop == 'center':
    top, left = tf.unstack((resized - size) // 2)
    frames = frames[:, top : top + size, left : left + size]
  else:
    before = (size - resized) // 2
    after = size - resized - before
    padding = tf.stack([before, after], axis=1)
    frames = tf.pad(frames, tf.pad(padding, [[1, 1], [0, 0]]))
  if channels == 1:
    frames = tf.reduce_mean(frames, axis=-1, keepdims=True)
  elif frames.shape[-1] == 1:
    frames = tf.repeat(frames, 3, axis=-1)
  return tf.cast(tf.floor(frames + 0.5), tf.uint8)


@functools.lru_cache(maxsize=64)
def _converter(*arguments):
  return _Converter(*arguments)


class _Converter:
  """`to_frames` for planes of one shape; U and V are one plane of 2N images.

  If each box consists of whole pixels, the arithmetic is exact: XLA and
  TensorFlow's ops give the same bits, as does any order of the sums.
  """

  def __init__(
    self, shapes, layout, size, channels, crop, aspect, orientation, box
  ):
    height, width = shapes[0][:2]
    rows, cols = _axes(height, width, size, crop, aspect, box)
    # A chroma plane covers the whole picture, as in FFmpeg's scaler: if the
    # picture has 135 rows, each of the 68 chroma rows is 135/68 rows high.
    self._boxes = [
      (
        _Boxes(rows.edges * (h / height), h),
        _Boxes(cols.edges * (w / width), w),
      )
      for h, w in (shape[:2] for shape in shapes)
    ]
    self._padding = [[0, 0], rows.padding, cols.padding, [0, 0]]
    self._layout = layout
    self._channels = channels
    self._is_mirrored, self._quarter_turns = _TURNS[orientation]
    self._is_exact = all(
      rows.pitch
      and cols.pitch
      and rows.pitch * cols.pitch * 2**layout.depth < 2**24
      for rows, cols in self._boxes
    )
    self._matrix = self._make_matrix()
    self._num_calls = collections.Counter()
    self._compiled = tf.function(self._run, jit_compile=True)

  def _make_matrix(self):
    """The matrix rows for R, G and B; scaled for sums if `_run` uses sums."""
    matrix = _rgb_matrix(self._layout)
    if self._is_exact:
      boxes = [self._boxes[0], self._boxes[-1], self._boxes[-1]]
      sizes = [rows.pitch * cols.pitch for rows, cols in boxes]
      matrix = matrix / np.array([*sizes, 1])[:, np.newaxis]
      # Multiples of 2**-40: products with integers, below 2**10, are exact.
      matrix = np.round(matrix * 2.0**40) / 2.0**40
    return matrix.T.tolist()

  def __call__(self, planes):
    num = planes[0].shape[0]
    self._num_calls[num] += 1
    # Compiling pays only after hundreds of calls.
    is_common = self._num_calls[num] > _CALLS_BEFORE_COMPILING
    run = self._compiled if self._is_exact and is_common else self._run
    with tf.device(_device()):
      return run(
        *(
          # Slice on the host to convert, and to copy to a GPU, less.
          tf.constant(
            plane[:, rows.first : rows.last, cols.first : cols.last],
            tf.uint8 if plane.dtype == np.uint8 else tf.uint16,
          )
          for plane, (rows, cols) in zip(planes, self._boxes)
        )
      )

  def _run(self, *planes):
    reduce = _box_sums if self._is_exact else _area_mean
    means = [reduce(p, *boxes) for p, boxes in zip(planes, self._boxes)]
    if self._layout.kind == 'yuv':
      y, (u, v) = means[0], tf.split(means[1], 2)
    elif self._layout.kind == 'grey':
      y = u = v = means[0]
    else:
      y, u, v = tf.unstack(means[0], axis=-1)
    rgb = [y * a + u * b + v * c + d for a, b, c, d in self._matrix]
    if self._channels == 1:
      rgb = [sum(rgb) * (1 / 3)]
    frames = tf.stack([tf.saturate_cast(x, tf.uint8) for x in rgb], axis=-1)
    if np.any(self._padding):
      frames = tf.pad(frames, self._padding)
    if self._is_mirrored:
      frames = tf.reverse(frames, [2])
    if self._quarter_turns:
      frames = tf.image.rot90(frames, self._quarter_turns)
    return frames


@dataclasses.dataclass(frozen=True, eq=False)
class _Axis:
  """The places of result pixels on one axis of the source.

  Attributes:
    edges: float64 `[n + 1]`, the edges of n result pixels, in source pixels.
    padding: (before, after), numbers of black result pixels.
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


def _box_sums(x, rows, cols):
  """`x` `[N, h, w, ...]` summed over boxes of whole pixels, float64; exact."""
  channels = tuple(x.shape[3:])
  x = tf.cast(x, tf.float32)  # Integers below 2**24.
  x = tf.reshape(
    x, [-1, rows.count, rows.pitch, cols.count, cols.pitch, *channels]
  )
  if rows.pitch * cols.pitch <= _MAX_TERMS:
    # XLA fuses a sum of slices into one pass over the bytes, unlike two
    # successive sums.
    terms = [
      x[:, :, i, :, j] for i in range(rows.pitch) for j in range(cols.pitch)
    ]
    return tf.cast(tf.add_n(terms), tf.float64)
  x = tf.add_n([x[:, :, i] for i in range(rows.pitch)])
  x = tf.add_n([x[:, :, :, j] for j in range(cols.pitch)])
  return tf.cast(x, tf.float64)


def _area_mean(x, rows, cols):
  """`x` `[N, h, w, ...]` averaged over the boxes, float64."""
  channels = tuple(x.shape[3:])
  x = tf.reshape(tf.cast(x, tf.float32), [-1, rows.length, _size(x.shape[2:])])
  x = tf.matmul(rows.weights(), x)
  # Matrix products, because tf.image.resize has no GPU kernel for 'area'.
  if channels:
    x = tf.reshape(x, [-1, cols.length, _size(channels)])
    x = tf.matmul(cols.weights(), x)
  else:
    x = tf.reshape(x, [-1, cols.length])
    x = tf.matmul(x, cols.weights(), transpose_b=True)
  x = tf.reshape(x, [-1, rows.count, cols.count, *channels])
  return tf.cast(x, tf.float64)


def _size(shape):
  return int(np.prod(shape))


class _Boxes:
  """Result pixels on one axis of a plane.

  Attributes:
    count: `int`, number of result pixels.
    first, last: `int`; they cover the source pixels `[first, last)`.
    length: `int`, `last - first`.
    pitch: `int`, source pixels of each, or None if that is not a whole number.
  """

  def __init__(self, edges, length):
    self.count = len(edges) - 1
    self.first = int(edges[0] + 1e-6)
    self.last = min(length, max(self.first + 1, int(np.ceil(edges[-1] - 1e-6))))
    self.length = self.last - self.first
    self._edges = edges - self.first
    pitch, remainder = divmod(self.length, self.count)
    expected = pitch * np.arange(self.count + 1)
    is_whole = not remainder and np.abs(self._edges - expected).max() < 1e-6
    self.pitch = pitch if is_whole else None

  def weights(self):
    """Float32 `[count, length]`, rows that sum to 1."""
    return _box_weights(tuple(self._edges), self.length)


@functools.lru_cache(maxsize=64)
def _box_weights(edges, length):
  edges, pixels = np.array(edges), np.arange(length)
  covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(
    edges[:-1, None], pixels
  )
  covered = np.maximum(covered, 0.0)
  return (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _rgb_matrix(layout):
  """Matrix float64 `[4, 3]` from (plane values, 1) to RGB + 0.5, 0 to 255."""
  top = 2.0**layout.depth
  if layout.kind == 'rgb':
    matrix = np.eye(3) * (255.0 / (top - 1))
    constant = np.zeros([3])
  elif layout.kind == 'grey':
    matrix = np.array([[1.0] * 3, [0.0] * 3, [0.0] * 3]) * (255.0 / (top - 1))
    constant = np.zeros([3])
  else:
    if layout.full_range:
      luma, chroma, black = top - 1, top - 1, 0.0
    else:
      luma, chroma, black = top * 219 / 256, top * 224 / 256, top * 16 / 256
    k_r, k_b = layout.luma_weights
    k_g = 1 - k_r - k_b
    blue, red = 2 * (1 - k_b), 2 * (1 - k_r)  # B - Y and R - Y of U and V.
    matrix = np.array(
      [[1, 1, 1], [0, -k_b * blue / k_g, blue], [red, -k_r * red / k_g, 0]]
    )
    matrix *= 255.0 / np.array([[luma], [chroma], [chroma]])
    constant = -np.array([black, top / 2, top / 2]) @ matrix
  # Adding a half makes truncation round.
  return np.concatenate([matrix, [constant + 0.5]])


@functools.lru_cache(maxsize=1)
def _device():
  return '/GPU:0' if tf.config.list_physical_devices('GPU') else '/CPU:0'
