"""Symmetries of data sets: random changes of training clips.

'mirror': a clip and its mirror image are equally likely; half of the training
clips are mirrored left to right. 'wrap': frames are periodic, and a clip is as
likely as the same clip shifted around the edges; each training clip is shifted
by a random number of rows and columns.
"""

import numpy as np
import tensorflow as tf

__all__ = ['change', 'change_tensor']


def change(frames, symmetry, rng):
  """Changes a clip at random, see the module's docstring.

  Args:
    frames: Array `[T, H, W, C]`.
    symmetry: 'none', 'mirror' or 'wrap'.
    rng: `np.random.Generator`.

  Returns:
    Array `[T, H, W, C]`.
  """
  if symmetry == 'mirror' and rng.random() < 0.5:
    return np.ascontiguousarray(frames[:, :, ::-1])
  if symmetry == 'wrap':
    return np.roll(frames, rng.integers(frames.shape[1:3]), axis=(1, 2))
  return frames


def change_tensor(frames, symmetry, uniform):
  """`change` for tensors.

  Args:
    frames: `Tensor` `[T, H, W, C]`.
    symmetry: 'none', 'mirror' or 'wrap'.
    uniform: Float `Tensor` `[2]`, random numbers from [0, 1).

  Returns:
    `Tensor` `[T, H, W, C]`.
  """
  if symmetry == 'mirror':
    return tf.where(uniform[0] < 0.5, frames, tf.reverse(frames, [2]))
  if symmetry == 'wrap':
    size = tf.cast(tf.shape(frames)[1:3], uniform.dtype)
    return tf.roll(frames, tf.cast(uniform * size, tf.int32), axis=[1, 2])
  return frames
