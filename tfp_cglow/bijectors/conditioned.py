"""Binds conditions to a bijector, for code that passes no keywords."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.internal import one_pass

__all__ = ['Conditioned']


class Conditioned(conditional_bijector.RefusesIntegers):
  """A bijector whose conditions are bound at construction.

  `JointDistribution`s and `DistributionLambda` pass no `bijector_kwargs`, so
  bind the conditions first:

  ```python
  flow = tfd.TransformedDistribution(
      base, tfp_cglow.Conditioned(glow, context=c, label=y))
  flow.log_prob(frames)
  flow.sample()  # One for each row of the conditions.
  ```

  The leading dimensions of `context`, `vector` and `label` are the batch shape
  of the bijector and hence of the distribution: `flow.sample(5)` draws five
  independent samples for each row, and `flow[1]` has the conditions of row 1.
  """

  _cache = one_pass.Direct()

  def __init__(
    self,
    bijector: tfp.bijectors.Bijector,
    validate_args: bool = False,
    name: str = 'conditioned',
    **conditions: tf.types.experimental.TensorLike,
  ) -> None:
    """Creates the bijector.

    Args:
      bijector: A `tfb.Bijector`.
      validate_args: Python `bool`.
      name: Python `str`.
      **conditions: Conditions, passed to every method of `bijector`.

    Raises:
      ValueError: if `bijector` does not take one of the conditions, or if a
        rank is unknown.
    """
    if isinstance(bijector, conditional_bijector.ConditionalBijector):
      conditional_bijector.check_known(
        bijector.name, bijector.conditions, conditions
      )
    parameters = dict(
      bijector=bijector, validate_args=validate_args, name=name, **conditions
    )
    self._bijector = bijector
    self._bound = dict(conditions)
    for condition, value in _leaves(self._bound):
      conditional_bijector.leading_shape(condition, value)  # Checks the rank.
    super().__init__(
      forward_min_event_ndims=bijector.forward_min_event_ndims,
      inverse_min_event_ndims=bijector.inverse_min_event_ndims,
      is_constant_jacobian=bijector.is_constant_jacobian,
      validate_args=validate_args,
      parameters=parameters,
      dtype=bijector.dtype,
      name=name,
    )

  @classmethod
  def _parameter_properties(cls, dtype):
    # What slicing a distribution slices, see `leading_shape`.
    tensor = tfp.util.ParameterProperties
    return {
      'context': tensor(event_ndims=3),
      'vector': tensor(event_ndims=1),
      'label': tensor(event_ndims=_label_ndims),
    }

  def _broadcast_parameters_with_batch_shape(self, *args, **kwargs):
    """TFP calls this before it slices."""
    for name, value in self._bound.items():
      if isinstance(value, dict) and any(
        conditional_bijector.leading_shape(*leaf).rank
        for leaf in _leaves(value)
      ):
        raise NotImplementedError(
          f'`{self.name}` expects conditions of its own bijector to slice, but '
          f'got those of `{name}`, a part of {self._bijector.name}. Slice the '
          'conditions and bind them again.'
        )
    return super()._broadcast_parameters_with_batch_shape(*args, **kwargs)

  @property
  def bijector(self):
    """The `tfb.Bijector` without its conditions."""
    return self._bijector

  @property
  def bound(self):
    """`dict` of the bound conditions, by name."""
    return dict(self._bound)

  def experimental_batch_shape(self, x_event_ndims=None, y_event_ndims=None):
    shape = tf.TensorShape([])
    for name, value in _leaves(self._bound):
      leading = conditional_bijector.leading_shape(name, value)
      shape = tf.broadcast_static_shape(shape, leading)
    return self._without_events(shape, x_event_ndims, y_event_ndims)

  def experimental_batch_shape_tensor(
    self, x_event_ndims=None, y_event_ndims=None
  ):
    shape = tf.zeros([0], tf.int32)
    for name, value in _leaves(self._bound):
      leading = conditional_bijector.leading_shape_tensor(name, value)
      shape = tf.broadcast_dynamic_shape(shape, leading)
    return self._without_events(shape, x_event_ndims, y_event_ndims)

  def _without_events(self, shape, x_event_ndims, y_event_ndims):
    """Drops the dimensions of a batch shape that belong to larger events."""
    if x_event_ndims is not None:
      more = x_event_ndims - self.forward_min_event_ndims
    elif y_event_ndims is not None:
      more = y_event_ndims - self.inverse_min_event_ndims
    else:
      more = 0
    return shape[:-more] if more else shape

  # Calls may add conditions that are not bound; `bijector` checks them.

  def _forward(self, x, **others):
    return self._bijector.forward(x, **self._bound, **others)

  def _inverse(self, y, **others):
    return self._bijector.inverse(y, **self._bound, **others)

  def _inverse_log_det_jacobian(self, y, **others):
    return self._bijector.inverse_log_det_jacobian(
      y, event_ndims=self.inverse_min_event_ndims, **self._bound, **others
    )

  def _forward_log_det_jacobian(self, x, **others):
    return self._bijector.forward_log_det_jacobian(
      x, event_ndims=self.forward_min_event_ndims, **self._bound, **others
    )

  def _forward_event_shape(self, shape):
    return self._bijector.forward_event_shape(shape)

  def _inverse_event_shape(self, shape):
    return self._bijector.inverse_event_shape(shape)

  def _forward_event_shape_tensor(self, shape):
    return self._bijector.forward_event_shape_tensor(shape)

  def _inverse_event_shape_tensor(self, shape):
    return self._bijector.inverse_event_shape_tensor(shape)


def _label_ndims(bijector, x_event_ndims):
  """How many dimensions of a label are no batch dimensions."""
  label = tf.convert_to_tensor(bijector.bound['label'])
  larger = x_event_ndims - bijector.forward_min_event_ndims
  return int(label.dtype.is_floating) + larger


def _leaves(conditions):
  """Yields pairs of name and value; a chain's conditions are nested `dict`s."""
  for name, value in conditions.items():
    if isinstance(value, dict):
      yield from _leaves(value)
    elif value is not None:
      yield name, value
