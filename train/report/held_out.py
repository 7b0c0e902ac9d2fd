"""Figures of the held-out numbers: by frame, by label, by horizon.

They need metrics.json and scores.npz only.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from train.report import figures

__all__ = ['by_frame', 'by_horizon', 'by_label', 'label_use']

_MAX_LABELS = 24  # Labels in a plot; of more, only those at both ends.
_MAX_NAMED = 40  # Labels beside a confusion matrix.
_UNFINISHED = 'the run has no metrics.json: it was not trained to its end'


def by_frame(runs):
  """Bits/dim by frame index; `runs` is a `dict` from names to `RunData`."""
  figure = figures.Figure(
    'bits_by_frame',
    'Bits/dim by frame',
    'Held-out bits/dim of each frame given those before it, mean over clips '
    '(band: standard error); the head models frame 0. Grey: no flow, a '
    'histogram of a pixel given the same pixel of the previous frame.',
  )
  key = 'tail_bits_per_dim_by_frame'
  shown = {name: run for name, run in runs.items() if run.metrics.get(key)}
  if not shown:
    return figures.missing(figure, _why(runs.values(), 'the model has no tail'))

  def draw(panel):
    for number, (name, run) in enumerate(shown.items()):
      label = figures.shortened(name) if len(runs) > 1 else None
      _draw_frames(panel, run, f'C{number}', label)
    first = next(iter(shown.values()))
    reference = first.metrics.get('previous_pixel_histogram_bits_per_dim')
    if reference is not None:
      panel.axhline(reference, color=figures.GREY, linestyle='--')
    panel.set_xlabel('frame')
    panel.set_ylabel('bits/dim')
    panel.xaxis.get_major_locator().set_params(integer=True)
    if len(runs) > 1:
      panel.legend()

  image = figures.plot(draw, 'Held-out bits/dim by frame index')
  return dataclasses.replace(figure, images=(image,))


def _draw_frames(panel, run, colour, label):
  values = np.asarray(run.metrics['tail_bits_per_dim_by_frame'])
  frames = np.arange(1, len(values) + 1)
  panel.plot(frames, values, '.-', color=colour, label=label)
  scores = run.scores.get('tail')
  if scores is not None and len(scores) > 1 and scores.ndim == 2:
    error = scores.std(axis=0, ddof=1) / np.sqrt(len(scores))
    panel.fill_between(
      frames, values - error, values + error, color=colour, alpha=0.25, lw=0
    )
  head = run.metrics.get('head_bits_per_dim')
  if head is not None:
    panel.plot([0], [head], 'o', color=colour)


def by_label(run):
  """Bits/dim of head and tail by label."""
  figure = figures.Figure(
    'bits_by_label',
    'Bits/dim by label',
    'Held-out bits/dim, mean over the clips of a label (bar: standard error).',
  )
  images = []
  for number, part in enumerate(('head', 'tail')):
    values = run.metrics.get(f'{part}_bits_per_dim_by_label')
    if values:
      images.append(_label_bars(run, part, values, f'C{number}'))
  if not images:
    why = _why([run], 'a GAN has no likelihood')
    return figures.missing(figure, why)
  num_labels = max(len(run.label_names), 1)
  if num_labels > _MAX_LABELS:
    figure = dataclasses.replace(
      figure,
      caption=f'{figure.caption} Of {num_labels} labels the '
      f'{_MAX_LABELS // 2} with the fewest and with the most bits are shown.',
    )
  return dataclasses.replace(figure, images=tuple(images))


def _label_bars(run, part, values, colour):
  pairs = sorted(values.items(), key=lambda item: item[1])
  if len(pairs) > _MAX_LABELS:
    pairs = pairs[: _MAX_LABELS // 2] + pairs[-_MAX_LABELS // 2 :]
  errors = [_error_of_label(run, part, name) for name, _ in pairs]

  def draw(panel):
    panel.errorbar(
      [value for _, value in pairs],
      range(len(pairs)),
      xerr=errors,
      fmt='o',
      color=colour,
      capsize=3,
    )
    panel.set_yticks(
      range(len(pairs)), [figures.shortened(n) for n, _ in pairs]
    )
    panel.set_ylim(-0.7, len(pairs) - 0.3)
    panel.invert_yaxis()
    panel.set_xlabel('bits/dim')

  alt = f'Held-out bits/dim of the {part} by label'
  height = 0.9 + 0.24 * max(len(pairs), 4)
  return figures.plot(draw, alt, part, height=height)


def _error_of_label(run, part, name):
  """The standard error over a label's clips; NaN if it is not known."""
  scores, label = run.scores.get(part), run.scores.get('label')
  if scores is None or label is None or name not in run.label_names:
    return np.nan
  own = scores[label == run.label_names.index(name)]
  own = own.reshape([len(own), -1]).mean(axis=1) if len(own) else own
  return float(own.std(ddof=1) / np.sqrt(len(own))) if len(own) > 1 else np.nan


