"""Compares several runs on one page: numbers, configs and curves."""

from __future__ import annotations

import numpy as np

from train.config import configs
from train.config import overrides
from train.evaluation import paired
from train.report import data_differences
from train.report import gallery
from train.report import sections

__all__ = ['sections_of', 'unique_names']

_PARTS = ('head', 'tail')


def unique_names(runs):
  """`dict` from folders' names to `RunData`; equal names get numbers."""
  named = {}
  for run in runs:
    name, number = run.name, 1
    while name in named:
      number += 1
      name = f'{run.name} ({number})'
    named[name] = run
  return named


def sections_of(named):
  """The comparison of runs.

  Args:
    named: `dict` from names to `RunData`.

  Returns:
    sections: List of `sections.Section`.
    figures: List of `figures.Figure`.
  """
  drawn = gallery.of_runs(named)
  shown = [f for f in drawn if not f.missing]
  result = [
    sections.Section('runs', 'Runs', _runs(named)),
    sections.Section('config', 'What differs', [_differences(named)]),
    sections.Section('figures', 'Figures', [sections.Shown(f) for f in shown]),
  ]
  absent = [(f.title, f.missing) for f in drawn if f.missing]
  for name, run in named.items():
    if not run.is_finished:
      absent.append((name, f'at step {run.step} of {run.config.run.steps}'))
    absent += [(name, problem) for problem in run.problems]
  if absent:
    table = sections.Table(('what', 'why'), absent)
    result.append(sections.Section('missing', 'What is missing', [table]))
  return result, drawn


def _runs(named):
  columns = ('run', 'model', 'step', 'head', 'tail', 'label accuracy')
  columns += ('label bits', 'PSNR against a copy', 'training s')
  rows = [_row(name, run) for name, run in named.items()]
  blocks = [
    *map(sections.Text, data_differences.sentences(named)),
    sections.Table(
      columns,
      rows,
      'Held-out bits/dim ± standard error over clips; label bits are '
      'calibrated; PSNR of the mean of samples minus PSNR of the last frame '
      'repeated, in dB, at the first and the last horizon.',
    ),
  ]
  differences = _paired(named)
  if differences:
    first = next(iter(named))
    blocks.append(
      sections.Table(
        ('run', 'head', 'tail'),
        differences,
        f'Bits/dim minus those of {first}, clip by clip, with a 95% interval '
        'over clips (not over seeds).',
      )
    )
  return blocks


def _row(name, run):
  metrics = run.metrics

  def number(key, digits):
    value = metrics.get(key)
    return '–' if value is None else f'{value:.{digits}f}'

  def bits(part):
    text = number(f'{part}_bits_per_dim', 3)
    error = metrics.get(f'{part}_bits_per_dim_standard_error')
    return text if error is None else f'{text} ± {error:.3f}'

  gain = '–'
  if metrics.get('copy_psnr'):
    ours = np.asarray(metrics['continuation_psnr_mean_of_samples'])
    difference = ours - np.asarray(metrics['copy_psnr'])
    gain = f'{difference[0]:+.2f}, {difference[-1]:+.2f}'
  return (
    name,
    f'{run.system.name}, {run.config.preset}',
    f'{run.step} of {run.config.run.steps}',
    *(bits(part) for part in _PARTS),
    number('label_accuracy', 2),
    number('calibrated_label_information_bits', 2),
    gain,
    number('seconds', 0),
  )


def _paired(named):
  """Rows of differences to the first run, for runs with the same clips."""
  (_, first), *others = named.items()
  rows = []
  for name, run in others:
    cells = [_difference(run, first, part) for part in _PARTS]
    if any(cells):
      rows.append((name, *(cell or '–' for cell in cells)))
  return rows


def _difference(run, first, part):
  """The text of a difference; None if clips or parts are not the same."""
  both = [r.scores.get(part) for r in (run, first)]
  labels = [r.scores.get('label') for r in (run, first)]
  if any(x is None for x in (*both, *labels)):
    return None
  if data_differences.keys(run, first) or not np.array_equal(*labels):
    return None
  a, b = ([x.reshape([len(x), -1]).mean(axis=1)] for x in both)
  difference = paired.paired_difference(a, b)
  return (
    f'{difference.mean:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]'
  )


def _differences(named):
  """Config keys in which the runs differ, with a column for each run."""
  first, *others = (run.config for run in named.values())
  columns = [overrides.pairs(config, first) for config in (first, *others)]
  rows = []
  for cells in zip(*columns):
    values = [str(ours) for _, ours, _ in cells]
    key = cells[0][0]
    if len(set(values)) > 1 and key not in configs.PLACES:
      rows.append((key, *values))
  if not rows:
    return sections.Text('Nothing: the configs are the same.')
  return sections.Table(('key', *named), rows)
