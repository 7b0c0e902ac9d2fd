"""The split of the multi-scale architecture, with a learned prior."""

from __future__ import annotations

import tensorflow as tf

from tfp_cglow.bijectors import coupling
from tfp_cglow.networks import convolutional

__all__ = ['Split', 'build_split']


def _split_log_scale(raw):
  return convolutional.bounded(raw, 4.0)


class Split(coupling.AffineCoupling):
  """Standardises the half that leaves, given the half that goes on.

  ```none
  m, l = split(network(kept))
  forward:  kept, z = split(x);  y = [kept, m + exp(l) * z]
  inverse:  kept, h = split(y);  x = [kept, (h - m) * exp(-l)]
  ```

  If `z` is standard normal, this is Glow's learned prior N(m, exp(l)^2) of the
  half that leaves the flow here. Other base distributions work as well. Data
  `y` and latent `x` are `[..., H, W, C]`, `C` even. `separate` cuts off the
  half that leaves; `join` puts it back.
  """

  def __init__(
    self, network, dtype=tf.float32, validate_args=False, name='split'
  ):
    """Creates the bijector.

    Args:
      network: Callable `kept [..., H, W, C / 2] -> [..., H, W, C]`, which
        gives the negative mean, -m, and the raw negative log-scale: the
        constructor bounds it so that |l| < 4.
      dtype: `tf.DType` of data and latent.
      validate_args: Python `bool`.
      name: Python `str`.
    """
    parameters = dict(locals())
    super().__init__(
      network,
      log_scale=_split_log_scale,
      dtype=dtype,
      validate_args=validate_args,
      parameters=parameters,
      name=name,
    )


def separate(x):
  """Cuts `[..., H, W, C]` into a half that goes on and a half that leaves."""
  return tf.split(x, 2, axis=-1)


def join(kept, latent):
  """Undoes `separate`."""
  return tf.concat([kept, latent], axis=-1)


def build_split(
  channels: int,
  dtype: tf.DType = tf.float32,
  padding: str = 'zeros',
  name: str = 'split',
) -> Split:
  """Creates a `Split` whose prior starts as N(0, 1): a zero conv3x3 (Glow)."""
  half = channels // 2
  kernel = tf.Variable(tf.zeros([3, 3, half, channels], dtype), name='kernel')
  bias = tf.Variable(tf.zeros([channels], dtype), name='bias')
  return Split(ConvPrior(kernel, bias, padding), dtype=dtype, name=name)


class ConvPrior(tf.Module):
  """One convolution from the half that goes on to the prior's parameters."""

  def __init__(self, kernel, bias, padding='zeros', name='conv_prior'):
    super().__init__(name=name)
    self.kernel = kernel
    self.bias = bias
    self._padding = padding

  def __call__(self, kept):
    return convolutional.conv2d(
      kept, self.kernel, self.bias, padding=self._padding
    )
