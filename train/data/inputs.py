"""From a config to the batches of a run."""

import contextlib
import dataclasses
import os

import numpy as np

from train.config import configs
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

__all__ = ['Inputs', 'make_inputs', 'resolve']

_TFDS = 'tfds:'  # Before the name of a set.
_OF_LISTED_FILES = (
  'split',
  'only_labels',
  'max_train_frames',
  'videos_per_label',
)
# What prepared records have behind them.
_NOT_OF_RECORDS = (
  *_OF_LISTED_FILES,
  'max_source_frames',
  'attribute',
  'feature',
  'fps',
  'frame_stride',
  'crop',
  'valid_fraction',
)
# What TensorFlow Datasets has no use for.
_NOT_OF_TFDS = (
  'overfit_clips',
  'data_service',
  'max_source_frames',
  'attribute',
  'fps',
  'frame_stride',
  *_OF_LISTED_FILES,
)


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
    return self._clips.source.num_train_clips

  @property
  def num_valid_clips(self):
    return self._clips.source.num_valid_clips

  def train_dataset(self, step, rows=None):
    """Endless batches `(frames uint8 [B, T, H, W, C], label int32 [B])`.

    Args:
      step: `int`, the first batch's.
      rows: `feeding.Rows` that are read, or None: all.

    Returns:
      A `tf.data.Dataset`.
    """
    dataset = clip_batches.train_dataset(
      self._clips,
      self._config.batch_size,
      self._config.seed,
      step,
      flip=self._config.flip,
      rows=rows,
    )
    return feeding.to_device(self._waiting.measure(dataset))

  def train_clips_dataset(self):
    """One fixed clip for each training window of an epoch, once."""
    return clip_batches.train_clips_dataset(
      self._clips, self._config.batch_size
    )

  def valid_dataset(self):
    """The held-out clips, once; the last batch may be smaller."""
    return clip_batches.valid_dataset(self._clips, self._config.batch_size)

  @property
  def wait_seconds(self):
    """What the training steps have waited for data, in all."""
    return self._waiting.seconds

  def check_skips(self):
    """Raises DataError for too many skipped files; returns their number."""
    self._clips.skips.check()
    return len(self._clips.skips)

  @contextlib.contextmanager
  def raising(self):
    """Turns an error inside tf.data back into its DataError."""
    with self._clips.skips.raising():
      yield


def resolve(config):
  """The config with the device that 'auto' means on this machine.

  Raises:
    ConfigError: if a decoder or device that was asked for cannot be had.
  """
  try:
    device = decode.resolve(config.decoder, config.decode_device)
  except ValueError as e:
    raise configs.ConfigError(str(e)) from None
  return dataclasses.replace(config, decode_device=device)


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
  if config.dataset == 'tfrecord':
    if config.overfit_clips:
      raise sources.DataError('overfit_clips is not for dataset=tfrecord.')
    return _record_inputs(config)
  if config.dataset.startswith(_TFDS):
    return _tfds_inputs(config)
  source = _source(config)
  is_overfit = config.overfit_clips > 0
  if is_overfit:
    source = sources.fixed_clips(
      source, config.overfit_clips, config.num_frames
    )
  clips = clips_lib.Clips(
    source,
    config.num_frames,
    _decoder(config, source),
    skips=skip_log.SkipLog(source, skipped_log, config.max_skipped),
    cache_bytes=0 if config.cache == 'none' else config.cache_gigabytes * 2**30,
    cache_dir=_cache_dir() if config.cache == 'disk' else None,
  )
  if not is_overfit:  # Most labels are left out.
    clip_batches.check_labels(clips)
  return Inputs(config, clips)


