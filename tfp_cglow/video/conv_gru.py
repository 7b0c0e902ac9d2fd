"""A convolutional GRU: a memory that can keep what is out of sight."""

from __future__ import annotations

import functools
from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow.internal import checks
from tfp_cglow.internal import shapes
from tfp_cglow.networks import convolutional
from tfp_cglow.video import context_processor

__all__ = ['ConvGRU', 'build_conv_gru']


class ConvGRU(context_processor.StateProcessor):
  """A gated recurrent unit whose maps are convolutions [1].

  ```none
  update, reset = sigmoid(conv3x3([frame, state]))
  candidate = tanh(conv3x3([frame, reset * state]))
  next state = state + update * (candidate - state)
  ```

  Frames are `[..., H, W, C]`, states `[..., H, W, S]`. States stay in (-1, 1),
  however long the video is.

  #### References

  [1]: Nicolas Ballas, Li Yao, Chris Pal and Aaron Courville. Delving Deeper
       into Convolutional Networks for Learning Video Representations. _ICLR_,
       2016.
  """

  def __init__(
    self,
    gate_kernel,
    gate_bias,
    candidate_kernel,
    candidate_bias,
    padding='zeros',
    name='conv_gru',
  ):
    """Creates the memory.

    Args:
      gate_kernel: Float `[3, 3, C + S, 2 * S]`.
      gate_bias: Float `[2 * S]`.
      candidate_kernel: Float `[3, 3, C + S, S]`.
      candidate_bias: Float `[S]`.
      padding: 'zeros' or 'wrap', see `convolutional`.
      name: Python `str`.
    """
    super().__init__(name=name)
    self.gate_kernel, self.gate_bias = gate_kernel, gate_bias
    self.candidate_kernel = candidate_kernel
    self.candidate_bias = candidate_bias
    self._padding = padding

  @property
  def state_channels(self):
    return self.candidate_kernel.shape[-1]

  def __call__(self, state, frame):
    x, h = shapes.align_leading(frame, state)
    conv = functools.partial(convolutional.conv2d, padding=self._padding)
    gates = conv(tf.concat([x, h], axis=-1), self.gate_kernel, self.gate_bias)
    update, reset = tf.split(tf.sigmoid(gates), 2, axis=-1)
    candidate = conv(
      tf.concat([x, reset * h], axis=-1),
      self.candidate_kernel,
      self.candidate_bias,
    )
    return h + update * (tf.tanh(candidate) - h)


def build_conv_gru(
  channels: int,
  state_channels: int,
  seed: Optional[int] = None,
  padding: str = 'zeros',
  dtype: tf.DType = tf.float32,
) -> ConvGRU:
  """Creates a `ConvGRU` whose first C candidates copy the frame.

  Before training, the state's first C channels are then a moving average of the
  frames (squashed by tanh), which is useful to the tail from the start.

  Args:
    channels: Python `int`, C of a frame.
    state_channels: Python `int`, S.
    seed: Python `int`; None: from the operating system.
    padding: 'zeros' or 'wrap', see `convolutional`.
    dtype: `tf.DType` of frames, states and variables.

  Returns:
    A `ConvGRU`.
  """
  checks.check_dtype('dtype', dtype)
  rng = np.random.default_rng(seed)
  inputs = channels + state_channels
  # Gain 1 instead of He's sqrt(2): no ReLU follows.
  gain = np.sqrt(0.5, dtype=np.float32)
  candidate = gain * convolutional.he_normal(rng, 3, 3, inputs, state_channels)
  copied = np.arange(min(channels, state_channels))
  candidate[..., copied] = 0.0
  candidate[1, 1, copied, copied] = 1.0
  variables = convolutional.to_variables(
    {
      'gate_kernel': gain
      * convolutional.he_normal(rng, 3, 3, inputs, 2 * state_channels),
      'gate_bias': np.zeros([2 * state_channels]),
      'candidate_kernel': candidate,
      'candidate_bias': np.zeros([state_channels]),
    },
    dtype,
  )
  return ConvGRU(**variables, padding=padding)
