"""What a data set is: labelled pieces of video files, split in two parts."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os

from absl import logging

__all__ = [
  'DataError',
  'Region',
  'Source',
  'default_cache_dir',
  'fixed_clips',
  'folder_source',
  'near_names',
  'resolve_labels',
]

_SIDECARS = ('.txt', '.csv', '.json', '.jsonl', '.md', '.xml', '.yaml', '.yml')


class DataError(ValueError):
  """Data that cannot be used; the message is one line for the user."""


@dataclasses.dataclass(frozen=True)
class Region:
  """Frames `[start, stop)` of one file, with one label.

  Attributes:
    path: The file to decode.
    label: `int`, an index into `Source.label_names`.
    start: `int`, the first frame.
    stop: `int`, one past the last frame, or `None`: to the video's end. Where
      the video ends earlier, so does the region.
    weight: `int`, how often an epoch draws a window from the region.
  """

  path: str
  label: int
  start: int = 0
  stop: int | None = None
  weight: int = 1


@dataclasses.dataclass(frozen=True)
class Source:
  """A data set.

  Attributes:
    name: `str`.
    label_names: Tuple of `str`; a label is an index into it.
    train: Tuple of `Region`s from which random windows are drawn.
    valid: Tuple of `Region`s; each gives one clip, its first frames.
  """

  name: str
  label_names: tuple[str, ...]
  train: tuple[Region, ...]
  valid: tuple[Region, ...]

  @property
  def num_train_clips(self):
    """Windows drawn in an epoch: the sum of the training regions' weights."""
    return sum(region.weight for region in self.train)

  @property
  def num_valid_clips(self):
    return len(self.valid)

  @property
  def paths(self):
    """The distinct files, sorted."""
    return sorted({region.path for region in self.train + self.valid})


def default_cache_dir():
  """Where downloads and rendered videos go; `TFP_CGLOW_CACHE` names it."""
  home = os.path.join('~', '.cache', 'tfp_cglow')
  return os.path.expanduser(os.environ.get('TFP_CGLOW_CACHE') or home)


def folder_source(
  root,
  num_frames,
  valid_fraction=0.1,
  split_seed=0,
  max_source_frames=None,
  name='folder',
):
  """A `<root>/<label>/<video>` tree.

  A video is in the validation part if sha256 of `split_seed` and its path
  relative to `root` lies below `valid_fraction`: moving the folder, adding
  files or another training seed never moves a clip.

  Args:
    root: `str`, the folder.
    num_frames: `int`, frames a clip.
    valid_fraction: `float` in (0, 1), the part held out.
    split_seed: `int`.
    max_source_frames: `int` or `None`: use a video's first frames only.
    name: `str`.

  Returns:
    A `Source`: label names sorted, one `Region` a video, weight 1.

  Raises:
    DataError: if `root` is no such tree, or a part of the split is empty.
  """
  if not 0 < valid_fraction < 1:
    raise DataError(f'Expected 0 < valid_fraction < 1, got {valid_fraction}.')
  if max_source_frames is not None and max_source_frames < num_frames:
    raise DataError(
      f'Expected max_source_frames of at least num_frames={num_frames}, got '
      f'{max_source_frames}.'
    )
  root = os.path.abspath(os.path.expanduser(root))
  label_names = _label_folders(root)
  parts = {True: [], False: []}
  for label, label_name in enumerate(label_names):
    for video in _videos(os.path.join(root, label_name)):
      held_out = _unit_hash(split_seed, f'{label_name}/{video}')
      path = os.path.join(root, label_name, video)
      region = Region(path, label, 0, max_source_frames)
      parts[held_out < valid_fraction].append(region)
  train, valid = tuple(parts[False]), tuple(parts[True])
  _check_split(root, train, valid, valid_fraction)
  _warn_untrained(label_names, train)
  return Source(name, label_names, train, valid)


def fixed_clips(source, num_clips, num_frames):
  """The first window of the first regions, to train and to validate on.

  Args:
    source: A `Source`.
    num_clips: `int`, at most the number of training regions.
    num_frames: `int`, frames a clip.

  Returns:
    A `Source` whose parts are the same `num_clips` regions of `num_frames`.

  Raises:
    DataError: if there are fewer training regions.
  """
  if not 1 <= num_clips <= len(source.train):
    raise DataError(
      f'Expected 1 to {len(source.train)} fixed clips, got {num_clips}.'
    )
  clips = tuple(
    dataclasses.replace(region, stop=region.start + num_frames, weight=1)
    for region in source.train[:num_clips]
  )
  return dataclasses.replace(source, train=clips, valid=clips)


def resolve_labels(names, label_names):
  """Label ids of names, or of integers written as strings.

  Args:
    names: Sequence of `str` (or `int`).
    label_names: Sequence of `str`, the data set's.

  Returns:
    List of `int` in `[0, len(label_names))`.

  Raises:
    ValueError: for an unknown name (near ones are listed) or an id out of
      range.
  """
  return [_resolve_label(str(name).strip(), label_names) for name in names]


def near_names(name, names):
  """The names most like `name`, or a few of all, joined for a message."""
  near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
  if near:
    return f'did you mean {", ".join(near)}?'
  few = ', '.join(list(names)[:10])
  return f'expected one of {few}{", ..." if len(names) > 10 else "."}'


def _resolve_label(name, label_names):
  if name in label_names:
    return list(label_names).index(name)
  try:
    label = int(name)
  except ValueError:
    near = near_names(name, label_names)
    raise ValueError(f'Unknown label {name!r}: {near}') from None
  if not 0 <= label < len(label_names):
    raise ValueError(
      f'Expected a label id in [0, {len(label_names)}), got {label}.'
    )
  return label


def _label_folders(root):
  if not os.path.exists(root):
    raise DataError(f'Expected a folder of label folders, found no {root}.')
  if not os.path.isdir(root):
    raise DataError(f'Expected a folder of label folders, got a file: {root}.')
  with os.scandir(root) as entries:
    entries = [e for e in entries if not e.name.startswith('.')]
  if not entries:
    raise DataError(
      f'Expected <label>/<video> files in {root}, but it is empty.'
    )
  folders = sorted(e.name for e in entries if e.is_dir())
  if not folders:
    raise DataError(
      f'Expected label folders (<label>/<video>) in {root}, found only files.'
    )
  return tuple(folders)


def _videos(folder):
  with os.scandir(folder) as entries:
    videos = sorted(e.name for e in entries if _may_be_video(e))
  if not videos:
    raise DataError(f'Expected video files in the label folder {folder}.')
  return videos


def _may_be_video(entry):
  name = entry.name.lower()
  hidden = name.startswith('.')
  return not hidden and not name.endswith(_SIDECARS) and entry.is_file()


def _unit_hash(seed, name):
  digest = hashlib.sha256(f'{seed}:{name}'.encode('utf-8', 'surrogateescape'))
  return int.from_bytes(digest.digest()[:8], 'big') / 2**64


def _check_split(root, train, valid, valid_fraction):
  if train and valid:
    return
  empty, way = ('training', 'lower') if valid else ('validation', 'raise')
  raise DataError(
    f'valid_fraction={valid_fraction} leaves no {empty} video of the '
    f'{len(train) + len(valid)} in {root}: {way} it, for example '
    f'--set valid_fraction={0.5 if valid_fraction != 0.5 else 0.3}.'
  )


def _warn_untrained(label_names, train):
  trained = {region.label for region in train}
  for label, name in enumerate(label_names):
    if label not in trained:
      logging.warning('Label %s has no training video.', name)
