"""The rows of the ablation: the paper's Table I and our steps beyond it.

A row sets every key that it compares, so that neither the preset nor the
command line can change them. `reference` is the row from which it differs in
one respect. The first row of our flow refers to the paper's: these two differ
in the whole flow and its learning rate.
"""

from __future__ import annotations

import dataclasses
import difflib
import pathlib
from typing import Optional

from train.config import fields
from train.storage import run_folder

__all__ = [
  'Cell',
  'HISTOGRAMS',
  'PAPER_PRESET',
  'PARTS',
  'ROWS',
  'Row',
  'cells_of',
  'rows_for',
]

PAPER_PRESET = 'paper_small'
PARTS = ('tail', 'head')
# References without a flow: keys of metrics.json.
HISTOGRAMS = {
  'marginal_histogram_bits_per_dim': 'pixel histogram',
  'previous_pixel_histogram_bits_per_dim': 'histogram given previous pixel',
}


@dataclasses.dataclass(frozen=True)
class Row:
  """One model of the ablation.

  Attributes:
    name: `str`, for the command line and the folder.
    part: 'head' or 'tail', the part that is trained.
    title: `str`, for tables and the figure.
    preset: Name in `presets.PRESETS`, or None: the command line's.
    assignments: `key=value` strings for `overrides.override`.
    reference: Name of the row of the same part to compare with, or None.
  """

  name: str
  part: str
  title: str
  preset: Optional[str]
  assignments: tuple[str, ...]
  reference: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Cell:
  """A row trained from one seed: a run of its own, in its own folder."""

  row: Row
  seed: int
  path: pathlib.Path

  @property
  def name(self):
    return f'{self.row.name}/seed_{self.seed}'

  @property
  def folder(self):
    return run_folder.RunFolder(self.path)

  @property
  def log(self):
    return self.folder.log

  @property
  def sessions(self):
    """The file with a line for each process that trained the cell."""
    return self.folder.sessions


_NO_CROSS_ENTROPY = ('model.label_weight=0',)
_NO_HEAD_LABELS = ('model.head.labels=none', *_NO_CROSS_ENTROPY)
_NO_TAIL_LABELS = ('model.tail.labels=none', *_NO_CROSS_ENTROPY)


def _paper_tail(memory, labels=_NO_TAIL_LABELS):
  return (
    'model.tail.first=none',
    'model.tail.previous_frames=1',
    *memory,
    *labels,
  )


_NO_MEMORY = ('model.tail.memory=none',)
_PAPER_MEMORY = (
  'model.tail.memory=residual_memory',
  'model.tail.memory.channels=16',
)
_GRU = ('model.tail.memory=gru_memory', 'model.tail.memory.channels=8')
_RESIDUAL = (
  'model.tail.first=frame_affine',
  'model.tail.first.mean=previous_frame',
)
_MOTION = ('model.tail.first=frame_affine', 'model.tail.first.mean=moved_frame')


def _tail(first, memory=_NO_MEMORY, previous_frames=1, labels=_NO_TAIL_LABELS):
  return (
    *first,
    f'model.tail.previous_frames={previous_frames}',
    *memory,
    *labels,
  )


def _labels(part, kind, weight, *others):
  return (
    f'model.{part}.labels={kind}',
    *(f'model.{part}.labels.{other}' for other in others),
    f'model.label_weight={weight}',
  )


def _head(*labels):
  return ('model.head.first=none', *labels)


_PAPER_ROWS = (
  Row(
    'paper_previous',
    'tail',
    "paper's flow: previous frame",
    PAPER_PRESET,
    _paper_tail(_NO_MEMORY),
  ),
  Row(
    'paper_state',
    'tail',
    "paper's flow: + state",
    PAPER_PRESET,
    _paper_tail(_PAPER_MEMORY),
    'paper_previous',
  ),
  Row(
    'paper_state_label',
    'tail',
    "paper's flow: + state + label image",
    PAPER_PRESET,
    _paper_tail(
      _PAPER_MEMORY, _labels('tail', 'label_images', 0, 'init_std=1.0')
    ),
    'paper_state',
  ),
  Row(
    'paper_head',
    'head',
    "paper's flow: no label",
    PAPER_PRESET,
    _head(*_NO_HEAD_LABELS),
  ),
  Row(
    'paper_head_label',
    'head',
    "paper's flow: label image, N(0, 1)",
    PAPER_PRESET,
    _head(*_labels('head', 'label_images', 0, 'init_std=1.0')),
    'paper_head',
  ),
)

