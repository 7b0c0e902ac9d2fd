"""A run: from a config to a trained model, its numbers, samples and export."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from typing import Optional

from absl import logging

import tfp_cglow
from train import callbacks
from train import checkpoints as checkpoints_lib
from train import configs
from train import continuations
from train import evaluation
from train import export
from train import inputs as inputs_lib
from train import interrupts as interrupts_lib
from train import measuring
from train import model_card
from train import models
from train import parameter_watch
from train import profiling
from train import recovery
from train import run_folder
from train import run_lock
from train import samples
from train import sampling
from train import sources
from train import tensorboard_log
from train import weights
from train import workers as workers_lib

__all__ = [
  'Options',
  'Run',
  'evaluate_run',
  'export_run',
  'load',
  'sample_run',
  'train',
]

_LABEL_START = 'label_start.npz'  # Of the parameters' movement.
_MAX_ROUND_TRIP_LEVELS = 0.1  # Of uint8: nobody sees a tenth of a level.


@dataclasses.dataclass(frozen=True)
class Options:
  """What a run does not depend on, and may be another after a resume.

  Attributes:
    init_from: 'WORKDIR[:head|:tail]' of a run to start from, or None.
    strategy: One of `workers.STRATEGIES`.
    profile_steps: The first and the last step to be profiled, or None.
  """

  init_from: Optional[str] = None
  strategy: str = 'default'
  profile_steps: Optional[tuple[int, int]] = None


def train(config, workdir, options=Options()):
  """Trains, or resumes, a run.

  Args:
    config: `Config`.
    workdir: Path of the run's folder.
    options: `Options`.

  Returns:
    metrics: `dict`, as written to metrics.json; None of a worker that is not
      the chief.
    folder: `RunFolder`.

  Raises:
    ConfigError, DataError, RunFolderError, CheckpointError, DivergedError: what
      the user can put right.
    Interrupted: if a signal came; a checkpoint has what was done.
    WorkerLost: if another worker is gone.
  """
  workers = workers_lib.Workers(options.strategy)
  workers.check(config.batch_size)
  folder = run_folder.RunFolder(workdir)
  folder.create()
  with contextlib.ExitStack() as stack:
    interrupts = stack.enter_context(interrupts_lib.Interrupts())
    stack.enter_context(workers.noticing())
    if workers.is_chief:
      stack.enter_context(run_lock.RunLock(folder.path))
    training = _Training(config, folder, options, workers, interrupts)
    return training.run(), folder


class _Training:
  """One session of a run."""

  def __init__(self, config, folder, options, workers, interrupts):
    if folder.config_file.exists():
      config = configs.keep_choices(config, folder.read_config())
    self.config = inputs_lib.resolve(config)
    workers.check_same('config', configs.to_json(self.config))
    self.folder = folder
    self.options = options
    self.workers = workers
    self.interrupts = interrupts
    self.inputs = inputs_lib.make_inputs(self.config, folder.skipped_log)
    num_labels = len(self.inputs.label_names)
    with workers.strategy.scope():
      self.model = models.build_model(self.config, num_labels)
    if workers.is_chief:
      folder.claim(self.config)
      folder.write_labels(self.inputs.label_names)
    self.checkpoints = checkpoints_lib.Checkpoints(
      checkpoints_lib.parts_of(self.model),
      folder.checkpoints,
      self.config.keep_checkpoints,
      is_chief=workers.is_chief,
    )
    self.start = time.perf_counter()
    self.session = time.time()

  def run(self):
    """Trains to the end; the metrics, or None of a worker that is no chief."""
    with self.inputs.raising():
      step = self._restore()
      if self.workers.is_chief:
        self.folder.truncate_metrics(-1 if step is None else step)
      if step is None:
        self._begin()
        step = 0
      while step < self.config.steps:
        step = self._fit_or_recover(step)
      metrics = None
      if self.workers.is_chief:
        metrics = _finish(
          self._trained(), self.config, self.inputs, self.folder
        )
      self.workers.total([0.0])  # Nobody leaves before the chief is done.
      return metrics

  def _restore(self):
    """The newest checkpoint's step, on every worker; None if there is none."""
    # The chief sets aside what is broken before others look.
    step = self.checkpoints.restore() if self.workers.is_chief else None
    self.workers.total([0.0])
    if not self.workers.is_chief:
      step = self.checkpoints.restore()
    return step

  def _begin(self):
    """Weights of another run, ActNorm's initialisation, untrained numbers."""
    model, valid = self.model, self.inputs.valid_dataset()
    if self.options.init_from is not None:
      mismatches = weights.init_from(model, self.options.init_from)
      for mismatch in mismatches:
        logging.warning('--init_from: not copied: %s', mismatch)
    logging.info('Evaluating the untrained flow.')
    self._append_evaluation(
      0, 'identity', evaluation.evaluate(model, valid, self.workers)
    )
    batch = next(iter(self._batches(0)))
    frames, label = batch
    label = None if model.num_labels is None else label
    self.workers.strategy.run(model.adapt, args=(frames, label))
    self._append_evaluation(
      0, 'adapted', evaluation.evaluate(model, valid, self.workers)
    )
    groups = model.parameter_groups()
    if 'labels' in groups and self.workers.is_chief:
      start = parameter_watch.sample(groups['labels'])
      self.folder.write_arrays(_LABEL_START, {'labels': start})
    self.checkpoints.save(0)  # So that there is a good one from the start.

  def _batches(self, step):
    rows = self.workers.rows(self.config.batch_size)
    return self.workers.distribute(self.inputs.train_dataset(step, rows))

  def _append_evaluation(self, step, model, values, **more):
    if self.workers.is_chief:
      self.folder.append_metrics('eval', step, model=model, **more, **values)

  def _fit_or_recover(self, step):
    """Trains on from `step`; gives the step where it ended or starts again."""
    recoveries = recovery.Recoveries(self.folder)
    schedule = self.model.optimizer.learning_rate
    schedule.scale.assign(recoveries.learning_rate_scale)
    try:
      self._fit(step)
      return self.config.steps
    except (recovery.Diverged, checkpoints_lib.NotFiniteError) as failure:
      if self.workers.is_chief:
        recovery.recover(
          failure,
          recoveries,
          self.checkpoints,
          self.folder,
          self.config.max_restores,
        )
      return self._restore()

  def _fit(self, step):
    config, workers, folder = self.config, self.workers, self.folder
    watch = parameter_watch.ParameterWatch(
      self.model.parameter_groups(),
      folder.read_arrays(_LABEL_START).get('labels'),
    )
    is_alone = workers.num == 1
    with (
      self.interrupts.deferred(),
      tensorboard_log.TensorBoardLog(
        folder.tensorboard, workers.is_chief
      ) as board,
    ):
      evaluation_callback = callbacks.Evaluation(
        step,
        config.steps,
        config.eval_every,
        functools.partial(self._evaluate, board),
        functools.partial(self._show, board),
        self.interrupts if is_alone else None,
      )
      self.model.fit(
        self._batches(step),
        steps_per_epoch=config.steps - step,
        verbose=0,
        callbacks=[
          *self._profiling(step),
          callbacks.Logging(
            step,
            config.steps,
            config.log_every,
            folder,
            self.inputs,
            watch,
            board,
            workers.is_chief,
          ),
          recovery.SkipWatch(step, config.skips_to_restore),
          callbacks.Interruption(
            step,
            config.steps,
            self.interrupts,
            agree=None if is_alone else workers.any,
          ),
          evaluation_callback,
          callbacks.Checkpointing(
            step,
            config.steps,
            config.checkpoint_every,
            self.checkpoints,
            evaluation_callback,
            # Where steps are being skipped is no place to come back to.
            lambda: recovery.num_skipped_in_a_row(self.model) == 0,
          ),
        ],
      )

  def _profiling(self, step):
    if self.options.profile_steps is None:
      return []
    return [
      profiling.Profiling(
        step,
        *self.options.profile_steps,
        self.folder.tensorboard,
        self.workers.is_chief,
      )
    ]

  def _evaluate(self, board, step):
    """Writes the held-out bits/dim; gives their sum over head and tail."""
    with _averaged(self.model):
      values = evaluation.evaluate(
        self.model, self.inputs.valid_dataset(), self.workers
      )
      frames, label = next(iter(self.inputs.valid_dataset()))
      scales = evaluation.invertibility(self.model, frames[:1, :2], label[:1])
    seconds = time.perf_counter() - self.start
    self._append_evaluation(
      step,
      'trained',
      values,
      session=self.session,
      seconds=seconds,
      invertibility=scales,
    )
    board.scalars('eval', {**values, 'invertibility': scales}, step)
    parts = [values['head_bits_per_dim'], values['tail_bits_per_dim']]
    return sum(v for v in parts if v is not None)

  def _show(self, board, step):
    """Videos and, by choice, histograms for TensorBoard."""
    if self.config.tensorboard_samples:
      with _averaged(self.model):
        board.videos('samples', self._videos, step)
    if self.config.histograms:
      board.histograms(self.model, step)

  def _videos(self):
    real = continuations.even_clips(
      self.inputs.valid_dataset(), self.config.tensorboard_samples
    )
    return _sample_videos(self.model, self.config, *real)

  def _trained(self):
    """The trained model, with its averaged weights if there are any."""
    if self.workers.num_replicas > 1:
      return load(self.folder.path).model
    if self.model.weight_average is not None:
      self.model.weight_average.assign()
    return self.model


