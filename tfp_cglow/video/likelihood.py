"""The definitions of bits per dimension, quantisation and noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfp_cglow.internal import checks

__all__ = [
  'bits_per_dim',
  'dequantise',
  'frame_noise',
  'latent_noise',
  'quantise',
  'share_of_white',
  'to_uint8',
]


def bits_per_dim(
  log_prob: tf.types.experimental.TensorLike,
  event_shape: Sequence[int],
  n_bits: int,
) -> tf.Tensor:
  """Bits per dimension of data on a grid of `2**n_bits` levels.

  ```none
  -log_prob / (N ln 2) + n_bits,  N = prod(event_shape)
  ```

  The density is over values in [-0.5, 0.5). With noise of one level's width,
  bits per dimension are an upper bound on the code length of the discrete data
  (Theis et al., A note on the evaluation of generative models, 2016, section
  3.1).

  It cannot see the data: for frames of 0..255 it is thousands of bits. Frames
  enter a bijector through `quantise` and `dequantise`.

  Args:
    log_prob: Float tensor `[...]`, nats per event.
    event_shape: Shape of an event, `[H, W, C]`.
    n_bits: Python `int`.

  Returns:
    Float tensor `[...]`.
  """
  num_dims = int(np.prod(event_shape))
  return -log_prob / (num_dims * np.log(2.0)) + n_bits


def quantise(
  frames: tf.types.experimental.TensorLike,
  n_bits: int,
  dtype: tf.DType = tf.float32,
) -> tf.Tensor:
  """Moves values to the centres of `2**n_bits` bins, in [-0.5, 0.5).

  ```none
  (floor(x * 2**n_bits) + 0.5) / 2**n_bits - 0.5
  ```

  Args:
    frames: uint8 `[...]`, 0..255, or float `[...]` in [0, 1].
    n_bits: Python `int`, 1..8.
    dtype: `tf.DType` of the result.

  Returns:
    `[...]`, `dtype`.

  Raises:
    ValueError: if `n_bits` or the dtype of `frames` does not fit.
    InvalidArgumentError: if a float value lies outside [0, 1].
  """
  check_n_bits(n_bits)
  unit = to_unit(frames, dtype)
  return _bin_centres(unit, n_bits)


def check_n_bits(n_bits):
  """Raises ValueError unless `n_bits` is in 1..8."""
  if not 1 <= n_bits <= 8:
    raise ValueError(f'`n_bits` must be in 1..8, but got {n_bits}.')


def check_dequantisation(dequantisation, n_bits):
  """Raises ValueError for an unknown kind, or if `n_bits` does not fit it."""
  kinds = ('matched', 'legacy', 'drawn')
  checks.check_choice('dequantisation', dequantisation, kinds)
  if dequantisation == 'drawn' and n_bits != 1:
    raise ValueError(
      "dequantisation 'drawn' draws black or white, so `n_bits` must be 1, but "
      f'got {n_bits}.'
    )


def to_unit(frames, dtype=tf.float32):
  """Frames as floats in [0, 1]: divides uint8 by 256, checks floats."""
  frames = tf.convert_to_tensor(frames, name='frames')
  if frames.dtype == tf.uint8:
    return tf.cast(frames, dtype) / 256.0
  if not frames.dtype.is_floating:
    raise ValueError(
      'Frames must be uint8 (0..255) or float (0..1), '
      f'but got {frames.dtype.name}.'
    )
  # NaN passes: the likelihood is then NaN, and training skips the step.
  check = tf.debugging.Assert(
    ~tf.reduce_any((frames < 0) | (frames > 1)),
    [
      'Float frames must be in [0, 1], but got values from',
      tf.reduce_min(frames),
      'to',
      tf.reduce_max(frames),
    ],
  )
  with tf.control_dependencies([] if check is None else [check]):
    return tf.cast(frames, dtype)


def share_of_white(frames, dtype=tf.float32):
  """Frames as shares of white, in [0, 1]: divides uint8 by 255."""
  unit = to_unit(frames, dtype)
  return unit * (256.0 / 255.0) if frames.dtype == tf.uint8 else unit


def requantise(values, n_bits):
  """Moves generated values to bin centres, also from outside [-0.5, 0.5)."""
  return _bin_centres(values + 0.5, n_bits)


def _bin_centres(unit, n_bits):
  levels = 2.0**n_bits
  index = tf.clip_by_value(tf.floor(unit * levels), 0.0, levels - 1.0)
  return (index + 0.5) / levels - 0.5


def dequantise(
  centres: tf.types.experimental.TensorLike,
  n_bits: int,
  noise: tf.types.experimental.TensorLike,
) -> tf.Tensor:
  """Spreads bin centres evenly over their bins.

  Args:
    centres: Float `[...]`, from `quantise`.
    n_bits: Python `int`.
    noise: Float `[...]`, uniform in [0, 1).

  Returns:
    Float `[...]` in [-0.5, 0.5).
  """
  return centres + (noise - 0.5) / 2.0**n_bits


def to_uint8(values):
  """Values in [-0.5, 0.5) as uint8; a bin's centre gives its middle byte."""
  scaled = tf.floor((values + 0.5) * 256.0)
  return tf.cast(tf.clip_by_value(scaled, 0.0, 255.0), tf.uint8)


