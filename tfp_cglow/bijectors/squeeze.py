"""Space to depth: 2x2 pixels become one pixel of 4C channels."""

import tensorflow as tf

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.internal import shapes

__all__ = ['Squeeze']


class Squeeze(conditional_bijector.ConditionalBijector):
  """Moves 2x2 neighbourhoods into channels (RealNVP, section 3.6).

  ```none
  inverse:  [..., 2H, 2W, C] -> [..., H, W, 4C]
  forward:  [..., H, W, 4C] -> [..., 2H, 2W, C]
  ```

  The log-det is zero.
  """

  def __init__(self, validate_args=False, name='squeeze'):
    parameters = dict(locals())
    super().__init__(
      forward_min_event_ndims=3,
      is_constant_jacobian=True,
      validate_args=validate_args,
      parameters=parameters,
      name=name,
    )

  @property
  def _is_permutation(self):
    return True

  def _forward_and_ildj(self, x):
    height, width, channels = self._static_event(x, divisor=(1, 1, 4))
    x = shapes.reshape_trailing(x, 3, [height, width, 2, 2, channels // 4])
    y = _swap(x, first=-4, second=-3)  # [..., H, 2, W, 2, C]
    y = shapes.reshape_trailing(y, 5, [2 * height, 2 * width, channels // 4])
    return y, tf.zeros([], y.dtype)

  def _inverse_and_ildj(self, y):
    height, width, channels = self._static_event(y, divisor=(2, 2, 1))
    y = shapes.reshape_trailing(y, 3, [height // 2, 2, width // 2, 2, channels])
    x = _swap(y, first=-4, second=-3)  # [..., H, W, 2, 2, C]
    x = shapes.reshape_trailing(x, 5, [height // 2, width // 2, 4 * channels])
    return x, tf.zeros([], x.dtype)

  def _static_event(self, x, divisor):
    event = x.shape[-3:].as_list()
    if None in event or any(d % n for d, n in zip(event, divisor)):
      raise ValueError(
        f'`{self.name}` expects a static event shape [H, W, C] divisible by '
        f'{list(divisor)}, but got {event}.'
      )
    return event

  def _forward_event_shape(self, shape):
    return _map_event(shape, lambda h, w, c: (2 * h, 2 * w, c // 4))

  def _inverse_event_shape(self, shape):
    return _map_event(shape, lambda h, w, c: (h // 2, w // 2, 4 * c))

  def _forward_event_shape_tensor(self, shape):
    return tf.concat([shape[:-3], shape[-3:-1] * 2, shape[-1:] // 4], axis=0)

  def _inverse_event_shape_tensor(self, shape):
    return tf.concat([shape[:-3], shape[-3:-1] // 2, shape[-1:] * 4], axis=0)


def _swap(x, first, second):
  order = list(range(x.shape.rank))
  order[first], order[second] = order[second], order[first]
  return tf.transpose(x, order)


def _map_event(shape, fn):
  if shape.rank is None or None in shape[-3:].as_list():
    return tf.TensorShape(None)
  return shape[:-3].concatenate(fn(*shape[-3:].as_list()))
