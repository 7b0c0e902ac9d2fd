"""Bouncing balls: three balls in a box, 30x30 grey pixels.

The motion and the picture are those of the script that came with [1]; many
papers use its videos. The box is 10x10, the radius of a ball 1.2, all masses
are equal, and collisions lose no energy. Each ball's part of a pixel at
distance d is exp(-(d / 1.2)**8); the parts add up to at most 1.

#### References

[1]: Ilya Sutskever, Geoffrey Hinton and Graham Taylor. The Recurrent Temporal
     Restricted Boltzmann Machine. _NIPS_, 2008.
"""

from __future__ import annotations

import itertools

import numpy as np

from train.data.sets import rendered

__all__ = ['VIDEOS', 'balls_source', 'paint', 'places', 'render']

_SIZE, _LENGTH = 30, 100
_BALLS = 3
_BOX = 10.0
_RADIUS = 1.2
_SPEED = 0.5  # The root of the sum of all balls' squared speeds, a frame.
_STEP = 0.5  # Frames.
_LEAST_START = 2.0  # The original draws starts from [2, 10) on each axis.
_FAR = 2.0  # Squared distance over squared radius; exp(-(2**4)) is invisible.
_SQUARINGS = 6
_TERMS = 10


def balls_source(train_videos=4000, valid_videos=200, folder=None):
  """The set as a `sources.Source`; all videos have the label 'balls'.

  Args:
    train_videos: `int`.
    valid_videos: `int`.
    folder: See `rendered.rendered_source`.

  Raises:
    DataError: if the set cannot be written.
  """
  numbers = {'train': train_videos, 'valid': valid_videos}
  return rendered.rendered_source(
    VIDEOS, numbers, ('balls',), lambda part, i: 0, folder
  )


def render(part, numbers):
  """Frames uint8 `[N, 100, 30, 30, 1]` of the videos `numbers` of a part."""
  moving = places(*_starts(part, numbers), _LENGTH)
  frames = np.stack([paint(video) for video in moving])
  return np.rint(255 * frames).astype(np.uint8)[..., np.newaxis]


def _starts(part, numbers):
  """Places and velocities `[N, 3, 2]` of the first frame."""
  starts = []
  for number in numbers:
    rng = rendered.video_rng(part, number)
    velocity = _draw_velocity(rng)
    starts.append((_draw_place(rng), velocity))
  place, velocity = zip(*starts)
  return np.stack(place), np.stack(velocity)


def _draw_velocity(rng):
  """Normal numbers scaled to `_SPEED`, of which only the direction counts.

  It is drawn in a cube and kept within a ball: this gives the same directions
  without the machine's logarithm.
  """
  while True:
    velocity = 2 * rng.random([_BALLS, 2]) - 1
    square = sum((velocity**2).ravel().tolist())
    if 0 < square <= 1:
      return velocity / np.sqrt(square) * _SPEED


def _draw_place(rng):
  while True:
    place = _LEAST_START + (_BOX - _LEAST_START) * rng.random([_BALLS, 2])
    touches_wall = (place < _RADIUS) | (place > _BOX - _RADIUS)
    apart = [
      _square(place[i] - place[j]) >= (2 * _RADIUS) ** 2 for i, j in _pairs()
    ]
    if not touches_wall.any() and all(apart):
      return place


def places(place, velocity, num_frames):
  """Moves the balls.

  Two steps a frame. After each, balls outside the box turn back, and balls that
  overlap exchange their speeds along the line between them; pairs are taken one
  after another. Places are not corrected.

  Args:
    place: Float64 `[N, 3, 2]`, x and y.
    velocity: Float64 `[N, 3, 2]`, lengths a frame.
    num_frames: `int` T.

  Returns:
    Float64 `[N, T, 3, 2]`.
  """
  place, velocity = place.copy(), velocity.copy()
  frames = []
  for _ in range(num_frames):
    frames.append(place.copy())
    for _ in range(round(1 / _STEP)):
      place += _STEP * velocity
      _hit_walls(place, velocity)
      for i, j in _pairs():
        _hit(place, velocity, i, j)
  return np.stack(frames, axis=1)


def _pairs():
  return [(j, i) for i, j in itertools.combinations(range(_BALLS), 2)]


def _square(vector):
  return vector[..., 0] ** 2 + vector[..., 1] ** 2


def _hit_walls(place, velocity):
  """Velocities of balls beyond a wall point inwards from now on."""
  is_low, is_high = place < _RADIUS, place > _BOX - _RADIUS
  speed = np.abs(velocity)
  velocity[is_low] = speed[is_low]
  velocity[is_high] = -speed[is_high]


def _hit(place, velocity, i, j):
  """Balls i and j exchange their speeds along a line, where they overlap."""
  line = place[:, i] - place[:, j]
  distance = np.sqrt(_square(line))
  line = line / distance[:, None]
  change = (velocity[:, j] - velocity[:, i]) * line
  change = (change[:, 0] + change[:, 1])[:, None] * line
  change[distance >= 2 * _RADIUS] = 0.0
  velocity[:, i] += change
  velocity[:, j] -= change


def paint(place):
  """Draws the balls of a video.

  Args:
    place: Float64 `[T, 3, 2]`.

  Returns:
    Float64 `[T, 30, 30]` in [0, 1]; rows are y.
  """
  centers = (np.arange(_SIZE) + 0.5) * (_BOX / _SIZE)
  squares = (centers - place[..., None]) ** 2  # [T, 3, 2, 30]
  frames = np.zeros([len(place), _SIZE, _SIZE])
  for ball in range(_BALLS):
    x, y = squares[:, ball, 0], squares[:, ball, 1]
    share = (y[:, :, None] + x[:, None, :]) / _RADIUS**2
    is_near = share < _FAR
    square = share[is_near] * share[is_near]
    frames[is_near] += _exp_of_minus(square * square)
  return np.minimum(frames, 1.0)


def _exp_of_minus(x):
  """exp(-x) for x in [0, 16] in float64, of sums and products alone.

  They are rounded alike on every machine, which an `exp` need not be. The error
  is below 1e-13.
  """
  x = x / 2**_SQUARINGS
  result = np.ones_like(x)
  for k in range(_TERMS, 0, -1):
    result = 1.0 - x * result / k
  for _ in range(_SQUARINGS):
    result *= result
  return result


VIDEOS = rendered.Videos('balls', 1, (_LENGTH, _SIZE, _SIZE, 1), render)
