"""Numerical diagnostics: how well the inverse still undoes the flow."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.bijectors import coupling as coupling_lib
from tfp_cglow.bijectors import flow_step
from tfp_cglow.bijectors import glow as glow_lib
from tfp_cglow.bijectors import scan
from tfp_cglow.bijectors import squeeze

__all__ = ['invertibility_report', 'round_trip_error']


def invertibility_report(
  glow: glow_lib.Glow,
  frames: tf.types.experimental.TensorLike,
  **conditions: tf.types.experimental.TensorLike,
) -> dict[str, Any]:
  """Round-trip errors, scales and condition numbers, step by step.

  A flow can lose its numerical inverse silently: scales approach zero, 1x1
  convolutions approach singular matrices, and float32 errors grow. Runs
  eagerly, one pass in each direction.

  Args:
    glow: `Glow`.
    frames: `[..., H, W, C]`, dequantised data.
    **conditions: As for `glow.inverse`.

  Returns:
    `dict` with three entries:
    max_error: The largest |y - forward(inverse(y))| over `frames`, in the unit
      of `frames`. A `LevelMixture` may move a value at the border of a level to
      the next level, where rounding decides.
    mean_error: The mean.
    steps: List of a `dict` for each bijector, data side first, with the keys
      `block`; `step` (-1 if the bijector is no step, but a `Split`, for
      example); `name`; `max_error` on the bijector's own input; `min_scale` and
      `max_scale` of ActNorm and the coupling in the inverse direction; and
      `condition_number` of the 1x1 convolution. The last three are None if the
      bijector has no scale or no 1x1 convolution.

  Raises:
    ValueError: if the frames or a condition do not fit.
  """
  rows, block = [], -1

  def inverse(bijector, y, **kwargs):
    nonlocal block
    block += isinstance(bijector, squeeze.Squeeze)
    for k, member in _members(bijector):
      x = member.inverse(y, **kwargs)
      back = member.forward(x, **kwargs)
      rows.append(
        {
          'block': block,
          'step': k,
          'name': member.name,
          'max_error': _max_difference(y, back),
          **_health(member, y, **kwargs),
        }
      )
      y = x
    return y

  frames = conditional_bijector.to_data(glow, 'frames', frames)
  glow.walk_inverse(inverse, frames, **conditions)
  errors = round_trip_error(glow, frames, **conditions)
  return {
    'max_error': float(tf.reduce_max(errors)),
    'mean_error': float(tf.reduce_mean(errors)),
    'steps': rows,
  }


def round_trip_error(
  glow: glow_lib.Glow,
  frames: tf.types.experimental.TensorLike,
  **conditions: tf.types.experimental.TensorLike,
) -> tf.Tensor:
  """The error |y - forward(inverse(y))| at every pixel and channel.

  Args:
    glow: `Glow`.
    frames: `[..., H, W, C]`, dequantised data.
    **conditions: As for `glow.inverse`.

  Returns:
    `[..., H, W, C]`, in the unit of `frames`.

  Raises:
    ValueError: if the frames or a condition do not fit.
  """
  frames = conditional_bijector.to_data(glow, 'frames', frames)
  z = glow.inverse(frames, **conditions)
  return tf.abs(frames - glow.forward(z, **conditions))


def _members(bijector):
  """Yields pairs of an index, -1 for no step, and a bijector."""
  if isinstance(bijector, scan.Scan):
    for k in range(bijector.num_steps):
      slices = tf.nest.map_structure(lambda p, k=k: p[k], bijector.stacks)
      yield k, bijector.make_step(slices)
  elif isinstance(bijector, flow_step.FlowStep):
    yield int(bijector.name.rpartition('_')[2]), bijector
  else:
    yield -1, bijector


def _max_difference(y, back):
  return float(tf.reduce_max(tf.abs(y - back)))


def _health(member, y, **conditions):
  scales, condition_number = [], None
  coupling = member
  if isinstance(member, flow_step.FlowStep):
    scales.append(np.exp(np.asarray(member.actnorm.log_scale)))
    matrix = member.conv.matrix().numpy()
    condition_number = float(np.linalg.cond(matrix))
    y = member.conv.inverse(member.actnorm.inverse(y))
    coupling = member.coupling
  if isinstance(coupling, coupling_lib.AffineCoupling):
    kept, _ = tf.split(y, 2, axis=-1)
    log_scale = coupling.log_scale(coupling.network_output(kept, **conditions))
    scales.append(np.exp(log_scale.numpy()))
  return {
    'min_scale': float(min(s.min() for s in scales)) if scales else None,
    'max_scale': float(max(s.max() for s in scales)) if scales else None,
    'condition_number': condition_number,
  }
