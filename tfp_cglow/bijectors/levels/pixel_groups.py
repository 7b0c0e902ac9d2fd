"""The four groups of pixels that a halving makes of a frame."""

import tensorflow as tf

from tfp_cglow.internal import shapes

__all__ = ['NUM_GROUPS', 'NUM_NEAREST', 'join', 'nearest_known', 'split']

# Places within 2x2 pixels, in the order in which they are modelled. When the
# first two are known, the direct neighbours of the other two are known.
_PLACES = ((0, 0), (1, 1), (0, 1), (1, 0))
NUM_GROUPS = len(_PLACES)
_DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))
_DIRECT = ((-1, 0), (0, -1), (0, 1), (1, 0))
NUM_NEAREST = len(_DIRECT)


def split(frame):
  """The pixels of each group.

  Args:
    frame: `[..., H, W, C]`, H and W even.

  Returns:
    List of `[..., H / 2, W / 2, C]`, in the order in which they are modelled.
  """
  height, width, channels = frame.shape[-3:]
  pairs = [height // 2, 2, width // 2, 2, channels]
  rows = tf.unstack(shapes.reshape_trailing(frame, 3, pairs), axis=-4)
  pixels = [tf.unstack(row, axis=-2) for row in rows]
  return [pixels[i][j] for i, j in _PLACES]


def join(groups):
  """Undoes `split`."""
  by_place = [groups[_PLACES.index(p)] for p in sorted(_PLACES)]
  rows = [tf.stack(pair, -2) for pair in (by_place[:2], by_place[2:])]
  frame = tf.stack(rows, -4)  # [..., h, 2, w, 2, C]
  height, _, width, _, channels = frame.shape[-5:]
  return shapes.reshape_trailing(frame, 5, [2 * height, 2 * width, channels])


def nearest_known(groups, padding):
  """The four nearest pixels that are known, of each pixel of the next group.

  Args:
    groups: List of the one to three groups before, `[..., h, w, C]`.
    padding: 'wrap': the frame is periodic; 'zeros': it is repeated beyond its
      edges.

  Returns:
    `[..., h, w, 4, C]`.
  """
  row, column = _PLACES[len(groups)]
  nearest = []
  for down, right in _DIAGONAL if len(groups) == 1 else _DIRECT:
    at = row + down, column + right
    group = groups[_PLACES.index((at[0] % 2, at[1] % 2))]
    for axis, position in zip((-3, -2), at):
      group = _shifted(group, axis, position // 2, padding)
    nearest.append(group)
  return tf.stack(nearest, axis=-2)


def _shifted(x, axis, step, padding):
  """`x` whose entry i is entry i + step, for a step of -1, 0 or 1."""
  if not step:
    return x
  num_rest = x.shape[axis] - 1
  if step > 0:
    start, rest = tf.split(x, [1, num_rest], axis)
    end = start if padding == 'wrap' else tf.split(x, [num_rest, 1], axis)[1]
    return tf.concat([rest, end], axis)
  rest, end = tf.split(x, [num_rest, 1], axis)
  start = end if padding == 'wrap' else tf.split(x, [1, num_rest], axis)[0]
  return tf.concat([start, rest], axis)
