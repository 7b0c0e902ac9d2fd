"""The context processor: the recurrent state that sums up past frames."""

from __future__ import annotations

from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors import actnorm
from tfp_cglow.internal import replicas
from tfp_cglow.internal import shapes
from tfp_cglow.networks import convolutional

__all__ = ['ContextProcessor', 'StateProcessor', 'build_context_processor']


class StateProcessor(tf.Module):
  """Makes the next state from the state and a frame: `(state, frame)`.

  Frames are `[..., H, W, C]`, states `[..., H, W, S]`; the first state is zero.
  Subclasses define `state_channels` and `__call__`.
  """

  @property
  def state_channels(self):
    """Python `int`, S."""
    raise NotImplementedError

  def __call__(self, state, frame):
    """The state `[..., H, W, S]` after one more frame `[..., H, W, C]`."""
    raise NotImplementedError

  def initial_state(self, frame):
    """Zeros `[..., H, W, S]` for a frame `[..., H, W, C]`."""
    return tf.zeros_like(frame[..., :1]) * tf.zeros(
      [self.state_channels], frame.dtype
    )

  def scan(self, frames):
    """The state after each frame: `[B, T, H, W, C]` to `[B, T, H, W, S]`."""
    by_time = tf.transpose(frames, [1, 0, 2, 3, 4])
    states = tf.scan(self, by_time, initializer=self.initial_state(by_time[0]))
    return tf.transpose(states, [1, 0, 2, 3, 4])

  def adapt(self, frames):
    """Initialises what depends on the data, from frames `[..., H, W, C]`."""


class ContextProcessor(StateProcessor):
  """The paper's processor (its appendix).

  ```none
  state + conv3x3(relu(conv3x3(actnorm([frame, state]))))
  ```

  Frames are `[..., H, W, C]`, states `[..., H, W, S]`; the first state is zero.
  For C = 3 and S = 16 that are 10,128 weights, and 38 of ActNorm.
  """

  def __init__(
    self, norm, kernel_1, bias_1, kernel_2, bias_2, name='context_processor'
  ):
    """Creates the processor.

    Args:
      norm: `ActNorm` of C + S channels.
      kernel_1: Float `[3, 3, C + S, D]`.
      bias_1: Float `[D]`.
      kernel_2: Float `[3, 3, D, S]`.
      bias_2: Float `[S]`.
      name: Python `str`.
    """
    super().__init__(name=name)
    self.norm = norm
    self.kernel_1, self.bias_1 = kernel_1, bias_1
    self.kernel_2, self.bias_2 = kernel_2, bias_2

  @property
  def state_channels(self):
    return self.kernel_2.shape[-1]

  def __call__(self, state, frame):
    x = tf.concat(shapes.align_leading(frame, state), axis=-1)
    x = self.norm.inverse(x)
    x = tf.nn.relu(convolutional.conv2d(x, self.kernel_1, self.bias_1))
    return state + convolutional.conv2d(x, self.kernel_2, self.bias_2)

  def adapt(self, frames):
    """Initialises ActNorm on frames `[..., H, W, C]`.

    Only the frame's channels: the first state is all zeros, which no scale
    normalises.
    """
    shift, log_scale = actnorm.channel_statistics(frames)
    zeros = tf.zeros([self.norm.shift.shape[0] - frames.shape[-1]], shift.dtype)
    replicas.assign(self.norm.shift, tf.concat([shift, zeros], 0))
    replicas.assign(self.norm.log_scale, tf.concat([log_scale, zeros], 0))


def build_context_processor(
  channels: int,
  state_channels: int,
  seed: Optional[int] = None,
  dtype: tf.DType = tf.float32,
) -> ContextProcessor:
  """Creates a `ContextProcessor` whose hidden layer has twice the state's size.

  Args:
    channels: Python `int`, C of a frame.
    state_channels: Python `int`, S.
    seed: Python `int` or None.
    dtype: `tf.DType`.

  Returns:
    A `ContextProcessor`.
  """
  rng = np.random.default_rng(seed)
  inputs, hidden = channels + state_channels, 2 * state_channels
  variables = convolutional.to_variables(
    {
      'kernel_1': convolutional.he_normal(rng, 3, 3, inputs, hidden),
      'bias_1': np.zeros([hidden]),
      # Zero, as the end of a residual branch: a random one, applied to its own
      # output once a frame, makes the state grow without bound.
      'kernel_2': np.zeros([3, 3, hidden, state_channels]),
      'bias_2': np.zeros([state_channels]),
    },
    dtype,
  )
  return ContextProcessor(actnorm.build_actnorm(inputs, dtype), **variables)
