"""Distributions of levels with uniform noise within a level, elementwise.

Level k of 0..L-1 is the interval `[k / L - 1/2, (k + 1) / L - 1/2)`. Within a
level the density is constant:

```none
F(y) = F(k / L - 1/2) + (L (y + 1/2) - k) mass(k)
x = normal_quantile(F(y))
```

So uniform noise of one level's width costs no bits: the code length of noisy
data is that of the levels. Data `y` and latent `x` are real numbers.

Beyond the grid, where there are no data, `x` is linear in `y`, with the slope
at which the density per level begins with the mass that is left.
"""

import math
import statistics

import numpy as np
import tensorflow as tf

__all__ = [
  'CategoricalLevels',
  'LEAST_MASS',
  'LevelDistribution',
  'TemperedLevels',
  'level_of',
]

# The least mass of a level, and of each side beyond the grid. With it the
# inverse is accurate in float32, and no value costs more than 17 bits.
LEAST_MASS = 1e-5
_LEAST_TAIL = 1e-37  # Nearer to 0 or 1, the normal quantile would overflow.


def level_of(y, num_levels):
  """The levels 0..L-1 of data `[...]`; the nearest one of data beyond them."""
  position = tf.floor((y + 0.5) * num_levels)
  return tf.clip_by_value(position, 0.0, num_levels - 1.0)


class LevelDistribution:
  """Base class: elementwise maps between data and a normal."""

  def __init__(self, num_levels, tail_mass=LEAST_MASS):
    """Creates the distributions.

    Args:
      num_levels: Python `int` L >= 2.
      tail_mass: Float, mass of each side beyond the grid; 0: data beyond it
        have density zero.
    """
    self._num_levels = num_levels
    self._tail_mass = tail_mass
    # The latent at the grid's lower edge, and its change per level below it.
    self._edge, self._slope = (
      _tail(tail_mass) if tail_mass else (-math.inf, 0.0)
    )

  def probabilities(self):
    """The mass of every level, `[..., L]`."""
    raise NotImplementedError

  def mean_level(self):
    """The mean level, `[...]`; mass beyond the grid is of the outer levels."""
    _, above = self._edges()  # The probabilities of at least level 1, 2, ...
    return tf.reduce_sum(above, axis=-1)

  def _masses(self, level):
    """Mass below a level, of the level, and above it, each `[...]`."""
    raise NotImplementedError

  def _edges(self):
    """Mass below and above each of the edges between levels, `[..., L - 1]`."""
    raise NotImplementedError

  def to_normal(self, y):
    """Maps data to a normal: `x`, log |dx/dy| and `y`'s level, all `[...]`."""
    position = (y + 0.5) * self._num_levels
    level = level_of(y, self._num_levels)
    within = tf.clip_by_value(position - level, 0.0, 1.0)
    below, mass, above = self._masses(level)
    before = tf.nn.relu(-position)
    after = tf.nn.relu(position - self._num_levels)
    x = _normal_quantile(below + within * mass, above + (1.0 - within) * mass)
    if self._tail_mass:
      x = tf.where(before > 0, self._edge - self._slope * before, x)
      x = tf.where(after > 0, self._slope * after - self._edge, x)
    return x, self._log_det(mass, before + after, x), level

  def from_normal(self, x):
    """Undoes `to_normal`: `y`, log |dx/dy| and `y`'s level, all `[...]`."""
    lower, upper = _normal_cdf(x), _normal_cdf(-x)
    level = self._level_at(lower, upper)
    below, mass, above = self._masses(level)
    # From the nearer end of the distribution, where float32 is precise.
    within = tf.where(
      x < 0, (lower - below) / mass, 1.0 - (upper - above) / mass
    )
    before, after = self._distance_below(x), self._distance_below(-x)
    position = level + tf.clip_by_value(within, 0.0, 1.0) - before + after
    y = position / self._num_levels - 0.5
    return y, self._log_det(mass, before + after, x), level

  def log_density(self, y):
    """Log-density log dF/dy `[...]`, nats."""
    x, log_det, _ = self.to_normal(y)
    return log_det + _log_normal(x)

  def _level_at(self, lower, upper):
    """The level at which F is `lower` and 1 - F is `upper`."""
    below, above = self._edges()
    lower, upper = lower[..., tf.newaxis], upper[..., tf.newaxis]
    # No level lies beyond an edge with no mass above it.
    passed = tf.where(
      lower < upper, lower >= below, (upper <= above) & (above > 0)
    )
    return tf.reduce_sum(tf.cast(passed, lower.dtype), axis=-1)

  def _log_det(self, mass, beyond, x):
    """log |dx/dy|; `beyond` is y's distance from the grid, in levels."""
    within = tf.math.log(mass) - _log_normal(x)
    log_slope = math.log(self._slope) if self._slope else -math.inf
    outside = tf.constant(log_slope, x.dtype)
    return tf.where(beyond > 0, outside, within) + np.log(self._num_levels)

  def _distance_below(self, x):
    """y's distance from the grid in levels; zero if y is not below it."""
    if not self._tail_mass:
      return tf.zeros_like(x)
    return tf.nn.relu(self._edge - x) / self._slope


