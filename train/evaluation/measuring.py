"""Measures all held-out numbers of a run, for metrics.json."""

from absl import logging
import numpy as np

from train.config import fields
from train.evaluation import breakdown
from train.evaluation import importance
from train.evaluation import protocols
from train.evaluation import published
from train.evaluation import references
from train.evaluation.judges import judging
from train.samples import continuations

__all__ = ['QUALITY_CLIPS', 'measure', 'no_bound', 'training_seconds']

QUALITY_CLIPS = 16  # Held-out clips that are continued.

# The histograms have a thousand cells; more clips would hardly change them.
_MAX_REFERENCE_CLIPS = 1024


def measure(
  flow, config, step, inputs, folder, num_given, num_importance_samples=None
):
  """Measures a model on held-out clips.

  Each clip's scores are written into the run's folder, so that runs can be
  compared clip by clip.

  Args:
    flow: `VideoFlow`.
    config: `Config`.
    step: Python `int`, number of training steps of the model.
    inputs: `Inputs`.
    folder: `RunFolder`, with the run's log.
    num_given: Python `int`, number of real frames that continuations start
      from, if the config does not set it.
    num_importance_samples: Python `int`, number of noise draws for the tighter
      bound (`importance`); None: it is not computed.

  Returns:
    `dict` for metrics.json.

  Raises:
    ConfigError: if the tighter bound is asked for, but the model's bits/dim
      bound no code length.
  """
  _check_importance(flow, num_importance_samples)
  rows = folder.read_metrics()
  scores = breakdown.clip_scores(flow, inputs.valid_dataset())
  folder.write_arrays(folder.scores_file.name, scores)
  metrics = {
    'step': step,
    **_means(scores),
    **breakdown.summary(
      flow, inputs.valid_dataset(), inputs.label_names, scores
    ),
  }
  for name in ('identity', 'start', 'adapted'):
    for part in ('head', 'tail'):
      key = f'{part}_bits_per_dim'
      values = [r[key] for r in rows if r.get('model') == name]
      metrics[f'{name}_{key}'] = values[-1] if values else None
  metrics.update(_reference_bits(config, inputs))
  metrics['published'] = published.numbers_for(config)
  metrics['protocol'] = protocols.measure(flow, config, inputs, scores)
  metrics['num_train_clips'] = inputs.num_train_clips
  metrics['num_valid_clips'] = inputs.num_valid_clips
  metrics['seconds'] = training_seconds(rows)
  if config.run.quality_samples:
    metrics.update(_of_samples(flow, config, inputs, num_given))
  if num_importance_samples is not None:
    metrics.update(_tighter_bound(flow, inputs, num_importance_samples))
  return metrics


def _of_samples(flow, config, inputs, num_given):
  """Quality of samples, and whether a seed repeats its numbers."""
  metrics, continued = {}, None
  if flow.tail is not None:
    metrics, continued = continuations.summary(
      flow,
      inputs.valid_dataset(),
      config.run.quality_samples,
      QUALITY_CLIPS,
      config.run.quality_given or num_given,
      seed=config.seed,
      **config.sampling,
    )
  num_frames = None
  if flow.head is not None:
    num_frames = 1 if flow.tail is None else config.run.sample_frames
  metrics |= judging.judge_run(flow, config, inputs, num_frames, continued)
  first = next(iter(inputs.valid_dataset()))
  metrics['is_exact'] = continuations.is_exact(
    continuations.densities_and_samples(flow, *first)
  )
  if not metrics['is_exact']:
    logging.warning('The same seed gave different numbers the second time.')
  return metrics


def _means(scores):
  """Mean bits/dim over clips; None for a part that the model lacks."""
  means = {'label_accuracy': None}
  for name in ('head', 'tail'):
    values = scores.get(name)
    mean = None if values is None else float(values.mean(dtype=np.float64))
    means[f'{name}_bits_per_dim'] = mean
  return means


def _check_importance(flow, num_samples):
  if num_samples is not None and flow.dequantisation != 'matched':
    kind = flow.dequantisation
    raise no_bound(f'a flow with dequantisation {kind!r} has none')


def no_bound(why):
  """The ConfigError for importance samples of a model without such a bound."""
  return fields.ConfigError(
    f'--importance_samples tightens a bound on the code length, but {why}.'
  )


def _tighter_bound(flow, inputs, num_samples):
  bits = importance.importance_weighted_bits(
    flow, inputs.valid_dataset(), num_samples
  )
  bits['num_importance_samples'] = bits.pop('num_samples')
  return bits


def training_seconds(rows):
  """The training time of a run, the sum over its sessions.

  Args:
    rows: Rows of the run's metrics.jsonl; each session's `seconds` count from
      its start.

  Returns:
    Number, seconds.
  """
  last = {r.get('session'): r['seconds'] for r in rows if 'seconds' in r}
  return sum(last.values())


def _reference_bits(config, inputs):
  if config.model.dequantisation == 'drawn':  # Its targets are no frames.
    return {
      'marginal_histogram_bits_per_dim': None,
      'previous_pixel_histogram_bits_per_dim': None,
    }
  num_batches = -(-_MAX_REFERENCE_CLIPS // config.run.batch_size)
  train_clips = [
    frames.numpy()
    for frames, _ in inputs.train_clips_dataset().take(num_batches)
  ]
  valid_clips = [frames.numpy() for frames, _ in inputs.valid_dataset()]
  marginal = references.marginal_histogram_bits_per_dim(
    train_clips, valid_clips, config.model.n_bits
  )
  previous = None
  if config.data.num_frames > 1:
    previous = references.previous_pixel_histogram_bits_per_dim(
      train_clips, valid_clips, config.model.n_bits
    )
  return {
    'marginal_histogram_bits_per_dim': marginal,
    'previous_pixel_histogram_bits_per_dim': previous,
  }
