"""Frames moved pixel by pixel: each a mixture of its neighbours."""

import tensorflow as tf

__all__ = ['blend', 'neighbours', 'num_neighbours']


def num_neighbours(radius):
  """How many places are within so many pixels, along rows and columns."""
  return (2 * radius + 1) ** 2


def neighbours(frame, radius):
  """The frame shifted to every place within a radius.

  ```none
  result[k][i, j] = frame[i + k // K - radius, j + k % K - radius],
  K = 2 radius + 1
  ```

  Args:
    frame: `[..., H, W, C]`; beyond its edges it is mirrored.
    radius: Python `int` >= 0, in pixels.

  Returns:
    List of `K**2` frames, by rows; the one in the middle is `frame`.

  Raises:
    ValueError: if the radius exceeds the frame's height or width.
  """
  height, width = frame.shape[-3:-1]
  if radius > min(height, width):
    raise ValueError(
      f'Motion of {radius} pixels needs frames as large, but they are '
      f'{height}x{width}.'
    )
  edges = [[0, 0]] * (frame.shape.rank - 3) + [[radius, radius]] * 2
  padded = tf.pad(frame, edges + [[0, 0]], mode='SYMMETRIC')
  size = 2 * radius + 1
  return [
    padded[..., i : i + height, j : j + width, :]
    for i in range(size)
    for j in range(size)
  ]


def blend(frames, logits, centre_logit):
  """Each pixel's mixture of the frames' pixels at its place.

  Args:
    frames: List of `n` frames `[..., H, W, C]`.
    logits: `[..., H, W, n]`, of the weights.
    centre_logit: Float, added to the logit of the frame in the middle.

  Returns:
    `[..., H, W, C]`.
  """
  count = len(frames)
  centre = tf.one_hot(count // 2, count, centre_logit, dtype=logits.dtype)
  # Not sliced one by one: that would have a gradient as large as all, each.
  weights = tf.split(tf.nn.softmax(logits + centre), count, axis=-1)
  return sum(w * f for w, f in zip(weights, frames))
