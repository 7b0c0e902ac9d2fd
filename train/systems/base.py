"""What a run can train: the common interface of flows and the GAN."""

from __future__ import annotations

import abc

__all__ = ['System']


class System(abc.ABC):
  """Builds, measures and samples the models of a config.

  Attributes:
    name: `str`, what it is, with its article.
    untrained: `str`, the name of the numbers before training.
    has_likelihood: Python `bool`: whether models measure bits/dim, have an
      inverse, and can be exported.
    config: `Config`.
  """

  name: str
  untrained: str
  has_likelihood: bool

  def __init__(self, config):
    self.config = config

  @property
  @abc.abstractmethod
  def has_head(self):
    """Python `bool`, whether models draw first frames."""

  @property
  @abc.abstractmethod
  def has_tail(self):
    """Python `bool`, whether models draw the frames after the first."""

  @property
  def exports(self):
    """Python `bool`, whether a run ends with a SavedModel."""
    return False

  @property
  @abc.abstractmethod
  def num_given(self):
    """Python `int`, real frames that a continuation starts from."""

  @abc.abstractmethod
  def build_model(self, num_labels):
    """A compiled Keras model, `num_labels` being the data's."""

  @abc.abstractmethod
  def sampler(self, model):
    """What of a model has `sample`, `num_labels` and `frame_shape`."""

  @abc.abstractmethod
  def evaluate(self, model, dataset, workers=None):
    """Held-out numbers: `dict` of floats.

    Args:
      model: As of `build_model`.
      dataset: Finite `tf.data.Dataset` of `(frames, label)` batches.
      workers: `Workers` that share the batches, or None.
    """

  def held_out_score(self, values):
    """The number of `evaluate` by which checkpoints are ranked, or None.

    The least is the best.
    """
    del values

  def details(self, model, dataset):
    """Further `dict`s that are logged with an evaluation: `dict` of them."""
    del model, dataset
    return {}

  @abc.abstractmethod
  def measure(self, model, step, inputs, folder, num_importance_samples=None):
    """All held-out numbers of a trained model, for metrics.json: `dict`.

    Args:
      model: As of `build_model`, trained.
      step: Python `int`, training steps that it had.
      inputs: `Inputs`.
      folder: `RunFolder`, with the run's log.
      num_importance_samples: Python `int`: so many draws of noise tighten the
        bound; None: no such bound.

    Raises:
      ConfigError: for such a bound of a model that has none.
    """

  @abc.abstractmethod
  def conclude(self, model, inputs, folder):
    """What else a run ends with, before samples are made."""

  @abc.abstractmethod
  def sample_videos(self, model, frames, labels):
    """Videos beside real ones.

    Args:
      model: As of `build_model`.
      frames: uint8 `[B, T, H, W, C]`, real clips.
      labels: int `[B]`, theirs.

    Returns:
      `dict` of uint8 `[B, T', H, W, C]`: 'generated', and real ones that are
      'continued'.
    """

  @abc.abstractmethod
  def format_table(self, metrics):
    """The numbers of metrics.json as text: `str`."""

  @abc.abstractmethod
  def table(self, metrics):
    """The numbers as columns' names, rows of `str`, and a caption."""

  @abc.abstractmethod
  def remarks(self, metrics):
    """What the numbers say in words: list of `str`."""
