"""From latents to levels, as one function that all of a graph's calls share.

A frame is drawn group by group and channel by channel, and every draw needs the
same operations on other tensors. Written out in each place they were two thirds
of the demo's sampling graph, whose trace and first run took nearly three times
as long. So the values of a group become one axis and the operations a
`tf.function`, which TensorFlow does not copy into the graph again.
"""

import functools

import tensorflow as tf

from tfp_cglow.bijectors.levels import distributions
from tfp_cglow.bijectors.levels import grid_mixture

__all__ = ['from_normal']


def from_normal(x, raw, centre, num_levels, tempering=()):
  """Maps latents to data by mixtures of levels, elementwise.

  Args:
    x: Float `[N, h, w]`, latents.
    raw: Float `[N, h, w, 3 K]`, see `GridMixture`.
    centre: Float `[N, h, w]`, see `GridMixture`.
    num_levels: Python `int` L >= 2.
    tempering: Temperature and `min_p`, each float `[N]`, see `TemperedLevels`;
      (): the mixtures' own distributions.

  Returns:
    Data, log |dx/dy| and the data's levels, all `[N, h, w]`.
  """
  shape = tf.shape(x)
  of_rows = [t[:, tf.newaxis, tf.newaxis] for t in tempering]
  tempering = [tf.broadcast_to(t, shape) for t in of_rows]
  x_flat, centre_flat, *tempering = (
    tf.reshape(t, [-1]) for t in (x, centre, *tempering)
  )
  raw = tf.reshape(raw, [-1, raw.shape[-1]])
  moved = _from_normal(num_levels, x_flat, raw, centre_flat, tuple(tempering))
  return [tf.ensure_shape(tf.reshape(t, shape), x.shape) for t in moved]


@functools.partial(
  tf.function,
  autograph=False,
  reduce_retracing=True,
  experimental_attributes={'_noinline': True},
)
def _from_normal(num_levels, x, raw, centre, tempering):
  mixture = grid_mixture.GridMixture(raw, centre, num_levels)
  if tempering:
    mixture = distributions.TemperedLevels(mixture, *tempering)
  return mixture.from_normal(x)
