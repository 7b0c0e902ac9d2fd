"""A convolutional GRU: a state that remembers what is out of sight."""

import numpy as np
import tensorflow as tf

from tfp_cglow import context_processor
from tfp_cglow import networks
from tfp_cglow import shapes

__all__ = ['ConvGRU', 'build_conv_gru']


class ConvGRU(context_processor.StateProcessor):
  """A gated recurrent unit on patches of frame and state [1].

  ```none
  x, h = space_to_depth(frame, P), space_to_depth(state, P)
  update, reset = sigmoid(conv3x3([x, h]))
  candidate = tanh(conv3x3([x, reset * h]))
  state = depth_to_space(h + update * (candidate - h), P)
  ```

  Frames are `[..., H, W, C]`, states `[..., H, W, S]` in (-1, 1), H and W
  divisible by the patch size P. A 3x3 convolution of patches reaches P pixels
  or more in each direction a frame: what is hidden can be moved along.

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
    patch_size,
    name='conv_gru',
  ):
    """Creates the processor; D = S * P**2.

    Args:
      gate_kernel: Float `[3, 3, C * P**2 + D, 2 * D]`.
      gate_bias: Float `[2 * D]`.
      candidate_kernel: Float `[3, 3, C * P**2 + D, D]`.
      candidate_bias: Float `[D]`.
      patch_size: Python `int`, P.
      name: Python `str`.
    """
    super().__init__(name=name)
    self.gate_kernel, self.gate_bias = gate_kernel, gate_bias
    self.candidate_kernel = candidate_kernel
    self.candidate_bias = candidate_bias
    self._patch_size = patch_size

  @property
  def state_channels(self):
    return self.candidate_kernel.shape[-1] // self._patch_size**2

  def __call__(self, state, frame):
    frame, state = shapes.align_leading(frame, state)
    x = tf.nn.space_to_depth(frame, self._patch_size)
    h = tf.nn.space_to_depth(state, self._patch_size)
    gates = networks.conv2d(
      tf.concat([x, h], axis=-1), self.gate_kernel, self.gate_bias
    )
    update, reset = tf.split(tf.sigmoid(gates), 2, axis=-1)
    candidate = tf.tanh(
      networks.conv2d(
        tf.concat([x, reset * h], axis=-1),
        self.candidate_kernel,
        self.candidate_bias,
      )
    )
    return tf.nn.depth_to_space(h + update * (candidate - h), self._patch_size)


def build_conv_gru(
  channels, state_channels, patch_size=4, seed=None, dtype=tf.float32
):
  """Creates a `ConvGRU`.

  Args:
    channels: Python `int`, C of a frame.
    state_channels: Python `int`, S.
    patch_size: Python `int`, P.
    seed: Python `int` or None.
    dtype: `tf.DType`.

  Returns:
    A `ConvGRU`.
  """
  rng = np.random.default_rng(seed)
  hidden = state_channels * patch_size**2
  inputs = channels * patch_size**2 + hidden
  # Gain 1 instead of He's sqrt(2): no ReLU follows.
  gain = np.sqrt(0.5, dtype=np.float32)
  variables = networks.to_variables(
    {
      'gate_kernel': gain * networks.he_normal(rng, 3, 3, inputs, 2 * hidden),
      'gate_bias': np.zeros([2 * hidden]),
      'candidate_kernel': gain * networks.he_normal(rng, 3, 3, inputs, hidden),
      'candidate_bias': np.zeros([hidden]),
    },
    dtype,
  )
  return ConvGRU(**variables, patch_size=patch_size)
