"""A run's page: config, numbers, figures, videos, and what is missing."""

from __future__ import annotations

import dataclasses

from PIL import Image as pil

from train import configs
from train import held_out_table
from train import model_card
from train import plots
from train import presets
from train.gan import table as gan_table
from train.report import figures
from train.report import inverse
from train.report import reproduce
from train.report import sections

__all__ = ['sections_of']

_MAX_SKIPPED = 50
_MAX_VALUES = 8  # Longer lists of numbers are summed up.
_MAX_VIDEO_BYTES = 8_000_000


def sections_of(run, which='newest'):
  """What is known of a run.

  Args:
    run: `run_data.RunData`.
    which: The checkpoint for what the model paints, as of `runs.load`.

  Returns:
    sections: List of `sections.Section`.
    figures: List of `figures.Figure`, those that the sections show.
  """
  videos, found = _videos(run)
  drawn = {f.name: f for f in plots.of_files(run)}
  drawn |= {f.name: f for f in plots.of_model(run, which)}
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
      'summary', 'Summary', [sections.Table(('', ''), _facts(run))]
    ),
    sections.Section('metrics', 'Held-out numbers', _metrics(run)),
    sections.Section('videos', 'Videos', videos),
    *shown,
    sections.Section('invertibility', 'Invertibility', health),
    sections.Section('skipped', 'Skipped files and steps', _skipped(run)),
    sections.Section('config', 'Config', _config(run)),
    sections.Section('reproduce', 'How to reproduce', _reproduce(run)),
  ]
  absent = _absent(run, [*drawn.values(), found])
  if absent:
    table = sections.Table(('what', 'why'), absent)
    result.append(sections.Section('missing', 'What is missing', [table]))
  return result, list(drawn.values())


def _shown(drawn):
  """Figures that there are; of the others `_absent` says why not."""
  blocks = [sections.Shown(f) for f in drawn if not f.missing]
  return blocks or [sections.Text('Nothing to show: see what is missing.')]


def _absent(run, drawn):
  """List of (what, why): figures and files that are not there."""
  rows = [(f.title, f.missing) for f in drawn if f.missing]
  if not run.is_finished:
    why = f'the run is at step {run.step} of {run.config.steps}'
    rows.insert(0, ('The end of training', why))
  return [('A file', problem) for problem in run.problems] + rows


def _facts(run):
  """List of (name, text): what kind of run it is."""
  config = run.config
  size = f'{config.frame_size}×{config.frame_size}×{config.channels}'
  names = ', '.join(run.label_names[:12])
  more = len(run.label_names) - 12
  rows = [
    ('run', run.name),
    ('model', f'{config.model}, preset {config.preset}, seed {config.seed}'),
    (
      'data',
      f'{config.dataset}, {config.num_frames} frame(s) of {size} at '
      f'{config.n_bits} bits',
    ),
    ('labels', (names + f' and {more} more' * (more > 0)) or 'none known'),
    (
      'steps',
      f'{run.step} of {config.steps}, {config.batch_size} clips each'
      + ('' if run.is_finished else ': not finished'),
    ),
  ]
  for key, name in (('train', 'training'), ('valid', 'held-out')):
    if f'num_{key}_clips' in run.metrics:
      rows.append((f'{name} clips', str(run.metrics[f'num_{key}_clips'])))
  if 'seconds' in run.metrics:
    rows.append(('training', f'{run.metrics["seconds"]:.0f} s'))
  return rows


def _metrics_table(run):
  """The run's `sections.Table` of held-out numbers, or None."""
  if not run.metrics:
    return None
  if run.config.model == 'gan':
    columns = ('', 'generated', 'real')
    return sections.Table(columns, gan_table.rows(run.metrics))
  rows = []
  for name, *values in held_out_table.rows(run.metrics):
    cells = []
    for part, value in zip(('head', 'tail'), values):
      error = None
      if name == 'trained flow':
        error = run.metrics.get(f'{part}_bits_per_dim_standard_error')
      cells.append(_number(value, error))
    rows.append((name, *cells))
  caption = 'Bits per dimension (± standard error over clips).'
  return sections.Table(('', 'head', 'tail'), rows, caption)


def _number(value, error):
  if value is None:
    return '–'
  return f'{value:.3f}' + ('' if error is None else f' ± {error:.3f}')


def _metrics(run):
  table = _metrics_table(run)
  if table is None:
    return [sections.Text('Not measured yet: there is no metrics.json.')]
  lines = (
    gan_table.verdict_lines(run.metrics)
    if run.config.model == 'gan'
    else held_out_table.label_lines(run.metrics)
  )
  everything = sections.Table(('', ''), _flat(run.metrics))
  return [
    table,
    *(sections.Text(line) for line in lines),
    sections.Details('All of metrics.json', [everything]),
  ]


