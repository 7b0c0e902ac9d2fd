"""Says in words which runs of a comparison have different data."""

from __future__ import annotations

import numpy as np

from train.config import configs

__all__ = ['keys', 'sentences']


def keys(run, other):
  """Keys of the data in which two runs differ, of `configs.data_of`.

  Args:
    run, other: `run_data.RunData`.

  Returns:
    Sorted list of `str`.
  """
  ours, theirs = (configs.data_of(r.config) for r in (run, other))
  every = {*ours, *theirs}
  return sorted(k for k in every if ours.get(k) != theirs.get(k))


def sentences(named):
  """What is to be known before numbers of the runs are compared.

  Each run is compared with the first one, as in the table of differences.

  Args:
    named: `dict` from names to `RunData`.

  Returns:
    List of `str`; empty if all runs have the same data.
  """
  (first_name, first), *others = named.items()
  found = [_sentence(name, run, first_name, first) for name, run in others]
  return [sentence for sentence in found if sentence]


def _sentence(name, run, first_name, first):
  """One run's sentence, or None if its data are those of the first."""
  pair = f'{name} and {first_name}'
  changed = keys(run, first)
  kinds = [r.config.data.name for r in (run, first)]
  if kinds[0] != kinds[1]:
    return (
      f'{pair} have different data sets, {kinds[0]} and {kinds[1]}: their '
      'bits/dim, accuracies and PSNR are not comparable.'
    )
  others = [key for key in changed if key not in configs.PLACES]
  if others:
    return (
      f'{pair} have different data ({", ".join(others)}): their bits/dim, '
      'accuracies and PSNR are not comparable.'
    )
  if changed:
    return (
      f'{pair} read their data from different places ({", ".join(changed)}): '
      'their numbers are comparable only if the files are the same.'
    )
  labels = [r.scores.get('label') for r in (run, first)]
  if any(x is None for x in labels) or np.array_equal(*labels):
    return None
  return (
    f'{pair} have the same settings of the data, but different held-out clips '
    f'({len(labels[0])} and {len(labels[1])}): files were added, removed or '
    'skipped. Their numbers are not comparable clip by clip.'
  )
