"""`Inspection`: a data set, the files that were looked at, and advice."""

from __future__ import annotations

import collections
import dataclasses
import functools
import os

from train.config import data_sets
from train.data import sources
from train.inspect import near_equal

__all__ = ['Inspection', 'by_label']

_FEW_CLIPS = 30  # Fewer held-out clips say nothing of labels.


def by_label(regions):
  """`dict` from labels to their regions; a label without any has none."""
  found = collections.defaultdict(list)
  for region in regions:
    found[region.label].append(region)
  return found


@dataclasses.dataclass(frozen=True)
class Inspection:
  """What was seen of a data set.

  Attributes:
    source: `sources.Source`.
    files: List of `examine.File`.
    data: The `data_sets.Listed` of the config.
  """

  source: sources.Source
  files: list
  data: data_sets.Listed

  @property
  def skipped(self):
    """The files that give no clip: list of `examine.File`."""
    return [f for f in self.files if f.problem]

  @property
  def has_shared_files(self):
    """Whether a file has clips of more than one label."""
    regions = self.source.train + self.source.valid
    return len({(r.path, r.label) for r in regions}) > len(self.source.paths)

  def name(self, path):
    """A file's label and name: `str`."""
    return f'{os.path.basename(os.path.dirname(path))}/{os.path.basename(path)}'

  def labels(self):
    """Rows of a table: label, files and clips in training and held out."""
    skipped = {f.path for f in self.skipped}
    parts = [by_label(r) for r in (self.source.train, self.source.valid)]
    rows = []
    for label, name in enumerate(self.source.label_names):
      cells, paths = [name], set()
      for part in parts:
        own = {r.path for r in part[label]}
        usable = [r for r in part[label] if r.path not in skipped]
        cells += [str(len(own)), str(sum(r.weight for r in usable))]
        paths |= own
      rows.append((*cells, str(len(skipped & paths))))
    return rows

  @functools.cached_property
  def _pairs(self):
    return near_equal.pairs(self.files)

  def pairs(self):
    """Near-equal files: list of (name, name, whether the split parts them)."""
    train, valid = (
      {r.path for r in regions}
      for regions in (self.source.train, self.source.valid)
    )
    place = lambda file: (file.path in train, file.path in valid)
    return [
      (self.name(a.path), self.name(b.path), place(a) != place(b))
      for a, b in self._pairs
    ]

  def counts(self, key):
    """How many files have each value of `File.container[key]`: `str`."""
    found = collections.Counter(
      f.container[key] for f in self.files if f.container.get(key)
    )
    return ', '.join(f'{value} ({n})' for value, n in found.most_common(5))

  def lengths(self):
    """Least, middle and greatest number of frames: `str`."""
    known = sorted(f.num_frames for f in self.files if f.num_frames)
    if not known:
      return 'not known'
    return f'{known[0]}, {known[len(known) // 2]}, {known[-1]}'

  def advice(self):
    """What to do about what was found, with the flag: list of `str`."""
    return [
      *self._of_number(),
      *self._of_skipped(),
      *self._of_pairs(),
      *self._of_labels(),
    ]

  def _of_number(self):
    total = len(self.source.paths)
    if len(self.files) == total:
      return []
    return [
      f'{len(self.files)} of {total} files were looked at, evenly spread: the '
      'numbers of skipped and equal files are of these.'
    ]

  def _of_skipped(self):
    if not self.skipped:
      return []
    share = len(self.skipped) / len(self.files)
    text = f'{len(self.skipped)} of {len(self.files)} files will be skipped.'
    if share > self.data.max_skipped:
      text += (
        f' That is more than the fraction {self.data.max_skipped:g}, and '
        'training would stop. '
      )
      more = min(1.0, round(share + 0.01, 2))
      text += _one_of(
        'remove them', self._setting('allow it', 'max_skipped', f'{more:g}')
      )
    # A video has at least two frames.
    lengths = [f.num_frames for f in self.files if f.num_frames > 1]
    if lengths and min(lengths) < self.data.num_frames:
      text += (
        ' Some are shorter than a clip; shorter clips use them: --set '
        f'data.num_frames={min(lengths)}.'
      )
    return [text]

  def _of_pairs(self):
    spoiling = [pair for pair in self.pairs() if pair[2]]
    if not spoiling:
      return []
    is_video = isinstance(self.data, data_sets.Videos)
    choices = _one_of(
      'remove one of each',
      'split by hand (--dataset=moments_in_time)' if is_video else '',
    )
    return [
      f'{len(spoiling)} pair(s) of nearly equal files are on both sides of the '
      f'split, which makes held-out numbers too good. {choices}'
    ]

  def _of_labels(self):
    rows = self.labels()
    found = []
    choices = _one_of(
      'add videos',
      self._setting('choose another split', 'split_seed', '...'),
      self._setting('leave the label out', 'only_labels', '...'),
    )
    for column, part in ((2, 'training'), (4, 'held-out')):
      none = [row[0] for row in rows if row[column] == '0']
      if none:
        found.append(f'No {part} clip of {", ".join(none[:5])}. {choices}')
    num_held_out = sum(int(row[4]) for row in rows)
    if num_held_out < _FEW_CLIPS:
      choices = _one_of(
        'add videos',
        self._more_held_out('valid_fraction'),
        self._more_held_out('valid_videos'),
      )
      found.append(
        f'{num_held_out} held-out clips say nothing of labels, {_FEW_CLIPS} '
        f'are the least. {choices}'
      )
    return found

  def _more_held_out(self, key):
    """The words for another value of a key that says how much is held out."""
    now = f'..., more than the present {getattr(self.data, key, None)}'
    return self._setting('hold out more of them', key, now)

  def _setting(self, what, key, value):
    """What a key does, with the flag; '' if the data set has no such key."""
    keys = {field.name for field in dataclasses.fields(self.data)}
    return f'{what} (--set data.{key}={value})' if key in keys else ''


def _one_of(*choices):
  """A sentence that offers those choices that are not ''."""
  *first, last = [choice for choice in choices if choice]
  text = f'{", ".join(first)}, or {last}' if first else last
  return f'{text[0].upper()}{text[1:]}.'
