"""Figures of the inverse: errors of the round trip, and their causes."""

from __future__ import annotations

import dataclasses

import numpy as np

from train.report import figures

__all__ = ['by_step', 'error_map', 'over_training']

_LEVELS = 256.0  # Levels of uint8; frames have a range of 1.
_MAX_CLIPS = 4
_BY_STEP = (  # A title, keys of `invertibility_report`, and a factor.
  ('round-trip error, levels of 255', ('max_error',), _LEVELS),
  ('smallest and largest scale', ('min_scale', 'max_scale'), 1.0),
  ('condition number of the 1×1 convolution', ('condition_number',), 1.0),
)


def error_map(shown):
  """Frames beside the error of their round trip, pixel by pixel.

  Args:
    shown: `subject.Subject`.

  Returns:
    A `Figure`.
  """
  figure = figures.Figure(
    'round_trip',
    'Round-trip error',
    '',
    columns=('frame', 'error'),
  )
  why = _why_not(shown)
  if why:
    return figures.missing(figure, why)
  frames, label = shown.frames[:_MAX_CLIPS, :2], shown.label[:_MAX_CLIPS]
  errors = shown.model.round_trip_errors(
    frames, None if shown.model.num_labels is None else label
  )
  rows, largest = [], {}
  for part, index in (('head', 0), ('tail', 1)):
    if part not in errors:
      continue
    values = _LEVELS * errors[part].numpy().max(axis=-1)
    values = values.reshape([len(frames), *values.shape[-2:]])  # [B, H, W]
    largest[part] = values.max()
    rows.append(
      figures.Row(
        part,
        (
          figures.picture(frames[:, index], f'frames of the {part}'),
          figures.picture(_heat(values), f'errors of the {part}'),
        ),
      )
    )
  of_parts = ', '.join(f'{v:.2g} ({k})' for k, v in largest.items())
  return dataclasses.replace(
    figure,
    rows=tuple(rows),
    caption='To the latent and back: black is no error; the largest errors '
    f'(brightest pixels) are {of_parts} levels of 255.',
  )


def _heat(values):
  """Colours errors `[B, H, W]` by size: uint8 `[B, H, W, 3]`."""
  import matplotlib

  scaled = values / max(float(values.max()), np.finfo(np.float32).tiny)
  return matplotlib.colormaps['inferno'](scaled, bytes=True)[..., :3]


def by_step(shown):
  """Error, scales and condition number of each step of the flow."""
  figure = figures.Figure(
    'invertibility',
    'Invertibility by step',
    'One held-out clip; steps from the data (left) to the coarsest latent '
    "(right). Error of each step's own round trip in levels of 255, range of "
    'its scales, and condition number of its 1×1 convolution. Errors near one '
    'level are visible in samples.',
  )
  why = _why_not(shown)
  if why:
    return figures.missing(figure, why)
  reports = shown.model.invertibility_report(
    shown.frames[:1, :2],
    None if shown.model.num_labels is None else shown.label[:1],
  )

  images = tuple(
    figures.plot(
      lambda panel, keys=keys, factor=factor: _draw_steps(
        panel, reports, keys, factor
      ),
      f'{title} by step of the flow',
      title,
    )
    for title, keys, factor in _BY_STEP
  )
  return dataclasses.replace(figure, images=images)


def _draw_steps(panel, reports, keys, factor):
  """Draws a line for each part or, for two keys, a bar for each step."""
  for number, (part, report) in enumerate(reports.items()):
    rows = [
      # The logarithmic axis cannot show an error of exactly zero.
      (place, *(factor * row[key] or np.nan for key in keys))
      for place, row in enumerate(report['steps'], 1)
      if row[keys[0]] is not None
    ]
    places, *values = np.asarray(rows).reshape(-1, 1 + len(keys)).T
    colour = f'C{number}'
    if len(keys) > 1:
      places = places + 0.2 * number
      panel.vlines(places, *values, color=colour)
    style = '.' if len(keys) > 1 else '.-'
    panel.plot(places, values[-1], style, color=colour, label=part)
  panel.set_yscale('log')
  panel.set_xlabel('step of the flow')
  panel.legend()


def _why_not(shown):
  """Why a round trip cannot be shown; '' if it can."""
  if not shown.system.has_likelihood:
    return f'{shown.system.name} has no inverse'
  return shown.why_no_clips if shown.frames is None else ''


def over_training(rows):
  """The inverse's precision during training: column titles, then rows of `str`.

  Args:
    rows: Rows of a run's metrics.jsonl.

  Returns:
    List of tuples of `str`; empty if it was not measured.
  """
  columns = (
    'step',
    'part',
    'round-trip error, levels of 255',
    'scales',
    'largest condition number',
  )
  lines = []
  for row in rows:
    reports = row.get('invertibility') or row
    for part in ('head', 'tail'):
      values = reports.get(part)
      if isinstance(values, dict) and 'round_trip_error_levels' in values:
        lines.append(
          (
            str(row['step']),
            part,
            f'{values["round_trip_error_levels"]:.3g}',
            f'{values["min_scale"]:.3g} to {values["max_scale"]:.3g}',
            f'{values["max_condition_number"]:.3g}',
          )
        )
  return [columns, *lines] if lines else []
