"""Makes the training and validation batches of a run from its config."""

import contextlib
import dataclasses
import os

import numpy as np

from train.config import data_sets
from train.config import fields
from train.data import clip_batches
from train.data import clips as clips_lib
from train.data import datasets
from train.data import feeding
from train.data import skip_log
from train.data import sources
from train.data import tfds_inputs
from train.data.decoding import decode
from train.data.records import prepare as prepare_lib
from train.data.records import record_inputs
from train.data.records import records

__all__ = ['Inputs', 'listed', 'make_inputs', 'prepare', 'resolve']


class Inputs:
  """The training and validation batches of a run."""

  def __init__(self, config, clips):
    self._config = config
    self._clips = clips
    self._waiting = feeding.WaitCounter()

  @property
  def label_names(self):
    return self._clips.source.label_names

  @property
  def num_train_clips(self):
    """Clips of an epoch, without those of files known to be skipped."""
    usable = filter(self._clips.is_usable, self._clips.source.train)
    return sum(region.weight for region in usable)

  @property
  def num_valid_clips(self):
    """Held-out clips, without those of files known to be skipped."""
    return sum(map(self._clips.is_usable, self._clips.source.valid))

  def train_dataset(self, step, rows=None):
    """Endless batches `(frames uint8 [B, T, H, W, C], label int32 [B])`.

    Args:
      step: `int`, step of the first batch.
      rows: `feeding.Rows` to read, or None: all.

    Returns:
      A `tf.data.Dataset`.
    """
    dataset = clip_batches.train_dataset(
      self._clips,
      self._config.run.batch_size,
      self._config.seed,
      step,
      symmetry=self._config.data.known_symmetry,
      rows=rows,
    )
    return feeding.to_device(self._waiting.measure(dataset))

  def train_clips_dataset(self):
    """One fixed clip for each training window of an epoch, once."""
    return clip_batches.train_clips_dataset(
      self._clips, self._config.run.batch_size
    )

  def valid_dataset(self):
    """The held-out clips, once; the last batch may be smaller."""
    return clip_batches.valid_dataset(self._clips, self._config.run.batch_size)

  @property
  def wait_seconds(self):
    """Total time in seconds that training has waited for data."""
    return self._waiting.seconds

  def check_skips(self):
    """The number of skipped files; DataError if there are too many."""
    self._clips.skips.check()
    return len(self._clips.skips)

  def note_left_out(self, skipped_log):
    """Does nothing: clips that fail are noted when they are read."""

  @contextlib.contextmanager
  def raising(self):
    """Within, turns an error inside tf.data back into its DataError."""
    with self._clips.skips.raising():
      yield


def resolve(config):
  """Replaces 'auto' in a config by the choice for this machine.

  Raises:
    ConfigError: if the config's decoder or device is not available.
  """
  data = config.data
  if not isinstance(data, data_sets.Videos):
    return config
  try:
    device = decode.resolve(data.decoder, data.decode_device)
  except ValueError as e:
    raise fields.ConfigError(str(e)) from None
  data = dataclasses.replace(data, decode_device=device)
  return dataclasses.replace(config, data=data)


def make_inputs(config, skipped_log):
  """Lists the data set and checks that each label gives a clip.

  Args:
    config: `Config`.
    skipped_log: Path of the log of skipped files.

  Returns:
    `Inputs`, `RecordInputs` of prepared records, or `TfdsInputs`.

  Raises:
    DataError: if the data set cannot be used.
  """
  data = config.data
  if isinstance(data, data_sets.Tfrecord):
    return _record_inputs(config)
  if isinstance(data, data_sets.Tfds):
    return _tfds_inputs(config)
  source = _source(data)
  is_overfit = data.overfit_clips > 0
  if is_overfit:
    source = sources.fixed_clips(source, data.overfit_clips, data.num_frames)
  clips = clips_lib.Clips(
    source,
    data.num_frames,
    _decoder(data, source),
    skips=skip_log.SkipLog(source, skipped_log, data.max_skipped),
    cache_bytes=0 if data.cache == 'none' else data.cache_gigabytes * 2**30,
    cache_dir=_cache_dir() if data.cache == 'disk' else None,
  )
  if not is_overfit:  # Fixed clips do not have all labels.
    clip_batches.check_labels(clips)
  return Inputs(config, clips)


