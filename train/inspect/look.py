"""Looks at a data set before training: a page and a short table."""

from __future__ import annotations

import pathlib
import time

from absl import logging
import numpy as np

from train.config import memory
from train.data import inputs
from train.inspect import examine
from train.inspect import inspection
from train.inspect import training_cost
from train.report import figures
from train.report import page
from train.report import sections
from train.storage import files

__all__ = ['text', 'write']

_MOST_FILES = 2000
_MAX_SECONDS = 90.0  # For all; files get the rest, but at least so many:
_LEAST_SECONDS = 30.0
_MOST_ROWS = 50  # Of a table on the page.
_MOST_PICTURES = 8  # Of a label.
_LABEL_COLUMNS = (
  *('label', 'training files', 'clips', 'held-out files', 'clips', 'skipped'),
)


def write(config, folder, step_seconds=0):
  """Looks at the data set of a config and writes `inspect.html`.

  Args:
    config: `Config`.
    folder: Path of the folder for the page, which is created.
    step_seconds: Float, most seconds for building the model, and again for its
      first training steps; 0: no step is measured.

  Returns:
    The `Inspection`, and the page's path.

  Raises:
    ConfigError, DataError: if the data set cannot be listed, or the model not
      be built.
    RunFolderError: if the page cannot be written.
  """
  begin = time.monotonic()
  source, decoder = inputs.listed(config)
  folder = pathlib.Path(folder)
  files.check_is_local(folder)
  with files.reporting(folder):
    folder.mkdir(parents=True, exist_ok=True)
  if step_seconds:
    logging.info(
      'Measuring a training step, for at most %g seconds (--step_seconds).',
      step_seconds,
    )
  num_labels = len(source.label_names)
  cost = training_cost.measure(config, num_labels, step_seconds)
  left = _MAX_SECONDS - (time.monotonic() - begin)
  seen = examine.examine(
    _spread(source.paths),
    decoder,
    config.data.num_frames,
    max(left, _LEAST_SECONDS),
  )
  found = inspection.Inspection(source, seen, config, cost)
  path = folder / 'inspect.html'
  files.write_atomically(path, page.render(_page(found)))
  return found, path


def text(found):
  """The short table: `str`.

  Args:
    found: `Inspection`.
  """
  rows = [_LABEL_COLUMNS, *found.labels()]
  widths = [max(map(len, column)) for column in zip(*rows)]
  lines = [
    '  '.join(
      [row[0].ljust(widths[0])]
      + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
    )
    for row in rows
  ]
  facts = [*found.facts(), *found.training()]
  lines += [f'{name}: {value}' for name, value in facts]
  return '\n'.join([*lines, '', *(f'- {line}' for line in _advice(found))])


def _spread(paths):
  """At most `_MOST_FILES` of the paths, evenly spread."""
  places = np.linspace(0, len(paths) - 1, min(len(paths), _MOST_FILES))
  return [paths[round(k)] for k in places]


def _advice(found):
  return found.advice() or ['Nothing to be done: the data set can be used.']


def _page(found):
  source, config = found.source, found.config
  made = [
    sections.Section('advice', 'What to do', [sections.List(_advice(found))]),
    sections.Section(
      'labels', 'Labels', [sections.Table(_LABEL_COLUMNS, found.labels())]
    ),
    sections.Section(
      'files', 'Files', [sections.Table(('', ''), found.facts())]
    ),
    sections.Section('skipped', 'Skipped files', [_skipped(found)]),
    sections.Section('equal', 'Nearly equal files', [_pairs(found)]),
    sections.Section('pictures', 'Pictures', [_pictures(found)]),
    sections.Section(
      'training',
      'Training',
      [sections.Table(('', ''), found.training()), _memory(config)],
    ),
  ]
  data_dir = getattr(config.data, 'data_dir', None)
  places = [(data_dir, 'DATA_DIR')] if data_dir else []
  return page.Page(
    f'Data set: {source.name}', f'Preset {config.preset}', made, [], places
  )


def _table(columns, rows, none):
  """A table of the first rows, or the words for none."""
  if not rows:
    return sections.Text(none)
  more = len(rows) - _MOST_ROWS
  return sections.Table(
    columns, rows[:_MOST_ROWS], f'And {more} more.' * (more > 0)
  )


def _skipped(found):
  rows = [(found.name(f.path), f.problem) for f in found.skipped]
  return _table(('file', 'why'), rows, 'None.')


def _pairs(found):
  rows = sorted(found.pairs(), key=lambda pair: not pair[2])
  rows = [(*names, wrong or 'both count') for *names, wrong in rows]
  none = 'None were found.'
  if found.is_sample:
    none = f'None among the {len(found.files):,} files that were looked at.'
  return _table(('file', 'and', 'problem'), rows, none)


def _pictures(found):
  if found.has_shared_files:
    return sections.Text(
      'Left out: a file has clips of several labels, and which label its first '
      'frame has is not known here.'
    )
  return sections.Shown(_sheet(found))


def _sheet(found):
  """The first frames of each label's files, as a `Figure`."""
  by_path = {f.path: f.frames for f in found.files if f.frames is not None}
  rows = []
  of_label = inspection.by_label(found.source.train + found.source.valid)
  for label, name in enumerate(found.source.label_names[:_MOST_ROWS]):
    own = {r.path for r in of_label[label]}
    shown = sorted(own & by_path.keys())[:_MOST_PICTURES]
    images = [figures.picture(by_path[p][:1], found.name(p)) for p in shown]
    if images:
      rows.append(figures.Row(name, tuple(images)))
  return figures.Figure(
    'pictures',
    'First frames',
    'Of some files of each label, as training sees them.',
    rows=tuple(rows),
  )


def _memory(config):
  needs = memory.of_training(config)
  rows = [(name, f'{size / 2**20:,.1f} MiB') for name, size in needs.items()]
  return sections.Details(
    'What the config needs at least, without a measurement',
    [sections.Table(('what', 'at least'), rows)],
  )
