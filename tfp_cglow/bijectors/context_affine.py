"""A conditional affine map of a frame, used as a flow's first bijector."""

from __future__ import annotations

import functools
from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.bijectors import specs
from tfp_cglow.internal import checks
from tfp_cglow.internal import shapes
from tfp_cglow.networks import convolutional
from tfp_cglow.networks import motion

__all__ = [
  'ContextAffine',
  'build_context_affine',
  'check_context',
  'learned_mean',
  'motion_mean',
  'residual_mean',
]

# At the start, the weight of the unmoved pixel is 0.94 of 25 places.
_CENTRE_LOGIT = 6.0


def learned_mean(context, channels):
  """Zero: the network learns the whole mean."""
  del channels
  return tf.zeros([], context.dtype)


def residual_mean(context, channels):
  """The previous frame: the context's first C channels."""
  return context[..., :channels]


def motion_mean(context, channels, logits, padding='zeros'):
  """The previous frame moved: each pixel is a mean of its neighbours.

  ```none
  mean[i, j] = sum_d softmax(logits[i, j])[d] * previous[i + d_1, j + d_2]
  ```

  It does not depend on the frame that is modelled, so it does not change the
  log-det.

  Args:
    context: `[..., H, W, C_ctx]`; its first C channels are the previous frame.
    channels: Python `int`, C.
    logits: `[..., H, W, K**2]`, K odd, logits of the K x K places around a
      pixel, by rows. For zero logits there is (nearly) no motion.
    padding: 'wrap' for periodic frames; 'zeros': the frame is mirrored at its
      edges.

  Returns:
    `[..., H, W, C]`.

  Raises:
    ValueError: if the radius, (K - 1) / 2, exceeds the height or the width.
  """
  radius = int(round(logits.shape[-1] ** 0.5)) // 2
  previous = context[..., :channels]
  places = motion.neighbours(previous, radius, padding)
  return motion.blend(places, logits, _CENTRE_LOGIT)


class ContextAffine(conditional_bijector.ConditionalBijector):
  """Shifts and scales a frame by what its context predicts.

  ```none
  m, raw = split(network(context));  l = 4 tanh(raw / 4)
  inverse:  x = (y - base_mean(context) - m) * exp(l)
  forward:  y = x * exp(-l) + base_mean(context) + m
  inverse log-det:  sum(l)
  ```

  Data `y` and latent `x` are frames `[..., H, W, C]`. With `residual_mean` and
  a zero network, x is the difference to the previous frame. The bijector is one
  step of the autoregressive flow of [1].

  #### References

  [1]: Joseph Marino, Lei Chen, Jiawei He and Stephan Mandt. Improving
       Sequential Latent Variable Models with Autoregressive Flows. _Machine
       Learning_, 2021.
  """

  def __init__(
    self,
    network,
    context_channels,
    base_mean=learned_mean,
    base_channels=0,
    dtype=tf.float32,
    validate_args=False,
    name='context_affine',
  ):
    """Creates the bijector.

    Args:
      network: Callable `context [..., H, W, C_ctx] -> [..., H, W, 2 C + D]`,
        where D is `base_channels`.
      context_channels: Python `int`, `C_ctx`.
      base_mean: `learned_mean`, `residual_mean`, `motion_mean`, or another
        callable `(context, C) -> mean`; if D > 0, `(context, C, outputs)` with
        the network's last D channels.
      base_channels: Python `int` D, number of the network's outputs that go to
        `base_mean`.
      dtype: `tf.DType` of data and latent.
      validate_args: Python `bool`.
      name: Python `str`.
    """
    parameters = dict(locals())
    self._network = network
    self._context_channels = context_channels
    self._base_mean = base_mean
    self._base_channels = base_channels
    super().__init__(
      forward_min_event_ndims=3,
      validate_args=validate_args,
      parameters=parameters,
      dtype=dtype,
      name=name,
    )

  @property
  def conditions(self):
    return {
      'context': conditional_bijector.context_description(
        self._context_channels
      )
    }

  def _predict(self, frame, context):
    context = conditional_bijector.check_context(
      self.name,
      context,
      self._context_channels,
      like=frame.shape[-3:-1].as_list(),
      dtype=frame.dtype,
    )
    frame, context = shapes.align_leading(frame, context)
    channels = frame.shape[-1]
    shift, raw, *base = tf.split(
      self._network(context),
      [channels, channels] + [self._base_channels] * (self._base_channels > 0),
      axis=-1,
    )
    mean = shift + self._base_mean(context, channels, *base)
    log_scale = convolutional.bounded(raw, 4.0)
    return frame, mean, log_scale, tf.reduce_sum(log_scale, [-3, -2, -1])

  def _forward_and_ildj(self, x, context):
    x, mean, log_scale, ildj = self._predict(x, context)
    return x * tf.exp(-log_scale) + mean, ildj

  def _inverse_and_ildj(self, y, context):
    y, mean, log_scale, ildj = self._predict(y, context)
    return (y - mean) * tf.exp(log_scale), ildj


