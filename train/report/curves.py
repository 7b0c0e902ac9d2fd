"""Curves of training by step, as in the paper's Figs. 3, 6 and 7.

Each function takes a `dict` from the names of one or more runs to the rows of
their metrics.jsonl. With one run, colours show parts. With several, colours
show runs and line styles show parts.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from train.report import figures
from train.systems.gan import curves as gan_curves

__all__ = ['gan', 'gradients', 'training']

_STYLES = {'head': '-', 'tail': '--', '': '-'}
_TRAINING = (  # A panel's title, and the end of its keys.
  ('bits/dim (dots: held out)', 'bits_per_dim'),
  ('log |det|, nats a dimension', 'log_det'),
  ('log-probability of the latents, nats a dimension', 'base_log_prob'),
)
_NO_ROWS = 'metrics.jsonl has no row of training'


def training(runs):
  """Loss, log-determinant and log-probability, with spikes and skips marked."""
  figure = figures.Figure(
    'training',
    'Curves of training',
    'Means over the steps since the last log. Triangles at the bottom: steps '
    'that were skipped because they were not finite; diamonds: spikes of the '
    'loss; dotted vertical lines: a checkpoint was restored. Curves of runs '
    'that diverged end early.',
    'Fig. 6',
  )
  if not _has(runs, 'loss'):
    return figures.missing(figure, _why(runs, 'the loss of a flow'))

  def draw_loss(panel):
    _draw(panel, runs, [('loss', '', 'training')])
    _mark(panel, runs)

  images = [figures.plot(draw_loss, 'Training loss by step', 'loss')]
  for title, ending in _TRAINING:
    keys = [(f'{part}_{ending}', part, part) for part in ('head', 'tail')]
    if _has(runs, *(key for key, _, _ in keys)):

      def draw(panel, keys=keys):
        _draw(panel, runs, keys, held_out=True)
        _mark(panel, runs)

      images.append(figures.plot(draw, f'{title} by step', title))
  return dataclasses.replace(figure, images=tuple(images))


def gradients(runs):
  """Gradient norms of the label's parameters, and whether they move."""
  figure = figures.Figure(
    'label_gradients',
    'Gradients of the label parameters',
    'Norm of the gradient of bits/dim with respect to the label parameters '
    '(before clipping), beside those of the other parts; and how far the label '
    'parameters have moved since the start of training (root mean square). In '
    'the paper both stay near zero.',
    'Fig. 3',
  )
  if not _has(runs, 'labels_gradient_norm'):
    if _has(runs):
      return figures.missing(figure, 'the model takes no label')
    return figures.missing(figure, _NO_ROWS)

  def draw_norms(panel):
    names = ['labels']
    if len(runs) == 1:
      names += [k for k in _parts(runs) if k != 'labels']
    _draw(panel, runs, [(f'{k}_gradient_norm', '', k) for k in names])
    panel.set_yscale('log')

  def draw_movement(panel):
    _draw(panel, runs, [('labels_movement', '', 'labels')])

  images = [figures.plot(draw_norms, 'Gradient norms by step', 'gradient norm')]
  if _has(runs, 'labels_movement'):
    images.append(
      figures.plot(
        draw_movement,
        'Movement of the label parameters by step',
        'movement of the label parameters',
      )
    )
  return dataclasses.replace(figure, images=tuple(images))


def gan(runs):
  """Statistics of a GAN's videos, and its losses, during training."""
  figure = figures.Figure(
    'gan',
    'Curves of the GAN',
    'Mean and standard deviation of the videos in [-1, 1] (dotted: of real '
    'ones) and the share of their values within 1% of -1 or +1; below, losses, '
    'gradient norms and scores of both networks. In the paper mean and '
    'deviation fell to zero or rose to the ends of the range.',
    'Fig. 7',
  )
  if not _has(runs, 'generator_loss'):
    why = 'the run trains a flow, not a GAN' if _has(runs) else _NO_ROWS
    return figures.missing(figure, why)

  def drawing(title, keys):
    def draw(panel):
      named = {figures.shortened(name): rows for name, rows in runs.items()}
      gan_curves.draw_panel(panel, title, keys, named)
      panel.set_xlabel('step')
      if len(runs) > 1:
        lines = panel.get_lines()[:: len(keys)]
        panel.legend(lines, [line.get_label() for line in lines])

    return figures.plot(draw, f'{title}, by step', title)

  images = tuple(drawing(*panel) for panel in gan_curves.PANELS)
  return dataclasses.replace(figure, images=images)


def _train(rows):
  return [row for row in rows if row['kind'] == 'train']


def _has(runs, *keys):
  """Whether a row of training has one of the keys; without keys, any row."""
  rows = [row for rows in runs.values() for row in _train(rows)]
  return any(not keys or any(k in row for k in keys) for row in rows)


def _why(runs, what):
  return f'the log does not have {what}' if _has(runs) else _NO_ROWS


def _parts(runs):
  """Names of the parameter groups with a gradient norm."""
  ending = '_gradient_norm'
  keys = [k for rows in runs.values() for row in _train(rows) for k in row]
  names = [k[: -len(ending)] for k in keys if k.endswith(ending)]
  return list(dict.fromkeys(names))


def _draw(panel, runs, keys, held_out=False):
  """Draws lines for `keys`, a list of (key, part, label); dots: held out."""
  for number, (name, rows) in enumerate(runs.items()):
    for index, (key, part, label) in enumerate(keys):
      steps, values = _series(_train(rows), key)
      if not len(steps):
        continue
      colour = f'C{number if len(runs) > 1 else index}'
      style = _STYLES[part] if len(runs) > 1 else '-'
      parts = [name] * (len(runs) > 1) + [label] * (len(keys) > 1)
      text = figures.shortened(' '.join(parts))
      panel.plot(steps, values, style, color=colour, label=text or None)
      if held_out:
        trained = [row for row in rows if row.get('model') == 'trained']
        panel.plot(*_series(trained, key), 'o', color=colour, markersize=4)
  panel.set_xlabel('step')
  if panel.get_legend_handles_labels()[0] and len(panel.get_lines()) > 1:
    panel.legend()


def _series(rows, key):
  pairs = [(row['step'], row[key]) for row in rows if row.get(key) is not None]
  return tuple(np.asarray(pairs, float).reshape(-1, 2).T)


def _mark(panel, runs):
  """Marks skipped steps, spikes and restores."""
  for number, rows in enumerate(runs.values()):
    colour = f'C{number}' if len(runs) > 1 else 'C3'
    for key, marker in (('skipped_steps', '^'), ('spikes', 'd')):
      steps = [row['step'] for row in _train(rows) if row.get(key)]
      if steps:
        floor = panel.get_xaxis_transform()
        panel.plot(
          steps,
          [0.03] * len(steps),
          marker,
          color=colour,
          markersize=6,
          transform=floor,
          gid=key,
        )
    for row in rows:
      if row.get('event') == 'restore':
        panel.axvline(
          row['step'], color=colour, linestyle=':', linewidth=1, gid='restore'
        )