def label_use(run):
  """How much of the label the model has found, and what it confuses."""
  figure = figures.Figure(
    'label_use',
    'Label use',
    'First: bits of the label that the model finds in a clip, uncalibrated and '
    'calibrated by one temperature (a lower bound on the mutual information), '
    'beside the entropy of the label. Second: the most probable label by the '
    'true label, as shares of its clips.',
  )
  metrics = run.metrics
  if metrics.get('label_confusion') is None:
    why = 'the model takes no label'
    if not run.system.has_likelihood:
      why = f'{run.system.name} has no p(label | frames)'
    return figures.missing(figure, _why([run], why))

  def draw_bits(panel):
    keys = {
      'entropy': 'label_entropy_bits',
      'calibrated': 'calibrated_label_information_bits',
      'uncalibrated': 'label_information_bits',
    }
    values = [metrics.get(k) or 0.0 for k in keys.values()]
    colours = [figures.GREY, *figures.COLOURS[:2]]
    names = [f'{name}\n{v:.2f}' for name, v in zip(keys, values)]
    panel.barh(names, values, color=colours)
    panel.invert_yaxis()
    panel.set_xlabel('bits a clip')

  accuracy = metrics.get('label_accuracy')
  title = '' if accuracy is None else f'accuracy {accuracy:.2f}'
  images = (
    figures.plot(draw_bits, 'Bits of the label', 'bits of the label'),
    figures.plot(
      lambda panel: _draw_confusion(panel, run),
      'Confusion matrix of the labels',
      title,
      height=3.6,
    ),
  )
  return dataclasses.replace(figure, images=images)


def _draw_confusion(panel, run):
  counts = np.asarray(run.metrics['label_confusion'], float)
  shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
  image = panel.imshow(shares, cmap='Blues', vmin=0.0, vmax=1.0)
  panel.figure.colorbar(image, ax=panel, shrink=0.8)
  panel.grid(False)
  panel.set_xlabel('most probable')
  panel.set_ylabel('true')
  names = [figures.shortened(n, 14) for n in run.label_names]
  if len(names) == len(counts) <= _MAX_NAMED:
    small = {'fontsize': 9 if len(names) <= 12 else 6}
    panel.set_xticks(range(len(names)), names, rotation=90, **small)
    panel.set_yticks(range(len(names)), names, **small)


def by_horizon(runs):
  """Continuations of held-out clips against the last given frame, repeated.

  Args:
    runs: `dict` from names to `run_data.RunData`.

  Returns:
    A `Figure`.
  """
  figure = figures.Figure(
    'quality_by_horizon',
    'Quality by horizon',
    'Continuations of held-out clips compared with the real frames, by the '
    'number of frames ahead: the mean of the samples, the best sample, and '
    'without a model the last given frame, repeated.',
  )
  shown = {n: run for n, run in runs.items() if run.metrics.get('copy_psnr')}
  if not shown:
    why = 'no continuations were measured (run.quality_samples, or no tail)'
    return figures.missing(figure, _why(runs.values(), why))
  images = tuple(
    figures.plot(
      lambda panel, name=name: _draw_horizons(panel, shown, name, len(runs)),
      f'{title} by horizon',
      title,
    )
    for name, title in (('psnr', 'PSNR, dB'), ('ssim', 'SSIM'))
  )
  if any(run.metrics.get('diversity') for run in shown.values()):
    draw = lambda panel: _draw_diversity(panel, shown, len(runs))
    title = 'distance of two samples, levels of 255'
    images += (figures.plot(draw, f'{title}, by horizon', title),)
  return dataclasses.replace(figure, images=images)


def _draw_horizons(panel, shown, name, num_runs):
  lines = [('mean of the samples', f'continuation_{name}_mean_of_samples', '-')]
  if num_runs == 1:
    lines.append(('best sample', f'continuation_{name}_best_of_samples', '-'))
  for number, (run_name, run) in enumerate(shown.items()):
    for index, (label, key, style) in enumerate(lines):
      values = run.metrics.get(key)
      if values:
        text = label if num_runs == 1 else figures.shortened(run_name)
        colour = f'C{index if num_runs == 1 else number}'
        ahead = range(1, len(values) + 1)
        panel.plot(ahead, values, style, color=colour, marker='.', label=text)
  copies = _distinct(run.metrics[f'copy_{name}'] for run in shown.values())
  for number, copy in enumerate(copies):
    panel.plot(
      range(1, len(copy) + 1),
      copy,
      '--',
      color=figures.GREY,
      label=None if number else 'last frame repeated',
    )
  panel.set_xlabel('frames ahead')
  panel.xaxis.get_major_locator().set_params(integer=True)
  panel.legend()


def _draw_diversity(panel, shown, num_runs):
  for number, (name, run) in enumerate(shown.items()):
    values = run.metrics.get('diversity') or []
    text = None if num_runs == 1 else figures.shortened(name)
    panel.plot(
      range(1, len(values) + 1), values, '.-', color=f'C{number}', label=text
    )
  panel.set_xlabel('frames ahead')
  panel.xaxis.get_major_locator().set_params(integer=True)
  if num_runs > 1:
    panel.legend()


def _distinct(lists):
  """The distinct lists, compared to three decimals."""
  return {tuple(np.round(values, 3)): values for values in lists}.values()


def _why(runs, otherwise):
  return otherwise if any(run.metrics for run in runs) else _UNFINISHED
