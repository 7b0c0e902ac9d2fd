"""`adapt`: the data-dependent initialisation of ActNorm, done explicitly."""

from __future__ import annotations

import functools

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_cglow.bijectors import actnorm
from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.bijectors import conditioned
from tfp_cglow.bijectors import flow_step
from tfp_cglow.bijectors import glow as glow_lib
from tfp_cglow.bijectors import reversible
from tfp_cglow.bijectors import scan
from tfp_cglow.internal import checks
from tfp_cglow.internal import replicas

__all__ = ['adapt', 'initial_values']

# The class of `tfb.Chain(...)` if it contains variables.
_CHAIN = tfp.bijectors.Chain.__bases__[0]


def adapt(
  bijector: tfp.bijectors.Bijector,
  frames: tf.types.experimental.TensorLike,
  **conditions: tf.types.experimental.TensorLike,
) -> tf.Tensor:
  """Initialises every ActNorm from a batch (Glow, section 3.1).

  Walks the flow in the inverse direction. Each ActNorm gets the shift and scale
  that give its input zero mean and unit variance by channel over the batch, and
  is then applied. Runs eagerly. In `Strategy.run` the statistics cover the
  batches of all replicas. If an error is raised, no variable has changed.

  Args:
    bijector: A `Glow`, `Scan` of `FlowStep`s, `FlowStep` or `ActNorm` whose
      ActNorm parameters are `tf.Variable`s; or a `tfb.Chain` or `Conditioned`
      of these. A bijector without an ActNorm is only applied.
    frames: `[..., H, W, C]`, dequantised data.
    **conditions: Conditions, as `bijector.inverse` takes them.

  Returns:
    `bijector.inverse(frames, **conditions)` after the initialisation.

  Raises:
    TypeError: if `bijector` is no `tfb.Bijector`.
    ValueError: if `bijector` is a `Glow` that was adapted before, or contains
      an ActNorm that `adapt` cannot reach; if frames are integers or, for a
      `Glow`, whole numbers such as bytes; if frames, a condition or a result
      are not finite; or if a condition does not fit.
    RuntimeError: if called inside a `tf.function`, or outside of `Strategy.run`
      for variables of several replicas.
  """
  x, found = initial_values(bijector, frames, **conditions)
  replicas.assign_all(found)
  return x


def initial_values(bijector, frames, /, **conditions):
  """The values that `adapt` assigns, without assigning them.

  Args:
    bijector: See `adapt`.
    frames: See `adapt`.
    **conditions: See `adapt`.

  Returns:
    x: `bijector.inverse(frames, **conditions)` with these values.
    found: List of pairs of a variable and its value.

  Raises:
    TypeError, ValueError, RuntimeError: See `adapt`.
  """
  if not tf.executing_eagerly():
    raise RuntimeError(
      '`adapt` assigns variables: call it eagerly, not in a `tf.function`.'
    )
  if not isinstance(bijector, tfp.bijectors.Bijector):
    raise TypeError(
      f'`adapt` expects a bijector, but got {type(bijector).__name__}.'
    )
  replicas.check_replica_context('adapt', bijector.variables)
  frames = conditional_bijector.to_data(bijector, 'frames', frames)
  if frames.dtype != (bijector.dtype or frames.dtype):
    raise ValueError(
      f'`{bijector.name}` expects frames of dtype {bijector.dtype.name}, but '
      f'got {frames.dtype.name}.'
    )
  checks.check_finite('frames', frames)
  found = []
  x = _adapt(bijector, frames, found, **conditions)
  checks.check_finite('data and conditions', x)
  for variable, value in found:
    if not isinstance(variable, tf.Variable):
      raise ValueError(
        f'`adapt` expects an ActNorm of `tf.Variable`s in `{bijector.name}`, '
        f'but got {variable!r}.'
      )
    if variable.dtype.is_floating:
      checks.check_finite('data and conditions', value)
  return x, found


