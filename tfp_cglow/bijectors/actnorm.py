"""Activation normalisation: a learned scale and shift for each channel."""

from __future__ import annotations

import tensorflow as tf

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.internal import replicas

__all__ = ['ActNorm', 'build_actnorm', 'channel_statistics']


class ActNorm(conditional_bijector.ConditionalBijector):
  """Shifts and scales each channel (Glow, section 3.1).

  ```none
  forward:  y = x * exp(-log_scale) - shift
  inverse:  x = (y + shift) * exp(log_scale)
  inverse log-det of one pixel: sum(log_scale)
  ```

  Data `y` and latent `x` are `[..., C]`. The map is the identity for zero
  parameters. `tfp_cglow.adapt` initialises it from data; it never initialises
  itself.

  #### References

  [1]: Diederik P. Kingma and Prafulla Dhariwal. Glow: Generative Flow with
       Invertible 1x1 Convolutions. _NeurIPS_, 2018.
  """

  def __init__(self, shift, log_scale, validate_args=False, name='actnorm'):
    """Creates the bijector.

    Args:
      shift: Float `Tensor` or `tf.Variable` `[C]`.
      log_scale: Float `Tensor` or `tf.Variable` `[C]`, natural logarithm.
      validate_args: Python `bool`.
      name: Python `str`.
    """
    parameters = dict(locals())
    with tf.name_scope(name) as name:
      self._shift = conditional_bijector.convert_parameter(shift, name='shift')
      self._log_scale = conditional_bijector.convert_parameter(
        log_scale, name='log_scale'
      )
      super().__init__(
        forward_min_event_ndims=1,
        is_constant_jacobian=True,
        validate_args=validate_args,
        parameters=parameters,
        dtype=self._shift.dtype,
        name=name,
      )

  @property
  def shift(self):
    """Float `[C]`."""
    return self._shift

  @property
  def log_scale(self):
    """Float `[C]`, natural logarithm of the scale."""
    return self._log_scale

  def _forward_and_ildj(self, x):
    log_scale = tf.convert_to_tensor(self.log_scale)
    return x * tf.exp(-log_scale) - self.shift, tf.reduce_sum(log_scale, -1)

  def _inverse_and_ildj(self, y):
    log_scale = tf.convert_to_tensor(self.log_scale)
    return (y + self.shift) * tf.exp(log_scale), tf.reduce_sum(log_scale, -1)


def build_actnorm(
  channels: int, dtype: tf.DType = tf.float32, name: str = 'actnorm'
) -> ActNorm:
  """Creates an `ActNorm` with zero variables: the identity until adapted."""
  return ActNorm(
    shift=tf.Variable(tf.zeros([channels], dtype), name='shift'),
    log_scale=tf.Variable(tf.zeros([channels], dtype), name='log_scale'),
    name=name,
  )


def channel_statistics(y):
  """ActNorm's parameters that give `y` zero mean and unit variance by channel.

  In `Strategy.run` the statistics cover `y` of all replicas, which must have
  equal shapes.

  Args:
    y: Float tensor `[..., C]`.

  Returns:
    shift: `[C]`.
    log_scale: `[C]`; zero for a channel that is constant in `y`, because no
      finite scale gives it unit variance.
  """
  mean = replicas.mean_over_replicas(_mean(y))
  variance = replicas.mean_over_replicas(
    _mean(tf.math.squared_difference(y, mean))
  )
  constant = variance <= 1e-12 * (1.0 + mean**2)
  log_scale = -0.5 * tf.math.log(
    tf.where(constant, tf.ones_like(variance), variance)
  )
  return -mean, log_scale


def _mean(y):
  """The mean by channel, one axis at a time: one float32 sum errs by 1e-5."""
  while y.shape.rank > 1:
    y = tf.reduce_mean(y, -2)
  return y
