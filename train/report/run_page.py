"""The page of a run: config, numbers, figures, videos, and what is missing."""

from __future__ import annotations

import dataclasses

from PIL import Image as pil

from train.report import figures
from train.report import gallery
from train.report import inverse
from train.report import run_tables
from train.report import sections

__all__ = ['sections_of']

_MAX_VIDEO_BYTES = 8_000_000
_MAX_SAMPLED = 4  # Files of --mode=sample, the newest ones.


def sections_of(run, which='newest'):
  """The sections of a run's page.

  Args:
    run: `run_data.RunData`.
    which: The checkpoint for figures that need the model, see
      `train.runs.loading.load`.

  Returns:
    sections: List of `sections.Section`.
    figures: List of `figures.Figure` that the sections show.
  """
  videos, found = _videos(run)
  drawn = {f.name: f for f in gallery.of_files(run)}
  drawn |= {f.name: f for f in gallery.of_model(run, which)}
  groups = (
    ('architecture', 'Architecture', ('architecture',)),
    ('training', 'Training', ('training', 'label_gradients', 'gan')),
    (
      'held-out',
      'Held-out clips',
      ('bits_by_frame', 'bits_by_label', 'label_use', 'quality_by_horizon'),
    ),
    (
      'samples',
      'Samples',
      ('first_frames', 'strips', 'temperatures', 'interpolation'),
    ),
  )
  shown = [
    sections.Section(anchor, title, _shown(drawn[name] for name in names))
    for anchor, title, names in groups
  ]
  health = _invertibility(run)
  health += _shown([drawn['invertibility'], drawn['round_trip']])
  result = [
    sections.Section(
      'summary', 'Summary', [sections.Table(('', ''), run_tables.facts(run))]
    ),
    sections.Section('metrics', 'Held-out numbers', run_tables.metrics(run)),
    sections.Section('videos', 'Videos', videos),
    *shown,
    sections.Section('invertibility', 'Invertibility', health),
    sections.Section(
      'skipped', 'Skipped files and steps', run_tables.skipped(run)
    ),
    sections.Section('config', 'Config', run_tables.settings(run)),
    sections.Section(
      'reproduce', 'How to reproduce', run_tables.reproduction(run)
    ),
  ]
  absent = _absent(run, [*drawn.values(), found])
  if absent:
    table = sections.Table(('what', 'why'), absent)
    result.append(sections.Section('missing', 'What is missing', [table]))
  return result, list(drawn.values())


def _shown(drawn):
  """Blocks of the figures that could be drawn; `_absent` lists the others."""
  blocks = [sections.Shown(f) for f in drawn if not f.missing]
  return blocks or [sections.Text('Nothing to show: see what is missing.')]


def _absent(run, drawn):
  """Missing figures and files: list of (what, why)."""
  rows = [(f.title, f.missing) for f in drawn if f.missing]
  if not run.is_finished:
    why = f'the run is at step {run.step} of {run.config.run.steps}'
    rows.insert(0, ('The end of training', why))
  return [('A file', problem) for problem in run.problems] + rows


def _videos(run):
  """The GIFs of the run's folder, as blocks and as a `Figure`."""
  figure = figures.Figure(
    'videos',
    'Videos of the run',
    'Written to samples/ at the end of training: real clips above generated '
    'ones.',
  )
  rows, problems = [], []
  for path in _gifs(run.folder.samples):
    try:
      data = path.read_bytes()
      with pil.open(path) as image:
        width = image.width
      if len(data) > _MAX_VIDEO_BYTES:
        raise OSError(f'{len(data)} bytes are too many for a page')
    except OSError as e:  # Includes the errors of PIL.
      problems.append(sections.Text(f'{path.name} is left out: {e}'))
      continue
    image = figures.Image(data, 'gif', path.stem, width)
    rows.append(figures.Row(path.stem, (image,)))
  if not rows:
    why = 'samples/ holds no GIF: they are written at the end of training'
    figure = figures.missing(figure, f'{why} (run.num_samples)')
    return [*problems, *_shown([figure])], figure
  figure = dataclasses.replace(figure, rows=tuple(rows))
  return [*problems, sections.Shown(figure)], figure


def _gifs(folder):
  """The paths of the GIFs to show."""
  found = sorted(folder.glob('*.gif'))
  sampled = [p for p in found if p.name.startswith('sampled_')]
  left_out = set(sampled[:-_MAX_SAMPLED])
  return [p for p in found if p not in left_out]


def _invertibility(run):
  columns, *rows = inverse.over_training(run.rows) or [None]
  if columns is None:
    why = 'the log has no measurement'
    if not run.system.has_likelihood:
      why = f'{run.system.name} has no inverse'
    return [sections.Text(f'Not measured in training: {why}.')]
  return [sections.Table(columns, rows, 'In training, on held-out clips.')]
