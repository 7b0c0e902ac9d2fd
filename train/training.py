"""A run: from a config to a trained model, its numbers, samples and export."""

import dataclasses
import time

from absl import logging
import numpy as np
import tensorflow as tf

from train import breakdown
from train import callbacks
from train import checkpoints as checkpoints_lib
from train import configs
from train import evaluation
from train import export
from train import inputs as inputs_lib
from train import models
from train import references
from train import run_folder
from train import samples
from train import sources

__all__ = ['evaluate_run', 'export_run', 'sample_run', 'train']

# The histograms have a thousand cells; more clips would not move them.
_MAX_REFERENCE_CLIPS = 1024
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
  config = _resolve(config, folder)
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


def _resolve(config, folder):
  """The config without 'auto'; a resumed run keeps what it chose before."""
  if folder.config_file.exists():
    before = folder.read_config()
    chosen = {
      name: getattr(before, name)
      for name in ('decoder', 'decode_device')
      if getattr(config, name) == 'auto'
    }
    config = dataclasses.replace(config, **chosen)
  return inputs_lib.resolve(config)


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


def _labelled(model, batch):
  frames, label = batch
  return frames, None if model.num_labels is None else label


def _fit(model, config, inputs, folder, checkpoints, step):
  start = time.perf_counter()
  valid = inputs.valid_dataset()

  def evaluate(at_step):
    values = evaluation.evaluate(model, valid)
    seconds = time.perf_counter() - start
    folder.append_metrics(
      'eval', at_step, model='trained', seconds=seconds, **values
    )

  model.fit(
    inputs.train_dataset(step),
    steps_per_epoch=config.steps - step,
    verbose=0,
    callbacks=[
      callbacks.Logging(step, config.steps, config.log_every, folder, inputs),
      callbacks.Evaluation(step, config.steps, config.eval_every, evaluate),
      callbacks.Checkpointing(
        step, config.steps, config.checkpoint_every, checkpoints
      ),
    ],
  )


def _finish(model, config, inputs, folder):
  """Numbers, samples and export of a trained model."""
  logging.info('Evaluating the trained flow.')
  metrics = _measure(model, config, inputs, folder)
  _report_invertibility(model, config, inputs, folder)
  real = _first_clips(inputs.valid_dataset(), config.num_samples)
  metrics.update(_write_samples(model, config, folder, *real))
  export.export_model(model, folder.exports)
  metrics['has_sample_signature'] = model.head is not None
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


def _measure(model, config, inputs, folder):
  rows = folder.read_metrics()
  metrics = {
    'step': config.steps,
    **evaluation.evaluate(model, inputs.valid_dataset()),
    **breakdown.summary(model, inputs.valid_dataset(), inputs.label_names),
  }
  for name in ('identity', 'adapted'):
    for part in ('head', 'tail'):
      key = f'{part}_bits_per_dim'
      values = [r[key] for r in rows if r.get('model') == name]
      metrics[f'{name}_{key}'] = values[-1] if values else None
  metrics.update(_reference_bits(config, inputs))
  metrics['num_train_clips'] = inputs.num_train_clips
  metrics['num_valid_clips'] = inputs.num_valid_clips
  metrics['seconds'] = _training_seconds(rows)
  return metrics


def _training_seconds(rows):
  """Sum over the sessions of a run, each of which counts from zero."""
  seconds = [r['seconds'] for r in rows if 'seconds' in r]
  ends = [a for a, b in zip(seconds, seconds[1:] + [0.0]) if b <= a]
  return sum(ends)


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


def _first_clips(dataset, num_clips):
  """Clips spread evenly over the data set, so that every label shows."""
  frames, labels = zip(*[(f.numpy(), y.numpy()) for f, y in dataset])
  frames, labels = np.concatenate(frames), np.concatenate(labels)
  chosen = np.linspace(0, len(frames) - 1, min(num_clips, len(frames)))
  chosen = chosen.round().astype(int)
  return frames[chosen], labels[chosen]


def _write_samples(model, config, folder, frames, labels):
  """Generated and continued clips beside real ones, and the latter's PSNR."""
  stem = folder.samples / f'step_{config.steps}'
  metrics = {'continuation_psnr': None, 'copy_psnr': None}
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
    psnr, copied, continued = evaluation.continuation_psnr(
      model, frames, labels
    )
    samples.save_comparison(f'{stem}_continued', frames, continued)
    metrics = {'continuation_psnr': psnr, 'copy_psnr': copied}
  return metrics


def _load(workdir):
  """A run's folder, config, label names and restored model."""
  folder = run_folder.RunFolder(workdir)
  config = folder.read_config()
  label_names = folder.read_labels()
  model = models.build_model(config, len(label_names))
  checkpoints = checkpoints_lib.Checkpoints(model, folder.checkpoints)
  if checkpoints.restore() == 0:
    raise run_folder.RunFolderError(f'{workdir} has no checkpoint.')
  return folder, config, label_names, model


def evaluate_run(workdir):
  """Measures a run's newest checkpoint again; writes metrics.json.

  Returns:
    `dict`, as written.
  """
  folder, config, _, model = _load(workdir)
  inputs = inputs_lib.make_inputs(config, folder.skipped_log)
  with inputs.raising():
    metrics = _measure(model, config, inputs, folder)
  folder.write_metrics(metrics)
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
  folder, config, label_names, model = _load(workdir)
  ids = list(range(len(label_names)))
  try:
    ids = sources.resolve_labels(labels, label_names) or ids
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
  return samples.save_videos(folder.samples / 'sampled', videos.numpy())


def export_run(workdir):
  """Exports a run's newest checkpoint again.

  Returns:
    The SavedModel's path.
  """
  folder, _, _, model = _load(workdir)
  return export.export_model(model, folder.exports)