def listed(config):
  """The files of a data set, and how they are decoded.

  Args:
    config: `Config`.

  Returns:
    A `sources.Source` and a `decode.Decoder`.

  Raises:
    ConfigError, DataError: if the data set cannot be used, or has no files of
      its own.
  """
  data = resolve(config).data
  if not isinstance(data, data_sets.Listed):
    raise sources.DataError(
      f'Expected a data set of video or image files, but {data.name} has none '
      'that can be looked at.'
    )
  source = _source(data)
  return source, _decoder(data, source)


def prepare(config, folder, runner=None):
  """Decodes the data set into TFRecords; see `prepare.prepare`.

  Args:
    config: `Config`.
    folder: Path of the records.
    runner: `str`, an Apache Beam runner, or None.

  Returns:
    `str`, a summary for the user.

  Raises:
    ConfigError, DataError: for errors that the user can fix.
  """
  data = resolve(config).data
  if not isinstance(data, data_sets.Listed):
    raise sources.DataError(
      f'--dataset={data.name} needs no --mode=prepare: it is already prepared, '
      'or TensorFlow Datasets prepares it before training.'
    )
  source = _source(data)
  index = prepare_lib.prepare(
    source,
    _decoder(data, source),
    folder,
    max_frames=data.max_source_frames,
    encoding=data.record_encoding,
    compression=data.record_compression,
    max_skipped=data.max_skipped,
    runner=runner,
  )
  counts = {
    part: sum(shard.num_records for shard in shards)
    for part, shards in index.parts.items()
  }
  return (
    f'{counts["train"]} training and {counts["valid"]} validation records in '
    f'{index.folder}, {index.num_skipped} files skipped. Train with '
    f'--dataset=tfrecord --data_dir={index.folder}'
  )


def _record_inputs(config):
  data = config.data
  if not data.data_dir:
    raise sources.DataError(
      'Expected --data_dir=<folder that --mode=prepare wrote> with '
      '--dataset=tfrecord.'
    )
  index = records.read_index(data.data_dir)
  wanted = (data.frame_size, data.frame_size, data.channels)
  if tuple(index.frame_shape) != wanted:
    raise sources.DataError(
      f'{data.data_dir} holds frames of {tuple(index.frame_shape)}, but the '
      f'config asks for {wanted}: --set data.frame_size={index.size} --set '
      f'data.channels={index.channels}, or prepare it again.'
    )
  return record_inputs.RecordInputs(
    index,
    data.num_frames,
    config.run.batch_size,
    config.seed,
    data_service=data.data_service,
    symmetry=data.known_symmetry,
  )


def _tfds_inputs(config):
  data = config.data
  return tfds_inputs.TfdsInputs(
    data.dataset,
    data.num_frames,
    data.frame_size,
    data.channels,
    config.run.batch_size,
    config.seed,
    data_dir=data.data_dir or None,
    feature=data.feature,
    symmetry=data.known_symmetry,
    crop=data.crop,
    valid_fraction=data.valid_fraction,
  )


def _source(data):
  source = datasets.make_source(data)
  longest = max(
    np.inf if region.stop is None else region.stop - region.start
    for region in source.train[:1000]
  )
  if longest < data.num_frames:
    raise sources.DataError(
      f'{data.name} has clips of {longest} frames, expected data.num_frames='
      f'{data.num_frames}. For images: --set data.num_frames=1 --set '
      'model.tail=none.'
    )
  return source


def _decoder(data, source):
  return decode.Decoder(
    data.frame_size,
    data.channels,
    crop=data.crop,
    pixel_aspect=source.pixel_aspect,
    box=source.center_crop,
    fps=data.fps,
    stride=data.frame_stride,
    backend=data.decoder,
    device=data.decode_device,
    max_seconds=data.max_file_seconds,
    max_pixels=data.max_picture_pixels,
  )


def _cache_dir():
  return os.path.join(sources.default_cache_dir(), 'decoded')
