"""Temperature and `min_p` of a `Glow`: checks, and the scale of its latents."""

import numpy as np
import tensorflow as tf

__all__ = ['check', 'scaled', 'unscaled']


def check(temperature, min_p):
  """Raises ValueError for values that are known and out of range."""
  for name, value, words, is_right in (
    ('temperature', temperature, 'finite and >= 0', lambda v: v >= 0),
    ('min_p', min_p, 'in [0, 1)', lambda v: (v >= 0) & (v < 1)),
  ):
    known = tf.get_static_value(value)
    if known is not None and not np.all(is_right(known) & np.isfinite(known)):
      raise ValueError(f'`{name}` must be {words}, but got {known}.')


def scaled(x, scale):
  """Latents times their scale, and log |d result / dx|.

  Args:
    x: `[..., N]`.
    scale: `[...]`, or None: 1.
  """
  if scale is None:
    return x, 0.0
  return x * scale[..., tf.newaxis], x.shape[-1] * tf.math.log(scale)


def unscaled(x, scale):
  """Undoes `scaled`; its log-det is log |d result / dx|, too."""
  if scale is None:
    return x, 0.0
  return x / scale[..., tf.newaxis], -x.shape[-1] * tf.math.log(scale)