_TAIL_ROWS = (
  Row(
    'previous',
    'tail',
    'our flow: previous frame',
    None,
    _tail(('model.tail.first=none',)),
    'paper_previous',
  ),
  Row(
    'residual',
    'tail',
    '+ subtracted, learned shift and scale',
    None,
    _tail(_RESIDUAL),
    'previous',
  ),
  Row(
    'residual_state',
    'tail',
    '+ state (GRU)',
    None,
    _tail(_RESIDUAL, _GRU),
    'residual',
  ),
  Row(
    'motion',
    'tail',
    'residual + moved previous frame',
    None,
    _tail(_MOTION),
    'residual',
  ),
  Row(
    'motion_two_frames',
    'tail',
    'motion + two frames',
    None,
    _tail(_MOTION, previous_frames=2),
    'motion',
  ),
  Row(
    'motion_label',
    'tail',
    'motion + label embedding',
    None,
    _tail(_MOTION, labels=_labels('tail', 'label_embedding', 0)),
    'motion',
  ),
  Row(
    'residual_label_prior',
    'tail',
    'residual + label prior',
    None,
    _tail(_RESIDUAL, labels=_labels('tail', 'label_priors', 0)),
    'residual',
  ),
  Row(
    'residual_cross_entropy',
    'tail',
    '+ label cross entropy',
    None,
    _tail(_RESIDUAL, labels=_labels('tail', 'label_priors', 1)),
    'residual_label_prior',
  ),
)

_HEAD_ROWS = (
  Row(
    'head_no_label',
    'head',
    'our flow: no label',
    None,
    _head(*_NO_HEAD_LABELS),
    'paper_head',
  ),
  Row(
    'head_image',
    'head',
    '+ label image, N(0, 0.01²)',
    None,
    _head(*_labels('head', 'label_images', 0, 'init_std=0.01')),
    'head_no_label',
  ),
  Row(
    'head_prior',
    'head',
    '+ label prior in its place',
    None,
    _head(*_labels('head', 'label_priors', 0)),
    'head_image',
  ),
  Row(
    'head_cross_entropy_1',
    'head',
    '+ label cross entropy, weight 1',
    None,
    _head(*_labels('head', 'label_priors', 1)),
    'head_prior',
  ),
  Row(
    'head_cross_entropy_10',
    'head',
    '+ label cross entropy, weight 10',
    None,
    _head(*_labels('head', 'label_priors', 10)),
    'head_cross_entropy_1',
  ),
)

ROWS = _PAPER_ROWS + _TAIL_ROWS + _HEAD_ROWS


def rows_for(is_video, names=()):
  """The rows to train, in the order of `ROWS`.

  Args:
    is_video: Python `bool`, whether clips have several frames; images have no
      rows of the tail.
    names: Sequence of `str`; empty: all possible rows.

  Returns:
    Tuple of `Row`.

  Raises:
    ConfigError: if no row has a name (the message lists similar ones), or a row
      trains the tail but the data are images.
  """
  possible = [row for row in ROWS if is_video or row.part == 'head']
  for name in names:
    if name not in [row.name for row in ROWS]:
      raise fields.ConfigError(_unknown(name))
    if name not in [row.name for row in possible]:
      raise fields.ConfigError(
        f'The row {name!r} trains a tail and expects videos, but '
        'data.num_frames is 1.'
      )
  return tuple(row for row in possible if not names or row.name in names)


def cells_of(rows, num_seeds, workdir):
  """The cells in order: all rows of a seed before the next seed."""
  return tuple(
    Cell(row, seed, pathlib.Path(workdir) / row.name / f'seed_{seed}')
    for seed in range(num_seeds)
    for row in rows
  )


def _unknown(name):
  known = [row.name for row in ROWS]
  near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
  return f'The ablation has no row {name!r}. Did you mean {", ".join(near)}?'
