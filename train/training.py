"""A run: from a config to a trained model, its numbers, samples and export."""

import dataclasses
import time

from absl import logging
import tensorflow as tf

import tfp_cglow
from train import callbacks
from train import checkpoints as checkpoints_lib
from train import configs
from train import continuations
from train import evaluation
from train import export
from train import inputs as inputs_lib
from train import measuring
from train import models
from train import parameter_watch
from train import run_folder
from train import samples
from train import sources

__all__ = ['Run', 'evaluate_run', 'export_run', 'load', 'sample_run', 'train']

_LABEL_START = 'label_start.npz'  # Of the parameters' movement.
_MAX_ROUND_TRIP_LEVELS = 0.1  # Of uint8: nobody sees a tenth of a level.


def train(config, workdir, init_from=None):
  """Trains, or resumes, a run.

  Args:
    config: `Config`.
    workdir: Path of the run's folder.
    init_from: 'WORKDIR[:head|:tail]' of a run to start from, or None.

  Returns:
    metrics: `dict`, as written to metrics.json, and whether the export can
      sample (`has_sample_signature`).
    folder: `RunFolder`.

  Raises:
    ConfigError, DataError, RunFolderError: what the user can put right.
  """
  folder = run_folder.RunFolder(workdir)
  folder.create()
  if folder.config_file.exists():
    config = configs.keep_choices(config, folder.read_config())
  config = inputs_lib.resolve(config)
  inputs = inputs_lib.make_inputs(config, folder.skipped_log)
  model = models.build_model(config, len(inputs.label_names))
  is_resumed = folder.claim(config)
  folder.write_labels(inputs.label_names)
  checkpoints = checkpoints_lib.Checkpoints(
    model, folder.checkpoints, config.keep_checkpoints
  )
  step = checkpoints.restore() if is_resumed else 0
  with inputs.raising():
    if step == 0:
      _start(model, inputs, folder, init_from)
    if step < config.steps:
      _fit(model, config, inputs, folder, checkpoints, step)
    return _finish(model, config, inputs, folder), folder


def _start(model, inputs, folder, init_from):
  """Weights of another run, ActNorm's initialisation, untrained numbers."""
  if init_from is not None:
    for mismatch in checkpoints_lib.init_from(model, init_from):
      logging.warning('--init_from: not copied: %s', mismatch)
  logging.info('Evaluating the untrained flow.')
  valid = inputs.valid_dataset()
  folder.append_metrics(
    'eval', 0, model='identity', **evaluation.evaluate(model, valid)
  )
  model.adapt(*_labelled(model, next(iter(inputs.train_dataset(0)))))
  folder.append_metrics(
    'eval', 0, model='adapted', **evaluation.evaluate(model, valid)
  )
  groups = model.parameter_groups()
  if 'labels' in groups:
    start = parameter_watch.sample(groups['labels'])
    folder.write_arrays(_LABEL_START, {'labels': start})


def _labelled(model, batch):
  frames, label = batch
  return frames, None if model.num_labels is None else label


def _fit(model, config, inputs, folder, checkpoints, step):
  start, session = time.perf_counter(), time.time()
  valid = inputs.valid_dataset()

  def evaluate(at_step):
    values = evaluation.evaluate(model, valid)
    seconds = time.perf_counter() - start
    folder.append_metrics(
      'eval',
      at_step,
      model='trained',
      session=session,
      seconds=seconds,
      **values,
    )

  watch = parameter_watch.ParameterWatch(
    model.parameter_groups(), folder.read_arrays(_LABEL_START).get('labels')
  )
  model.fit(
    inputs.train_dataset(step),
    steps_per_epoch=config.steps - step,
    verbose=0,
    callbacks=[
      callbacks.Logging(
        step, config.steps, config.log_every, folder, inputs, watch
      ),
      callbacks.Evaluation(step, config.steps, config.eval_every, evaluate),
      callbacks.Checkpointing(
        step, config.steps, config.checkpoint_every, checkpoints
      ),
    ],
  )


