"""Memories, which summarise past frames in a state; and the paper's one."""

from __future__ import annotations

import functools
from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors import actnorm
from tfp_cglow.internal import checks
from tfp_cglow.internal import replicas
from tfp_cglow.internal import shapes
from tfp_cglow.networks import convolutional

__all__ = ['ContextProcessor', 'StateProcessor', 'build_context_processor']


class StateProcessor(tf.Module):
  """Base class of memories: callables `(state, frame) -> next state`.

  Frames are `[..., H, W, C]`, states `[..., H, W, S]`; the first state is zero.
  Subclasses define `state_channels` and `__call__`.
  """

  @property
  def state_channels(self):
    """Python `int`, S, channels of a state."""
    raise NotImplementedError

  def __call__(self, state, frame):
    """The next state `[..., H, W, S]`, after the frame `[..., H, W, C]`."""
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

  def adapted_to(self, frames):
    """Data-dependent initialisation; there is none in this base class.

    Args:
      frames: `[..., H, W, C]`.

    Returns:
      A memory with the initial values, and a list of pairs of a variable of
      this memory and its initial value. No variable is assigned.
    """
    del frames
    return self, []

  def adapt(self, frames):
    """Assigns the values that `adapted_to` returns."""
    replicas.assign_all(self.adapted_to(frames)[1])


class ContextProcessor(StateProcessor):
  """The paper's memory, a residual network (Donahue, appendix).

  ```none
  next state = state + conv3x3(relu(conv3x3(actnorm([frame, state]))))
  ```

  Frames are `[..., H, W, C]`, states `[..., H, W, S]`; the first state is zero.
  For C = 3 and S = 16 it has 10,128 weights, and 38 more in ActNorm.
  """

  def __init__(
    self,
    norm,
    kernel_1,
    bias_1,
    kernel_2,
    bias_2,
    padding='zeros',
    name='context_processor',
  ):
    """Creates the memory.

    Args:
      norm: `ActNorm` of C + S channels.
      kernel_1: Float `[3, 3, C + S, D]`.
      bias_1: Float `[D]`.
      kernel_2: Float `[3, 3, D, S]`.
      bias_2: Float `[S]`.
      padding: 'zeros' or 'wrap', see `convolutional`.
      name: Python `str`.
    """
    super().__init__(name=name)
    self.norm = norm
    self.kernel_1, self.bias_1 = kernel_1, bias_1
    self.kernel_2, self.bias_2 = kernel_2, bias_2
    self._padding = padding

  @property
  def state_channels(self):
    return self.kernel_2.shape[-1]

  def __call__(self, state, frame):
    x = tf.concat(shapes.align_leading(frame, state), axis=-1)
    x = self.norm.inverse(x)
    conv = functools.partial(convolutional.conv2d, padding=self._padding)
    x = tf.nn.relu(conv(x, self.kernel_1, self.bias_1))
    return state + conv(x, self.kernel_2, self.bias_2)

  def adapted_to(self, frames):
    """See the base class. ActNorm gets the frames' statistics.

    It initialises the frame's channels only: the first state is zero, so no
    scale gives it unit variance.
    """
    shift, log_scale = actnorm.channel_statistics(frames)
    zeros = tf.zeros([self.norm.shift.shape[0] - frames.shape[-1]], shift.dtype)
    values = [tf.concat([v, zeros], 0) for v in (shift, log_scale)]
    memory = ContextProcessor(
      actnorm.ActNorm(*values),
      self.kernel_1,
      self.bias_1,
      self.kernel_2,
      self.bias_2,
    )
    return memory, list(zip((self.norm.shift, self.norm.log_scale), values))


def build_context_processor(
  channels: int,
  state_channels: int,
  seed: Optional[int] = None,
  padding: str = 'zeros',
  dtype: tf.DType = tf.float32,
) -> ContextProcessor:
  """Creates a `ContextProcessor` with 2 S hidden channels.

  Args:
    channels: Python `int`, C of a frame.
    state_channels: Python `int`, S.
    seed: Python `int`; None: from the operating system.
    padding: 'zeros' or 'wrap', see `convolutional`.
    dtype: `tf.DType` of frames, states and variables.

  Returns:
    A `ContextProcessor`.
  """
  checks.check_dtype('dtype', dtype)
  rng = np.random.default_rng(seed)
  inputs, hidden = channels + state_channels, 2 * state_channels
  variables = convolutional.to_variables(
    {
      'kernel_1': convolutional.he_normal(rng, 3, 3, inputs, hidden),
      'bias_1': np.zeros([hidden]),
      # Zero, as the last layer of a residual branch. A random layer would make
      # the state grow without bound, because it is applied once for each frame.
      'kernel_2': np.zeros([3, 3, hidden, state_channels]),
      'bias_2': np.zeros([state_channels]),
    },
    dtype,
  )
  return ContextProcessor(
    actnorm.build_actnorm(inputs, dtype), **variables, padding=padding
  )
