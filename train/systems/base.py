"""`System`: the common interface of flows and the GAN."""

from __future__ import annotations

import abc

__all__ = ['System']


class System(abc.ABC):
  """Builds, measures and samples the models of a config.

  Attributes:
    name: `str` for messages, with its article: 'a flow'.
    untrained: `str`, the name of the evaluation before training.
    has_likelihood: Python `bool`, whether models measure bits/dim, have an
      inverse and can be exported.
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

  def export(self, model, folder):
    """Writes a SavedModel, if the system can; returns its path."""
    raise NotImplementedError(f'{self.name} has no export.')

  @property
  @abc.abstractmethod
  def num_given(self):
    """Python `int`, real frames that a continuation starts from."""

  def words_for(self, name):
    """What a kind of videos of `sample_videos` is, and how it is drawn."""
    sampling = self.config.sampling
    drawn = ', '.join(f'{k} {v:g}' for k, v in sampling.items())
    frames = 'frame' if self.num_given == 1 else 'frames'
    label = ' from the label' if self.config.model.takes_labels else ''
    origin = {
      'generated': f'drawn{label}',
      'continued': f'continued from {self.num_given} real {frames}',
    }[name]
    return f'{origin}, {drawn}'

  @abc.abstractmethod
  def check(self):
    """Checks that the model can be built, before data are opened.

    Raises:
      ConfigError: if sizes do not fit each other.
    """

  @abc.abstractmethod
  def build_model(self, num_labels):
    """Builds a compiled Keras model for data with `num_labels` labels."""

  @abc.abstractmethod
  def sampler(self, model):
    """The model's object with `sample`, `num_labels` and `frame_shape`."""

  @abc.abstractmethod
  def evaluate(self, model, dataset, workers=None):
    """Held-out numbers: `dict` of floats.

    Args:
      model: From `build_model`.
      dataset: Finite `tf.data.Dataset` of `(frames, label)` batches.
      workers: `Workers` that share the batches, or None.
    """

  def held_out_score(self, values):
    """The number by which checkpoints are ranked, the lowest first, or None.

    Args:
      values: From `evaluate`.
    """
    del values

  def details(self, model, dataset):
    """More numbers to log with an evaluation: `dict` of `dict`s of floats."""
    del model, dataset
    return {}

  @abc.abstractmethod
  def measure(self, model, step, inputs, folder, num_importance_samples=None):
    """All held-out numbers of a trained model, for metrics.json: `dict`.

    Args:
      model: From `build_model`, trained.
      step: Python `int`, number of training steps of the model.
      inputs: `Inputs`.
      folder: `RunFolder`, with the run's log.
      num_importance_samples: Python `int`, number of noise draws for a tighter
        bound on the code length; None: the tighter bound is not computed.

    Raises:
      ConfigError: if `num_importance_samples` is given, but the model's
        likelihood does not bound a code length.
    """

  @abc.abstractmethod
  def conclude(self, model, inputs, folder):
    """Does what else is due after training, before samples are made."""

  @abc.abstractmethod
  def sample_videos(self, model, frames, labels):
    """Samples videos to show beside real ones.

    Args:
      model: From `build_model`.
      frames: uint8 `[B, T, H, W, C]`, real clips.
      labels: int `[B]`, the clips' labels.

    Returns:
      `dict` of uint8 `[B, T', H, W, C]`: 'generated' videos of the labels, and
      'continued' clips.
    """

  @abc.abstractmethod
  def format_table(self, metrics):
    """The numbers of metrics.json as text: `str`."""

  @abc.abstractmethod
  def table(self, metrics):
    """The numbers as a table: column names, rows of `str`, and a caption."""

  @abc.abstractmethod
  def remarks(self, metrics):
    """Remarks on the numbers, in words: list of `str`."""
