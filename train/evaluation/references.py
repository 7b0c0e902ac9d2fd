"""Bits per dimension of two histograms, as references for flows."""

import numpy as np

__all__ = [
  'marginal_histogram_bits_per_dim',
  'previous_pixel_histogram_bits_per_dim',
]

_SMOOTHING = 0.1


def marginal_histogram_bits_per_dim(train_frames, valid_frames, n_bits):
  """Code length under the histogram of all values of the training frames.

  All pixels and channels share one histogram.

  Args:
    train_frames: Iterable of uint8 arrays `[..., T, H, W, C]`, read once: an
      array `[N, T, H, W, C]`, or batches of any sizes.
    valid_frames: The same; the frames that are coded.
    n_bits: `int`, 1..8: values are `2**n_bits` levels.

  Returns:
    `float`, bits per dimension over all frames.

  Raises:
    ValueError: if there are no frames, or they are not uint8.
  """

  def count(frames):
    levels = _levels(frames, n_bits)
    return np.bincount(levels.reshape(-1), minlength=2**n_bits)

  return _bits_per_dim(
    sum(map(count, train_frames)), sum(map(count, valid_frames))
  )


def previous_pixel_histogram_bits_per_dim(train_frames, valid_frames, n_bits):
  """Code length given the same pixel and channel of the previous frame.

  All pixels and channels share one table of `2**n_bits` histograms.

  Args:
    train_frames: Iterable of uint8 arrays `[..., T, H, W, C]`, read once: an
      array `[N, T, H, W, C]`, or batches of any sizes.
    valid_frames: The same; the frames that are coded.
    n_bits: `int`, 1..8: values are `2**n_bits` levels.

  Returns:
    `float`, bits per dimension over frames 1..T-1.

  Raises:
    ValueError: if there are no frames to code, or they are not uint8.
  """
  num_levels = 2**n_bits

  def count(frames):
    levels = _levels(frames, n_bits)
    pairs = levels[..., :-1, :, :, :] * num_levels + levels[..., 1:, :, :, :]
    counts = np.bincount(pairs.reshape(-1), minlength=num_levels**2)
    return counts.reshape([num_levels, num_levels])

  return _bits_per_dim(
    sum(map(count, train_frames)), sum(map(count, valid_frames))
  )


def _levels(frames, n_bits):
  frames = np.asarray(frames)
  if frames.dtype != np.uint8:
    raise ValueError(f'Expected uint8 frames, got {frames.dtype}.')
  return (frames >> (8 - n_bits)).astype(np.int32)


def _bits_per_dim(train_counts, valid_counts):
  """Mean code length of counts `[..., levels]` under smoothed frequencies."""
  if not np.sum(train_counts) or not np.sum(valid_counts):
    raise ValueError('Expected training and validation frames, but got none.')
  smoothed = train_counts + _SMOOTHING
  bits = -np.log2(smoothed / smoothed.sum(axis=-1, keepdims=True))
  return float((valid_counts * bits).sum() / valid_counts.sum())
