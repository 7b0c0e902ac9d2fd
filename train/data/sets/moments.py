"""Moments in Time: short videos of actions, in the layout of its download."""

from __future__ import annotations

import csv
import dataclasses
import io

from train.data import sources

__all__ = ['moments_source']

_NAME = 'moments_in_time'
_CATEGORIES = 'moments_categories.txt'
_TRAINING, _VALIDATION = _FOLDERS = ('training', 'validation')
_LISTS = {_TRAINING: 'trainingSet.csv', _VALIDATION: 'validationSet.csv'}


def moments_source(
  root,
  num_frames,
  max_source_frames=None,
  split_seed=0,
  valid_fraction=0.01,
):
  """Moments in Time, or a part of it.

  The videos are `<root>/training/<category>/<file>` and
  `<root>/validation/<category>/<file>`. `trainingSet.csv` and
  `validationSet.csv` (`<category>/<file>,<category>,<votes for>,<votes
  against>`) list the videos that are used; a part without a list uses all
  videos of its folder. Without lists and without these two folders the videos
  are `<root>/<category>/<file>`, split by hash as in `sources.folder_source`.

  Label ids are those of `moments_categories.txt` (`<category>,<id>`), or, if it
  does not exist, the indices of the sorted categories. A missing video is
  noticed only when it is decoded.

  Args:
    root: `str`, a local folder or one that `tf.io.gfile` reads.
    num_frames: `int`, number of frames of a clip.
    max_source_frames: `int` or `None`; use at most so many frames from the
      start of each video.
    split_seed: `int`, seed of the split by hash.
    valid_fraction: `float` in (0, 1), fraction that the split by hash holds
      out.

  Returns:
    A `sources.Source` with one `Region` of weight 1 for each video.

  Raises:
    DataError: if there is no such folder, a file has another format, or a part
      is empty.
  """
  sources.check_max_source_frames(max_source_frames, num_frames)
  root = sources.absolute_path(root)
  sources.check_folder(root, 'the folder of Moments in Time')
  categories = _read_categories(root)
  lists = {
    part: path
    for part, name in _LISTS.items()
    if sources.exists(path := sources.join(root, name))
  }
  if not lists and not _has_parts(root):
    source = sources.folder_source(
      root, num_frames, valid_fraction, split_seed, max_source_frames, _NAME
    )
    return source if categories is None else _relabel(source, categories, root)
  for part in _FOLDERS:
    sources.check_folder(sources.join(root, part), f'a folder of {part} videos')
  videos = {
    part: _read_list(lists[part], categories)
    if part in lists
    else _list_folder(sources.join(root, part), categories)
    for part in _FOLDERS
  }
  if categories is None:
    names = {category for part in _FOLDERS for _, category in videos[part]}
    categories = {name: label for label, name in enumerate(sorted(names))}
  train, valid = (
    tuple(
      sources.Region(
        sources.join(sources.join(root, part), path),
        categories[category],
        0,
        max_source_frames,
      )
      for path, category in videos[part]
    )
    for part in _FOLDERS
  )
  label_names = tuple(sorted(categories, key=categories.get))
  sources.warn_untrained(label_names, train)
  return sources.Source(_NAME, label_names, train, valid)


def _has_parts(root):
  """Whether the videos are in `training` and `validation`."""
  folders = sources.folder_names(root)
  found = [part for part in _FOLDERS if part in folders]
  if len(found) == 1 and len(folders) == 1:
    raise sources.DataError(
      f'Expected the folders {_TRAINING} and {_VALIDATION} in {root}, found '
      f'only {found[0]}.'
    )
  return len(found) == 2


def _read_categories(root):
  """Dict from categories to ids, or None if there is no such file."""
  path = sources.join(root, _CATEGORIES)
  if not sources.exists(path):
    return None
  categories = {}
  for line, row in _rows(path):
    category, number = row if len(row) == 2 else ('', '')
    if not category or not number.isdecimal():
      raise sources.bad_row(path, line, '<category>,<id>', ','.join(row))
    if category in categories:
      raise sources.DataError(
        f'{path}, line {line}: expected each category once, got {category!r} '
        'again.'
      )
    categories[category] = int(number)
  ids = sorted(categories.values())
  for expected, got in enumerate(ids):
    if got != expected:
      raise sources.DataError(
        f'Expected the ids 0 to {len(ids) - 1}, each once, in {path}, got '
        f'{got} where {expected} should be.'
      )
  if not ids:
    raise sources.DataError(
      f'Expected <category>,<id> rows in {path}, got none.'
    )
  return categories


def _read_list(path, categories):
  """List of (path in the part's folder, category), in the file's order."""
  videos = []
  expected = '<category>/<file>,<category>,<votes for>,<votes against>'
  for line, row in _rows(path):
    if not _is_video_row(row):
      raise sources.bad_row(path, line, expected, ','.join(row))
    if categories is not None and row[1] not in categories:
      raise _unknown_category(f'{path}, line {line}', row[1], categories)
    videos.append((row[0], row[1]))
  if not videos:
    raise sources.DataError(f'Expected {expected} rows in {path}, got none.')
  return videos


def _list_folder(folder, categories):
  """Like `_read_list`, for all videos in a folder."""
  videos = []
  for category in sources.label_folders(folder):
    if categories is not None and category not in categories:
      raise _unknown_category(folder, category, categories)
    files = sources.files_in(sources.join(folder, category))
    videos += [(f'{category}/{name}', category) for name in files]
  return videos


def _relabel(source, categories, root):
  """Replaces a source's labels by those of the categories file."""
  for name in source.label_names:
    if name not in categories:
      raise _unknown_category(root, name, categories)
  labels = [categories[name] for name in source.label_names]
  train, valid = (
    tuple(dataclasses.replace(r, label=labels[r.label]) for r in regions)
    for regions in (source.train, source.valid)
  )
  label_names = tuple(sorted(categories, key=categories.get))
  sources.warn_untrained(label_names, train)
  return sources.Source(source.name, label_names, train, valid)


def _rows(path):
  """Yields (line number, stripped fields) of a csv file's non-blank lines."""
  reader = csv.reader(io.StringIO(sources.read_text(path), newline=''))
  try:
    for row in reader:
      if row:
        yield reader.line_num, [field.strip() for field in row]
  except csv.Error as e:
    raise sources.DataError(f'{path}, line {reader.line_num}: {e}.') from None


def _is_video_row(row):
  if len(row) != 4:
    return False
  path, category, *votes = row
  folder, _, name = path.partition('/')
  are_counts = all(count.isdecimal() for count in votes)
  return bool(folder and name and category and are_counts)


def _unknown_category(where, category, categories):
  near = sources.near_names(category, list(categories))
  return sources.DataError(
    f'{where}: category {category!r} is not in {_CATEGORIES}; {near}'
  )