def _finish(model, config, inputs, folder):
  """Numbers, samples and export of a trained model."""
  logging.info('Evaluating the trained flow.')
  metrics = measuring.measure(model, config, config.steps, inputs, folder)
  _report_invertibility(model, config, inputs, folder)
  if config.num_samples:
    real = continuations.even_clips(inputs.valid_dataset(), config.num_samples)
    _write_samples(model, config, folder, *real)
  if config.export:
    export.export_model(model, folder.exports)
  metrics['has_sample_signature'] = config.export and model.head is not None
  folder.write_metrics(metrics)
  return metrics


def _report_invertibility(model, config, inputs, folder):
  """Says so, before samples are made, if the inverse has lost precision."""
  reports = evaluation.invertibility(model, *next(iter(inputs.valid_dataset())))
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


def _write_samples(model, config, folder, frames, labels):
  """Generated and (at temperature 0) continued clips beside real ones."""
  stem = folder.samples / f'step_{config.steps}'
  if model.head is not None:
    generated = model.sample(
      labels=None if model.num_labels is None else labels,
      num_videos=None if model.num_labels is not None else len(labels),
      num_frames=1 if model.tail is None else config.sample_frames,
      temperature=config.temperature,
      seed=config.seed,
    )
    samples.save_comparison(f'{stem}_generated', frames, generated.numpy())
  if model.tail is not None:
    (continued,) = continuations.continue_clips(
      model, frames, labels, num_samples=1, temperature=0.0
    )
    samples.save_comparison(f'{stem}_continued', frames, continued)


@dataclasses.dataclass(frozen=True)
class Run:
  """A run as its newest checkpoint has it.

  Attributes:
    folder: `RunFolder`.
    config: `Config`.
    label_names: Tuple of `str`.
    model: A compiled `VideoGlow`, restored.
    step: Python `int`, training steps that the model had.
  """

  folder: run_folder.RunFolder
  config: configs.Config
  label_names: tuple
  model: tfp_cglow.VideoGlow
  step: int

  def inputs(self):
    """The run's `Inputs`."""
    return inputs_lib.make_inputs(self.config, self.folder.skipped_log)


def load(workdir):
  """Restores a run's newest checkpoint.

  Args:
    workdir: Path.

  Returns:
    A `Run`.

  Raises:
    RunFolderError: if there is no run, or it has no checkpoint.
  """
  folder = run_folder.RunFolder(workdir)
  config = folder.read_config()
  label_names = folder.read_labels()
  model = models.build_model(config, len(label_names))
  step = checkpoints_lib.Checkpoints(model, folder.checkpoints).restore()
  if step == 0:
    raise run_folder.RunFolderError(f'{workdir} has no checkpoint.')
  return Run(folder, config, label_names, model, step)


def evaluate_run(workdir, num_importance_samples=None):
  """Measures a run's newest checkpoint again; writes metrics.json.

  Args:
    workdir: Path.
    num_importance_samples: As of `measuring.measure`.

  Returns:
    `dict`, as written.
  """
  run = load(workdir)
  inputs = run.inputs()
  with inputs.raising():
    metrics = measuring.measure(
      run.model,
      run.config,
      run.step,
      inputs,
      run.folder,
      num_importance_samples,
    )
  run.folder.write_metrics(metrics)
  return metrics


def sample_run(workdir, labels, num_frames, temperature, seed):
  """Samples videos from a run's newest checkpoint.

  Args:
    workdir: Path.
    labels: List of `str`, names or ids; empty: every label.
    num_frames: Python `int`, or None: the config's.
    temperature: Float, or None: the config's.
    seed: Python `int`, or None: a random one.

  Returns:
    Paths of the files written.
  """
  run = load(workdir)
  model, config = run.model, run.config
  ids = list(range(len(run.label_names)))
  try:
    ids = sources.resolve_labels(labels, run.label_names) or ids
    videos = model.sample(
      labels=None if model.num_labels is None else tf.constant(ids),
      num_videos=None if model.num_labels is not None else len(ids),
      num_frames=num_frames
      or (1 if model.tail is None else config.sample_frames),
      temperature=config.temperature if temperature is None else temperature,
      seed=seed,
    )
  except ValueError as e:
    raise configs.ConfigError(str(e)) from e
  return samples.save_videos(run.folder.samples / 'sampled', videos.numpy())


def export_run(workdir):
  """Exports a run's newest checkpoint again.

  Returns:
    The SavedModel's path.
  """
  run = load(workdir)
  return export.export_model(run.model, run.folder.exports)
