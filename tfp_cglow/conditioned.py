"""A bijector with its conditions bound, for code that passes no kwargs."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_probability as tfp

__all__ = ['Conditioned']


class Conditioned(tfp.bijectors.Bijector):
  """Binds conditions to a conditional bijector.

  `JointDistribution`s and `DistributionLambda` pass no `bijector_kwargs`:

  ```python
  flow = tfd.TransformedDistribution(
      base, tfp_cglow.Conditioned(glow, context=c, label=y))
  flow.log_prob(frames)
  ```
  """

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
      **conditions: The keywords that every call passes to `bijector`.
    """
    parameters = dict(
      bijector=bijector, validate_args=validate_args, name=name, **conditions
    )
    self._bijector = bijector
    self._bound = dict(conditions)
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
    return {}

  @property
  def bijector(self):
    return self._bijector

  # Conditions that are not bound go through: `bijector` checks them.

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
