"""Means over seeds, and differences of two models on the same clips.

The difference in bits/dim of two models varies with the training seed and with
the clips. All seeds are measured on the same clips, and an easy clip is easy
for all of them: seeds and clips are crossed factors. Each bootstrap resample
therefore draws seeds, and one set of clips for all of these seeds ("pigeonhole
bootstrap").

Reference: A. B. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1
(2), 2007.
"""

from __future__ import annotations

import dataclasses

import numpy as np

__all__ = ['PairedDifference', 'mean_and_spread', 'paired_difference']


@dataclasses.dataclass(frozen=True)
class PairedDifference:
  """A difference in bits/dim: mean, interval [low, high], one for each seed."""

  mean: float
  low: float
  high: float
  by_seed: tuple[float, ...]


def mean_and_spread(values):
  """The mean, the sample standard deviation and the number of values.

  Args:
    values: Sequence of floats, one for each seed; None is left out.

  Returns:
    mean: `float`, or None if there are no values.
    spread: `float`, or None if there are fewer than two values.
    num_values: Python `int`.
  """
  values = np.asarray([v for v in values if v is not None], np.float64)
  mean = float(values.mean()) if len(values) else None
  spread = float(values.std(ddof=1)) if len(values) > 1 else None
  return mean, spread, len(values)


def paired_difference(a, b, num_resamples=2000, seed=0):
  """The mean of a - b with a 95% bootstrap interval over seeds and clips.

  It is a percentile interval. If seeds differ more than clips, it is too narrow
  for few seeds: in simulations it covered the true difference 70% of the time
  with 3 seeds, 82% with 5 and 89% with 10; if clips differ as much as seeds,
  92%, 94% and 94%. With one seed it covers the variation of clips only.

  Args:
    a: List of float arrays `[num_clips]`, bits/dim, one for each seed.
    b: The same for another model, with the same seeds and clips in the same
      order.
    num_resamples: Python `int`.
    seed: Python `int`, seed of the resamples.

  Returns:
    `PairedDifference`, bits/dim.

  Raises:
    ValueError: if a and b are empty or differ in shape.
  """
  a, b = _table('a', a), _table('b', b)
  if a.shape != b.shape:
    raise ValueError(
      f'Expected the same seeds and clips, but got [seeds, clips] of '
      f'{list(a.shape)} and {list(b.shape)}.'
    )
  difference = a - b  # [S, N]
  rng = np.random.default_rng(seed)
  means = [_resampled_mean(difference, rng) for _ in range(num_resamples)]
  low, high = np.percentile(means, [2.5, 97.5])
  return PairedDifference(
    mean=float(difference.mean()),
    low=float(low),
    high=float(high),
    by_seed=tuple(difference.mean(axis=1).tolist()),
  )


def _table(name, rows):
  """Rows as an array `[S, N]`."""
  lengths = sorted({len(row) for row in rows})
  if len(lengths) != 1 or lengths[0] == 0:
    raise ValueError(
      f'Expected `{name}` to have the same clips, at least one, for each seed, '
      f'but got numbers of clips {lengths}.'
    )
  return np.asarray(rows, np.float64)


def _resampled_mean(values, rng):
  num_seeds, num_clips = values.shape
  seeds = rng.integers(num_seeds, size=num_seeds)
  clips = rng.integers(num_clips, size=num_clips)
  return values[seeds].mean(axis=0)[clips].mean()
