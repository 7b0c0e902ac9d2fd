"""The batches of a run from prepared records; see `records` and `inputs`.

The graph has TensorFlow ops only, so that a tf.data service can run it.
"""

from __future__ import annotations

import functools
import itertools
import socket
import urllib.parse

import numpy as np
import tensorflow as tf

from tfp_cglow.internal import plain_paths
from train.data import sequential_inputs
from train.data import sources
from train.data.records import records
from train.data.records import short_records

__all__ = ['RecordInputs']

_ORDER, _SHUFFLE = 0, 1  # Streams of random numbers of one data seed.
_CYCLE = 16  # Number of shards read at a time.
_CONNECT_SECONDS = 10.0


class RecordInputs(sequential_inputs.SequentialInputs):
  """Training and validation batches, with the interface of `inputs.Inputs`.

  Records with fewer than `num_frames` frames are left out. Unlike `Inputs`,
  blank windows are used: only records that are blank as a whole were left out
  when they were prepared.
  """

  def __init__(
    self,
    index,
    num_frames,
    batch_size,
    seed,
    data_service=None,
    symmetry='none',
    shuffle_bytes=sequential_inputs.SHUFFLE_BYTES,
  ):
    """Uses the index only; records are read later.

    Args:
      index: A `records.Index`.
      num_frames: `int`, number of frames of a clip.
      batch_size: `int`.
      seed: `int`, seed of order, windows and symmetries.
      data_service: `str` or None, the dispatcher of a tf.data service,
        'grpc://host:port', whose workers make the training batches. They must
        see the records under the same path.
      symmetry: 'none', 'mirror' or 'wrap', see `symmetry`.
      shuffle_bytes: `int`, size of the shuffle buffer in bytes, from the mean
        size of a record.

    Raises:
      DataError: if a part or a label has no record that is long enough, or
        `data_service` is not an address.
    """
    super().__init__(
      f'the records in {index.folder}', num_frames, batch_size, seed, symmetry
    )
    self._index = index
    self._data_service = data_service
    self._shuffle_bytes = shuffle_bytes
    self._train = _Part(index, 'train', num_frames)
    self._valid = _Part(index, 'valid', num_frames)
    self._check()

  @property
  def label_names(self):
    return self._index.label_names

  @property
  def num_train_clips(self):
    return int(sum(self._train.repeats))

  @property
  def num_valid_clips(self):
    return int(np.count_nonzero(self._valid.repeats))

  def train_dataset(self, step, rows=None):
    """Endless batches `(frames uint8 [B, T, H, W, C], label int32 [B])`.

    An epoch draws windows from each record, as many as its weight. It permutes
    the shards, reads up to 16 of them in turn and shuffles the records in a
    buffer. Batches are a function of (seed, step), as in `SequentialInputs`.

    With a data service, each epoch goes to one of its workers. Each epoch is
    used once. Batches of several epochs arrive as they are ready, in an order
    that the seed does not determine. Each consumer, for example each host of a
    larger run, gets its own epochs. If a worker dies, the rest of its epoch is
    lost.

    Args:
      step: `int`, step of the first batch.
      rows: `feeding.Rows` to read, or None: all.

    Returns:
      A `tf.data.Dataset`.

    Raises:
      DataError: if the dispatcher of the data service cannot be reached.
    """
    if self._data_service:
      _check_reachable(self._data_service)
    return super().train_dataset(step, rows)

  def check_skips(self):
    """The number of files that were skipped when the records were prepared."""
    return self._index.num_skipped

  def note_left_out(self, skipped_log):
    """Names records that are too short; see `short_records.note`."""
    short_records.note(self._index, self._num_frames, skipped_log)

  def _check(self):
    longest = max([0, *self._train.frames, *self._valid.frames])
    for name, part in (('training', self._train), ('validation', self._valid)):
      if not any(part.repeats):
        raise sources.DataError(
          f'Expected a {name} record of at least num_frames={self._num_frames} '
          f'frames in {self._index.folder}, whose longest one has {longest}.'
        )
    found = {*self._train.labels, *self._valid.labels}
    empty = [n for k, n in enumerate(self.label_names) if k not in found]
    if empty:
      raise sources.DataError(
        f'Expected a record of at least num_frames={self._num_frames} frames '
        f'for each label, found none for {", ".join(empty)}.'
      )
    if self._data_service:
      _address(self._data_service)
      folder = self._index.folder
      if plain_paths.plain(folder) != folder:
        raise sources.DataError(
          f"data_service's workers cannot read records in {folder}: give the "
          'folder a name of letters and digits.'
        )

  def _epoch(self, number):
    part = self._train
    shards = tf.random.experimental.stateless_shuffle(
      tf.range(part.num_shards), self._seeds(_ORDER, number)
    )
    dataset = tf.data.Dataset.from_tensor_slices(shards).interleave(
      part.shard,
      cycle_length=min(_CYCLE, part.num_shards),
      block_length=1,
      num_parallel_calls=min(4, part.num_shards),
      deterministic=True,
    )
    dataset = dataset.flat_map(
      lambda example, repeats: tf.data.Dataset.from_tensors(example).repeat(
        repeats
      )
    )
    buffer = self._shuffle_bytes // part.mean_bytes
    return dataset.shuffle(
      min(max(1, buffer), self.num_train_clips),
      seed=self._draw_seed(_SHUFFLE, number),
      reshuffle_each_iteration=False,
    )

  def _train_examples(self):
    return self._train.examples()

  def _valid_examples(self):
    dataset = self._valid.examples().filter(lambda _, repeats: repeats > 0)
    return dataset.map(lambda example, _: example)

  def _clip(self, example, start):
    return records.parse_clip(self._index, example, self._num_frames, start)

  def _distribute(self, dataset):
    if not self._data_service:
      return dataset
    # With ShardingPolicy.OFF all workers would give the same batches.
    distribute = tf.data.experimental.service.distribute(
      tf.data.experimental.service.ShardingPolicy.DYNAMIC, self._data_service
    )
    return dataset.apply(distribute)


