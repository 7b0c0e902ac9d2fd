"""`Subject`: a restored model and a few held-out clips, for figures."""

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
  """A restored model and a few held-out clips.

  Attributes:
    model: `VideoFlow` or `VideoGan`, restored.
    system: `System` that trained it.
    step: Python `int`, number of training steps of the model.
    label_names: Tuple of `str`.
    frames: uint8 `[B, T, H, W, C]`, held-out clips of every label; or None.
    label: int `[B]`, or None.
    why_no_clips: `str`, the reason if `frames` is None.
  """

  model: Any
  system: Any
  step: int
  label_names: tuple
  frames: Any = None
  label: Any = None
  why_no_clips: str = ''

  @property
  def config(self):
    return self.system.config

  @property
  def has_no_head(self):
    return not self.system.has_head

  @property
  def has_no_tail(self):
    return not self.system.has_tail

  @property
  def num_given(self):
    """Python `int`, number of frames that a continuation starts from."""
    return self.system.num_given

  def labels(self, most):
    """Ids of at most `most` labels, chosen evenly; [0] without labels."""
    if self.model.num_labels is None:
      return [0]
    count = min(most, self.model.num_labels)
    chosen = np.linspace(0, self.model.num_labels - 1, count).round()
    return [int(y) for y in chosen]

  def label_name(self, label):
    """The label's name; 'any' for a model without labels."""
    if self.model.num_labels is None:
      return 'any'
    return self.label_names[int(label)]

  def label_arguments(self, labels):
    """Arguments of `sample`: the labels, or without labels their number."""
    if self.model.num_labels is None:
      return {'num_videos': len(labels)}
    return {'labels': np.asarray(labels, np.int32)}

  def real_first_frames(self, label, most):
    """At most `most` real first frames, uint8 `[N, H, W, C]`, or None."""
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
    which: See `train.runs.loading.load`.

  Returns:
    A `Subject`.

  Raises:
    ConfigError, RunFolderError, CheckpointError: see
      `train.runs.loading.load`.
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
  except (errors.UserError, OSError, tf.errors.OpError) as e:
    why = f'the data set cannot be read here ({e})'
    logging.warning('No real clips in the report: %s.', why)
  return Subject(
    run.system.sampler(run.model),
    run.system,
    run.step,
    run.label_names,
    frames,
    label,
    why,
  )
