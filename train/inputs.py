"""From a config to the batches of a run."""

import contextlib

from train import clips as clips_lib
from train import data
from train import datasets
from train import skip_log
from train import sources

__all__ = ['Inputs', 'make_inputs']


class Inputs:
  """The training and validation batches of a run."""

  def __init__(self, config, clips):
    self._config = config
    self._clips = clips

  @property
  def label_names(self):
    return self._clips.source.label_names

  @property
  def num_train_clips(self):
    return self._clips.source.num_train_clips

  @property
  def num_valid_clips(self):
    return self._clips.source.num_valid_clips

  def train_dataset(self, step):
    """Endless batches `(frames uint8 [B, T, H, W, C], label int32 [B])`."""
    return data.train_dataset(
      self._clips, self._config.batch_size, self._config.seed, step
    )

  def train_clips_dataset(self):
    """One fixed clip for each training window of an epoch, once."""
    return data.train_clips_dataset(self._clips, self._config.batch_size)

  def valid_dataset(self):
    """The held-out clips, once; the last batch may be smaller."""
    return data.valid_dataset(self._clips, self._config.batch_size)

  def check_skips(self):
    """Raises DataError for too many skipped files; returns their number."""
    self._clips.skips.check()
    return len(self._clips.skips)

  @contextlib.contextmanager
  def raising(self):
    """Turns an error inside tf.data back into its DataError."""
    with self._clips.skips.raising():
      yield


def make_inputs(config, skipped_log):
  """Lists the data set and checks that each label gives a clip.

  Args:
    config: `Config`.
    skipped_log: Path of the log of skipped files.

  Returns:
    `Inputs`.

  Raises:
    DataError: if the data set cannot be used.
  """
  source = datasets.make_source(
    config.dataset,
    config.num_frames,
    config.data_dir or None,
    config.valid_fraction,
    config.split_seed,
    config.max_source_frames,
  )
  is_overfit = config.overfit_clips > 0
  if is_overfit:
    source = sources.fixed_clips(
      source, config.overfit_clips, config.num_frames
    )
  clips = clips_lib.Clips(
    source,
    config.num_frames,
    config.frame_size,
    config.channels,
    skips=skip_log.SkipLog(source, skipped_log, config.max_skipped),
  )
  if not is_overfit:  # Most labels are left out.
    data.check_labels(clips)
  return Inputs(config, clips)
