"""`FlowSystem`: trains flows."""

from absl import logging

from train.config import overrides
from train.evaluation import evaluation
from train.evaluation import held_out_table
from train.evaluation import measuring
from train.evaluation import protocol_lines
from train.evaluation.judges import verdict_lines
from train.samples import continuations
from train.serving import export as export_lib
from train.serving import model_card
from train.storage import origin
from train.systems import base
from train.systems.flow import models

__all__ = ['FlowSystem']

# Most frames of a request to a SavedModel, if the config asks for no export.
_MAX_FRAMES = 256
# Mean round-trip error, in levels of uint8, above which a warning is logged.
_MOST_ROUND_TRIP_LEVELS = 0.01


class FlowSystem(base.System):
  """Trains a `VideoGlow`."""

  name = 'a flow'
  untrained = 'identity'  # A new flow is the identity until it is adapted.
  has_likelihood = True

  @property
  def has_head(self):
    return self.config.model.head is not None

  @property
  def has_tail(self):
    return self.config.model.tail is not None

  @property
  def exports(self):
    return self.config.model.export_max_frames is not None

  @property
  def num_given(self):
    tail = self.config.model.tail
    seen = 1 if tail is None else tail.previous_frames
    return min(seen, max(self.config.data.num_frames - 1, 1))

  def check(self):
    models.check(self.config)

  def build_model(self, num_labels):
    return models.build_model(self.config, num_labels)

  def sampler(self, model):
    return model.flow

  def evaluate(self, model, dataset, workers=None):
    return evaluation.evaluate(model, dataset, workers)

  def held_out_score(self, values):
    """The sum of the bits/dim of head and tail."""
    parts = [values['head_bits_per_dim'], values['tail_bits_per_dim']]
    return sum(v for v in parts if v is not None)

  def details(self, model, dataset):
    parts = (self.config.model.head, self.config.model.tail)
    if not any(part is not None and part.steps is not None for part in parts):
      return {}  # No scales, and no matrices that could become singular.
    frames, label = next(iter(dataset))
    scales = evaluation.invertibility(model.flow, frames[:1, :2], label[:1])
    return {'invertibility': scales}

  def measure(self, model, step, inputs, folder, num_importance_samples=None):
    return measuring.measure(
      model.flow,
      self.config,
      step,
      inputs,
      folder,
      self.num_given,
      num_importance_samples,
    )

  def conclude(self, model, inputs, folder):
    """Logs a warning if the inverse has lost precision."""
    batch = next(iter(inputs.valid_dataset()))
    reports = evaluation.invertibility(model.flow, *batch)
    folder.append_metrics('invertibility', self.config.run.steps, **reports)
    for name, values in reports.items():
      error = values['mean_round_trip_error_levels']
      if not error <= _MOST_ROUND_TRIP_LEVELS:
        logging.warning(
          'The inverse of the %s is not precise: a round trip changes values '
          'by %.3g levels of 255 in the mean; samples may show it. Scales lie '
          'in [%.2g, %.2g]; the largest condition number of a 1x1 convolution '
          'is %.3g.',
          name,
          error,
          values['min_scale'],
          values['max_scale'],
          values['max_condition_number'],
        )

  def sample_videos(self, model, frames, labels):
    flow, run = model.flow, self.config.run
    videos = {}
    if self.has_head:
      videos['generated'] = flow.sample(
        labels=None if flow.num_labels is None else labels,
        num_videos=None if flow.num_labels is not None else len(labels),
        num_frames=run.sample_frames if self.has_tail else 1,
        seed=self.config.seed,
        **self.config.sampling,
      ).numpy()
    if self.has_tail:
      (videos['continued'],) = continuations.continue_clips(
        flow,
        frames,
        labels,
        num_samples=1,
        num_given=self.num_given,
        seed=self.config.seed,
        **self.config.sampling,
      )
    return videos

  def format_table(self, metrics):
    return held_out_table.format_table(metrics)

  def table(self, metrics):
    rows = []
    for name, *values in held_out_table.rows(metrics):
      errors = [None, None]
      if name == 'trained flow':
        errors = [
          metrics.get(f'{part}_bits_per_dim_standard_error')
          for part in ('head', 'tail')
        ]
      rows.append((name, *(_number(*pair) for pair in zip(values, errors))))
    caption = 'Bits per dimension (± standard error over clips).'
    return ('', 'head', 'tail'), rows, caption

  def remarks(self, metrics):
    judged = verdict_lines.verdict_lines(metrics)
    numbers = protocol_lines.protocol_lines(metrics)
    return numbers + held_out_table.label_lines(metrics) + judged

  def export(self, model, folder):
    """Writes a new version of the SavedModel.

    Args:
      model: From `build_model`.
      folder: `RunFolder`.

    Returns:
      The path of the new version.
    """
    metrics = folder.read_metrics_file()
    card = {
      'config': overrides.to_values(self.config),
      'metrics': metrics,
      'data': model_card.data_facts(
        self.config,
        metrics.get('num_train_clips'),
        metrics.get('num_valid_clips'),
        origin.words(folder.path),
      ),
    }
    names = None if model.flow.num_labels is None else folder.read_labels()
    return export_lib.export_model(
      model.flow,
      folder.exports,
      card=card,
      label_names=names,
      max_frames=self.config.model.export_max_frames or _MAX_FRAMES,
    )


def _number(value, error):
  if value is None:
    return '–'
  return f'{value:.3f}' + ('' if error is None else f' ± {error:.3f}')
