"""Contexts deformed in training, so that a tail mends what it has drawn."""

from __future__ import annotations

import dataclasses

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_cglow.internal import checks
from tfp_cglow.networks import convolutional
from tfp_cglow.video import likelihood

__all__ = ['ContextWarp', 'warp']

_CELL = 4  # Pixels between the corners at which displacements are drawn.
_FARTHEST = 2.0  # Displacements beyond this many standard deviations are cut.
_STREAM = -4  # Of the random numbers of a step.


@dataclasses.dataclass(frozen=True)
class ContextWarp:
  """How contexts are deformed in training.

  A tail that has only seen real contexts believes those that it has drawn: a
  bent outline stays bent, and bends further. If it learns to predict the real
  next frame from deformed frames, it draws outlines as they should be.

  Each clip is deformed with probability 1/2, by one smooth random field in all
  of its frames. The field interpolates normal displacements at the corners of
  cells of about 4x4 pixels. Their standard deviation is uniform in 0 to
  `pixels`; what is beyond two of them is cut.

  Attributes:
    pixels: Float, the largest standard deviation of a displacement, in pixels.
    padding: 'wrap': frames are periodic; 'zeros': pixels at an edge are
      repeated beyond it.
  """

  pixels: float
  padding: str = 'zeros'

  def __post_init__(self):
    if not 0 < self.pixels < float('inf'):  # Also for NaN.
      raise ValueError(
        f'`pixels` must be positive and finite, but got {self.pixels}.'
      )
    checks.check_choice('padding', self.padding, convolutional.PADDINGS)


def warp(spec, frames, seed, clips):
  """Deforms the frames of half of the clips.

  Args:
    spec: `ContextWarp`.
    frames: Float `[B, T, H, W, C]`.
    seed: Python `int` or int32 `[2]`.
    clips: int `[B]`, a number for each clip, on which its field depends.

  Returns:
    `[B, T, H, W, C]`. The frames of the other clips are as they were, bit for
    bit.
  """
  frames = tf.convert_to_tensor(frames)
  size, dtype = frames.shape[-3:-1].as_list(), frames.dtype
  strength, corners = _draw(spec, size, seed, clips, dtype)
  places = tf.stack(tf.meshgrid(*map(tf.range, size), indexing='ij'), axis=-1)
  places = tf.cast(places, dtype)  # [H, W, 2], rows and columns.
  cells = tf.constant([side / _num_cells(side) for side in size], dtype)
  moved = places + _interpolate(corners, places / cells)
  images = tf.transpose(frames, [0, 2, 3, 1, 4])  # Times are like channels.
  if spec.padding == 'wrap':
    moved = tf.math.floormod(moved, tf.constant(size, dtype))
    images = _closed(images)
  deformed = tf.transpose(_interpolate(images, moved), [0, 3, 1, 2, 4])
  is_deformed = tf.reshape(strength > 0, [-1, 1, 1, 1, 1])
  result = tf.where(is_deformed, deformed, frames)
  return tf.ensure_shape(result, frames.shape)


def _draw(spec, size, seed, clips, dtype):
  """The strength `[B]` of each field, and its corners `[B, h, w, 2]`."""
  shape = [_num_cells(side) for side in size]
  if spec.padding == 'zeros':
    shape = [num + 1 for num in shape]
  seed = likelihood.fold_in(likelihood.as_seed(seed), _STREAM)

  def draw(clip):
    own = likelihood.fold_in(seed, clip)
    strength = tf.random.stateless_uniform(
      [], likelihood.fold_in(own, 0), -1.0, 1.0, dtype, alg='philox'
    )
    normal = tf.random.stateless_normal(
      [*shape, 2], likelihood.fold_in(own, 1), dtype=dtype, alg='philox'
    )
    return tf.nn.relu(strength), normal

  strength, normal = tf.map_fn(
    draw,
    tf.cast(clips, tf.int32),
    fn_output_signature=(
      tf.TensorSpec([], dtype),
      tf.TensorSpec([*shape, 2], dtype),
    ),
  )
  corners = tf.clip_by_value(normal, -_FARTHEST, _FARTHEST)
  corners *= spec.pixels * tf.reshape(strength, [-1, 1, 1, 1])
  return strength, _closed(corners) if spec.padding == 'wrap' else corners


def _num_cells(side):
  return max(round(side / _CELL), 1)


def _closed(images):
  """Periodic images `[B, h, w, ...]`, the first row and column also last."""
  for axis in (1, 2):
    images = convolutional.wrap(images, axis - images.shape.rank, 0, 1)
  return images


def _interpolate(images, places):
  """Values `[B, H, W, ...]` of images `[B, h, w, ...]` at places.

  Args:
    images: `[B, h, w, ...]`, with values at the rows 0..h-1 and columns 0..w-1.
      Beyond these they are constant.
    places: `[H, W, 2]` or `[B, H, W, 2]`, row and column.
  """
  rows, size = tf.shape(images)[0], places.shape[-3:-1].as_list()
  places = tf.broadcast_to(places, [rows, *size, 2])
  last = [side - 1.0 for side in images.shape[1:3]]
  values = tfp.math.batch_interp_regular_nd_grid(
    tf.reshape(places, [rows, -1, 2]),
    x_ref_min=tf.zeros([2], images.dtype),
    x_ref_max=tf.constant(last, images.dtype),
    y_ref=images,
    axis=1,
  )
  return tf.reshape(
    values, tf.concat([[rows], size, tf.shape(images)[3:]], axis=0)
  )
