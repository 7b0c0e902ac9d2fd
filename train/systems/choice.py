"""What a run can train: a flow, or the GAN that the paper gave up.

A system is a module with these functions:

- `build_model(config, num_labels)`: a compiled Keras model with `adapted`,
  `submodels`, `parameter_groups`, `step_guard` and `weight_average`.
- `sampler(model)`: what `sample` and the frames' sizes are asked of.
- `evaluate(model, dataset, workers)`: held-out numbers, a `dict`.
- `held_out_score(values)`: of these the one that the best checkpoint has the
  least of; None unless `HAS_SCORE`.
- `details(model, dataset)`: further `dict`s to be logged with them.
- `measure(model, config, step, inputs, folder, num_importance_samples)`: all
  numbers of a trained model, for metrics.json.
- `conclude(model, config, inputs, folder)`: what else a run ends with.
- `sample_videos(model, config, frames, labels)`: `dict` of clips beside real
  ones.
- `format_table(metrics)`: text.
- `export(model, config, folder)`: writes a SavedModel, if `EXPORTS`.

and `UNTRAINED`, the name of the numbers before training.
"""

from train.systems.flow import flow_system
from train.systems.gan import system as gan_system

__all__ = ['of']


def of(config):
  """The system that a `Config` trains."""
  return gan_system if config.model == 'gan' else flow_system
