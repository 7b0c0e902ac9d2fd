"""The rows of the ablation: the paper's Table I and our steps beyond it.

A row fixes every key that it is about, so that neither the preset nor the
command line can blur it. It is compared with `reference`, the row from which it
differs by one thing; the first of our flow's refers to the paper's: there the
whole flow and its learning rate differ.
"""

from __future__ import annotations

import dataclasses
import difflib
import pathlib
from typing import Optional

from train.config import configs
from train.storage import run_folder

__all__ = [
  'Cell',
  'DATA_KEYS',
  'HISTOGRAMS',
  'PAPER_PRESET',
  'PARTS',
  'ROWS',
  'Row',
  'cells_of',
  'data_value',
  'rows_for',
]

PAPER_PRESET = 'paper_small'
PARTS = ('tail', 'head')
# What a flow has to beat: keys of metrics.json.
HISTOGRAMS = {
  'marginal_histogram_bits_per_dim': 'pixel histogram',
  'previous_pixel_histogram_bits_per_dim': 'histogram given previous pixel',
}
# Rows that differ in one of these are of other data.
DATA_KEYS = (
  'dataset',
  'data_dir',
  'split',
  'left_out',
  'only_labels',
  'videos_per_label',
  'max_train_frames',
  'attribute',
  'feature',
  'frame_size',
  'channels',
  'num_frames',
  'max_source_frames',
  'valid_fraction',
  'split_seed',
  'fps',
  'frame_stride',
  'crop',
  'overfit_clips',
  'n_bits',
  'dequantisation',
)


def data_value(key, value):
  """What a field of `DATA_KEYS` says of the data.

  Args:
    key: `str`, the field.
    value: Its value in a run.

  Returns:
    The value; 'matched' for learned noise, whose bits/dim bound the same code
    length as those with uniform noise.
  """
  return 'matched' if (key, value) == ('dequantisation', 'flow') else value


