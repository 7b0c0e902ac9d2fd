"""Motion of frames: each pixel is a weighted mean of its neighbours."""

import tensorflow as tf

from tfp_cglow.networks import convolutional

__all__ = ['blend', 'neighbours', 'num_neighbours']


def num_neighbours(radius):
  """Number of places in a square of side `2 radius + 1`."""
  return (2 * radius + 1) ** 2


def check_radius(radius, height, width):
  """Raises ValueError if the motion is larger than the frame."""
  if radius > min(height, width):
    raise ValueError(
      f'Motion of {radius} pixels needs frames of at least {radius}x{radius}, '
      f'but got frames of {height}x{width}.'
    )


def neighbours(frame, radius, padding='zeros'):
  """The frame shifted to every place within a radius.

  ```none
  result[i, j, k] = frame[i + k // K - radius, j + k % K - radius],
  K = 2 radius + 1
  ```

  Args:
    frame: `[..., H, W, C]`.
    radius: Python `int` >= 0, in pixels.
    padding: 'wrap' for periodic frames; 'zeros': the frame is mirrored at its
      edges.

  Returns:
    `[..., H, W, K**2, C]`, the places ordered by rows; the middle one is
    `frame`.

  Raises:
    ValueError: if the radius exceeds the frame's height or width.
  """
  height, width = frame.shape[-3:-1]
  check_radius(radius, height, width)
  if padding == 'wrap':
    padded = convolutional.wrap(frame, -3, radius, radius)
    padded = convolutional.wrap(padded, -2, radius, radius)
  else:
    edges = [[0, 0]] * (frame.shape.rank - 3) + [[radius, radius]] * 2
    padded = tf.pad(frame, edges + [[0, 0]], mode='SYMMETRIC')
  size = 2 * radius + 1
  places = [
    padded[..., i : i + height, j : j + width, :]
    for i in range(size)
    for j in range(size)
  ]
  return tf.stack(places, axis=-2)


def blend(places, logits, centre_logit=0.0, centre=None):
  """The weighted mean of each pixel's places, with softmax weights.

  Args:
    places: `[..., H, W, n, C]`, see `neighbours`.
    logits: `[..., H, W, n]`, logits of the weights.
    centre_logit: Float, added to the logit of one place.
    centre: Python `int`, index of that place; None: the middle one.

  Returns:
    `[..., H, W, C]`.
  """
  count = places.shape[-2]
  index = count // 2 if centre is None else centre
  added = tf.one_hot(index, count, centre_logit, dtype=logits.dtype)
  # Matrix products take half the time of n products and sums.
  weights = tf.nn.softmax(logits + added)
  return tf.linalg.matvec(places, weights, transpose_a=True)
