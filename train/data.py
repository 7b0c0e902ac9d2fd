"""Batches of clips: order and windows are a pure function of (seed, step).

```python
source = data.make_source('natvid', num_frames=8)
skips = data.SkipLog(source, path='skipped_files.jsonl')
clips = data.Clips(source, num_frames=8, size=32, skips=skips)
data.check_labels(clips)
train = data.train_dataset(clips, batch_size=8, seed=0, initial_step=step)
with skips.raising():
  for frames, label in train: ...
```
"""

from __future__ import annotations

import collections
from concurrent import futures
import contextlib
import dataclasses
import functools
import json
import os
import threading

from absl import logging
import numpy as np
import tensorflow as tf

from train import decode
from train import natvid
from train import shapes
from train import sources

__all__ = [
  'Clips',
  'FrameCache',
  'SkipLog',
  'check_labels',
  'contact_sheet',
  'make_source',
  'train_clips_dataset',
  'train_dataset',
  'valid_dataset',
]

_ORDER, _WINDOW = 0, 1  # Streams of random numbers of one data seed.


def make_source(
  dataset,
  num_frames,
  data_dir=None,
  valid_fraction=None,
  split_seed=0,
  max_source_frames=None,
):
  """A data set by name; natvid is fetched, shapes are rendered on first use.

  Args:
    dataset: `str`: 'natvid', 'shapes', 'shapes:motion', 'shapes:appearance',
      'shapes:occluder' or 'folder'.
    num_frames: `int`, frames a clip.
    data_dir: `str`: the tree of 'folder'; for the others where files are
      kept, by default a folder in `sources.default_cache_dir()`.
    valid_fraction: `float`, the part of the videos held out, or `None`: 0.2 of
      shapes, 0.1 of a folder. natvid has its own split.
    split_seed: `int`, of the split.
    max_source_frames: `int` or `None`: use the first frames of a 'folder'
      video only.

  Returns:
    A `sources.Source`.

  Raises:
    DataError: if the name is unknown or the data cannot be used.
  """
  if dataset not in _SOURCES:
    near = sources.near_names(dataset, list(_SOURCES))
    raise sources.DataError(f'Unknown dataset {dataset!r}: {near}')
  return _SOURCES[dataset](
    num_frames=num_frames,
    data_dir=data_dir or None,
    valid_fraction=valid_fraction,
    split_seed=split_seed,
    max_source_frames=max_source_frames,
  )


def _make_natvid(num_frames, data_dir, **unused):
  del unused
  return natvid.natvid_source(num_frames, data_dir)


def _make_shapes(
  num_frames, data_dir, valid_fraction, split_seed, variant, **unused
):
  del unused
  return shapes.shapes_source(
    variant,
    num_frames,
    data_dir,
    valid_fraction=0.2 if valid_fraction is None else valid_fraction,
    split_seed=split_seed,
  )


def _make_folder(
  num_frames, data_dir, valid_fraction, split_seed, max_source_frames
):
  if data_dir is None:
    raise sources.DataError(
      'Expected --data_dir=<folder of label folders> with --dataset=folder.'
    )
  return sources.folder_source(
    data_dir,
    num_frames,
    valid_fraction=0.1 if valid_fraction is None else valid_fraction,
    split_seed=split_seed,
    max_source_frames=max_source_frames,
  )


_SOURCES = {
  'natvid': _make_natvid,
  'folder': _make_folder,
  **{
    variant: functools.partial(_make_shapes, variant=variant)
    for variant in shapes.VARIANTS
  },
}


