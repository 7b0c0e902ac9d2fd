"""Data-dependent initialisation of ActNorm: explicit, and once."""

import functools

import tensorflow as tf

from tfp_cglow import actnorm
from tfp_cglow import conditional_bijector
from tfp_cglow import flow_step
from tfp_cglow import glow as glow_lib
from tfp_cglow import scan

__all__ = ['adapt']


def adapt(bijector, frames, **conditions):
  """Initialises every ActNorm from a batch (Glow, section 3.1).

  Walks the inverse direction; each ActNorm gets the shift and scale that give
  its input zero mean and unit variance by channel over the batch, and is then
  applied. Runs eagerly.

  Args:
    bijector: A `Glow`, `Scan`, `FlowStep` or `ActNorm` whose ActNorm
      parameters are `tf.Variable`s. Other bijectors are only applied.
    frames: `[..., H, W, C]`, dequantised data.
    **conditions: As `bijector.inverse` takes them.

  Returns:
    `bijector.inverse(frames, **conditions)` after the initialisation.

  Raises:
    ValueError: if `bijector` is a `Glow` that was adapted before.
    RuntimeError: inside a `tf.function`.
  """
  if not tf.executing_eagerly():
    raise RuntimeError('`adapt` assigns variables once: call it eagerly.')
  frames = tf.convert_to_tensor(frames, dtype_hint=bijector.dtype)
  return _adapt(bijector, frames, **conditions)


@functools.singledispatch
def _adapt(bijector, y, **conditions):
  return bijector.inverse(y, **conditions)


@_adapt.register
def _(bijector: actnorm.ActNorm, y):
  shift, log_scale = actnorm.channel_statistics(y)
  bijector.shift.assign(shift)
  bijector.log_scale.assign(log_scale)
  return bijector.inverse(tf.identity(y))


@_adapt.register
def _(bijector: flow_step.FlowStep, y, **conditions):
  y = _adapt(bijector.actnorm, y)
  y = bijector.conv.inverse(y)
  return bijector.coupling.inverse(y, **conditions)


@_adapt.register
def _(bijector: scan.Scan, y, **conditions):
  stacks = bijector.stacks
  for k in range(bijector.num_steps):
    if isinstance(stacks, dict) and 'actnorm' in stacks:
      shift, log_scale = actnorm.channel_statistics(y)
      stacks['actnorm']['shift'][k].assign(shift)
      stacks['actnorm']['log_scale'][k].assign(log_scale)
    slices = tf.nest.map_structure(lambda p, k=k: p[k], stacks)
    y = bijector.make_step(slices).inverse(y, **conditions)
  return y


@_adapt.register
def _(bijector: glow_lib.Glow, y, label=None, **conditions):
  if bijector.adapted is not None and bool(bijector.adapted):
    raise ValueError(
      f'`{bijector.name}` is adapted already; adapting again would throw away '
      'what ActNorm learned.'
    )
  conditional_bijector.check_condition_names(
    bijector.name, bijector.conditions, {'label': label, **conditions}
  )
  x = bijector.walk_inverse(_adapt, y, label=label, **conditions)
  if bijector.adapted is not None:
    bijector.adapted.assign(True)
  if bijector.label_prior is not None:
    x = bijector.label_prior.inverse(x, label=label)
  return x