def frame_noise(seed, clips, times, frame_shape, dtype=tf.float32):
  """Uniform noise, a pure function of (seed, clip, frame index).

  Args:
    seed: int32 `[2]`, or a Python `int`.
    clips: int `[B]`, a number for each clip.
    times: int `[B, T]` or `[T]`, index of each frame in its clip.
    frame_shape: `[H, W, C]`.
    dtype: `tf.DType` of the noise.

  Returns:
    `[B, T, H, W, C]` in [0, 1).
  """
  seed = as_seed(seed)
  clips = tf.cast(clips, tf.int32)
  times = tf.cast(times, tf.int32)
  times = tf.broadcast_to(
    times, tf.stack([tf.shape(clips)[0], tf.shape(times)[-1]])
  )

  def noise_of_clip(args):
    clip, clip_times = args
    clip_seed = fold_in(seed, clip)
    return tf.map_fn(
      lambda t: tf.random.stateless_uniform(
        frame_shape, fold_in(clip_seed, t), dtype=dtype, alg='philox'
      ),
      clip_times,
      fn_output_signature=tf.TensorSpec(frame_shape, dtype),
    )

  return tf.map_fn(
    noise_of_clip,
    (clips, times),
    fn_output_signature=tf.TensorSpec([None, *frame_shape], dtype),
  )


def latent_noise(seeds, time, num_dims, dtype=tf.float32):
  """Standard normal latents, a pure function of (a row's seed, frame index).

  Args:
    seeds: int32 `[B, 2]`.
    time: int scalar or `[B]`, index of the frame.
    num_dims: Python `int` N.
    dtype: `tf.DType` of the noise.

  Returns:
    `[B, N]`.
  """
  time = tf.broadcast_to(tf.cast(time, tf.int32), tf.shape(seeds)[:1])
  return tf.map_fn(
    lambda args: tf.random.stateless_normal(
      [num_dims], fold_in(args[0], args[1]), dtype=dtype, alg='philox'
    ),
    (seeds, time),
    fn_output_signature=tf.TensorSpec([num_dims], dtype),
  )


def as_seed(seed):
  """Converts a Python `int` to an int32 seed `[2]`; a seed stays as it is."""
  seed = tf.cast(tf.convert_to_tensor(seed), tf.int32)
  return seed if seed.shape.rank else tf.stack([tf.zeros([], tf.int32), seed])


def fold_in(seed, data):
  """`stateless_fold_in` with the same random numbers on every device."""
  return tf.random.experimental.stateless_fold_in(seed, data, alg='philox')
