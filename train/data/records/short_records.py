"""Names the records that are shorter than a clip, and so are left out."""

from __future__ import annotations

from absl import logging
import tensorflow as tf

from train import shown_text
from train.data import skip_log
from train.data.decoding import readers
from train.data.records import records

__all__ = ['note']

_MOST_NAMED = 5


def note(index, num_frames, path):
  """Logs how many records are too short, and the names of the first ones.

  Only the first shard with such records is read, for the names. A record's name
  is its file in the data set's folder, and the range of its frames, or, if that
  is not in the record, its place.

  Args:
    index: `records.Index`.
    num_frames: `int`, number of frames of a clip.
    path: `str` or None, the log of skipped files, to which the names are added.
  """
  shards = [s for part in records.PARTS for s in index.parts[part]]
  frames = [n for shard in shards for n in shard.frames]
  num_short = sum(n < num_frames for n in frames)
  if not num_short:
    return
  shard = next(
    s for s in shards if min(s.frames, default=num_frames) < num_frames
  )
  named = _named(index, shard, num_frames)
  shown = [f'{shown_text.visible(key)} ({count})' for key, count in named]
  logging.warning(
    'Left out: %d of %d records have fewer frames than data.num_frames=%d: %s',
    num_short,
    len(frames),
    num_frames,
    ', '.join(shown + ['...'] * (num_short > len(named))),
  )
  lines = skip_log.Lines(path)
  for key, count in named:
    message = f'expected {num_frames}, got {count}'
    lines.add(readers.DecodeError(key, 'too few frames', message))


def _named(index, shard, num_frames):
  """The first short records of a shard: list of (name, number of frames)."""
  found = []
  dataset = tf.data.TFRecordDataset(index.path(shard.file), index.compression)
  for number, (example, count) in enumerate(zip(dataset, shard.frames)):
    if count < num_frames:
      key = records.key_of(example) or f'{shard.file}, record {number}'
      found.append((key, count))
    if len(found) == _MOST_NAMED:
      break
  return found
