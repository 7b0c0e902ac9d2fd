"""Batches of clips: order and windows are a pure function of (seed, step).

```python
source = datasets.make_source(data_sets.Natvid(num_frames=8))
skips = skip_log.SkipLog(source, path='skipped_files.jsonl')
clips = clips_lib.Clips(source, 8, decode.Decoder(size=32), skips=skips)
clip_batches.check_labels(clips)
train = clip_batches.train_dataset(
  clips, batch_size=8, seed=0, initial_step=step
)
with skips.raising():
  for frames, label in train: ...
```
"""

from __future__ import annotations

import collections
from concurrent import futures
import dataclasses
import functools

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import tensorflow as tf

from train.data import feeding
from train.data import sources
from train.data import symmetry as symmetry_lib

__all__ = [
  'check_labels',
  'contact_sheet',
  'train_clips_dataset',
  'train_dataset',
  'valid_dataset',
]

# Streams of random numbers of one data seed.
_ORDER, _WINDOW, _SYMMETRY = 0, 1, 2


def train_dataset(
  clips,
  batch_size,
  seed,
  initial_step=0,
  num_parallel=4,
  symmetry='none',
  rows=None,
):
  """Random windows, without end.

  An epoch is a permutation of the training regions, in which each region occurs
  as often as its weight: one window for each video of a folder, 132 windows for
  natvid. Draw i is row i % batch_size of step i // batch_size; its region and
  window depend on (`seed`, i) alone, so `initial_step` resumes without
  replaying. A region that fails is recorded in `clips.skips` and replaced by
  the next one of the permutation that works. If too many fail, iteration ends
  with a TensorFlow error that `clips.skips.raising()` turns into a `DataError`.

  Args:
    clips: A `Clips`.
    batch_size: `int`.
    seed: `int`, seed of order and windows.
    initial_step: `int`, step of the first batch.
    num_parallel: `int`, number of clips decoded at a time.
    symmetry: 'none', 'mirror' or 'wrap', see `symmetry`.
    rows: `feeding.Rows` to read, or None: all.

  Returns:
    A `tf.data.Dataset` of frames, uint8 `[rows.batch_size, T, size, size, C]`,
    and label, int32 `[rows.batch_size]`.
  """
  draws = _Draws(clips, seed, symmetry)
  rows = rows or feeding.Rows.all(batch_size)
  num_rows = rows.stop - rows.start
  first = initial_step * num_rows
  dataset = tf.data.Dataset.range(first, np.iinfo(np.int64).max // batch_size)

  def draw(i):
    return i // num_rows * batch_size + rows.start + i % num_rows

  dataset = dataset.map(
    lambda i: _from_numpy(draws.clip, draw(i), clips),
    num_parallel_calls=num_parallel,
    deterministic=True,
  )
  return feeding.prefetched(dataset.batch(rows.batch_size, drop_remainder=True))


def valid_dataset(clips, batch_size, num_parallel=4):
  """The fixed validation clips, once, in the source's order.

  Clips that fail are recorded in `clips.skips` and left out.

  Args:
    clips: A `Clips`.
    batch_size: `int`; batches of long clips are smaller, as the last may be.
    num_parallel: `int`, number of clips decoded at a time.

  Returns:
    A `tf.data.Dataset` of frames, uint8 `[B, T, size, size, C]`, and label,
    int32 `[B]`.
  """
  return _fixed_dataset(clips, clips.source.valid, batch_size, num_parallel)


def train_clips_dataset(clips, batch_size, num_parallel=4):
  """Like `valid_dataset`, for the `source.num_train_clips` training clips.

  A region of weight w gives w clips, each starting half a clip after the one
  before.
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
  at_once = feeding.clips_at_once(batch_size, clips.num_frames)
  return feeding.prefetched(dataset.unbatch().batch(at_once))


def check_labels(clips):
  """Decodes one clip of each label that has files, before training.

  Args:
    clips: A `Clips`.

  Raises:
    DataError: if `num_frames` is longer than every clip, a label has no
      decodable video, no validation clip decodes, or too many files fail.
  """
  regions = collections.defaultdict(list)
  for region in clips.source.train + clips.source.valid:
    regions[region.label].append(region)
  # Labels without any files are not checked.
  names = {label: clips.source.label_names[label] for label in regions}
  with futures.ThreadPoolExecutor(max_workers=4) as pool:
    decodes = pool.map(lambda label: _any_decodes(clips, regions[label]), names)
  empty = [name for name, found in zip(names.values(), decodes) if not found]
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


def contact_sheet(dataset, label_names=None, max_clips=16):
  """A PNG picture of clips: one clip a row, frames from left to right.

  Args:
    dataset: A `tf.data.Dataset` of (frames uint8 `[B, T, H, W, C]`, label).
    label_names: Sequence of `str`, written beside the clips, or `None`.
    max_clips: `int`.

  Returns:
    `bytes`, a PNG at most `max_clips * H` pixels high and `T * W` pixels wide,
    plus the width of the names.

  Raises:
    DataError: if there are no clips.
  """
  rows = []
  for frames, labels in dataset:
    for clip, label in zip(frames.numpy(), labels.numpy()):
      row = np.concatenate(list(clip), axis=1)
      if label_names is not None:
        name = _text_image(label_names[label], row.shape[0])
        row = np.concatenate([name[..., : row.shape[-1]], row], axis=1)
      rows.append(row)
    if len(rows) >= max_clips:
      break
  if not rows:
    raise sources.DataError('Expected clips to draw, got none.')
  sheet = np.concatenate(rows[:max_clips], axis=0)
  return tf.io.encode_png(sheet).numpy()


def _text_image(text, height, width=120):
  """Black text on white, uint8 `[height, width, 3]`."""
  image = PIL.Image.new('RGB', (width, height), 'white')
  size = min(14, max(8, height - 2))
  font = PIL.ImageFont.load_default(size)
  draw = PIL.ImageDraw.Draw(image)
  draw.text((2, height // 2), text, 'black', font, anchor='lm')
  return np.array(image)


class _Draws:
  """The training windows by the index of the draw."""

  def __init__(self, clips, seed, symmetry='none'):
    self._clips = clips
    self._symmetry = symmetry
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
        rng = self._rng(_SYMMETRY, index)
        frames = symmetry_lib.change(frames, self._symmetry, rng)
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
  """Calls a Python function of an index within tf.data, with static shapes."""

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
