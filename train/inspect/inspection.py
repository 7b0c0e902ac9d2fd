"""`Inspection`: a data set, the files that were looked at, and advice."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import os

from train.config import configs
from train.config import data_sets
from train.config import memory
from train.data import sources
from train.inspect import near_equal
from train.inspect import training_cost

__all__ = ['Inspection', 'by_label']

_FEW_CLIPS = 30  # Fewer held-out clips say nothing of labels.
_OTHER_RATE = 1.1  # Rates that differ by this factor are different.
_NOT_SQUARE = 1.1  # Sides that differ by this factor.
_MANY_SHORT = 0.1  # Of the files; for fewer, all clips need not be shorter.
_MOST_HELD_OUT = {'valid_fraction': 0.3, 'valid_videos': 200}  # As advised.
_MOST_MEMORY = 0.8  # Of the machine's; the run needs more than a step.
_LONG_SECONDS = 86400.0

_SPLIT = 'one is held out'
_LABELS = 'other labels'


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
    config: `Config`.
    cost: `training_cost.Cost`.
  """

  source: sources.Source
  files: list
  config: configs.Config
  cost: training_cost.Cost = training_cost.Cost()

  @property
  def data(self):
    """The `data_sets.Listed` of the config."""
    return self.config.data

  @property
  def skipped(self):
    """The files that give no clip: list of `examine.File`."""
    return [f for f in self.files if f.problem]

  @property
  def is_sample(self):
    """Whether only some of the files were looked at."""
    return len(self.files) < len(self.source.paths)

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
    """Near-equal files: list of (name, name, what is wrong with the pair)."""
    return [
      (self.name(a.path), self.name(b.path), self._wrong(a.path, b.path))
      for a, b in self._pairs
    ]

  def _wrong(self, a, b):
    words = [_SPLIT] if self._parts[a] != self._parts[b] else []
    words += [_LABELS] if self._labels[a] != self._labels[b] else []
    return ', '.join(words)

  @functools.cached_property
  def _parts(self):
    """`dict` from paths to whether they are in training, and held out."""
    train, valid = (
      {r.path for r in regions}
      for regions in (self.source.train, self.source.valid)
    )
    return {f.path: (f.path in train, f.path in valid) for f in self.files}

  @functools.cached_property
  def _labels(self):
    """`dict` from paths to sets of labels."""
    found = collections.defaultdict(set)
    for region in self.source.train + self.source.valid:
      found[region.path].add(region.label)
    return found

  def counts(self, key):
    """How many files have each value of `File.container[key]`: `str`."""
    found = collections.Counter(
      f.container[key] for f in self.files if f.container.get(key)
    )
    return ', '.join(f'{value} ({n})' for value, n in found.most_common(5))

  def facts(self):
    """Facts of all files: list of (name, value)."""
    known = sorted(f.num_frames for f in self.files if f.num_frames)
    rows = [
      (
        'frames (least, middle, most)',
        f'{known[0]}, {known[len(known) // 2]}, {known[-1]}'
        if known
        else 'not known',
      )
    ]
    for key, name in (
      ('size', 'sizes'),
      ('rate', 'frames a second'),
      ('codec', 'codecs'),
      ('rotation', 'turned by degrees'),
    ):
      rows.append((f'{name} (files)', self.counts(key) or 'not known'))
    return rows

  def training(self):
    """What the config's training costs: list of (name, value)."""
    cost, run = self.cost, self.config.run
    rows = [('preset', self.config.preset)]
    if cost.num_parameters:
      rows.append(('parameters', f'{cost.num_parameters:,}'))
    if cost.step_seconds is None:
      return [*rows, ('a step', f'not measured. {cost.problem}'.rstrip())]
    total = cost.start_seconds + run.steps * cost.step_seconds
    clips = sum(int(row[2]) for row in self.labels())
    rows += [
      (
        'time',
        f'about {training_cost.duration(total)} for {run.steps:,} steps on '
        'this machine, without evaluations and samples',
      ),
      (
        'a step',
        f'{cost.step_seconds:.2g} s for {run.batch_size} clips of '
        f'{self.data.num_frames} frames, {self.data.frame_size} pixels wide; '
        f'the first after {training_cost.duration(cost.start_seconds)}',
      ),
    ]
    if clips:
      times = run.steps * run.batch_size / clips
      digits = 0 if times >= 10 else 1
      rows.append(('each training clip is seen', f'{times:,.{digits}f} times'))
    if cost.peak_bytes:
      rows.append(
        (
          'memory',
          f'{cost.peak_bytes / 2**20:,.0f} MiB in these steps; evaluations, '
          'samples and the cache of files come on top',
        )
      )
    return rows

  def advice(self):
    """What to do about what was found, with the flag: list of `str`."""
    return [
      *self._of_number(),
      *self._of_skipped(),
      *self._of_pairs(),
      *self._of_labels(),
      *self._of_rates(),
      *self._of_sizes(),
      *self._of_cost(),
    ]

  def _of_number(self):
    total = len(self.source.paths)
    if not self.is_sample:
      return []
    return [
      f'{len(self.files):,} of {total:,} files were looked at, evenly spread, '
      'to save time: the numbers of skipped and equal files are of these.'
    ]

  def _of_skipped(self):
    num, seen = len(self.skipped), len(self.files)
    if not num:
      return []
    if self.is_sample:
      return [f'{num} of the {seen:,} files that were looked at give no clip.']
    text = f'{num} of {seen} files will be skipped.'
    share = num / seen
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
    lengths = [
      f.num_frames
      for f in self.files
      if 1 < f.num_frames < self.data.num_frames
    ]
    if len(lengths) > _MANY_SHORT * seen:
      text += (
        f' {len(lengths)} are shorter than a clip. Clips of {min(lengths)} '
        f'frames fit into all of them (--set data.num_frames={min(lengths)}).'
      )
    return [text]

  def _of_pairs(self):
    wrong = [words for _, _, words in self.pairs()]
    found = []
    if num := sum(_SPLIT in words for words in wrong):
      is_video = isinstance(self.data, data_sets.Videos)
      choices = _one_of(
        'remove one of each',
        'split by hand (--dataset=moments_in_time)' if is_video else '',
      )
      found.append(
        f'Nearly equal files on both sides of the split: {_count(num)}. They '
        f'make held-out numbers too good. {choices}'
      )
    if num := sum(_LABELS in words for words in wrong):
      found.append(
        f'Nearly equal files with different labels: {_count(num)}. Remove the '
        'one with the wrong label.'
      )
    if num := wrong.count(''):
      found.append(
        f'Nearly equal files, which count twice: {_count(num)}. Remove one of '
        'each.'
      )
    return found

  def _of_labels(self):
    rows = self.labels()
    found = []
    choices = _one_of(
      'add videos',
      self._setting(
        'choose another split',
        'split_seed',
        getattr(self.data, 'split_seed', 0) + 1,
      ),
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
        self._more_held_out(num_held_out),
      )
      found.append(
        f'{num_held_out} held-out clips say nothing of labels, {_FEW_CLIPS} '
        f'are the least. {choices}'
      )
    return found

  def _of_rates(self):
    rates = [float(f.container['rate']) for f in self._known('rate')]
    is_set = self.data.fps is not None or self.data.frame_stride > 1
    if is_set or not rates or max(rates) < _OTHER_RATE * min(rates):
      return []
    setting = self._setting('use one rate', 'fps', f'{min(rates):g}')
    if not setting:
      return []
    return [
      f'The files have {min(rates):g} to {max(rates):g} frames a second, so '
      f'the same motion has different speeds. {_one_of(setting)}'
    ]

  def _of_sizes(self):
    sizes = [
      tuple(map(int, f.container['size'].split('x')))
      for f in self._known('size')
    ]
    found = []
    num = sum(max(size) >= _NOT_SQUARE * min(size) for size in sizes)
    setting = self._setting(
      'show whole frames, with black bars', 'crop', 'letterbox'
    )
    if num and setting and self.data.crop != 'letterbox':
      found.append(
        f'{num} of {len(sizes)} files are not square: the sides are cut off. '
        f'{_one_of(setting)}'
      )
    size = self.data.frame_size
    if num := sum(min(sides) < size for sides in sizes):
      smallest = min(map(min, sizes))
      setting = self._setting('use smaller frames', 'frame_size', smallest)
      found.append(
        f'{num} of {len(sizes)} files are smaller than frames of {size} '
        f'pixels, and would be enlarged. {_one_of(setting)}'
      )
    return found

  def _known(self, key):
    return [f for f in self.files if f.container.get(key)]

  def _of_cost(self):
    cost, run = self.cost, self.config.run
    found = []
    if 'more than' in cost.problem:
      found.append(
        f'A training step was not measured. {cost.problem} Allow more time '
        '(--step_seconds=600), or choose smaller sizes (docs/sizes.md).'
      )
    elif cost.problem:
      found.append(f'A training step was not measured. {cost.problem}')
    if (cost.peak_bytes or 0) > _MOST_MEMORY * memory.available_bytes():
      found.append(
        f'A step needs {cost.peak_bytes / 2**30:.1f} GiB, nearly all memory '
        'that there is. Use smaller batches (--set run.batch_size='
        f'{max(1, run.batch_size // 2)}), shorter clips (data.num_frames) or '
        'smaller frames (data.frame_size).'
      )
    if run.steps * (cost.step_seconds or 0.0) > _LONG_SECONDS:
      found.append(
        'Training takes more than a day. Use fewer steps (--set run.steps='
        f'{max(1, int(_LONG_SECONDS / cost.step_seconds))} take one), or a '
        'smaller model (docs/sizes.md).'
      )
    return found

  def _more_held_out(self, num_held_out):
    """The words for a setting that holds out more; '' if there is none."""
    times = _FEW_CLIPS / max(num_held_out, 1)
    found = []
    for key, most in _MOST_HELD_OUT.items():
      now = getattr(self.data, key, None)
      if now is not None and now < most:
        more = min(most, times * now)
        more = math.ceil(more) if isinstance(now, int) else round(more, 2)
        found.append(self._setting('hold out more of them', key, more))
    return ''.join(found)

  def _setting(self, what, key, value):
    """What a key does, with the flag; '' if the data set has no such key."""
    keys = {field.name for field in dataclasses.fields(self.data)}
    return f'{what} (--set data.{key}={value})' if key in keys else ''


def _count(number):
  return f'{number} {"pair" if number == 1 else "pairs"}'


def _one_of(*choices):
  """A sentence that offers those choices that are not ''."""
  *first, last = [choice for choice in choices if choice]
  text = f'{", ".join(first)}, or {last}' if first else last
  return f'{text[0].upper()}{text[1:]}.'