def _averaged(model):
  """Within, the weights are their averages, if the model keeps any."""
  average = model.weight_average
  return contextlib.nullcontext() if average is None else average.swapped()


def _finish(model, config, inputs, folder):
  """Numbers, samples and export of a trained model."""
  logging.info('Evaluating the trained flow.')
  metrics = measuring.measure(model, config, config.steps, inputs, folder)
  _report_invertibility(model, config, inputs, folder)
  if config.num_samples:
    real = continuations.even_clips(inputs.valid_dataset(), config.num_samples)
    _write_samples(model, config, folder, *real)
  folder.write_metrics(metrics)
  if config.export:
    _export(model, config, folder)
  return metrics


def _export(model, config, folder):
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
  names = None if model.num_labels is None else folder.read_labels()
  return export.export_model(
    model,
    folder.exports,
    card=card,
    label_names=names,
    max_frames=config.export_max_frames,
  )


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
  videos = _sample_videos(model, config, frames, labels)
  for name, clips in videos.items():
    samples.save_comparison(f'{stem}_{name}', frames, clips)


def _sample_videos(model, config, frames, labels):
  """`dict`: clips that are 'generated', and real ones that are 'continued'."""
  videos = {}
  if model.head is not None:
    videos['generated'] = model.sample(
      labels=None if model.num_labels is None else labels,
      num_videos=None if model.num_labels is not None else len(labels),
      num_frames=1 if model.tail is None else config.sample_frames,
      temperature=config.temperature,
      seed=config.seed,
    ).numpy()
  if model.tail is not None:
    (videos['continued'],) = continuations.continue_clips(
      model, frames, labels, num_samples=1, temperature=0.0
    )
  return videos


