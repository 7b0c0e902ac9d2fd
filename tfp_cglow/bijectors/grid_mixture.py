"""Mixtures of logistics over a grid of levels, as maps to a normal."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_cglow.networks import convolutional

__all__ = ['GridMixture', 'NUM_PARAMETERS']

NUM_PARAMETERS = 3  # Of each component: logit, location, log-scale.
# The least mass of a level, and of each side beyond the grid. With it the
# inverse is accurate in float32, and no value costs more than 17 bits.
_LEAST_MASS = 1e-5
_LEAST_TAIL = 1e-37  # Nearer to 0 or 1, the normal quantile would overflow.
# The components for zero raw parameters: from the narrowest with the largest
# logit to the widest with the smallest. The first scale is in levels, the last
# in shares of the number of levels.
_NARROWEST, _WIDEST = 0.2, 0.375
_LOGITS = (2.0, -2.0)


class GridMixture:
  """Elementwise distributions of `L` levels with uniform noise within a level.

  Level k of 0..L-1 is the interval `[k / L - 1/2, (k + 1) / L - 1/2)`. Its mass
  is the mass of a mixture of K logistics between `k - 1/2` and `k + 1/2`, plus
  a floor; the outer levels also get the mass beyond them (PixelCNN++, [1]).
  Within a level the density is constant. Beyond the grid, where there are no
  data, it falls exponentially:

  ```none
  F(y) = F(k / L - 1/2) + (L (y + 1/2) - k) mass(k)
  x = normal_quantile(F(y))
  ```

  So uniform noise of one level's width costs no bits: the code length of noisy
  data is that of the levels. Data `y` and latent `x` are real numbers.

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
    self._num_levels = num_levels
    self._weights = tf.nn.softmax(logits + start(_LOGITS))
    self._locations = centre[..., tf.newaxis] + shifts * (num_levels / 32.0)
    self._precisions = tf.exp(
      -convolutional.bounded(scales, 4.0) - start(np.log(widths))
    )

  def to_normal(self, y):
    """Maps data to a normal: `x`, log |dx/dy| and `y`'s level, all `[...]`."""
    position = (y + 0.5) * self._num_levels
    level = tf.clip_by_value(tf.floor(position), 0.0, self._num_levels - 1.0)
    within = tf.clip_by_value(position - level, 0.0, 1.0)
    below, mass, above = self._masses(level)
    before = tf.nn.relu(-position)
    after = tf.nn.relu(position - self._num_levels)
    x = _normal_quantile(below + within * mass, above + (1.0 - within) * mass)
    beyond = before + after
    tail = _quantile_of_log(np.log(_LEAST_MASS) - beyond)
    x = tf.where(beyond > 0, tf.where(before > 0, tail, -tail), x)
    return x, self._log_det(mass, beyond, x), level

  def from_normal(self, x):
    """Undoes `to_normal`: `y`, log |dx/dy| and `y`'s level, all `[...]`."""
    lower, upper = _normal_cdf(x), _normal_cdf(-x)
    level = self._level_at(lower, upper)
    below, mass, above = self._masses(level)
    # From the nearer end of the distribution, where float32 is precise.
    within = tf.where(
      x < 0, (lower - below) / mass, 1.0 - (upper - above) / mass
    )
    before, after = _tail_distance(x), _tail_distance(-x)
    position = level + tf.clip_by_value(within, 0.0, 1.0) - before + after
    y = position / self._num_levels - 0.5
    return y, self._log_det(mass, before + after, x), level

  def log_density(self, y):
    """Log-density log dF/dy `[...]`, nats."""
    x, log_det, _ = self.to_normal(y)
    return log_det + _log_normal(x)

  def _log_det(self, mass, beyond, x):
    """log |dx/dy|; `beyond` is y's distance from the grid, in levels."""
    log_mass = tf.where(
      beyond > 0, np.log(_LEAST_MASS) - beyond, tf.math.log(mass)
    )
    return log_mass + np.log(self._num_levels) - _log_normal(x)

  def _masses(self, level):
    """Mass below a level, of the level, and above it, each `[...]`."""
    at = level[..., tf.newaxis] - self._locations
    lower, upper = (at - 0.5) * self._precisions, (at + 0.5) * self._precisions
    is_first = level[..., tf.newaxis] < 0.5
    is_last = level[..., tf.newaxis] > self._num_levels - 1.5
    zero, one = tf.zeros_like(at), tf.ones_like(at)
    # sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)).
    mass = tf.where(is_last, one, tf.sigmoid(upper))
    mass *= tf.where(is_first, one, tf.sigmoid(-lower))
    mass *= tf.where(is_first | is_last, one, -tf.math.expm1(-self._precisions))
    below = tf.where(is_first, zero, tf.sigmoid(lower))
    above = tf.where(is_last, zero, tf.sigmoid(-upper))
    return (
      self._mix(below, level + 1.0),
      self._mix(mass, tf.ones_like(level)),
      self._mix(above, self._num_levels - level),
    )

  def _mix(self, of_components, num_floors):
    """Sums over the components, and adds the floors of `num_floors` levels."""
    mixture = tf.reduce_sum(self._weights * of_components, axis=-1)
    return self._with_floor(mixture, num_floors)

  def _with_floor(self, mixture, num_floors):
    share = 1.0 - (self._num_levels + 2.0) * _LEAST_MASS
    return share * mixture + _LEAST_MASS * num_floors

  def _level_at(self, lower, upper):
    """The level at which F is `lower` and 1 - F is `upper`."""
    edges = tf.range(1.0, self._num_levels, dtype=lower.dtype)
    at = edges - 0.5 - self._locations[..., tf.newaxis]  # [..., K, L - 1]
    at *= self._precisions[..., tf.newaxis]
    weights = self._weights[..., tf.newaxis]
    below = tf.reduce_sum(weights * tf.sigmoid(at), axis=-2)
    above = tf.reduce_sum(weights * tf.sigmoid(-at), axis=-2)
    below = self._with_floor(below, edges + 1.0)
    above = self._with_floor(above, self._num_levels - edges + 1.0)
    lower, upper = lower[..., tf.newaxis], upper[..., tf.newaxis]
    passed = tf.where(lower < upper, lower >= below, upper <= above)
    return tf.reduce_sum(tf.cast(passed, lower.dtype), axis=-1)


