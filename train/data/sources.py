"""`Source`: a data set, labelled pieces of video files in two parts."""

from __future__ import annotations

import collections
import dataclasses
import difflib
import hashlib
import mimetypes
import os
from typing import Optional
import unicodedata

from absl import logging

from train import errors
from train.storage import label_names as label_names_lib

__all__ = [
  'DataError',
  'bad_row',
  'Region',
  'Source',
  'absolute_path',
  'check_folder',
  'check_max_source_frames',
  'cut_training',
  'default_cache_dir',
  'exists',
  'files_in',
  'fixed_clips',
  'folder_names',
  'folder_source',
  'join',
  'label_folders',
  'near_names',
  'only_labels',
  'read_bytes',
  'read_text',
  'resolve_labels',
  'set_folder',
  'warn_untrained',
]

# Files that are no videos or images: texts, and files of desktops and phones.
_SIDECARS = (
  *('.txt', '.csv', '.json', '.jsonl', '.md', '.xml', '.yaml', '.yml', '.srt'),
  *('.db', '.ini', '.aae'),
)
# Photos, which are no videos.
_PHOTOS = ('.jpg', '.jpeg', '.png', '.heic', '.bmp', '.tif', '.tiff')


class DataError(errors.UserError):
  """The data cannot be used; the message is one line for the user."""


@dataclasses.dataclass(frozen=True)
class Region:
  """Frames `[start, stop)` of one file, with one label.

  Frames are counted as the decoder yields them: every `stride`-th picture, or
  `fps` pictures a second.

  Attributes:
    path: The file to decode.
    label: `int`, an index into `Source.label_names`.
    start: `int`, the first frame.
    stop: `int`, one past the last frame, or `None`: the video's end. The region
      ends with the video if that is earlier.
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
    pixel_aspect: `bool`, whether to use the files' pixel aspect ratio; if not,
      pixels are square.
    center_crop: `int` or `None`, side in pixels of the central square to which
      pictures are cropped first.
  """

  name: str
  label_names: tuple[str, ...]
  train: tuple[Region, ...]
  valid: tuple[Region, ...]
  pixel_aspect: bool = True
  center_crop: Optional[int] = None

  def __post_init__(self):
    label_names_lib.check(self.label_names, self.name)

  @property
  def num_train_clips(self):
    """Number of windows of an epoch, the sum of the regions' weights."""
    return sum(region.weight for region in self.train)

  @property
  def num_valid_clips(self):
    return len(self.valid)

  @property
  def paths(self):
    """The distinct files, sorted."""
    return sorted({region.path for region in self.train + self.valid})


def default_cache_dir():
  """The folder of downloads and rendered videos; see `TFP_CGLOW_CACHE`.

  The environment variable `TFP_CGLOW_CACHE` overrides the default.
  """
  home = os.path.join('~', '.cache', 'tfp_cglow')
  return os.path.expanduser(os.environ.get('TFP_CGLOW_CACHE') or home)


def set_folder(name, folder=None):
  """The absolute path of a data set's own folder, which need not exist.

  Args:
    name: `str`, name of the data set.
    folder: `str`, or `None`: `name` in `default_cache_dir()`.
  """
  return absolute_path(folder or os.path.join(default_cache_dir(), name))


def folder_source(
  root,
  num_frames,
  valid_fraction=0.1,
  split_seed=0,
  max_source_frames=None,
  name='folder',
  kind='video',
  flat_label=None,
):
  """A `<root>/<label>/<video>` tree.

  A video is in the validation part if the hash (sha256) of `split_seed` and its
  path relative to `root`, scaled to [0, 1), is below `valid_fraction`. Moving
  the folder, adding files or changing the training seed never moves a video to
  the other part.

  Args:
    root: `str`, a local folder or one that `tf.io.gfile` reads.
    num_frames: `int`, number of frames of a clip.
    valid_fraction: `float` in (0, 1), fraction held out.
    split_seed: `int`.
    max_source_frames: `int` or `None`; use at most so many frames from the
      start of each video.
    name: `str`.
    kind: 'video' (photos are ignored) or 'image'; messages use the word, too.
    flat_label: `str` or `None`, the label of all files if `root` has files but
      no folders; with None such a `root` is an error.

  Returns:
    A `Source` with sorted label names and one `Region` of weight 1 for each
    video.

  Raises:
    DataError: if `root` is not such a tree, or a part of the split is empty.
  """
  if not 0 < valid_fraction < 1:
    raise DataError(f'Expected 0 < valid_fraction < 1, got {valid_fraction}.')
  check_max_source_frames(max_source_frames, num_frames)
  root = absolute_path(root)
  if flat_label is not None and _is_flat(root, kind):
    folders = {flat_label: ''}
  else:
    folders = {label_name: label_name for label_name in label_folders(root)}
  parts = {True: [], False: []}
  for label, folder in enumerate(folders.values()):
    for file_name in files_in(join(root, folder), kind):
      relative = f'{folder}/{file_name}' if folder else file_name
      held_out = _unit_hash(split_seed, relative)
      path = join(join(root, folder), file_name)
      region = Region(path, label, 0, max_source_frames)
      parts[held_out < valid_fraction].append(region)
  train, valid = tuple(parts[False]), tuple(parts[True])
  _check_split(root, train, valid, valid_fraction, kind)
  label_names = tuple(folders)
  warn_untrained(label_names, train, kind)
  return Source(name, label_names, train, valid)