class SkipLog:
  """Files that did not give their frames, each once."""

  def __init__(self, source, path=None, max_skipped=0.05):
    """Makes an empty log.

    Args:
      source: The `sources.Source`, whose files are counted.
      path: `str` or `None`: a JSONL file that gets a line for each file that
        it does not name yet.
      max_skipped: `float`, the fraction of the files that may be skipped.

    Raises:
      DataError: if the file at `path` is no such log.
    """
    self._num_files = len(source.paths)
    self._path = path
    self._max_skipped = max_skipped
    self._written = _logged_paths(path)
    self._skipped = {}
    self._error = None
    self._lock = threading.Lock()

  def __len__(self):
    return len(self._skipped)

  @property
  def skipped(self):
    """Dict of path to its `decode.DecodeError`."""
    with self._lock:
      return dict(self._skipped)

  def record(self, error):
    """Notes a `decode.DecodeError`; the first of each path counts."""
    with self._lock:
      if error.path in self._skipped:
        return
      self._skipped[error.path] = error
      logging.warning('Skipped %s', error)
      if self._path and error.path not in self._written:
        self._written.add(error.path)
        line = {
          'path': error.path,
          'reason': error.reason,
          'message': error.message,
        }
        with open(self._path, 'a', encoding='utf-8') as f:
          f.write(json.dumps(line) + '\n')

  def check(self):
    """Raises if too many files were skipped, or a dataset has failed.

    Raises:
      DataError: with the count and the first reasons.
    """
    if self._error is not None:
      raise self._error
    if len(self) > self._max_skipped * self._num_files:
      first = '; '.join(str(e) for e in list(self.skipped.values())[:3])
      raise sources.DataError(
        f'Skipped {len(self)} of {self._num_files} files, expected at most '
        f'the fraction {self._max_skipped} (max_skipped). First: {first}'
      )

  def fail(self, error):
    """Keeps the error that `raising` raises in place of TensorFlow's."""
    self._error = self._error or error

  @contextlib.contextmanager
  def raising(self):
    """Turns the error of a tf.data pipeline back into its `DataError`."""
    try:
      yield
    except tf.errors.OpError:
      if self._error is None:
        raise
      raise self._error from None


class FrameCache:
  """Decoded files, least recently used out first; safe among threads.

  Two threads that ask for one key at the same time share the work.
  """

  def __init__(self, max_bytes):
    self._max_bytes = max_bytes
    self._bytes = 0
    self._entries = collections.OrderedDict()  # key -> Future of an array.
    self._lock = threading.Lock()

  @property
  def num_bytes(self):
    return self._bytes

  def get(self, key, make):
    """The value of `key`, an array or anything small, from `make()` if new."""
    with self._lock:
      future = self._entries.get(key)
      is_new = future is None
      if is_new:
        future = self._entries[key] = futures.Future()
      self._entries.move_to_end(key)
    if is_new:
      self._fill(key, future, make)
    return future.result()

  def _fill(self, key, future, make):
    try:
      value = make()
    except BaseException as e:
      with self._lock:
        del self._entries[key]
      future.set_exception(e)
      raise
    future.set_result(value)
    with self._lock:
      self._bytes += _num_bytes(value)
      for old, entry in list(self._entries.items()):
        if self._bytes <= self._max_bytes:
          break
        if entry.done():
          self._bytes -= _num_bytes(entry.result())
          del self._entries[old]


class Clips:
  """Clips of a source, decoded on demand.

  A file that is small enough is decoded once, up to the last frame that a
  region of it needs, and kept in a `FrameCache`. Of larger ones only the
  window is decoded.
  """

  def __init__(
    self,
    source,
    num_frames,
    size,
    channels=3,
    skips=None,
    cache_bytes=2**30,
    max_file_bytes=2**26,
  ):
    """Decodes nothing yet.

    Args:
      source: A `sources.Source`.
      num_frames: `int`, frames a clip.
      size: `int`, pixels: height and width of a frame.
      channels: `int`, 3 or 1.
      skips: A `SkipLog`, or `None`: a new one.
      cache_bytes: `int`, of decoded frames kept in memory.
      max_file_bytes: `int`, of the decoded frames of a file that is decoded
        whole.
    """
    self.source = source
    self.num_frames = num_frames
    self.frame_shape = (size, size, channels)
    self.skips = SkipLog(source) if skips is None else skips
    self._cache = FrameCache(cache_bytes)
    self._max_file_bytes = max_file_bytes
    self._stops = _file_stops(source)

  def read(self, region, position=0.0):
    """One clip.

    Args:
      region: A `sources.Region` of the source.
      position: `float` in [0, 1): the window's place among all that the
        region has.

    Returns:
      uint8 array `[num_frames, size, size, channels]`.

    Raises:
      DecodeError: if the region does not give `num_frames` frames.
    """
    stop = self._stops[region.path]
    if stop is None:
      stop = self._num_packets(region.path)
    if stop * np.prod(self.frame_shape) > self._max_file_bytes:
      stop = min(stop, region.stop or stop)
      start = self._window(region, stop, position)
      return self._decode(region.path, start, start + self.num_frames)
    frames = self._whole(region.path)
    stop = min(len(frames), region.stop or len(frames))
    start = self._window(region, stop, position)
    return frames[start : start + self.num_frames]

  def read_or_skip(self, region, position=0.0):
    """As `read`, but a region that fails is noted and gives `None`."""
    try:
      return self.read(region, position)
    except decode.DecodeError as e:
      self.skips.record(e)
      return None

  def _window(self, region, stop, position):
    num_windows = stop - region.start - self.num_frames + 1
    if num_windows < 1:
      raise decode.DecodeError(
        region.path,
        'too few frames',
        f'expected {self.num_frames}, got {max(0, stop - region.start)}',
      )
    return region.start + int(position * num_windows)

  def _num_packets(self, path):
    count = functools.partial(decode.count_packets, path)
    return _raise_error(self._cache.get(('packets', path), _or_error(count)))

  def _whole(self, path):
    whole = functools.partial(self._decode_file, path)
    return _raise_error(self._cache.get(path, _or_error(whole)))

  def _decode_file(self, path):
    size, _, channels = self.frame_shape
    return decode.decode_frames(path, size, channels, 0, self._stops[path])

  def _decode(self, path, start, stop):
    size, _, channels = self.frame_shape
    return decode.decode_region(path, start, stop - start, size, channels)