def prepare(config, folder, runner=None):
  """Decodes the data set into TFRecords; see `prepare.prepare`.

  Args:
    config: `Config`.
    folder: Path of the records.
    runner: `str`, an Apache Beam runner, or None.

  Returns:
    `str`, what came of it.

  Raises:
    ConfigError, DataError: what the user can put right.
  """
  config = resolve(config)
  if config.dataset == 'tfrecord':
    raise sources.DataError('dataset=tfrecord is prepared already.')
  if config.dataset.startswith(_TFDS):
    raise sources.DataError(
      f'dataset={config.dataset} needs no --mode=prepare: TensorFlow Datasets '
      'prepares it when it is trained on.'
    )
  source = _source(config)
  index = prepare_lib.prepare(
    source,
    _decoder(config, source),
    folder,
    max_frames=config.max_source_frames,
    encoding=config.record_encoding,
    compression=config.record_compression,
    max_skipped=config.max_skipped,
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


def _check_unused(config, names):
  for name in names:
    if getattr(config, name) != getattr(configs.Config, name):
      raise sources.DataError(f'{name} is not for dataset={config.dataset}.')


def _record_inputs(config):
  _check_unused(config, _NOT_OF_RECORDS)
  if not config.data_dir:
    raise sources.DataError(
      'Expected --data_dir=<folder that --mode=prepare wrote> with '
      '--dataset=tfrecord.'
    )
  index = records.read_index(config.data_dir)
  wanted = (config.frame_size, config.frame_size, config.channels)
  if tuple(index.frame_shape) != wanted:
    raise sources.DataError(
      f'{config.data_dir} holds frames of {tuple(index.frame_shape)}, but the '
      f'config asks for {wanted}: --set frame_size={index.size} --set '
      f'channels={index.channels}, or prepare it again.'
    )
  return record_inputs.RecordInputs(
    index,
    config.num_frames,
    config.batch_size,
    config.seed,
    data_service=config.data_service,
    flip=config.flip,
  )


def _tfds_inputs(config):
  _check_unused(config, _NOT_OF_TFDS)
  return tfds_inputs.TfdsInputs(
    config.dataset[len(_TFDS) :],
    config.num_frames,
    config.frame_size,
    config.channels,
    config.batch_size,
    config.seed,
    data_dir=config.data_dir or None,
    feature=config.feature,
    flip=config.flip,
    crop=config.crop,
    valid_fraction=config.valid_fraction,
  )


def _source(config):
  if config.feature is not None:
    raise sources.DataError(
      f'Expected feature={config.feature} with --dataset=tfds:... only, got '
      f'--dataset={config.dataset}.'
    )
  if config.data_service:
    raise sources.DataError(
      'data_service reads prepared records: it is for --dataset=tfrecord.'
    )
  source = datasets.make_source(
    config.dataset,
    config.num_frames,
    data_dir=config.data_dir or None,
    valid_fraction=config.valid_fraction,
    split_seed=config.split_seed,
    max_source_frames=config.max_source_frames,
    attribute=config.attribute,
    split=config.split,
    left_out=config.left_out,
    only_labels=config.only_labels,
    max_train_frames=config.max_train_frames,
    videos_per_label=config.videos_per_label,
  )
  longest = max(
    np.inf if region.stop is None else region.stop - region.start
    for region in source.train[:1000]
  )
  if longest < config.num_frames:
    raise sources.DataError(
      f'{config.dataset} has clips of {longest} frames, expected num_frames='
      f'{config.num_frames}. For images: --model=head --set num_frames=1.'
    )
  if longest == 1 and (config.fps is not None or config.frame_stride > 1):
    raise sources.DataError(
      f'fps and frame_stride are for videos, {config.dataset} has images.'
    )
  return source


def _decoder(config, source):
  return decode.Decoder(
    config.frame_size,
    config.channels,
    crop=config.crop,
    pixel_aspect=source.pixel_aspect,
    box=source.center_crop,
    fps=config.fps,
    stride=config.frame_stride,
    backend=config.decoder,
    device=config.decode_device,
    max_seconds=config.max_file_seconds,
    max_pixels=config.max_picture_pixels,
  )


def _cache_dir():
  return os.path.join(sources.default_cache_dir(), 'decoded')
