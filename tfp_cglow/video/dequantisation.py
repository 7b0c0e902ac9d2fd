"""Learned dequantisation noise: a flow from uniform noise to better noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors import build
from tfp_cglow.internal import shapes
from tfp_cglow.video import likelihood

__all__ = ['FlowNoise', 'build_flow_noise']

_EDGE = 1e-6  # Noise keeps so far from 0 and 1: its normal quantile is finite.


class FlowNoise(tf.Module):
  """Moves a frame's noise within its levels, given the frame (Flow++, [1]).

  ```none
  e = glow(normal_quantile(uniform) | frame, context);  noise = normal_cdf(e)
  log q(noise | frame, context) = -log |d noise / d uniform|
  ```

  `log p(frame + noise) - log q(noise)` bounds the levels' log-probability from
  below, and trains both flows. A new one is q = 1: its `Glow` keeps norms.

  #### References

  [1]: Jonathan Ho, Xi Chen, Aravind Srinivas, Yan Duan and Pieter Abbeel.
       Flow++: Improving Flow-Based Generative Models with Variational
       Dequantization and Architecture Design. _ICML_, 2019.
  """

  def __init__(self, glow, n_bits, name='flow_noise'):
    """Creates the noise.

    Args:
      glow: `Glow` whose context is a clean frame `[..., H, W, C]` and, after
        it, that frame's own context if there is one.
      n_bits: Python `int`, frames are of `2**n_bits` levels.
      name: Python `str`.
    """
    super().__init__(name=name)
    self._glow = glow
    self._n_bits = n_bits

  def __call__(self, noisy, clean, context=None):
    """Frames with better noise.

    Args:
      noisy: `[..., H, W, C]`, `clean` and uniform noise of a level's width.
      clean: `[..., H, W, C]`, bin centres.
      context: `[..., H, W, C_ctx]`, the context of these frames, or None.

    Returns:
      frames: `[..., H, W, C]`, `clean` and other noise within the level.
      log_det: `[...]`, log |d frames / d noisy|, nats: -log q in the unit of a
        level.
    """
    uniform = (noisy - clean) * 2.0**self._n_bits + 0.5
    normal = tf.math.ndtri(_inside(uniform))
    latent = shapes.reshape_trailing(normal, 3, [np.prod(normal.shape[-3:])])
    maps = [clean] if context is None else [clean, context]
    kwargs = {'context': tf.concat(maps, axis=-1)}
    moved = self._glow.forward(latent, **kwargs)
    log_det = self._glow.forward_log_det_jacobian(latent, 1, **kwargs)
    log_det += 0.5 * tf.reduce_sum(normal**2 - moved**2, [-3, -2, -1])
    noise = 0.5 * tf.math.erfc(-moved / np.sqrt(2.0))
    return likelihood.dequantise(clean, self._n_bits, _inside(noise)), log_det


def _inside(noise):
  return tf.clip_by_value(noise, _EDGE, 1.0 - _EDGE)


def build_flow_noise(
  frame_shape: Sequence[int],
  n_bits: int,
  context_channels: int = 0,
  num_steps: int = 4,
  hidden_channels: int = 32,
  seed: Optional[int] = None,
  name: str = 'flow_noise',
) -> FlowNoise:
  """Creates a `FlowNoise` of affine coupling steps at half resolution.

  Args:
    frame_shape: `[H, W, C]`, H and W even.
    n_bits: Python `int`.
    context_channels: Python `int`, `C_ctx`; 0: there is no context.
    num_steps: Python `int`.
    hidden_channels: Python `int`, of the networks.
    seed: Python `int` or None.
    name: Python `str`.

  Returns:
    A `FlowNoise`.
  """
  glow = build.build_glow(
    frame_shape,
    num_glow_blocks=1,
    num_steps_per_block=num_steps,
    hidden_channels=hidden_channels,
    coupling='affine',
    context_channels=frame_shape[-1] + context_channels,
    pyramid_channels=hidden_channels,
    gradients='stored',
    seed=seed,
    name=name,
  )
  return FlowNoise(glow, n_bits, name=name)