def _log_normal(x):
  return -0.5 * (x**2 + np.log(2.0 * np.pi))


def _normal_cdf(x):
  return 0.5 * tf.math.erfc(-x / np.sqrt(2.0))


def _tail_distance(x):
  """Distance in levels of y below the grid; zero if y is not below it."""
  return tf.nn.relu(np.log(_LEAST_MASS) - _log_normal_cdf(x))


def _log_normal_cdf(x):
  return tfp.distributions.Normal(tf.zeros([], x.dtype), 1.0).log_cdf(x)


def _quantile_of_log(log_mass):
  """x with log Phi(x) = `log_mass`, at most log(1e-5); by Newton's method.

  Phi(x) itself would be 0 in float32 from x = -14 on.
  """
  x = -tf.sqrt(-2.0 * log_mass)
  for _ in range(4):
    log_cdf = _log_normal_cdf(x)
    x -= (log_cdf - log_mass) * tf.exp(log_cdf - _log_normal(x))
  return x


def _normal_quantile(lower, upper):
  """x with Phi(x) = lower = 1 - upper; uses the smaller, precise one."""
  is_lower = lower < upper
  tail = tf.maximum(tf.where(is_lower, lower, upper), _LEAST_TAIL)
  # Rounding can make both greater than one half.
  x = tf.math.ndtri(tf.minimum(tail, 0.5))
  return tf.where(is_lower, x, -x)