def _adapt_none(bijector, y, found, /, **conditions):
  """Applies a bijector, and adds its variables and their values to `found`."""
  norm = _find_actnorm(bijector)
  if norm is not None:
    raise ValueError(
      f'`adapt` cannot reach `{norm.name}` inside of `{bijector.name}`, a '
      f'{type(bijector).__name__}: call `adapt` on the inner bijector.'
    )
  return bijector.inverse(y, **conditions)


def _find_actnorm(bijector):
  """Finds an ActNorm in a bijector or in the steps of a `Scan`; or None."""
  for module in (bijector, *bijector.submodules):
    if isinstance(module, actnorm.ActNorm):
      return module
    if isinstance(module, scan.Scan):
      slices = tf.nest.map_structure(lambda p: p[0], module.stacks)
      norm = _find_actnorm(module.make_step(slices))
      if norm is not None:
        return norm
  return None


_adapt = functools.singledispatch(_adapt_none)


@_adapt.register(_CHAIN)
def _(bijector, y, found, /, **conditions):
  for part in bijector.bijectors:
    y = _adapt(part, y, found, **conditions.get(part.name, {}))
  return y


@_adapt.register
def _(bijector: conditioned.Conditioned, y, found, /, **others):
  return _adapt(bijector.bijector, y, found, **bijector.bound, **others)


@_adapt.register
def _(bijector: actnorm.ActNorm, y, found, /):
  shift, log_scale = actnorm.channel_statistics(y)
  found += [(bijector.shift, shift), (bijector.log_scale, log_scale)]
  return actnorm.ActNorm(shift, log_scale).inverse(y)


@_adapt.register
def _(bijector: flow_step.FlowStep, y, found, /, **conditions):
  y = _adapt(bijector.actnorm, y, found)
  y = bijector.conv.inverse(y)
  return bijector.coupling.inverse(y, **conditions)


@_adapt.register
def _(bijector: scan.Scan, y, found, /, **conditions):
  if not (isinstance(bijector.stacks, dict) and 'actnorm' in bijector.stacks):
    return _adapt_none(bijector, y, found, **conditions)
  run = functools.partial(_adapt_steps, bijector)
  if replicas.num_replicas() == 1:
    # A graph of one step, because eagerly Python takes longer than the
    # arithmetic. Several replicas cannot do this: they cannot exchange their
    # statistics in a graph's loop.
    run = tf.function(run)
  y, shifts, log_scales = run(y, conditions)
  stacks = bijector.stacks['actnorm']
  found += [(stacks['shift'], shifts), (stacks['log_scale'], log_scales)]
  return y


def _adapt_steps(bijector, y, conditions):
  """The output of all steps, and the stacks of shifts and log-scales."""
  stacks = tf.nest.map_structure(tf.convert_to_tensor, bijector.stacks)

  def body(k, y, shifts, log_scales):
    slices = tf.nest.map_structure(lambda p: p[k], stacks)
    shift, log_scale = actnorm.channel_statistics(y)
    slices['actnorm'] = {'shift': shift, 'log_scale': log_scale}
    x = bijector.make_step(slices).inverse(y, **conditions)
    return (
      k + 1,
      tf.ensure_shape(x, y.shape),
      shifts.write(k, shift),
      log_scales.write(k, log_scale),
    )

  arrays = [tf.TensorArray(y.dtype, size=bijector.num_steps) for _ in range(2)]
  y, *arrays = reversible.loop(bijector.num_steps, body, y, *arrays)
  return y, *(a.stack() for a in arrays)


@_adapt.register
def _(bijector: glow_lib.Glow, y, found, /, label=None, **conditions):
  if bijector.adapted is not None and bool(bijector.adapted.read_value()):
    raise ValueError(
      f'`{bijector.name}` is adapted already; adapting it again would '
      "overwrite ActNorm's trained parameters."
    )
  glow_lib.check_not_bytes(bijector, y)
  step_fn = lambda part, y, **kwargs: _adapt(part, y, found, **kwargs)
  x = bijector.walk_inverse(step_fn, y, label=label, **conditions)
  if bijector.adapted is not None:
    found.append((bijector.adapted, True))
  if bijector.label_prior is not None:
    x = bijector.label_prior.inverse(x, label=label)
  return x