class _Part:
  """The shards of a part that have records, and how often to use each record.

  Attributes:
    num_shards: `int`.
    frames: List of `int`, number of frames of each record.
    labels: List of `int`, labels of the records that are long enough.
    repeats: List of `int`, weight of each record, or 0 if it is too short.
    mean_bytes: `int`, mean size of a record.
  """

  def __init__(self, index, part, num_frames):
    shards = [shard for shard in index.parts[part] if shard.num_records]
    self.num_shards = len(shards)
    self.frames = [n for shard in shards for n in shard.frames]
    weights = [w for shard in shards for w in shard.weights]
    labels = [label for shard in shards for label in shard.labels]
    self.repeats = [
      w if n >= num_frames else 0 for n, w in zip(self.frames, weights)
    ]
    self.labels = [n for n, used in zip(labels, self.repeats) if used]
    if index.encoding == 'raw':
      num_bytes = sum(self.frames) * int(np.prod(index.frame_shape))
    else:
      num_bytes = sum(shard.num_bytes for shard in shards)
    self.mean_bytes = max(1, num_bytes // max(1, len(self.frames)))
    self._paths = [index.path(shard.file) for shard in shards]
    self._edges = [
      0,
      *itertools.accumulate(shard.num_records for shard in shards),
    ]
    self._compression = index.compression

  def shard(self, number):
    """A dataset of (example, repeats) of the shard `number`, int32 `[]`."""
    path = tf.gather(tf.constant(self._paths), number)
    edges = tf.constant(self._edges, tf.int64)
    first, last = tf.gather(edges, number), tf.gather(edges, number + 1)
    repeats = tf.constant(self.repeats, tf.int64)[first:last]
    return tf.data.Dataset.zip(
      (
        tf.data.TFRecordDataset(path, self._compression),
        tf.data.Dataset.from_tensor_slices(repeats),
      )
    )

  def examples(self):
    """A dataset of (example, repeats) of all shards, in order."""
    numbers = tf.data.Dataset.range(self.num_shards, output_type=tf.int32)
    return numbers.flat_map(self.shard)


@functools.lru_cache(maxsize=8)
def _address(service):
  """Host and port of 'grpc://host:port'."""
  parts = urllib.parse.urlsplit(service)
  try:
    host, port = parts.hostname, parts.port
  except ValueError:
    host = port = None
  if parts.scheme != 'grpc' or not host or not port:
    raise sources.DataError(
      f'Expected data_service=grpc://<host>:<port>, got {service!r}.'
    )
  return host, port


def _check_reachable(service):
  """Raises DataError at once; TensorFlow would retry for ever."""
  try:
    socket.create_connection(_address(service), _CONNECT_SECONDS).close()
  except OSError as e:
    raise sources.DataError(
      f'The dispatcher of data_service={service} cannot be reached ({e}): '
      'start it, or check the address.'
    ) from None
