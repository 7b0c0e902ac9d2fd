"""Figures of sampled videos: strips, temperature sweeps, interpolations."""

from __future__ import annotations

import dataclasses

import numpy as np

from train.evaluation.judges import verdict_lines
from train.report import figures
from train.samples import continuations
from train.samples import sweeps

__all__ = ['first_frames', 'interpolation', 'strips', 'temperatures']

_TEMPERATURES = (0.0, 0.3, 0.5, 0.7, 1.0)
_MAX_LABELS = 4
_MAX_FRAMES = 8
_PER_LABEL = 4  # First frames for each label.
_NUM_BETWEEN = 7


def first_frames(shown):
  """First frames beside real ones of the same label.

  Args:
    shown: `subject.Subject`.

  Returns:
    A `Figure`.
  """
  figure = figures.Figure(
    'first_frames',
    'First frames',
    f'Generated ({_sampling_text(shown)}) beside held-out ones of the same '
    'label. They are not selected: the first seeds are shown.',
    'Figs. 2, 4',
    columns=('generated', 'real'),
  )
  if shown.has_no_head:
    return figures.missing(figure, 'the model has no head: no first frames')
  ids = shown.labels(_MAX_LABELS)
  videos = shown.model.sample(
    **shown.label_arguments(np.repeat(ids, _PER_LABEL)),
    num_frames=1,
    seed=shown.config.seed,
    **shown.config.sampling,
  ).numpy()
  rows = []
  for number, label in enumerate(ids):
    start = number * _PER_LABEL
    generated = videos[start : start + _PER_LABEL, 0]
    name = shown.label_name(label)
    images = [figures.picture(generated, f'generated first frames, {name}')]
    real = shown.real_first_frames(label, _PER_LABEL)
    if real is not None:
      images.append(figures.picture(real, f'real first frames, {name}'))
    rows.append(figures.Row(name, tuple(images)))
  return _without_empty_column(figure, rows, shown.why_no_clips)


def _sampling_text(shown):
  return verdict_lines.sampling_text(shown.config.sampling)


def _other_sampling(shown):
  """The arguments of `sample` beside the temperature: `dict`."""
  return {k: v for k, v in shown.config.sampling.items() if k != 'temperature'}


def _without_empty_column(figure, rows, why):
  """The figure with `rows`; without the column of real frames if empty."""
  if any(len(row.images) > 1 for row in rows):
    return dataclasses.replace(figure, rows=tuple(rows))
  return dataclasses.replace(
    figure,
    rows=tuple(rows),
    columns=figure.columns[:1],
    caption=f'{figure.caption} No real ones: {why}.',
  )


def strips(shown):
  """Clips, their continuations and samples: the paper's overfitting strips."""
  is_overfit = bool(shown.config.data.overfit_clips)
  kind = 'The clip that was trained on' if is_overfit else 'Held-out clips'
  figure = figures.Figure(
    'strips',
    'Overfitting strips' if is_overfit else 'Strips',
    f"{kind}; the tail's continuation of the first frames "
    f'({_sampling_text(shown)}); and a video from the label alone. The paper '
    'overfits one clip of four frames (--preset=overfit).',
    'Figs. 5, 8',
  )
  if shown.has_no_tail:
    return figures.missing(figure, 'the model has no tail: no videos')
  if shown.frames is None:
    return figures.missing(figure, shown.why_no_clips)
  # The first and the last clip have different labels, if there are several.
  ends = [0] if is_overfit else [0, -1]
  frames, label = shown.frames[ends], shown.label[ends]
  given = shown.num_given
  (continued,) = continuations.continue_clips(
    shown.model,
    frames,
    label,
    1,
    given,
    seed=shown.config.seed,
    **shown.config.sampling,
  )
  words = 'frame' if given == 1 else 'frames'
  videos = {'real': frames, f'from {given} {words}': continued}
  if not shown.has_no_head:
    videos['from the label'] = shown.model.sample(
      **shown.label_arguments(label),
      num_frames=frames.shape[1],
      seed=shown.config.seed,
      **shown.config.sampling,
    ).numpy()
  rows = []
  for clip, y in enumerate(label):
    for title, clips in videos.items():
      text = f'{shown.label_name(y)}: {title}'
      chosen = _evenly(clips[clip])
      rows.append(figures.Row(text, (figures.picture(chosen, text),)))
  return dataclasses.replace(figure, rows=tuple(rows))


def _evenly(frames):
  """At most `_MAX_FRAMES` frames of a video, including the first and last."""
  count = min(len(frames), _MAX_FRAMES)
  return frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]


def temperatures(shown):
  """The same noise at several temperatures."""
  figure = figures.Figure(
    'temperatures',
    'Temperature sweep',
    'Videos from the same noise at the temperature above each column; at 0 '
    'every level is the likeliest one, apart from those of a base.',
    columns=tuple(f'{t:g}' for t in _TEMPERATURES),
  )
  num_frames = 1 if shown.has_no_tail else _MAX_FRAMES
  if shown.has_no_head:
    if shown.frames is None:
      return figures.missing(figure, shown.why_no_clips)
    ids = shown.label[:2]
    videos = np.stack(
      [
        continuations.continue_clips(
          shown.model,
          shown.frames[:2],
          ids,
          1,
          shown.num_given,
          **{**shown.config.sampling, 'temperature': t},
        )[0]
        for t in _TEMPERATURES
      ],
      axis=1,
    )
  else:
    ids = shown.labels(_MAX_LABELS)
    videos = sweeps.temperature_sweep(
      shown.model,
      ids,
      num_frames,
      _TEMPERATURES,
      shown.config.seed,
      **_other_sampling(shown),
    ).numpy()
    videos = videos.reshape([len(ids), len(_TEMPERATURES), *videos.shape[1:]])
  return dataclasses.replace(figure, rows=_rows_of_videos(shown, ids, videos))


def interpolation(shown):
  """Videos that interpolate between two drawn videos of a label."""
  figure = figures.Figure(
    'interpolation',
    'Latent interpolation',
    'From one drawn video (left) to another (right) of the same label, on a '
    'great circle in latent space, temperature '
    f'{shown.config.run.temperature:g}.',
  )
  if not shown.system.has_likelihood:
    why = f'{shown.system.name} has no latents to interpolate'
    return figures.missing(figure, why)
  if shown.has_no_head:
    why = 'a model without a head cannot draw videos by itself'
    return figures.missing(figure, why)
  ids = shown.labels(2)
  num_frames = 1 if shown.has_no_tail else min(_MAX_FRAMES, 4)
  videos = sweeps.between_two(
    shown.model,
    ids,
    num_frames,
    shown.config.run.temperature,
    shown.config.seed,
    _NUM_BETWEEN,
  ).numpy()
  videos = videos.reshape([len(ids), _NUM_BETWEEN, *videos.shape[1:]])
  return dataclasses.replace(figure, rows=_rows_of_videos(shown, ids, videos))


def _rows_of_videos(shown, ids, videos):
  """A `Row` of GIFs for each label of videos `[labels, N, T, H, W, C]`."""
  rows = []
  for label, row in zip(ids, videos):
    name = shown.label_name(label)
    images = [figures.gif(v, f'{name}, {k + 1}') for k, v in enumerate(row)]
    rows.append(figures.Row(name, tuple(images)))
  return tuple(rows)
