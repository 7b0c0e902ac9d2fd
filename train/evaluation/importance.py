"""A tighter bound on the code length: several draws of dequantisation noise.

With u_1..u_K uniform over a level, a frame x of N values costs at most

  -log2 (1/K sum_k p(x + u_k)) / N + n_bits

bits/dim in expectation (Burda et al., Importance weighted autoencoders, 2016;
for flows Ho et al., Flow++, 2019). K = 1 is the usual bound; in expectation
more draws never loosen it. Contexts have no noise, so each frame has its own
bound.
"""

import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.internal import any_rows

__all__ = ['importance_weighted_bits']


def importance_weighted_bits(flow, dataset, num_samples):
  """The bound on a data set; deterministic.

  Draw k of a batch does not depend on K; draw 0 is the one that
  `breakdown.clip_scores` uses.

  Args:
    flow: `VideoFlow`.
    dataset: Finite `tf.data.Dataset` of `(frames, label)` batches.
    num_samples: Python `int` K >= 1; time grows with it, memory does not.

  Returns:
    `dict` with head_bits_per_dim_iw and tail_bits_per_dim_iw, means over clips
    (None for a part that the model lacks), and num_samples.

  Raises:
    ValueError: if K < 1, or for a model whose dequantisation is not 'matched'.
  """
  _check(flow, num_samples)
  log_prob = any_rows.AnyRows(flow.log_prob)
  rows = []
  for number, (frames, label) in enumerate(dataset):
    label = None if flow.num_labels is None else label
    draws = (
      _densities(log_prob(frames, label, seed=tf.constant([k, number])))
      for k in range(num_samples)
    )
    rows.append(_log_mean_exp(draws))
  result = {'num_samples': num_samples}
  for name in ('head', 'tail'):
    values = [row[name] for row in rows if name in row]
    result[f'{name}_bits_per_dim_iw'] = _mean_bits(flow, values)
  return result


def _check(flow, num_samples):
  if flow.dequantisation != 'matched':
    raise ValueError(
      "Expected a model with dequantisation 'matched', but got "
      f'{flow.dequantisation!r}: its bits/dim bound no code length of the '
      'frames that more draws of noise could tighten.'
    )
  if num_samples < 1:
    raise ValueError(f'`num_samples` must be at least 1, got {num_samples}.')


def _densities(log_probs):
  """The parts of `log_prob` that are not None: `dict` of float64 arrays."""
  parts = zip(('head', 'tail'), log_probs)
  return {k: v.numpy().astype(np.float64) for k, v in parts if v is not None}


def _log_mean_exp(draws):
  """log mean exp over an iterable of `dict`s of arrays, key by key."""
  totals, count = {}, 0
  for draw in draws:
    count += 1
    totals = {
      k: np.logaddexp(totals.get(k, -np.inf), v) for k, v in draw.items()
    }
  return {k: total - np.log(count) for k, total in totals.items()}


def _mean_bits(flow, log_probs):
  """Mean bits/dim of a list of batches, or None if it is empty."""
  if not log_probs:
    return None
  bits = tfp_cglow.bits_per_dim(
    np.concatenate(log_probs), flow.frame_shape, flow.n_bits
  )
  return float(bits.mean())
