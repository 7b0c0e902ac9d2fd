"""Fits the renderer's shapes to frames of `moving_shapes`.

A frame is background + coverage * (colour - background). Its background is the
median, its colour the one of the palette that explains the pixels best, which
leaves a map of coverage. The fit compares this map with rendered shapes, at all
places of the frame and all sizes. The domain is periodic in every step: an
object across an edge is one object.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from train.data.sets import moving_shapes

__all__ = ['MIN_SIZE', 'Fits', 'fit']

MIN_SIZE = 12  # Pixels; shapes of smaller frames look alike.

_CHUNK = 256  # Frames that are fitted at once, which bounds memory.
# A component of at least this share of the frame is an object. The smallest
# shape covers 0.032.
_LEAST_AREA = 0.01
_LEAST_COVERAGE = 0.25  # Of a pixel that belongs to an object.
_RADII = np.linspace(
  moving_shapes.RADII[0] - 0.02, moving_shapes.RADII[1] + 0.02, 11
)
_STEPS_PER_PIXEL = 4  # Places of the rendered shapes.
_REACH = 4  # Steps around the pixel that is found first.
_MIN_SUPERSAMPLING = 4
_FINE_SIDE = 256  # Samples along a side, as in the set: 64 pixels of 4.


@dataclasses.dataclass(frozen=True)
class Fits:
  """What frames show; arrays of N frames.

  Attributes:
    num_objects: int, connected parts that are large enough for an object.
    background: float `[N, 3]`, 0 to 255.
    color: int, index into `moving_shapes.PALETTE`.
    color_error: float, the largest distance of an object's pixel from the mix
      of colour and background that is nearest, in levels of 255.
    shape: int, index into `moving_shapes.SHAPES`, the one that fits best.
    misfit: float `[N, 3]`, for each shape the energy of the difference of
      coverages divided by that of the shape.
    worst: float, the largest difference of coverages of the best shape.
    place: float `[N, 2]`, x and y of the best shape; the frame's side is 1.
    radius: float, of the best shape.
    stray: float, the largest difference of pixels that belong to no object, in
      levels of 255: from the background, and next to the best shape from the
      mixes of colour and background.
  """

  num_objects: np.ndarray
  background: np.ndarray
  color: np.ndarray
  color_error: np.ndarray
  shape: np.ndarray
  misfit: np.ndarray
  worst: np.ndarray
  place: np.ndarray
  radius: np.ndarray
  stray: np.ndarray


def fit(frames):
  """Fits frames; deterministic.

  Args:
    frames: uint8 `[N, S, S, 3]`, S >= `MIN_SIZE`.

  Returns:
    `Fits`.

  Raises:
    ValueError: if the frames have another type or shape.
  """
  frames = np.asarray(frames)
  size = frames.shape[1] if frames.ndim == 4 else 0
  if (
    frames.dtype != np.uint8
    or frames.shape[1:] != (size, size, 3)
    or size < MIN_SIZE
  ):
    raise ValueError(
      f'Expected uint8 frames [N, S, S, 3] with S >= {MIN_SIZE}, got '
      f'{frames.dtype} {list(frames.shape)}.'
    )
  num = len(frames)
  if not num:  # The fit of a frame has the arrays' types and shapes.
    frames = np.zeros([1, size, size, 3], np.uint8)
  parts = [_fit(frames[i : i + _CHUNK]) for i in range(0, len(frames), _CHUNK)]
  return Fits(
    **{
      name: np.concatenate([getattr(part, name) for part in parts])[:num]
      for name in (field.name for field in dataclasses.fields(Fits))
    }
  )


def _fit(frames):
  """`fit` of a chunk."""
  levels = frames.astype(np.float32)
  background = np.median(levels, axis=(1, 2))  # [N, 3]
  apart = levels - background[:, None, None]
  distance = np.abs(apart).max(axis=-1)  # [N, S, S]
  color, coverage, color_distance = _colors(apart, background)
  in_object, num_objects = _objects(distance, background)
  shapes = [_fit_shape(coverage, shape) for shape in moving_shapes.SHAPES]
  misfit = np.stack([s.misfit for s in shapes], axis=-1)
  best = np.argmin(misfit, axis=-1)

  def of_best(name):
    values = np.stack([getattr(s, name) for s in shapes])
    return values[best, np.arange(len(best))]

  stray = np.where(of_best('outside'), distance, color_distance)
  return Fits(
    num_objects=num_objects,
    background=background,
    color=color,
    color_error=(color_distance * in_object).max(axis=(1, 2)),
    shape=best,
    misfit=misfit,
    worst=of_best('worst'),
    place=of_best('place'),
    radius=of_best('radius'),
    stray=(stray * ~in_object).max(axis=(1, 2)),
  )


def _colors(apart, background):
  """The colour of each frame, by least squares.

  Args:
    apart: Float `[N, S, S, 3]`, differences from the background.
    background: Float `[N, 3]`.

  Returns:
    color: int `[N]`.
    coverage: Float `[N, S, S]`, 0 to 1.
    distance: Float `[N, S, S]`, of pixels from their nearest mixes.
  """
  results = []
  for color in 255 * np.array(moving_shapes.PALETTE, np.float32):
    full = color - background  # [N, 3]
    along = np.einsum('nyxc,nc->nyx', apart, full)
    along /= np.maximum((full**2).sum(axis=-1), 1.0)[:, None, None]
    coverage = np.clip(along, 0.0, 1.0)
    rest = apart - coverage[..., None] * full[:, None, None]
    error = (rest**2).sum(axis=(1, 2, 3))
    results.append((error, coverage, np.abs(rest).max(axis=-1)))
  errors, coverages, distances = map(np.stack, zip(*results))
  color = errors.argmin(axis=0)
  rows = np.arange(len(color))
  return color, coverages[color, rows], distances[color, rows]


def _objects(distance, background):
  """Pixels of objects, bool `[N, S, S]`, and the number of objects `[N]`."""
  # Every colour has a channel of 255.
  full = np.maximum(255.0 - background.max(axis=-1), 1.0)[:, None, None]
  coverage = np.minimum(distance / full, 1.0)
  labels = _components(coverage > _LEAST_COVERAGE)
  num_pixels = labels[0].size
  rows = np.arange(len(labels))[:, None, None]
  areas = np.bincount(
    (labels + (num_pixels + 1) * rows).ravel(),
    (coverage * (labels > 0)).ravel(),
    len(labels) * (num_pixels + 1),
  ).reshape([len(labels), num_pixels + 1])
  is_object = areas >= _LEAST_AREA * num_pixels
  in_object = np.take_along_axis(
    is_object, labels.reshape([len(labels), -1]), axis=1
  )
  return in_object.reshape(labels.shape), is_object.sum(axis=1)


def _components(mask):
  """Labels of connected pixels on a torus, int `[N, S, S]`; 0: not in mask.

  Neighbours touch at a side or a corner.
  """
  numbers = np.arange(1, mask[0].size + 1)
  labels = np.where(mask, numbers.reshape(mask.shape[1:]), 0)
  while True:
    spread = np.where(mask, _dilated(labels), 0)
    if np.array_equal(spread, labels):
      return labels
    labels = spread


def _dilated(maps):
  """The maximum over 3x3 neighbours on a torus; maps `[N, S, S]`."""
  for axis in (1, 2):
    maps = np.maximum(
      maps,
      np.maximum(np.roll(maps, 1, axis=axis), np.roll(maps, -1, axis=axis)),
    )
  return maps


@dataclasses.dataclass(frozen=True)
class _ShapeFits:
  """The best fits of one shape; see `Fits`.

  Attributes:
    outside: bool `[N, S, S]`, pixels more than a pixel away.
  """

  misfit: np.ndarray
  worst: np.ndarray
  place: np.ndarray
  radius: np.ndarray
  outside: np.ndarray


def _fit_shape(coverage, shape):
  """Fits one shape to maps of coverage `[N, S, S]`."""
  size = coverage.shape[1]
  bank = _bank(shape, size)
  pixel = _nearest_pixels(coverage, bank)
  window = bank.shape[-1]
  around = np.arange(window) - window // 2
  at = (pixel[:, :, None] + around) % size  # [N, 2, window]
  rows = np.arange(len(coverage))[:, None, None]
  index = (rows, at[:, 1, :, None], at[:, 0, None, :])
  seen = coverage[index]  # [N, window, window]
  rendered, radius, offset = _refined(seen, bank)
  energy = (rendered**2).sum(axis=(1, 2))
  outside = np.ones(coverage.shape, bool)
  outside[index] = _padded_dilation(rendered) < 0.05
  return _ShapeFits(
    misfit=((seen - rendered) ** 2).sum(axis=(1, 2)) / energy,
    worst=np.abs(seen - rendered).max(axis=(1, 2)),
    place=((pixel + 0.5 + offset) / size) % 1.0,
    radius=radius,
    outside=outside,
  )


def _padded_dilation(maps):
  padded = np.pad(maps, [(0, 0), (1, 1), (1, 1)])
  return _dilated(padded)[:, 1:-1, 1:-1]


@functools.lru_cache(maxsize=16)
def _bank(shape, size):
  """Rendered coverages of a shape near the middle of a window.

  Args:
    shape: One of `moving_shapes.SHAPES`.
    size: Python `int`, pixels of a frame's side.

  Returns:
    Float32 `[radius, y, x, window, window]`; y and x are steps from the middle
    pixel's centre.
  """
  fine = _STEPS_PER_PIXEL * -(
    -max(_MIN_SUPERSAMPLING, _FINE_SIDE // size) // _STEPS_PER_PIXEL
  )  # Samples along a pixel.
  half = int(np.ceil(_RADII[-1] * size)) + 2
  window = 2 * half + 1
  step = fine // _STEPS_PER_PIXEL
  margin = _REACH * step
  # Samples of the window, and of what moves into it.
  samples = np.arange(window * fine + 2 * margin) - margin + 0.5
  samples = (samples / fine - window / 2) / size
  shifts = range(2 * margin, -1, -step)
  banks = []
  for radius in _RADII:
    inside = moving_shapes.inside(
      shape, samples / radius, samples[:, None] / radius
    )
    sums = np.pad(inside.cumsum(axis=0).cumsum(axis=1), [(1, 0), (1, 0)])
    boxes = sums[fine:, fine:] - sums[:-fine, fine:]
    boxes += sums[:-fine, :-fine] - sums[fine:, :-fine]
    ends = window * fine
    banks.append(
      [
        [boxes[y : y + ends : fine, x : x + ends : fine] for x in shifts]
        for y in shifts
      ]
    )
  return np.array(banks, np.float32) / fine**2


def _nearest_pixels(coverage, bank):
  """The pixels (x, y), int `[N, 2]`, at which a shape of mean size fits best.

  Correlates over the whole torus.
  """
  size, window = coverage.shape[1], bank.shape[-1]
  kernel = np.zeros([size, size], np.float32)
  kernel[:window, :window] = bank[len(bank) // 2, _REACH, _REACH]
  kernel = np.roll(kernel, -(window // 2), axis=(0, 1))
  products = np.fft.irfft2(
    np.fft.rfft2(coverage) * np.conj(np.fft.rfft2(kernel)), s=[size, size]
  )
  best = products.reshape([len(coverage), size * size]).argmax(axis=1)
  return np.stack([best % size, best // size], axis=-1)


def _refined(seen, bank):
  """The best shape between those of the bank.

  The error is a parabola near its minimum along each of radius, y and x.

  Args:
    seen: Float `[N, window, window]`.
    bank: From `_bank`.

  Returns:
    rendered: Float `[N, window, window]`.
    radius: Float `[N]`.
    offset: Float `[N, 2]`, x and y, in pixels.
  """
  grid = bank.shape[:3]
  flat = bank.reshape([-1, bank.shape[-1] ** 2])
  errors = (flat**2).sum(axis=1) - 2.0 * (
    seen.reshape([len(seen), flat.shape[1]]) @ flat.T
  )
  errors = errors.reshape([len(seen), *grid])
  best = np.stack(
    np.unravel_index(errors.reshape([len(seen), -1]).argmin(axis=1), grid)
  )  # [3, N]
  best = np.clip(best, 1, np.array(grid)[:, None] - 2)
  rows = np.arange(len(seen))
  middle = bank[tuple(best)]
  rendered, moves = middle, []
  for axis in range(3):
    less, more = best.copy(), best.copy()
    less[axis] -= 1
    more[axis] += 1
    low, mid, high = (errors[(rows, *at)] for at in (less, best, more))
    curvature = np.maximum(low - 2 * mid + high, 1e-6)
    move = np.clip((low - high) / (2 * curvature), -1.0, 1.0)
    moves.append(move)
    slope = (bank[tuple(more)] - bank[tuple(less)]) / 2
    bend = bank[tuple(more)] + bank[tuple(less)] - 2 * middle
    move = move[:, None, None].astype(np.float32)
    rendered = rendered + move * slope + move**2 / 2 * bend
  found = best + np.stack(moves)
  radius = _RADII[0] + found[0] * (_RADII[1] - _RADII[0])
  offset = (found[:0:-1].T - _REACH) / _STEPS_PER_PIXEL
  return np.clip(rendered, 0.0, 1.0), radius, offset