def fixed_clips(source, num_clips, num_frames):
  """Trains and validates on the first windows of the first training regions.

  Args:
    source: A `Source`.
    num_clips: `int`, at most the number of training regions.
    num_frames: `int`, number of frames of a clip.

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


def only_labels(source, names):
  """Restricts a source to some of its labels.

  Args:
    source: A `Source`.
    names: Sequence of `str`, see `resolve_labels`.

  Returns:
    A `Source` with the regions of these labels, which keep their order.

  Raises:
    DataError: if a name is unknown, or a part of the split is then empty.
  """
  try:
    kept = sorted(set(resolve_labels(names, source.label_names)))
  except ValueError as e:
    raise DataError(f'only_labels: {e}') from None
  new_labels = {label: i for i, label in enumerate(kept)}
  train, valid = (
    tuple(
      dataclasses.replace(region, label=new_labels[region.label])
      for region in regions
      if region.label in new_labels
    )
    for regions in (source.train, source.valid)
  )
  label_names = tuple(source.label_names[label] for label in kept)
  if not train or not valid:
    raise DataError(
      'Expected training and validation data of only_labels='
      f'{",".join(label_names)}, got {len(train)} and {len(valid)} pieces.'
    )
  return dataclasses.replace(
    source, label_names=label_names, train=train, valid=valid
  )


def cut_training(source, max_frames, num_frames):
  """Reduces the number of training frames of a source.

  Each label with training regions gets the same share of `max_frames`: its
  first regions, of which the last is shortened. The weight of a shortened
  region is at most the number of clips, one every `num_frames // 2` frames,
  that still fit. Regions shorter than a clip are dropped.

  Args:
    source: A `Source`.
    max_frames: `int`, total number of training frames.
    num_frames: `int`, number of frames of a clip.

  Returns:
    A `Source` with other training regions.

  Raises:
    DataError: if a label's share is shorter than a clip, a training region has
      no `stop`, or all regions of a label are shorter than a clip.
  """
  by_label = collections.defaultdict(list)
  for region in source.train:
    by_label[region.label].append(region)
  share = max_frames // len(by_label)
  if share < num_frames:
    raise DataError(
      f'Expected max_train_frames of at least {num_frames * len(by_label)}, a '
      f'clip of {num_frames} frames for each of {len(by_label)} labels, got '
      f'{max_frames}.'
    )
  train = []
  for label, regions in sorted(by_label.items()):
    cut = _first_frames(regions, share, num_frames)
    if not cut:
      raise DataError(
        f'{source.name} has no training clip of num_frames={num_frames} for '
        f'the label {source.label_names[label]}. For images: --set '
        'data.num_frames=1 --set model.tail=none.'
      )
    train += cut
  return dataclasses.replace(source, train=tuple(train))


def resolve_labels(names, label_names):
  """Label ids from names, or from ids written as strings.

  Args:
    names: Sequence of `str` (or `int`).
    label_names: Sequence of `str`, the data set's label names.

  Returns:
    List of `int` in `[0, len(label_names))`.

  Raises:
    ValueError: if a name is unknown (the message lists similar ones) or an id
      is out of range.
  """
  return [_resolve_label(str(name), label_names) for name in names]


def bad_row(path, line, expected, text):
  """The error of a line of a list: `DataError`.

  Args:
    path: Path of the list.
    line: `int`, the line's number.
    expected: `str`, what a line holds.
    text: `str`, what this one holds.
  """
  text = text if len(text) <= 80 else text[:77] + '...'
  return DataError(f'{path}, line {line}: expected {expected}, got {text!r}.')


def near_names(name, names):
  """A hint for a message: the names most like `name`, or a few of all."""
  near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
  if near:
    return f'did you mean {", ".join(near)}?'
  few = ', '.join(list(names)[:10])
  return f'expected one of {few}{", ..." if len(names) > 10 else "."}'


def absolute_path(path):
  """The absolute path of a local path; a URL without its final slash."""
  if _is_remote(path):
    return path.rstrip('/')
  return os.path.abspath(os.path.expanduser(path))


def join(folder, name):
  """The path of `name` in `folder`; `folder` itself if `name` is empty."""
  if not name:
    return folder
  if _is_remote(folder):
    return f'{folder}/{name}'
  return os.path.join(folder, name)


def check_max_source_frames(max_source_frames, num_frames):
  """Raises `DataError` if `max_source_frames` is shorter than a clip."""
  if max_source_frames is not None and max_source_frames < num_frames:
    raise DataError(
      f'Expected max_source_frames of at least num_frames={num_frames}, got '
      f'{max_source_frames}.'
    )


def check_folder(path, what):
  """Raises `DataError` unless `path` is a folder.

  Args:
    path: `str`, an `absolute_path`.
    what: `str`, what is expected, for the message: 'a folder of ...'.
  """
  is_folder = _gfile('isdir', path) if _is_remote(path) else os.path.isdir(path)
  if is_folder:
    return
  if exists(path):
    raise DataError(f'Expected {what}, got a file: {path}.')
  raise DataError(f'Expected {what}, found no {path}.')


def folder_names(path):
  """Tuple of the sorted names of the folders in a folder, except hidden."""
  return tuple(sorted(e.name for e in _entries(path) if _is_dir(e)))


def label_folders(root):
  """Tuple of the sorted names of the label folders.

  Raises:
    DataError: if there are none, or `root` is not a folder.
  """
  check_folder(root, 'a folder of label folders')
  entries = _entries(root)
  if not entries:
    raise DataError(
      f'Expected <label>/<video> files in {root}, but it is empty.'
    )
  folders = sorted(e.name for e in entries if _is_dir(e))
  if not folders:
    raise DataError(
      f'Expected label folders (<label>/<video>) in {root}, found only files.'
    )
  return tuple(folders)


def files_in(folder, kind='video'):
  """List of the sorted names of the files that may be videos (or images).

  Args:
    folder: `str`.
    kind: 'video' (photos are ignored) or 'image'; the message uses the word.

  Raises:
    DataError: if there are none.
  """
  files = sorted(e.name for e in _entries(folder) if _may_be(kind, e))
  if not files:
    raise DataError(f'Expected {kind} files in the label folder {folder}.')
  return files


def exists(path):
  """Whether a file or folder exists."""
  return _gfile('exists', path) if _is_remote(path) else os.path.exists(path)


def read_bytes(path):
  """The bytes of a small file; `DataError` if it cannot be read."""
  # Here, because worker processes need not import them.
  import tensorflow as tf

  from tfp_cglow.internal import plain_paths

  try:
    with tf.io.gfile.GFile(plain_paths.plain(path), 'rb') as f:
      return f.read()
  except (OSError, tf.errors.OpError) as e:
    raise _unreadable(path, e) from None


def read_text(path):
  """The text of a small UTF-8 file; `DataError` if it cannot be read."""
  try:
    return read_bytes(path).decode('utf-8-sig')
  except UnicodeDecodeError as e:
    raise DataError(f'Expected UTF-8 text in {path}: {e}.') from None


def warn_untrained(label_names, train, kind='video'):
  """Logs the labels that no training `Region` has."""
  trained = {region.label for region in train}
  for label, name in enumerate(label_names):
    if label not in trained:
      logging.warning('Label %s has no training %s.', name, kind)


def _first_frames(regions, max_frames, num_frames):
  """The first regions of at least a clip, with `max_frames` frames in total."""
  kept, left = [], max_frames
  for region in regions:
    if region.stop is None:
      raise DataError(
        'data.max_train_frames expects training videos of known length, but '
        f'got {region.path}; for a folder, --set '
        'data.max_source_frames=<frames> sets it.'
      )
    length = min(left, region.stop - region.start)
    if length >= num_frames:
      kept.append(_shorten(region, length, num_frames))
      left -= length
  return kept


def _shorten(region, length, num_frames):
  if length == region.stop - region.start:
    return region
  num_clips = (length - num_frames) // max(1, num_frames // 2) + 1
  return dataclasses.replace(
    region,
    stop=region.start + length,
    weight=min(region.weight, num_clips),
  )


def _resolve_label(name, label_names):
  # Unicode has several forms of a letter with an accent.
  normal = [unicodedata.normalize('NFC', known) for known in label_names]
  for text, known in (
    (name, list(label_names)),
    (unicodedata.normalize('NFC', name), normal),
    (unicodedata.normalize('NFC', name.strip()), normal),
  ):
    if text in known:
      return known.index(text)
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


class _RemoteEntry:
  """Like `os.DirEntry`, for a remote folder.

  `tf.io.gfile` sends a request for every name, so names with the ending of a
  video or an image are assumed to be files.
  """

  def __init__(self, folder, listed):
    self.name = listed.rstrip('/')
    self._is_marked = listed.endswith('/')  # gs:// marks folders so.
    self._path = join(folder, self.name)

  def is_dir(self):
    if self._is_marked:
      return True
    kind = mimetypes.guess_type(self.name)[0] or ''
    if kind.startswith(('video/', 'image/')):
      return False
    return _gfile('isdir', self._path)

  def is_file(self):
    return not self.is_dir()


def _entries(folder):
  """The entries of a folder, without hidden ones."""
  if _is_remote(folder):
    listed = _gfile('listdir', folder)
    entries = [_RemoteEntry(folder, name) for name in listed]
  else:
    try:
      with os.scandir(folder) as scanned:  # Ten times as fast as tf.io.gfile.
        entries = list(scanned)
    except OSError as e:
      raise DataError(f'Cannot read {folder}: {e.strerror}.') from None
  return [e for e in entries if e.name and not e.name.startswith('.')]


def _may_be(kind, entry):
  others = _SIDECARS + (_PHOTOS if kind == 'video' else ())
  return not entry.name.lower().endswith(others) and _is_file(entry)


def _is_dir(entry):
  try:
    return entry.is_dir()
  except OSError:  # A loop of symbolic links.
    return False


def _is_file(entry):
  """Whether it is a file, or a link to none: the decoder gives the reason."""
  try:
    if entry.is_file():
      return True
    return _is_dangling(entry)
  except OSError:  # A loop of symbolic links.
    return True


def _is_dangling(entry):
  is_link = isinstance(entry, os.DirEntry) and entry.is_symlink()
  return is_link and not os.path.exists(entry.path)


def _is_flat(root, kind):
  check_folder(root, 'a folder')
  entries = _entries(root)
  has_folders = any(_is_dir(e) for e in entries)
  return not has_folders and any(_may_be(kind, e) for e in entries)


def _is_remote(path):
  if '://' not in path:
    return False
  from tfp_cglow.internal import plain_paths  # See `read_bytes`.

  return plain_paths.is_remote(path)


def _gfile(function, path):
  """Calls a function of `tf.io.gfile`; `DataError` if it fails."""
  import tensorflow as tf  # Here, because worker processes need not import it.

  try:
    return getattr(tf.io.gfile, function)(path)
  except (OSError, tf.errors.OpError) as e:
    raise _unreadable(path, e) from None


def _unreadable(path, error):
  first_line = str(error).split('\n', 1)[0]
  return DataError(f'Cannot read {path}: {first_line}')


def _unit_hash(seed, name):
  digest = hashlib.sha256(f'{seed}:{name}'.encode('utf-8', 'surrogateescape'))
  return int.from_bytes(digest.digest()[:8], 'big') / 2**64


def _check_split(root, train, valid, valid_fraction, kind):
  if train and valid:
    return
  empty, way = ('training', 'lower') if valid else ('validation', 'raise')
  raise DataError(
    f'valid_fraction={valid_fraction} leaves no {empty} {kind} of the '
    f'{len(train) + len(valid)} in {root}: {way} it, for example '
    f'--set data.valid_fraction={0.5 if valid_fraction != 0.5 else 0.3}.'
  )
