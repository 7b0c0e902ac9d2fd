"""`GanSystem`: trains the GAN."""

from __future__ import annotations

import functools

from absl import logging

from train.evaluation import measuring
from train.evaluation.judges import judging
from train.evaluation.judges import verdict_lines
from train.samples import continuations
from train.samples import sample_health
from train.storage import files
from train.systems import base
from train.systems.gan import curves
from train.systems.gan import models
from train.systems.gan import table

__all__ = ['GanSystem']

_MAX_CLIPS = 256  # Real clips with which samples are compared.


class GanSystem(base.System):
  """Trains a `VideoGan`."""

  name = 'a GAN'
  untrained = 'untrained'
  has_likelihood = False
  has_head = True
  has_tail = True
  num_given = 1

  def check(self):
    models.check(self.config)

  def build_model(self, num_labels):
    return models.build_model(self.config, num_labels)

  def sampler(self, model):
    return model

  def evaluate(self, model, dataset, workers=None):
    """Evaluates generator and discriminator; see `System.evaluate`.

    `workers` is not used: `model.evaluate` shares the batches among replicas.
    """
    del workers
    values = model.evaluate(dataset, verbose=0, return_dict=True)
    return {k: float(v) for k, v in values.items()}

  def measure(self, model, step, inputs, folder, num_importance_samples=None):
    if num_importance_samples is not None:
      raise measuring.no_bound('a GAN has none')
    config, valid = self.config, inputs.valid_dataset()
    metrics = {
      'step': step,
      'evaluation': self.evaluate(model, valid),
      'samples': _health(model, valid, config.seed),
      'num_train_clips': inputs.num_train_clips,
      'num_valid_clips': inputs.num_valid_clips,
      'seconds': measuring.training_seconds(folder.read_metrics()),
    }
    if config.run.quality_samples:
      of_continuations, continued = continuations.summary(
        model,
        valid,
        config.run.quality_samples,
        measuring.QUALITY_CLIPS,
        config.run.quality_given or self.num_given,
        seed=config.seed,
        **config.sampling,
      )
      metrics |= of_continuations
      metrics |= judging.judge_run(
        model, config, inputs, config.run.sample_frames, continued
      )
      metrics['is_exact'] = continuations.is_exact(
        functools.partial(_samples, model, *next(iter(valid)))
      )
    return metrics

  def conclude(self, model, inputs, folder):
    """Writes the figure of training (the paper's Fig. 7)."""
    del model, inputs
    figure = curves.figure({'': folder.read_metrics()})
    files.write_atomically(folder.path / 'gan_curves.png', figure)

  def sample_videos(self, model, frames, labels):
    run, seed = self.config.run, self.config.seed
    generated = model.sample(
      labels=None if model.num_labels is None else labels,
      num_videos=None if model.num_labels is not None else len(labels),
      num_frames=run.sample_frames,
      seed=seed,
      **self.config.sampling,
    ).numpy()
    (continued,) = continuations.continue_clips(
      model, frames, labels, 1, seed=seed, **self.config.sampling
    )
    return {'generated': generated, 'continued': continued}

  def format_table(self, metrics):
    judged = verdict_lines.verdict_lines(metrics)
    return '\n'.join([table.format_table(metrics), *judged])

  def table(self, metrics):
    return ('', 'generated', 'real'), table.rows(metrics), ''

  def remarks(self, metrics):
    judged = verdict_lines.verdict_lines(metrics)
    return table.verdict_lines(metrics) + judged


def _health(model, dataset, seed):
  """The result of `sample_health.measure`; None if no label has two clips."""
  frames, label = continuations.even_clips(dataset, _MAX_CLIPS)
  try:
    return sample_health.measure(model, frames, label, seed=seed)
  except ValueError as e:
    logging.warning('Generated videos are not compared with real ones: %s', e)
    return None


def _samples(model, frames, label):
  """A list of one tensor: videos of seed 0, of the same shape as `frames`."""
  label = None if model.num_labels is None else label
  videos = model.sample(
    labels=label,
    num_videos=len(frames) if label is None else None,
    num_frames=frames.shape[1],
    seed=0,
  )
  return [videos]