def train_dataset(clips, batch_size, seed, initial_step=0, num_parallel=4):
  """Random windows, without end.

  An epoch is a permutation of the training regions, each as often as its
  weight: one window a video of a folder, 132 of natvid. Draw i is row i %
  batch_size of step i // batch_size; its region and window depend on (`seed`,
  i) alone, so `initial_step` resumes without replaying. A region that fails is
  recorded in `clips.skips`, and the next one of the permutation that works
  takes its place. Where too many fail, iteration ends with an error of
  TensorFlow's that `clips.skips.raising()` turns into a `DataError`.

  Args:
    clips: A `Clips`.
    batch_size: `int`.
    seed: `int`, of order and windows.
    initial_step: `int`, the first batch's.
    num_parallel: `int`, clips decoded at a time.

  Returns:
    A `tf.data.Dataset` of frames, uint8 `[batch_size, T, size, size, C]`, and
    label, int32 `[batch_size]`.
  """
  draws = _Draws(clips, seed)
  first = initial_step * batch_size
  dataset = tf.data.Dataset.range(first, np.iinfo(np.int64).max)
  dataset = dataset.map(
    lambda i: _from_numpy(draws.clip, i, clips),
    num_parallel_calls=num_parallel,
    deterministic=True,
  )
  return dataset.batch(batch_size, drop_remainder=True).prefetch(2)


def valid_dataset(clips, batch_size, num_parallel=4):
  """The fixed validation clips, once, in the source's order.

  Clips that fail are recorded in `clips.skips` and left out.

  Args:
    clips: A `Clips`.
    batch_size: `int`; the last batch may be smaller.
    num_parallel: `int`, clips decoded at a time.

  Returns:
    A `tf.data.Dataset` of frames, uint8 `[B, T, size, size, C]`, and label,
    int32 `[B]`.
  """
  return _fixed_dataset(clips, clips.source.valid, batch_size, num_parallel)