def build_context_affine(
  channels: int,
  context: specs.Context,
  affine: specs.FrameAffine = specs.FrameAffine(),
  *,
  seed: Optional[int] = None,
  networks: specs.Networks = specs.Networks(),
  dtype: tf.DType = tf.float32,
  name: str = 'context_affine',
) -> ContextAffine:
  """Creates a `ContextAffine` with a convolutional network.

  The network is conv3x3, ReLU, conv1x1, ReLU, conv3x3; the last layer starts at
  zero.

  Args:
    channels: Python `int`, C of the frame.
    context: `Context`, of at least C channels if `affine` has a mean.
    affine: `FrameAffine`.
    seed: Python `int`; None: from the operating system.
    networks: `Networks`, dtype and padding of the network.
    dtype: `tf.DType` of data, latent and variables.
    name: Python `str`.

  Returns:
    A `ContextAffine`.

  Raises:
    ValueError: if the mean is of a wrong kind or the context cannot hold the
      frame.
  """
  check_context(affine, channels, context)
  base_mean, base_channels = _base_mean(affine.mean, networks.padding)
  functions = convolutional.conv_network(
    affine.hidden_channels,
    network_dtype=networks.dtype,
    padding=networks.padding,
  )
  seed = int(np.random.default_rng(seed).integers(2**31))
  values = functions.init(seed, context.channels, 2 * channels + base_channels)
  network = convolutional.BoundNetwork(
    functions.apply, convolutional.to_variables(values, dtype)
  )
  return ContextAffine(
    network,
    context.channels,
    base_mean=base_mean,
    base_channels=base_channels,
    dtype=dtype,
    name=name,
  )


def _base_mean(mean, padding):
  """The `base_mean` function, and the number of its `base_channels`."""
  if mean is None:
    return learned_mean, 0
  if isinstance(mean, specs.MovedFrame):
    moved = functools.partial(motion_mean, padding=padding)
    return moved, motion.num_neighbours(mean.radius)
  return residual_mean, 0


def check_context(affine, channels, context):
  """Checks that a context holds the frame that a `FrameAffine` needs.

  Args:
    affine: `FrameAffine`.
    channels: Python `int`, C of the frame.
    context: `Context` or None.

  Raises:
    ValueError: if the mean is of a wrong kind, or the context has too few
      channels.
  """
  mean = affine.mean
  checks.check_kind(
    'first.mean',
    mean,
    specs.PreviousFrame,
    specs.MovedFrame,
  )
  known = 0 if context is None else context.channels
  if mean is not None and known < channels:
    raise ValueError(
      f'{mean} needs a context whose first {channels} channels are the '
      f'previous frame, but the context has {known} channels.'
    )
  checks.check_at_least('first.hidden_channels', affine.hidden_channels, 1)
  if isinstance(mean, specs.MovedFrame):
    checks.check_at_least('first.mean.radius', mean.radius, 1)