def _flat(values, prefix=''):
  """List of (name, text) of nested `dict`s."""
  rows = []
  for key, value in values.items():
    if isinstance(value, dict):
      rows += _flat(value, f'{prefix}{key}.')
    elif isinstance(value, list) and len(value) > _MAX_VALUES:
      rows.append((f'{prefix}{key}', f'{len(value)} values'))
    else:
      rows.append((f'{prefix}{key}', _text(value)))
  return rows


def _text(value):
  if isinstance(value, float):
    return f'{value:.5g}'
  if isinstance(value, list):
    return ', '.join(_text(v) for v in value)
  return 'none' if value is None else str(value)


def _videos(run):
  """The folder's own GIFs as blocks, and the `Figure` that they make."""
  figure = figures.Figure(
    'videos',
    'Videos of the run',
    "What training's end wrote to samples/: real clips above generated ones.",
  )
  rows, problems = [], []
  for path in sorted(run.folder.samples.glob('*.gif')):
    try:
      data = path.read_bytes()
      with pil.open(path) as image:
        width = image.width
      if len(data) > _MAX_VIDEO_BYTES:
        raise OSError(f'{len(data)} bytes are too many for a page')
    except OSError as e:  # PIL's errors are of this kind, too.
      problems.append(sections.Text(f'{path.name} is left out: {e}'))
      continue
    image = figures.Image(data, 'gif', path.stem, width)
    rows.append(figures.Row(path.stem, (image,)))
  if not rows:
    why = 'samples/ holds no GIF: they are written at the end of training'
    figure = figures.missing(figure, f'{why} (num_samples)')
    return [*problems, *_shown([figure])], figure
  figure = dataclasses.replace(figure, rows=tuple(rows))
  return [*problems, sections.Shown(figure)], figure


def _invertibility(run):
  columns, *rows = inverse.over_training(run.rows) or [None]
  if columns is None:
    is_gan = run.config.model == 'gan'
    why = 'a GAN has no inverse' if is_gan else 'the log has no line of it'
    return [sections.Text(f'Not measured in training: {why}.')]
  return [sections.Table(columns, rows, 'In training, on held-out clips.')]


def _skipped(run):
  train = run.of_kind('train')
  num_steps = sum(row.get('skipped_steps', 0) for row in train)
  num_spikes = sum(row.get('spikes', 0) for row in train)
  restores = [r for r in run.of_kind('event') if r.get('event') == 'restore']
  blocks = [
    sections.Text(
      f'{len(run.skipped)} file(s) and {num_steps:.0f} training step(s) were '
      f'skipped; {num_spikes:.0f} spike(s) of the loss were seen, and a '
      f'checkpoint was restored {len(restores)} time(s).'
    )
  ]
  if restores:
    rows = [
      (str(r['step']), str(r.get('restored_step')), str(r.get('reason')))
      for r in restores
    ]
    blocks.append(sections.Table(('at step', 'back to', 'why'), rows))
  if run.skipped:
    keys = ('path', 'reason', 'message')
    rows = [
      [str(row.get(key, '')) for key in keys]
      for row in run.skipped[:_MAX_SKIPPED]
    ]
    more = len(run.skipped) - len(rows)
    blocks.append(sections.Table(keys, rows, f'And {more} more.' * (more > 0)))
  return blocks


def _config(run):
  preset = presets.PRESETS.get(run.config.preset, presets.PRESETS['demo'])
  pairs = [
    (key, ours, theirs)
    for key, ours, theirs in configs.pairs(run.config, preset)
    if key not in model_card.PRIVATE
  ]
  changed = [
    (key, _text(ours), _text(theirs))
    for key, ours, theirs in pairs
    if ours != theirs
  ]
  everything = [(key, _text(ours)) for key, ours, _ in pairs]
  blocks = [sections.Text(f'The preset {run.config.preset}, unchanged.')]
  if changed:
    columns = ('key', 'this run', 'preset')
    caption = f'What differs from the preset {run.config.preset}.'
    blocks = [sections.Table(columns, changed, caption)]
  table = sections.Table(('key', 'value'), everything)
  return [*blocks, sections.Details('All of config.json', [table])]


def _reproduce(run):
  blocks = [sections.Code(reproduce.commands(run))]
  if any(getattr(run.config, key) for key in model_card.PRIVATE):
    blocks.append(
      sections.Text('DATA_DIR and DATA_SERVICE are places of your machine.')
    )
  return [
    *blocks,
    sections.Text(
      'The same versions on a machine of the same kind give the same numbers. '
      'A start from another run (--init_from) is not in the config.'
    ),
    sections.Details(
      'What made this report', [sections.Table(('', ''), reproduce.versions())]
    ),
  ]
