"""The GAN as what a run trains; see `train.systems.choice`."""

from __future__ import annotations

import functools

from absl import logging

from train.evaluation import measuring
from train.samples import continuations
from train.samples import sample_health
from train.storage import files
from train.systems.gan import curves
from train.systems.gan import models
from train.systems.gan import table

__all__ = [
  'EXPORTS',
  'HAS_SCORE',
  'UNTRAINED',
  'build_model',
  'conclude',
  'details',
  'evaluate',
  'format_table',
  'held_out_score',
  'measure',
  'sample_videos',
]

EXPORTS = False
HAS_SCORE = False
UNTRAINED = 'untrained'
_MAX_CLIPS = 256  # That the samples' statistics are compared with.

build_model = models.build_model
format_table = table.format_table


def evaluate(model, dataset, workers=None):
  """What discriminator and generator do on held-out labels: `dict`.

  Args:
    model: A compiled `VideoGan`.
    dataset: Finite `tf.data.Dataset` of `(frames, label)` batches.
    workers: Not used: a strategy's replicas share the batches by themselves.

  Returns:
    `dict` of floats, named as the training's; scores are of held-out clips.
  """
  del workers
  values = model.evaluate(dataset, verbose=0, return_dict=True)
  return {k: float(v) for k, v in values.items()}


def held_out_score(values):
  """None: a GAN has no number that says which of two is better."""
  del values


def details(model, dataset):
  """Nothing."""
  del model, dataset
  return {}


def measure(model, config, step, inputs, folder, num_importance_samples=None):
  """Everything that is known of a model.

  Args:
    model: A compiled `VideoGan`.
    config: `Config`.
    step: Python `int`, training steps that the model had.
    inputs: `Inputs`.
    folder: `RunFolder`, with the run's log.
    num_importance_samples: None.

  Returns:
    `dict` for metrics.json.

  Raises:
    ConfigError: for importance samples: a GAN has no likelihood.
  """
  if num_importance_samples is not None:
    raise measuring.no_bound('a GAN has none')
  valid = inputs.valid_dataset()
  metrics = {
    'step': step,
    'evaluation': evaluate(model, valid),
    'samples': _health(model, valid, config.seed),
    'num_train_clips': inputs.num_train_clips,
    'num_valid_clips': inputs.num_valid_clips,
    'seconds': measuring.training_seconds(folder.read_metrics()),
  }
  if config.quality_samples:
    metrics |= continuations.summary(
      model,
      valid,
      config.quality_samples,
      config.temperature,
      measuring.QUALITY_CLIPS,
      config.quality_given or 1,
      seed=config.seed,
    )
    metrics['is_exact'] = continuations.is_exact(
      functools.partial(_samples, model, *next(iter(valid)))
    )
  return metrics


def _health(model, dataset, seed):
  """What `sample_health` gives; None where no label has two clips."""
  frames, label = continuations.even_clips(dataset, _MAX_CLIPS)
  try:
    return sample_health.measure(model, frames, label, seed=seed)
  except ValueError as e:
    logging.warning('Generated videos are not compared with real ones: %s', e)
    return None


def _samples(model, frames, label):
  """Videos of one seed, as many and as long as clips: list of one tensor."""
  label = None if model.num_labels is None else label
  videos = model.sample(
    labels=label,
    num_videos=len(frames) if label is None else None,
    num_frames=frames.shape[1],
    seed=0,
  )
  return [videos]


def conclude(model, config, inputs, folder):
  """Writes the figure of training (the paper's Fig. 7)."""
  del model, config, inputs
  figure = curves.figure({'': folder.read_metrics()})
  files.write_atomically(folder.path / 'gan_curves.png', figure)


def sample_videos(model, config, frames, labels):
  """`dict`: clips that are 'generated', and real ones that are 'continued'."""
  generated = model.sample(
    labels=None if model.num_labels is None else labels,
    num_videos=None if model.num_labels is not None else len(labels),
    num_frames=config.sample_frames,
    temperature=config.temperature,
    seed=config.seed,
  ).numpy()
  (continued,) = continuations.continue_clips(
    model, frames, labels, 1, temperature=config.temperature, seed=config.seed
  )
  return {'generated': generated, 'continued': continued}
