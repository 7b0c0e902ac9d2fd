"""A conditional affine map of the whole frame, the tail's first bijector."""

import numpy as np
import tensorflow as tf

from tfp_cglow import conditional_bijector
from tfp_cglow import networks
from tfp_cglow import shapes

__all__ = [
  'ContextAffine',
  'build_context_affine',
  'learned_mean',
  'residual_mean',
]


def learned_mean(context, channels):
  """A zero base: the network learns the whole mean."""
  del channels
  return tf.zeros([], context.dtype)


def residual_mean(context, channels):
  """The context's first C channels, the previous frame, as the base."""
  return context[..., :channels]


class ContextAffine(conditional_bijector.ConditionalBijector):
  """Shifts and scales a frame by what its context predicts.

  ```none
  m, raw = split(network(context));  l = 4 tanh(raw / 4)
  inverse:  x = (y - base_mean(context) - m) * exp(l)
  forward:  y = x * exp(-l) + base_mean(context) + m
  inverse log-det:  sum(l)
  ```

  Data `y` and latent `x` are frames `[..., H, W, C]`. With `residual_mean` and
  a zero network it is the difference of frames. It is one step of the
  autoregressive flow of [1].

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
    dtype=tf.float32,
    validate_args=False,
    name='context_affine',
  ):
    """Creates the bijector.

    Args:
      network: Callable `context [..., H, W, C_ctx] -> [..., H, W, 2 C]`.
      context_channels: Python `int`, `C_ctx`.
      base_mean: `learned_mean`, `residual_mean`, or another function of the
        context and C.
      dtype: `tf.DType` of data and latent.
      validate_args: Python `bool`.
      name: Python `str`.
    """
    parameters = dict(locals())
    self._network = network
    self._context_channels = context_channels
    self._base_mean = base_mean
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
    mean, raw = tf.split(self._network(context), 2, axis=-1)
    mean += self._base_mean(context, frame.shape[-1])
    log_scale = networks.bounded(raw, 4.0)
    return frame, mean, log_scale, tf.reduce_sum(log_scale, [-3, -2, -1])

  def _forward_and_ildj(self, x, context):
    x, mean, log_scale, ildj = self._predict(x, context)
    return x * tf.exp(-log_scale) + mean, ildj

  def _inverse_and_ildj(self, y, context):
    y, mean, log_scale, ildj = self._predict(y, context)
    return (y - mean) * tf.exp(log_scale), ildj


_BASE_MEANS = {'learned': learned_mean, 'residual': residual_mean}


def build_context_affine(
  kind,
  channels,
  context_channels,
  hidden_channels,
  seed=None,
  network_dtype=None,
  dtype=tf.float32,
  name='context_affine',
):
  """Creates a `ContextAffine` with a zero-ended convolutional network.

  Args:
    kind: 'residual' or 'learned'.
    channels: Python `int`, C of the frame.
    context_channels: Python `int`, at least C for 'residual'.
    hidden_channels: Python `int`, of the network (conv3x3, ReLU, conv1x1,
      ReLU, zero conv3x3).
    seed: Python `int` or None.
    network_dtype: `tf.DType` of the network's computation, or None.
    dtype: `tf.DType` of data, latent and variables.
    name: Python `str`.

  Returns:
    A `ContextAffine`.

  Raises:
    ValueError: if `kind` is unknown or the context cannot hold the frame.
  """
  if kind not in _BASE_MEANS:
    raise ValueError(
      f'`context_affine` must be one of {list(_BASE_MEANS)} or None, '
      f'but got {kind!r}.'
    )
  if kind == 'residual' and context_channels < channels:
    raise ValueError(
      "`context_affine='residual'` takes the previous frame from the context's "
      f'first {channels} channels, but the context has {context_channels}.'
    )
  network = networks.conv_network(hidden_channels, network_dtype=network_dtype)
  seed = int(np.random.default_rng(seed).integers(2**31))
  values = network.init(seed, context_channels, 2 * channels)
  return ContextAffine(
    networks.BoundNetwork(network.apply, networks.to_variables(values, dtype)),
    context_channels,
    base_mean=_BASE_MEANS[kind],
    dtype=dtype,
    name=name,
  )