@dataclasses.dataclass(frozen=True)
class Run:
  """A run as a checkpoint has it.

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


def load(workdir, which='newest'):
  """Restores a run's checkpoint; its averaged weights, if it keeps any.

  Args:
    workdir: Path.
    which: 'newest', or 'best' of those kept, by held-out bits/dim.

  Returns:
    A `Run`.

  Raises:
    RunFolderError: if there is no run, or it has no checkpoint.
  """
  folder = run_folder.RunFolder(workdir)
  config = folder.read_config()
  label_names = folder.read_labels()
  model = models.build_model(config, len(label_names))
  checkpoints = checkpoints_lib.Checkpoints(
    checkpoints_lib.parts_of(model), folder.checkpoints, is_chief=False
  )
  step = checkpoints.restore(which)
  if step is None:
    raise run_folder.RunFolderError(f'{workdir} has no checkpoint.')
  if model.weight_average is not None:
    model.weight_average.assign()
  return Run(folder, config, label_names, model, step)


def evaluate_run(workdir, num_importance_samples=None, which='newest'):
  """Measures a run's checkpoint again; writes metrics.json.

  Args:
    workdir: Path.
    num_importance_samples: As of `measuring.measure`.
    which: As of `load`.

  Returns:
    `dict`, as written.
  """
  run = load(workdir, which)
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


def sample_run(
  workdir,
  labels,
  num_frames,
  temperatures,
  seed,
  which='newest',
  num_interpolated=None,
):
  """Samples videos from a run's checkpoint.

  Args:
    workdir: Path.
    labels: List of `str`, names or ids; empty: every label.
    num_frames: Python `int`, or None: the config's.
    temperatures: List of floats, a video each with the same noise; empty: the
      config's.
    seed: Python `int`, or None: a random one.
    which: As of `load`.
    num_interpolated: Python `int`: so many videos between two drawn ones of a
      label, in the place of one; None: none.

  Returns:
    Paths of the files written.
  """
  run = load(workdir, which)
  model, config = run.model, run.config
  temperatures = temperatures or [config.temperature]
  num_frames = num_frames or (1 if model.tail is None else config.sample_frames)
  try:
    ids = sources.resolve_labels(labels, run.label_names)
    ids = ids or list(range(len(run.label_names)))
    if num_interpolated is None:
      videos = sampling.temperature_sweep(
        model, ids, num_frames, temperatures, seed
      )
    elif len(temperatures) > 1:
      raise ValueError('Expected one temperature to interpolate at.')
    else:
      videos = sampling.between_two(
        model, ids, num_frames, temperatures[0], seed, num_interpolated
      )
  except ValueError as e:
    raise configs.ConfigError(str(e)) from e
  return samples.save_videos(run.folder.samples / 'sampled', videos.numpy())


def export_run(workdir, which='newest'):
  """Exports a run's checkpoint again.

  Args:
    workdir: Path.
    which: As of `load`.

  Returns:
    The SavedModel's path.
  """
  run = load(workdir, which)
  return _export(run.model, run.config, run.folder)
