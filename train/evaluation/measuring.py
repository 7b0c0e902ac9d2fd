"""All held-out numbers of a run, as metrics.json has them."""

from absl import logging
import numpy as np

from train.config import configs
from train.evaluation import breakdown
from train.evaluation import importance
from train.evaluation import published
from train.evaluation import references
from train.samples import continuations

__all__ = ['QUALITY_CLIPS', 'measure', 'no_bound', 'training_seconds']

QUALITY_CLIPS = 16  # Held-out clips that are continued.

# The histograms have a thousand cells; more clips would not move them.
_MAX_REFERENCE_CLIPS = 1024


def measure(model, config, step, inputs, folder, num_importance_samples=None):
  """Everything that is known of a model on held-out clips.

  Writes each clip's scores into the run's folder, too: comparisons between
  runs are paired by clip.

  Args:
    model: A compiled `VideoGlow`.
    config: `Config`.
    step: Python `int`, training steps that the model had.
    inputs: `Inputs`.
    folder: `RunFolder`, with the run's log.
    num_importance_samples: Python `int`: so many draws of noise tighten the
      bound (`importance`); None: no such bound.

  Returns:
    `dict` for metrics.json.

  Raises:
    ConfigError: for such a bound of a model that has none.
  """
  _check_importance(model, num_importance_samples)
  rows = folder.read_metrics()
  scores = breakdown.clip_scores(model, inputs.valid_dataset())
  folder.write_arrays(folder.scores_file.name, scores)
  metrics = {
    'step': step,
    **_means(scores),
    **breakdown.summary(
      model, inputs.valid_dataset(), inputs.label_names, scores
    ),
  }
  for name in ('identity', 'start', 'adapted'):
    for part in ('head', 'tail'):
      key = f'{part}_bits_per_dim'
      values = [r[key] for r in rows if r.get('model') == name]
      metrics[f'{name}_{key}'] = values[-1] if values else None
  metrics.update(_reference_bits(config, inputs))
  metrics['published'] = published.numbers_for(config)
  metrics['num_train_clips'] = inputs.num_train_clips
  metrics['num_valid_clips'] = inputs.num_valid_clips
  metrics['seconds'] = training_seconds(rows)
  if config.quality_samples:
    metrics.update(_of_samples(model, config, inputs))
  if num_importance_samples is not None:
    metrics.update(_tighter_bound(model, inputs, num_importance_samples))
  return metrics


def _of_samples(model, config, inputs):
  """Quality of continuations, and whether a seed gives the same numbers."""
  metrics = {}
  num_given = min(config.previous_frames, config.num_frames - 1)
  if model.tail is not None:
    metrics = continuations.summary(
      model,
      inputs.valid_dataset(),
      config.quality_samples,
      config.temperature,
      QUALITY_CLIPS,
      config.quality_given or num_given,
      seed=config.seed,
    )
  first = next(iter(inputs.valid_dataset()))
  metrics['is_exact'] = continuations.is_exact(
    continuations.densities_and_samples(model, *first)
  )
  if not metrics['is_exact']:
    logging.warning('The same seed gave other numbers the second time.')
  return metrics


def _means(scores):
  """Bits/dim of the clips' scores; None of a part that the model has not."""
  means = {'label_accuracy': None}
  for name in ('head', 'tail'):
    values = scores.get(name)
    mean = None if values is None else float(values.mean(dtype=np.float64))
    means[f'{name}_bits_per_dim'] = mean
  return means


def _check_importance(model, num_samples):
  if num_samples is not None and model.dequantisation == 'legacy':
    raise no_bound("bits/dim of a model with dequantisation 'legacy' are none")


def no_bound(why):
  """A ConfigError: importance samples tighten a bound that there is not."""
  return configs.ConfigError(
    f'importance_samples bounds a code length, but {why}.'
  )


def _tighter_bound(model, inputs, num_samples):
  bits = importance.importance_weighted_bits(
    model, inputs.valid_dataset(), num_samples
  )
  bits['num_importance_samples'] = bits.pop('num_samples')
  return bits


def training_seconds(rows):
  """Seconds of a run: the sum over its sessions, each counts from zero.

  Args:
    rows: Of the run's metrics.jsonl.

  Returns:
    Number.
  """
  last = {r.get('session'): r['seconds'] for r in rows if 'seconds' in r}
  return sum(last.values())


def _reference_bits(config, inputs):
  num_batches = -(-_MAX_REFERENCE_CLIPS // config.batch_size)
  train_clips = [
    frames.numpy()
    for frames, _ in inputs.train_clips_dataset().take(num_batches)
  ]
  valid_clips = [frames.numpy() for frames, _ in inputs.valid_dataset()]
  marginal = references.marginal_histogram_bits_per_dim(
    train_clips, valid_clips, config.n_bits
  )
  previous = None
  if config.num_frames > 1:
    previous = references.previous_pixel_histogram_bits_per_dim(
      train_clips, valid_clips, config.n_bits
    )
  return {
    'marginal_histogram_bits_per_dim': marginal,
    'previous_pixel_histogram_bits_per_dim': previous,
  }
