"""The texts and tables of a run's page; each function takes a `RunData`."""

from __future__ import annotations

from train.config import configs
from train.config import fields
from train.config import nested
from train.config import overrides
from train.config import presets
from train.report import reproduce
from train.report import sections

__all__ = ['facts', 'metrics', 'reproduction', 'settings', 'skipped']

_MAX_SKIPPED = 50
_MAX_VALUES = 8  # Of longer lists only the length is shown.


def facts(run):
  """Facts about the run: list of (name, text)."""
  config = run.config
  data = config.data
  size = f'{data.frame_size}×{data.frame_size}×{data.channels}'
  names = ', '.join(run.label_names[:12])
  more = len(run.label_names) - 12
  rows = [
    ('run', run.name),
    ('model', f'{run.system.name}, preset {config.preset}, seed {config.seed}'),
    (
      'data',
      f'{data.name}, {data.num_frames} frame(s) of {size} at '
      f'{config.model.n_bits} bits',
    ),
    ('labels', (names + f' and {more} more' * (more > 0)) or 'none known'),
    (
      'steps',
      f'{run.step} of {config.run.steps}, {config.run.batch_size} clips each'
      + ('' if run.is_finished else ': not finished'),
    ),
  ]
  if run.origin:
    rows.append(('weights at the start', f'of {run.origin} (--init_from)'))
  for key, name in (('train', 'training'), ('valid', 'held-out')):
    if f'num_{key}_clips' in run.metrics:
      rows.append((f'{name} clips', str(run.metrics[f'num_{key}_clips'])))
  if 'seconds' in run.metrics:
    rows.append(('training', f'{run.metrics["seconds"]:.0f} s'))
  return rows


def metrics(run):
  """The held-out numbers: list of blocks."""
  if not run.metrics:
    return [sections.Text('Not measured yet: there is no metrics.json.')]
  table = sections.Table(*run.system.table(run.metrics))
  rows = [(name, _cell(value)) for name, value in nested.flat(run.metrics)]
  everything = sections.Table(('', ''), rows)
  return [
    table,
    *(sections.Text(line) for line in run.system.remarks(run.metrics)),
    sections.Details('All of metrics.json', [everything]),
  ]


def _cell(value):
  if isinstance(value, list) and len(value) > _MAX_VALUES:
    return f'{len(value)} values'
  return _text(value)


def _text(value):
  if isinstance(value, float):
    return f'{value:.5g}'
  if isinstance(value, list):
    return ', '.join(_text(v) for v in value)
  return 'none' if value is None else str(value)


def skipped(run):
  """Files and steps that were skipped, and restores: list of blocks."""
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


def settings(run):
  """The config, and what differs from its preset: list of blocks."""
  preset = presets.PRESETS.get(run.config.preset, presets.PRESETS['demo'])
  pairs = [
    (key, ours, theirs)
    for key, ours, theirs in overrides.pairs(run.config, preset)
    if key not in configs.PLACES
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


def reproduction(run):
  """How to train the run again: list of blocks."""
  blocks = [sections.Code(reproduce.commands(run))]
  values = fields.flat(run.config)
  if any(values.get(key) for key in configs.PLACES):
    blocks.append(
      sections.Text(
        'Replace DATA_DIR and DATA_SERVICE by the places on your machine.'
      )
    )
  return [
    *blocks,
    sections.Text(
      'The same versions on a machine of the same kind give the same numbers.'
      + f' INIT_FROM stands for {run.origin}.' * bool(run.origin)
    ),
    sections.Details(
      'What made this report', [sections.Table(('', ''), reproduce.versions())]
    ),
  ]
