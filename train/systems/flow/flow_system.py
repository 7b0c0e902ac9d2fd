"""The flow as what a run trains; beside `train.systems.gan.system`."""

import dataclasses

from absl import logging

from train.evaluation import evaluation
from train.evaluation import held_out_table
from train.evaluation import measuring
from train.samples import continuations
from train.serving import export as export_lib
from train.serving import model_card
from train.systems.flow import models

__all__ = [
  'EXPORTS',
  'HAS_SCORE',
  'UNTRAINED',
  'build_model',
  'conclude',
  'details',
  'evaluate',
  'export',
  'format_table',
  'held_out_score',
  'measure',
  'sampler',
  'sample_videos',
]

EXPORTS = True
HAS_SCORE = True
UNTRAINED = 'identity'  # What a model is before anything is known of data.
_MAX_ROUND_TRIP_LEVELS = 0.1  # Of uint8: nobody sees a tenth of a level.

build_model = models.build_model
evaluate = evaluation.evaluate
format_table = held_out_table.format_table


def sampler(model):
  """What draws samples: the `VideoFlow` of a `VideoGlow`."""
  return model.flow


def measure(model, *args, **kwargs):
  """See `measuring.measure`, of the model's flow."""
  return measuring.measure(model.flow, *args, **kwargs)


def held_out_score(values):
  """The bits/dim of head and tail, added: the less, the better.

  Args:
    values: What `evaluate` gave.

  Returns:
    Python `float`.
  """
  parts = [values['head_bits_per_dim'], values['tail_bits_per_dim']]
  return sum(v for v in parts if v is not None)


def details(model, dataset):
  """What is logged with each evaluation, besides: `dict` of `dict`s."""
  frames, label = next(iter(dataset))
  scales = evaluation.invertibility(model.flow, frames[:1, :2], label[:1])
  return {'invertibility': scales}


def conclude(model, config, inputs, folder):
  """Says so, before samples are made, if the inverse has lost precision."""
  batch = next(iter(inputs.valid_dataset()))
  reports = evaluation.invertibility(model.flow, *batch)
  folder.append_metrics('invertibility', config.steps, **reports)
  for name, values in reports.items():
    if not values['round_trip_error_levels'] <= _MAX_ROUND_TRIP_LEVELS:
      logging.warning(
        'The %s has lost its inverse: a frame comes back %.3g levels of 255 '
        'off. Samples will show it. Scales lie in [%.2g, %.2g], the largest '
        'condition number of a 1x1 convolution is %.3g.',
        name,
        values['round_trip_error_levels'],
        values['min_scale'],
        values['max_scale'],
        values['max_condition_number'],
      )


def sample_videos(model, config, frames, labels):
  """`dict`: clips that are 'generated', and real ones that are 'continued'."""
  flow, videos = model.flow, {}
  if flow.head is not None:
    videos['generated'] = flow.sample(
      labels=labels if flow.takes_labels else None,
      num_videos=None if flow.takes_labels else len(labels),
      num_frames=1 if flow.tail is None else config.sample_frames,
      temperature=config.temperature,
      seed=config.seed,
    ).numpy()
  if flow.tail is not None:
    (videos['continued'],) = continuations.continue_clips(
      flow, frames, labels, num_samples=1, temperature=0.0
    )
  return videos


def export(model, config, folder):
  """The path of a new version of the SavedModel."""
  values = dataclasses.asdict(config)
  metrics = folder.read_metrics_file()
  card = {
    'config': values,
    'metrics': metrics,
    'data': model_card.data_facts(
      values, metrics.get('num_train_clips'), metrics.get('num_valid_clips')
    ),
  }
  names = folder.read_labels() if model.flow.takes_labels else None
  return export_lib.export_model(
    model.flow,
    folder.exports,
    card=card,
    label_names=names,
    max_frames=config.export_max_frames,
  )
