"""Mixtures of logistics over a grid of levels."""

import copy

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors.levels import distributions
from tfp_cglow.networks import convolutional

__all__ = ['GridMixture', 'NUM_PARAMETERS']

NUM_PARAMETERS = 3  # Of each component: logit, location, log-scale.
# The components for zero raw parameters: from the narrowest with the largest
# logit to the widest with the smallest. The first scale is in levels, the last
# in shares of the number of levels.
_NARROWEST, _WIDEST = 0.2, 0.375
_LOGITS = (2.0, -2.0)
# Levels up to where an outer level reaches. Its logistics are exactly 0 or 1
# there, and so are their derivatives.
_FAR = 1e9


class GridMixture(distributions.LevelDistribution):
  """Levels whose masses are those of a mixture of logistics.

  The mass of level k is the mass of a mixture of K logistics between `k - 1/2`
  and `k + 1/2`, plus a floor; the outer levels also get the mass beyond them
  (PixelCNN++, [1]).

  #### References

  [1]: Tim Salimans, Andrej Karpathy, Xi Chen and Diederik P. Kingma.
       PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture
       Likelihood and Other Modifications. _ICLR_, 2017.
  """

  def __init__(self, raw, centre, num_levels):
    """Creates the distributions.

    Args:
      raw: Float `[..., 3 K]`: logits; shifts of the locations, in units of
        L / 32 levels; and raw changes of the log-scales, bounded to (-4, 4).
      centre: Float `[...]`, location of components whose shift is zero, in
        levels.
      num_levels: Python `int` L >= 2.
    """
    logits, shifts, scales = tf.split(raw, NUM_PARAMETERS, axis=-1)
    num_components = logits.shape[-1]
    start = lambda ends: tf.constant(
      np.linspace(*ends, num_components), raw.dtype
    )
    widths = _NARROWEST, _WIDEST * num_levels
    super().__init__(num_levels)
    self._weights = tf.nn.softmax(logits + start(_LOGITS))
    self._locations = centre[..., tf.newaxis] + shifts * (num_levels / 32.0)
    self._precisions = tf.exp(
      -convolutional.bounded(scales, 4.0) - start(np.log(widths))
    )

  def probabilities(self):
    of_all = copy.copy(self)
    of_all._weights = self._weights[..., tf.newaxis, :]
    of_all._locations = self._locations[..., tf.newaxis, :]
    of_all._precisions = self._precisions[..., tf.newaxis, :]
    levels = tf.range(self._num_levels, dtype=self._locations.dtype)
    _, mass, _ = of_all._masses(levels)  # pylint: disable=protected-access
    return mass

  def _masses(self, level):
    """Mass below a level, of the level, and above it, each `[...]`."""
    half, far = (tf.constant(x, level.dtype) for x in (0.5, _FAR))
    # The outer levels also have the mass beyond them.
    to_lower = tf.where(level < 0.5, far, half)
    to_upper = tf.where(level > self._num_levels - 1.5, far, half)
    at = level[..., tf.newaxis] - self._locations
    lower = (at - to_lower[..., tf.newaxis]) * self._precisions
    upper = (at + to_upper[..., tf.newaxis]) * self._precisions
    # sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)).
    width = (to_lower + to_upper)[..., tf.newaxis] * self._precisions
    mass = tf.sigmoid(upper) * tf.sigmoid(-lower) * -tf.math.expm1(-width)
    return (
      self._mix(tf.sigmoid(lower), level + 1.0),
      self._mix(mass, tf.ones_like(level)),
      self._mix(tf.sigmoid(-upper), self._num_levels - level),
    )

  def _mix(self, of_components, num_floors):
    """Sums over the components, and adds the floors of `num_floors` levels."""
    mixture = tf.reduce_sum(self._weights * of_components, axis=-1)
    return self._with_floor(mixture, num_floors)

  def _with_floor(self, mixture, num_floors):
    floor = distributions.LEAST_MASS
    share = 1.0 - (self._num_levels + 2.0) * floor
    return share * mixture + floor * num_floors

  def _edges(self):
    edges = tf.range(1.0, self._num_levels, dtype=self._locations.dtype)
    at = edges - 0.5 - self._locations[..., tf.newaxis]  # [..., K, L - 1]
    at *= self._precisions[..., tf.newaxis]
    weights = self._weights[..., tf.newaxis]
    below = tf.reduce_sum(weights * tf.sigmoid(at), axis=-2)
    above = tf.reduce_sum(weights * tf.sigmoid(-at), axis=-2)
    return (
      self._with_floor(below, edges + 1.0),
      self._with_floor(above, self._num_levels - edges + 1.0),
    )
