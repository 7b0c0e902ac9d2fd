"""Stochastic movement: a shape leaves the centre in one of eight directions.

The geometry is that of `video_stochastic_shapes10k` in tensor2tensor, the set
of [1]. A frame shows part of a square of 10 units: 64 pixels, of 368/45 to a
unit. The shape is a circle, a square or a triangle, in one of six colours, of a
size in [0.5, 1.5). It begins in the middle and moves by one unit a frame along
each axis of its direction. Ground and shape are plain. Edges of circles and
triangles are smooth; those of squares lie between pixels, as the original's
plotting library draws them.

#### References

[1]: Manoj Kumar et al. VideoFlow: A Conditional Flow-Based Model for Stochastic
     Video Generation. _ICLR_, 2020.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from train.data.sets import rendered

__all__ = [
  'COLORS',
  'DIRECTIONS',
  'SHAPES',
  'VIDEOS',
  'Scene',
  'draw',
  'movement_source',
  'render',
  'render_scenes',
]

# Steps (x, y), y up.
DIRECTIONS = {
  'northeast': (1, 1),
  'east': (1, 0),
  'southeast': (1, -1),
  'north': (0, 1),
  'south': (0, -1),
  'northwest': (-1, 1),
  'west': (-1, 0),
  'southwest': (-1, -1),
}
SHAPES = ('circle', 'square', 'triangle')
COLORS = (
  (0, 0, 255),
  (0, 128, 0),
  (255, 0, 0),
  (0, 191, 191),
  (191, 0, 191),
  (191, 191, 0),
)
_SIZE, _LENGTH = 64, 5
_UNIT = 368 / 45  # Pixels.
_SIZES = (0.5, 1.5)  # Units: the radius, and half the side.
_ROWS = 16  # Lines of a pixel at which a shape's width is measured.
_COVERED = 4096  # Steps of the covered part of a line.
_WHOLE = _ROWS * _COVERED
_REACH = 14  # Pixels from the centre; more than any shape's extent.
_WINDOW = 2 * _REACH + 1


@dataclasses.dataclass(frozen=True)
class Scene:
  """What a video shows.

  Attributes:
    direction: `str`, one of `DIRECTIONS`.
    color: `int`, an index into `COLORS`.
    shape: `str`, one of `SHAPES`.
    size: `float`, units.
  """

  direction: str
  color: int
  shape: str
  size: float


def draw(part, number):
  """The `Scene` of a video."""
  rng = rendered.video_rng(part, number)
  direction, color, shape = (
    int(n * rng.random()) for n in (len(DIRECTIONS), len(COLORS), len(SHAPES))
  )
  least, most = _SIZES
  size = least + (most - least) * rng.random()
  return Scene(list(DIRECTIONS)[direction], color, SHAPES[shape], size)


def movement_source(
  labels='direction', train_videos=9000, valid_videos=1000, folder=None
):
  """The set as a `sources.Source`.

  Args:
    labels: 'direction' (8 labels) or 'shape' (3).
    train_videos: `int`.
    valid_videos: `int`.
    folder: See `rendered.rendered_source`.

  Raises:
    DataError: if the set cannot be written.
  """
  names = sorted(DIRECTIONS if labels == 'direction' else SHAPES)
  return rendered.rendered_source(
    VIDEOS,
    {'train': train_videos, 'valid': valid_videos},
    names,
    lambda part, i: names.index(getattr(draw(part, i), labels)),
    folder,
  )


def render(part, numbers):
  """Frames uint8 `[N, 5, 64, 64, 3]` of the videos `numbers` of a part."""
  return render_scenes([draw(part, number) for number in numbers])


def render_scenes(scenes):
  """Frames uint8 `[N, 5, 64, 64, 3]` of a list of `Scene`s."""
  times = np.arange(_LENGTH)
  steps = np.array([DIRECTIONS[scene.direction] for scene in scenes])
  x = _SIZE / 2 + steps[:, :1] * times * _UNIT  # [N, T]
  y = _SIZE / 2 - steps[:, 1:] * times * _UNIT
  sizes = np.array([scene.size for scene in scenes]) * _UNIT
  colors = np.array([COLORS[scene.color] for scene in scenes])
  frames = np.zeros([*x.shape, _SIZE, _SIZE, 3], np.uint8)
  for shape, cover in _COVERS.items():
    chosen = np.array([scene.shape == shape for scene in scenes])
    painted = _paint(
      cover,
      x[chosen].ravel(),
      y[chosen].ravel(),
      np.repeat(sizes[chosen], _LENGTH),
      np.repeat(colors[chosen], _LENGTH, axis=0),
    )
    frames[chosen] = painted.reshape([-1, *frames.shape[1:]])
  return frames


def _paint(cover, x, y, radius, color):
  """Frames uint8 `[F, 64, 64, 3]` of shapes of one kind.

  Args:
    cover: One of `_COVERS`.
    x: `[F]`, places of the centres, in pixels.
    y: `[F]`; it points down.
    radius: `[F]`, pixels.
    color: `[F, 3]`, 0 to 255.
  """
  left, top = np.floor(x) - _REACH, np.floor(y) - _REACH
  window = np.arange(_WINDOW)
  columns = left[:, None, None] + window
  rows = top[:, None, None] + window[:, None]
  covered = cover(rows, columns, *(v[:, None, None] for v in (x, y, radius)))
  shades = covered[..., None] * color.astype(np.int32)[:, None, None]
  shades = (2 * shades + _WHOLE) // (2 * _WHOLE)
  return _paste(shades.astype(np.uint8), left, top)


def _cover_circle(rows, columns, x, y, radius):
  def half_width(dy):
    return np.sqrt(np.maximum(radius**2 - dy**2, 0.0))

  return _cover(rows, columns, x, y, half_width)


def _cover_triangle(rows, columns, x, y, radius):
  """The base is a size below the centre, and two sizes long."""
  height = math.sqrt(3.0)

  def half_width(dy):
    below_top = dy + (height - 1.0) * radius
    is_inside = (below_top > 0) & (dy < radius)
    return np.where(is_inside, below_top / height, 0.0)

  return _cover(rows, columns, x, y, half_width)


def _cover_square(rows, columns, x, y, radius):
  """Edges at the nearest lines between pixels."""

  def is_between(pixels, center):
    low, high = (np.floor(center + d + 0.5) for d in (-radius, radius))
    return (pixels >= low) & (pixels < high)

  is_covered = is_between(rows, y) & is_between(columns, x)
  return is_covered * np.int32(_WHOLE)


_COVERS = {
  'circle': _cover_circle,
  'square': _cover_square,
  'triangle': _cover_triangle,
}


def _cover(rows, columns, x, y, half_width):
  """How far pixels are covered by shapes that are symmetric in x.

  The sums are of integers, and the rest is exactly rounded arithmetic: the
  result is the same on every machine.

  Args:
    rows: `[F, w, 1]`, the upper edges of the pixels.
    columns: `[F, 1, w]`, their left edges.
    x: `[F, 1, 1]`, places of the centres, in pixels.
    y: `[F, 1, 1]`.
    half_width: Function from places below the centre, `[F, w, 1]`, to half the
      shape's width there.

  Returns:
    int32 `[F, w, w]`, 0 to `_WHOLE`.
  """
  covered = np.zeros([len(x), _WINDOW, _WINDOW], np.int32)
  for i in range(_ROWS):
    half = half_width(rows + (i + 0.5) / _ROWS - y)
    begin, end = x - half, x + half
    share = np.minimum(end, columns + 1) - np.maximum(begin, columns)
    covered += np.rint(_COVERED * np.maximum(share, 0.0)).astype(np.int32)
  return covered


def _paste(windows, left, top):
  """Windows `[F, w, w, 3]` in black frames `[F, 64, 64, 3]`.

  Args:
    windows: `[F, w, w, 3]`; parts of them may lie outside of the frame.
    left: `[F]`, the frame's column of a window's first column.
    top: `[F]`, the frame's row of its first row.
  """
  side = _SIZE + 2 * _WINDOW
  canvas = np.zeros([len(windows), side, side, 3], windows.dtype)
  pixels = np.arange(_WINDOW)
  row = (top.astype(np.int64) + _WINDOW)[:, None] + pixels
  column = (left.astype(np.int64) + _WINDOW)[:, None] + pixels
  frame = np.arange(len(windows))[:, None, None]
  canvas[frame, row[:, :, None], column[:, None, :]] = windows
  return canvas[:, _WINDOW:-_WINDOW, _WINDOW:-_WINDOW]


VIDEOS = rendered.Videos('movement', 1, (_LENGTH, _SIZE, _SIZE, 3), render)