@dataclasses.dataclass(frozen=True)
class Row:
  """One model of the ablation.

  Attributes:
    name: `str`, on the command line and of the folder.
    part: 'head' or 'tail', what is trained.
    title: `str`, in tables and the figure.
    preset: Name in `presets.PRESETS`, or None: the command line's.
    assignments: `key=value` strings of `configs.override`.
    reference: Name of the row of the same part that it is compared with.
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
    """One line each process that trained it: seconds, exit code, threads."""
    return self.folder.sessions


_NO_LABELS = ('use_labels=false', 'tail_labels=false', 'label_loss_weight=0')


def _paper_tail(state_channels, labels=_NO_LABELS):
  return (
    'tail.context_affine=none',
    'tail.context_mixture=none',
    'processor=residual',
    f'state_channels={state_channels}',
    'previous_frames=1',
    *labels,
  )


def _tail(
  affine,
  state_channels=0,
  previous_frames=1,
  labels=_NO_LABELS,
):
  return (
    f'tail.context_affine={affine}',
    'tail.context_mixture=none',
    'processor=gru',
    f'state_channels={state_channels}',
    f'previous_frames={previous_frames}',
    *labels,
  )


def _tail_labels(conditioning, loss_weight, *others):
  return (
    'use_labels=true',
    'tail_labels=true',
    f'tail.label_conditioning={conditioning}',
    f'label_loss_weight={loss_weight}',
    *others,
  )


def _head_labels(conditioning, loss_weight, *others):
  return (
    'head.context_mixture=none',
    'use_labels=true',
    'tail_labels=false',
    f'head.label_conditioning={conditioning}',
    f'label_loss_weight={loss_weight}',
    *others,
  )


_PAPER_ROWS = (
  Row(
    'paper_previous',
    'tail',
    "paper's flow: previous frame",
    PAPER_PRESET,
    _paper_tail(0),
  ),
  Row(
    'paper_state',
    'tail',
    "paper's flow: + state",
    PAPER_PRESET,
    _paper_tail(16),
    'paper_previous',
  ),
  Row(
    'paper_state_label',
    'tail',
    "paper's flow: + state + label image",
    PAPER_PRESET,
    _paper_tail(16, _tail_labels('image', 0, 'tail.label_init_std=1.0')),
    'paper_state',
  ),
  Row(
    'paper_head',
    'head',
    "paper's flow: no label",
    PAPER_PRESET,
    ('head.context_mixture=none', *_NO_LABELS),
  ),
  Row(
    'paper_head_label',
    'head',
    "paper's flow: label image, N(0, 1)",
    PAPER_PRESET,
    _head_labels('image', 0, 'head.label_init_std=1.0'),
    'paper_head',
  ),
)

_TAIL_ROWS = (
  Row(
    'previous',
    'tail',
    'our flow: previous frame',
    None,
    _tail('none'),
    'paper_previous',
  ),
  Row(
    'difference',
    'tail',
    '+ previous frame subtracted',
    None,
    _tail('difference'),
    'previous',
  ),
  Row(
    'residual',
    'tail',
    '+ learned shift and scale',
    None,
    _tail('residual'),
    'difference',
  ),
  Row(
    'residual_state',
    'tail',
    '+ state (GRU)',
    None,
    _tail('residual', state_channels=8),
    'residual',
  ),
  Row(
    'motion',
    'tail',
    'residual + moved previous frame',
    None,
    _tail('motion'),
    'residual',
  ),
  Row(
    'motion_two_frames',
    'tail',
    'motion + two frames',
    None,
    _tail('motion', previous_frames=2),
    'motion',
  ),
  Row(
    'motion_learned_noise',
    'tail',
    '+ learned noise',
    None,
    (*_tail('motion', previous_frames=2), 'dequantisation=flow'),
    'motion_two_frames',
  ),
  Row(
    'motion_label',
    'tail',
    'motion + label embedding',
    None,
    _tail('motion', labels=_tail_labels('embedding', 0)),
    'motion',
  ),
  Row(
    'residual_label_prior',
    'tail',
    'residual + label prior',
    None,
    _tail('residual', labels=_tail_labels('prior', 0)),
    'residual',
  ),
  Row(
    'residual_cross_entropy',
    'tail',
    '+ label cross entropy',
    None,
    _tail('residual', labels=_tail_labels('prior', 1)),
    'residual_label_prior',
  ),
)

_HEAD_ROWS = (
  Row(
    'head_no_label',
    'head',
    'our flow: no label',
    None,
    ('head.context_mixture=none', *_NO_LABELS),
    'paper_head',
  ),
  Row(
    'head_image',
    'head',
    '+ label image, N(0, 0.01²)',
    None,
    _head_labels('image', 0, 'head.label_init_std=0.01'),
    'head_no_label',
  ),
  Row(
    'head_prior',
    'head',
    '+ label prior in its place',
    None,
    _head_labels('prior', 0),
    'head_image',
  ),
  Row(
    'head_cross_entropy_1',
    'head',
    '+ label cross entropy, weight 1',
    None,
    _head_labels('prior', 1),
    'head_prior',
  ),
  Row(
    'head_cross_entropy_10',
    'head',
    '+ label cross entropy, weight 10',
    None,
    _head_labels('prior', 10),
    'head_cross_entropy_1',
  ),
)

ROWS = _PAPER_ROWS + _TAIL_ROWS + _HEAD_ROWS


def rows_for(is_video, names=()):
  """The rows to train, in the order of `ROWS`.

  Args:
    is_video: Python `bool`; without it there is no tail.
    names: Sequence of `str`; empty: every row that the data allow.

  Returns:
    Tuple of `Row`.

  Raises:
    ConfigError: for a name that no row has (a near one is given), or a row of
      the tail on images.
  """
  possible = [row for row in ROWS if is_video or row.part == 'head']
  for name in names:
    if name not in [row.name for row in ROWS]:
      raise configs.ConfigError(_unknown(name))
    if name not in [row.name for row in possible]:
      raise configs.ConfigError(
        f'The row {name!r} is of the tail and expects clips, but num_frames '
        'is 1.'
      )
  return tuple(row for row in possible if not names or row.name in names)


def cells_of(rows, num_seeds, workdir):
  """The cells, all rows of a seed before the next seed."""
  return tuple(
    Cell(row, seed, pathlib.Path(workdir) / row.name / f'seed_{seed}')
    for seed in range(num_seeds)
    for row in rows
  )


def _unknown(name):
  known = [row.name for row in ROWS]
  near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
  return f'No row {name!r} of the ablation. Near ones: {", ".join(near)}.'