class CategoricalLevels(LevelDistribution):
  """Levels with given probabilities."""

  def __init__(self, probabilities, tail_mass=0.0):
    """Creates the distributions.

    Args:
      probabilities: Float `[..., L]`, whose sum is 1 - 2 tail_mass.
      tail_mass: See `LevelDistribution`.
    """
    super().__init__(probabilities.shape[-1], tail_mass)
    self._probabilities = probabilities

  @classmethod
  def from_logits(cls, logits):
    """Softmax probabilities of `[..., L]`, with `LEAST_MASS` for each level."""
    share = 1.0 - (logits.shape[-1] + 2.0) * LEAST_MASS
    return cls(share * tf.nn.softmax(logits) + LEAST_MASS, LEAST_MASS)

  def probabilities(self):
    return self._probabilities

  def _masses(self, level):
    levels = tf.range(self._num_levels, dtype=level.dtype)
    level = level[..., tf.newaxis]
    sums = [
      tf.reduce_sum(tf.where(chosen, self._probabilities, 0.0), axis=-1)
      for chosen in (levels < level, levels == level, levels > level)
    ]
    return sums[0] + self._tail_mass, sums[1], sums[2] + self._tail_mass

  def _edges(self):
    below = tf.cumsum(self._probabilities, axis=-1)[..., :-1]
    above = tf.cumsum(self._probabilities, axis=-1, reverse=True)[..., 1:]
    return below + self._tail_mass, above + self._tail_mass


class TemperedLevels(LevelDistribution):
  """A distribution of levels, sharpened.

  ```none
  q(k) ~ p(k)^(1 / temperature), without the levels whose q(k) is less than
         min_p times the largest
  ```

  With temperature 0, q is the most likely level. Where the temperature is 1 and
  `min_p` is 0, the maps are those of the given distribution, bit for bit.
  Elsewhere data beyond the grid, or in a level that was dropped, have density
  zero.
  """

  def __init__(self, distribution, temperature, min_p):
    """Creates the distributions.

    Args:
      distribution: `LevelDistribution` p.
      temperature: Float `[...]`, >= 0.
      min_p: Float `[...]`, in [0, 1).
    """
    probabilities = _sharpened(distribution.probabilities(), temperature, min_p)
    super().__init__(probabilities.shape[-1], tail_mass=0.0)
    self._given = distribution
    self._sharpened = CategoricalLevels(probabilities)
    self._is_given = (temperature == 1.0) & (min_p == 0.0)

  def probabilities(self):
    return self._sharpened.probabilities()

  def to_normal(self, y):
    return self._choose(self._given.to_normal(y), self._sharpened.to_normal(y))

  def from_normal(self, x):
    return self._choose(
      self._given.from_normal(x), self._sharpened.from_normal(x)
    )

  def _choose(self, given, sharpened):
    return tuple(
      tf.where(self._is_given, a, b) for a, b in zip(given, sharpened)
    )


def _sharpened(probabilities, temperature, min_p):
  """Normalised `[..., L]`, see `TemperedLevels`."""
  temperature, min_p = temperature[..., tf.newaxis], min_p[..., tf.newaxis]
  is_cold = temperature == 0.0
  # Constants that the selection reads first would be float32 in a graph.
  one, zero = tf.ones_like(temperature), tf.zeros_like(probabilities)
  logits = tf.math.log(probabilities) / tf.where(is_cold, one, temperature)
  likeliest = tf.one_hot(
    tf.argmax(probabilities, axis=-1),
    probabilities.shape[-1],
    dtype=probabilities.dtype,
  )
  powers = tf.where(is_cold, likeliest, tf.nn.softmax(logits))
  least = min_p * tf.reduce_max(powers, axis=-1, keepdims=True)
  kept = tf.where(powers >= least, powers, zero)
  return kept / tf.reduce_sum(kept, axis=-1, keepdims=True)


def _log_normal(x):
  return -0.5 * (x**2 + np.log(2.0 * np.pi))


def _normal_cdf(x):
  return 0.5 * tf.math.erfc(-x / np.sqrt(2.0))


def _tail(mass):
  """x with Phi(x) = `mass`, and the slope s with s phi(x) = `mass`."""
  normal = statistics.NormalDist()
  edge = normal.inv_cdf(mass)
  return edge, mass / normal.pdf(edge)


def _normal_quantile(lower, upper):
  """x with Phi(x) = lower = 1 - upper; uses the smaller, precise one."""
  is_lower = lower < upper
  tail = tf.maximum(tf.where(is_lower, lower, upper), _LEAST_TAIL)
  # Rounding can make both greater than one half.
  x = tf.math.ndtri(tf.minimum(tail, 0.5))
  return tf.where(is_lower, x, -x)
