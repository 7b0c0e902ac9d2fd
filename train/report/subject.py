"""A restored model with a few of its data set's clips, to be painted."""

from __future__ import annotations

import dataclasses
from typing import Any

from absl import logging
import numpy as np
import tensorflow as tf

from train import errors
from train.runs import loading
from train.samples import continuations

__all__ = ['Subject', 'load']

_NUM_CLIPS = 24


@dataclasses.dataclass(frozen=True)
class Subject:
  """What the figures of a model need.

  Attributes:
    model: `VideoFlow` or `VideoGan`, restored.
    config: `Config`.
    step: Python `int`, training steps that the model had.
    label_names: Tuple of `str`.
    frames: uint8 `[B, T, H, W, C]`, held-out clips of every label; or None.
    label: int `[B]`, or None.
    why_no_clips: `str`, why `frames` is None.
  """

  model: Any
  config: Any
  step: int
  label_names: tuple
  frames: Any = None
  label: Any = None
  why_no_clips: str = ''

  @property
  def is_gan(self):
    return self.config.model == 'gan'

  @property
  def has_no_head(self):
    return not self.is_gan and self.model.head is None

  @property
  def has_no_tail(self):
    return not self.is_gan and self.model.tail is None

  @property
  def num_given(self):
    """Python `int`: frames that a continuation starts from."""
    return min(self.config.previous_frames, self.frames.shape[1] - 1)

  def labels(self, most):
    """Ids of at most that many labels, evenly; one of a model without."""
    if self.model.num_labels is None:
      return [0]
    count = min(most, self.model.num_labels)
    chosen = np.linspace(0, self.model.num_labels - 1, count).round()
    return [int(y) for y in chosen]

  def label_name(self, label):
    """`str`, of a model without labels a video's."""
    if self.model.num_labels is None:
      return 'any'
    return self.label_names[int(label)]

  def label_arguments(self, labels):
    """Of `sample`: the labels or, of a model without, how many videos."""
    if self.model.num_labels is None:
      return {'num_videos': len(labels)}
    return {'labels': np.asarray(labels, np.int32)}

  def real_first_frames(self, label, most):
    """uint8 `[N, H, W, C]`, at most that many; None if there are none."""
    if self.frames is None:
      return None
    chosen = self.frames[:, 0]
    if self.model.num_labels is not None:
      chosen = chosen[self.label == label]
    return chosen[:most] if len(chosen) else None


def load(workdir, which='newest'):
  """Restores a run's model, and reads a few held-out clips.

  Args:
    workdir: Path.
    which: As of `runs.load`.

  Returns:
    A `Subject`.

  Raises:
    ConfigError, RunFolderError, CheckpointError: as of `runs.load`.
  """
  run = loading.load(workdir, which)
  frames = label = None
  why = ''
  try:
    inputs = run.inputs()
    with inputs.raising():
      frames, label = continuations.even_clips(
        inputs.valid_dataset(), _NUM_CLIPS
      )
  except (*errors.USER_ERRORS, OSError, tf.errors.OpError) as e:
    why = f'the data set cannot be read here ({e})'
    logging.warning('No real clips in the report: %s.', why)
  return Subject(
    run.sampler, run.config, run.step, run.label_names, frames, label, why
  )