def train_clips_dataset(clips, batch_size, num_parallel=4):
  """As `valid_dataset`, of the training part: `source.num_train_clips` clips.

  A region of weight w gives w clips, each half a clip after the one before.
  """
  hop = max(1, clips.num_frames // 2)
  regions = [
    dataclasses.replace(region, start=region.start + k * hop)
    for region in clips.source.train
    for k in range(region.weight)
  ]
  return _fixed_dataset(clips, regions, batch_size, num_parallel)


def _fixed_dataset(clips, regions, batch_size, num_parallel):
  def clip(index):
    frames = clips.read_or_skip(regions[index])
    clips.skips.check()
    found = [] if frames is None else [frames]
    shape = [len(found), clips.num_frames, *clips.frame_shape]
    labels = np.full([len(found)], regions[index].label, np.int32)
    return np.array(found, np.uint8).reshape(shape), labels

  dataset = tf.data.Dataset.range(len(regions))
  dataset = dataset.map(
    lambda i: _from_numpy(clip, i, clips, leading=[None]),
    num_parallel_calls=num_parallel,
    deterministic=True,
  )
  return dataset.unbatch().batch(batch_size).prefetch(2)


def check_labels(clips):
  """Decodes one clip of each label; to be called before training.

  Args:
    clips: A `Clips`.

  Raises:
    DataError: if `num_frames` is longer than every clip, a label has no
      decodable video, no validation clip decodes, or too many files fail.
  """
  regions = collections.defaultdict(list)
  for region in clips.source.train + clips.source.valid:
    regions[region.label].append(region)
  names = clips.source.label_names
  with futures.ThreadPoolExecutor(max_workers=4) as pool:
    decodes = pool.map(
      lambda label: _any_decodes(clips, regions[label]), range(len(names))
    )
  empty = [name for name, decoded in zip(names, decodes) if not decoded]
  reasons = {error.reason for error in clips.skips.skipped.values()}
  if len(empty) == len(names) and reasons == {'too few frames'}:
    raise sources.DataError(
      f'num_frames={clips.num_frames} is longer than every clip of '
      f'{clips.source.name}.'
    )
  if empty:
    reason = next(iter(clips.skips.skipped.values()), 'it has none')
    raise sources.DataError(
      f'Expected a decodable video for each label, found none for '
      f'{", ".join(empty)}; for example: {reason}'
    )
  if not _any_decodes(clips, clips.source.valid):
    raise sources.DataError('Expected a decodable validation video, got none.')
  clips.skips.check()


def contact_sheet(dataset, max_clips=16):
  """A PNG picture of clips: one a row, frames from left to right.

  Args:
    dataset: A `tf.data.Dataset` of (frames uint8 `[B, T, H, W, C]`, label).
    max_clips: `int`.

  Returns:
    `bytes`, a PNG of `max_clips * H` by `T * W` pixels, or fewer rows.
  """
  rows = []
  for frames, _ in dataset:
    for clip in frames.numpy():
      rows.append(np.concatenate(list(clip), axis=1))
    if len(rows) >= max_clips:
      break
  if not rows:
    raise sources.DataError('Expected clips to draw, got none.')
  sheet = np.concatenate(rows[:max_clips], axis=0)
  return tf.io.encode_png(sheet).numpy()


class _Draws:
  """Draw i of the training windows."""

  def __init__(self, clips, seed):
    self._clips = clips
    self._seed = int(seed) % 2**64
    self._regions = clips.source.train
    weights = [region.weight for region in self._regions]
    self._entries = np.repeat(np.arange(len(weights)), weights)
    self._order = functools.lru_cache(maxsize=2)(self._permutation)

  def clip(self, index):
    """Frames `[T, size, size, C]` and label of draw `index`."""
    epoch, row = divmod(index, len(self._entries))
    position = self._rng(_WINDOW, index).random()
    order = self._order(epoch)
    for k in range(len(order)):
      region = self._regions[order[(row + k) % len(order)]]
      frames = self._clips.read_or_skip(region, position)
      if frames is not None:
        return frames, np.int32(region.label)
      self._clips.skips.check()
    raise sources.DataError(
      f'Expected a training clip of {self._clips.num_frames} frames, but no '
      f'file of {self._clips.source.name} gives one.'
    )

  def _permutation(self, epoch):
    return self._rng(_ORDER, epoch).permutation(self._entries)

  def _rng(self, stream, index):
    seeds = np.random.SeedSequence([self._seed, stream, index])
    return np.random.Generator(np.random.Philox(seeds))


def _from_numpy(function, index, clips, leading=()):
  """Runs a Python function of an index in a tf.data map; shapes are static."""

  def call(index):
    try:
      return function(int(index))
    except sources.DataError as e:
      clips.skips.fail(e)
      raise

  frames, label = tf.numpy_function(call, [index], [tf.uint8, tf.int32])
  frames.set_shape([*leading, clips.num_frames, *clips.frame_shape])
  label.set_shape(leading)
  return frames, label


def _any_decodes(clips, regions):
  return any(clips.read_or_skip(region) is not None for region in regions)


def _file_stops(source):
  """Dict of path to the last frame that its regions need; None: all."""
  stops = {}
  for region in source.train + source.valid:
    stop = stops.get(region.path, 0)
    known = stop is not None and region.stop is not None
    stops[region.path] = max(stop, region.stop) if known else None
  return stops


def _or_error(function):
  """A function that returns its `DecodeError`, so that a cache keeps it."""

  def call():
    try:
      return function()
    except decode.DecodeError as e:
      return decode.DecodeError(e.path, e.reason, e.message)

  return call


def _raise_error(value):
  if isinstance(value, decode.DecodeError):
    raise decode.DecodeError(value.path, value.reason, value.message)
  return value


def _num_bytes(value):
  return getattr(value, 'nbytes', 0)


def _logged_paths(path):
  if not path or not os.path.exists(path):
    return set()
  try:
    with open(path, encoding='utf-8') as f:
      return {json.loads(line)['path'] for line in f if line.strip()}
  except (OSError, ValueError, KeyError, TypeError) as e:
    raise sources.DataError(f'Expected a log of skips in {path}: {e}') from None
