"""Trains a run from its config: model, numbers, samples and export."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import time
from typing import Optional

from absl import logging
import numpy as np
import tensorflow as tf

from train import errors
from train import failures
from train import shown_text
from train.config import configs
from train.config import memory
from train.data import inputs as inputs_lib
from train.loop import callbacks
from train.loop import interrupts as interrupts_lib
from train.loop import parameter_watch
from train.loop import profiling
from train.loop import recovery
from train.loop import tensorboard_log
from train.loop import workers as workers_lib
from train.runs import loading
from train.runs import weights
from train.samples import continuations
from train.samples import sample_files
from train.storage import checkpoints as checkpoints_lib
from train.storage import files
from train.storage import lock
from train.storage import origin
from train.storage import run_folder
from train.systems import systems

__all__ = ['Options', 'train']

_LABEL_START = 'label_start.npz'  # The labels' initial parameters.
_MOST_LABELS = 10  # Labels named in the log.
_MOST_SHOWN = 2  # Videos shown at an evaluation.


@dataclasses.dataclass(frozen=True)
class Options:
  """Options that are not part of the config and may change at a resume.

  Attributes:
    init_from: 'WORKDIR[:head|:tail]' of a run to start from, or several of
      them, separated by commas, or None.
    strategy: One of `workers.STRATEGIES`.
  """

  init_from: Optional[str] = None
  strategy: str = 'default'


def train(config, workdir, options=Options(), interrupts=None):
  """Trains or resumes a run.

  Args:
    config: `Config`.
    workdir: Path of the run's folder.
    options: `Options`.
    interrupts: `Interrupts` that handles the signals, or None: a new one.

  Returns:
    metrics: `dict`, as written to metrics.json; None in a worker that is not
      the chief.
    folder: `RunFolder`.

  Raises:
    ConfigError, DataError, RunFolderError, CheckpointError, DivergedError: for
      errors that the user can fix.
    Interrupted: if a signal came; the state is saved in a checkpoint.
    WorkerLost: if another worker is gone.
  """
  configs.check(config)
  workers = workers_lib.Workers(options.strategy)
  workers.check(config.run.batch_size)
  systems.of(config).check()
  _warn(config)
  has_gpu = bool(tf.config.list_physical_devices('GPU'))
  memory.check(memory.of_training(config, workers.num, has_gpu))
  folder = run_folder.RunFolder(workdir)
  folder.create()
  with contextlib.ExitStack() as stack:
    if interrupts is None:
      interrupts = stack.enter_context(interrupts_lib.Interrupts())
    stack.enter_context(workers.noticing())
    if workers.is_chief:
      stack.enter_context(lock.RunLock(folder.path))
    training = _Training(config, folder, options, workers, interrupts)
    with training.saying_what_is_safe():
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
    self.system = systems.of(self.config)
    self.inputs = inputs_lib.make_inputs(self.config, folder.skipped_log)
    _log_inputs(self.inputs)
    num_labels = len(self.inputs.label_names)
    with workers.strategy.scope():
      self.model = self.system.build_model(num_labels)
    if workers.is_chief:
      folder.claim(self.config)
      folder.write_labels(self.inputs.label_names)
      # Only now the folder's log is this run's.
      self.inputs.note_left_out(folder.skipped_log)
    self.checkpoints = checkpoints_lib.Checkpoints(
      checkpoints_lib.parts_of(self.model),
      folder.checkpoints,
      self.config.run.keep_checkpoints,
      is_chief=workers.is_chief,
    )
    self.start = time.perf_counter()
    self.session = time.time()

  def run(self):
    """Trains to the end; returns the metrics, or None if not the chief."""
    with self.inputs.raising():
      step = self._restore()
      if self.workers.is_chief:
        if step is None:
          self.folder.check_is_untrained()
        self.folder.truncate_metrics(-1 if step is None else step)
      if step is None:
        self._begin()
        step = 0
      while step < self.config.run.steps:
        step = self._fit_or_recover(step)
      metrics = None
      if self.workers.is_chief:
        metrics = self._finish(self._trained())
      self.workers.total([0.0])  # All workers wait until the chief is done.
      return metrics

  @contextlib.contextmanager
  def saying_what_is_safe(self):
    """Within, a failure's message names the step to which a run goes back."""
    try:
      yield
    except Exception as e:
      is_of_user = isinstance(e, errors.UserError)
      words = str(e) if is_of_user else failures.describe(e)
      # The other errors of the user are not about the run's files.
      if words is None or (
        is_of_user and not isinstance(e, files.RunFolderError)
      ):
        raise
      kind = files.RunFolderError if is_of_user else failures.Failure
      raise kind(f'{words} {self._what_is_safe()}') from e

  def _what_is_safe(self):
    steps = []
    with contextlib.suppress(OSError):
      steps = self.checkpoints.steps()
    if not steps:
      return 'There is no checkpoint yet: the same command starts again.'
    return (
      f'The checkpoint of step {max(steps)} of {self.config.run.steps} is '
      'safe: the same command goes on from it.'
    )

  def _restore(self):
    """Restores the newest checkpoint on all workers; its step, or None."""
    # The chief sets damaged checkpoints aside before the others look.
    step = self.checkpoints.restore() if self.workers.is_chief else None
    self.workers.total([0.0])
    if not self.workers.is_chief:
      step = self.checkpoints.restore()
    return step

  def _begin(self):
    """Copies another run's weights, adapts ActNorm, measures both states."""
    model, valid = self.model, self.inputs.valid_dataset()
    self._copy_weights()
    logging.info('Evaluating the untrained model.')
    evaluate = functools.partial(self.system.evaluate, model, valid)
    untrained = evaluate(self.workers)
    # With another run's weights the model is not the identity.
    name = 'start' if self.options.init_from else self.system.untrained
    self._append_evaluation(0, name, untrained)
    if not model.adapted:
      frames, label = next(iter(self._batches(0)))
      self.workers.strategy.run(model.adapt, args=(frames, label))
      self._append_evaluation(0, 'adapted', evaluate(self.workers))
    groups = model.parameter_groups()
    if 'labels' in groups and self.workers.is_chief:
      start = parameter_watch.sample(groups['labels'])
      self.folder.write_arrays(_LABEL_START, {'labels': start})
    self.checkpoints.save(0)  # So that there is always one to restore.

  def _copy_weights(self):
    """Copies the weights that --init_from names, and notes whose they are."""
    spec, mismatches = self.options.init_from, []
    if spec is not None:
      mismatches = weights.init_from(self.model, spec)
    for mismatch in mismatches:
      logging.warning('--init_from: not copied: %s', mismatch)
    if not self.workers.is_chief:
      return
    if spec is None:
      origin.clear(self.folder.path)
    else:
      origin.write(self.folder.path, weights.runs_of(spec), mismatches)

  def _batches(self, step):
    rows = self.workers.rows(self.config.run.batch_size)
    return self.workers.distribute(self.inputs.train_dataset(step, rows))

  def _append_evaluation(self, step, model, values, **more):
    if self.workers.is_chief:
      self.folder.append_metrics('eval', step, model=model, **more, **values)

  def _fit_or_recover(self, step):
    """Trains from `step` on; returns the last step, or the one restored."""
    recoveries = recovery.Recoveries(self.folder)
    schedule = self.model.optimizer.learning_rate
    schedule.scale.assign(recoveries.learning_rate_scale)
    try:
      self._fit(step)
      return self.config.run.steps
    except (recovery.Diverged, checkpoints_lib.NotFiniteError) as failure:
      if self.workers.is_chief:
        recovery.recover(
          failure,
          recoveries,
          self.checkpoints,
          self.folder,
          self.config.run.max_restores,
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
        config.run.steps,
        config.run.eval_every,
        functools.partial(self._evaluate, board),
        functools.partial(self._show, board),
        self.interrupts if is_alone else None,
      )
      self.model.fit(
        self._batches(step),
        steps_per_epoch=config.run.steps - step,
        verbose=0,
        callbacks=[
          *self._profiling(step),
          callbacks.Logging(
            step,
            config.run.steps,
            config.run.log_every,
            folder,
            self.inputs,
            watch,
            board,
            workers.is_chief,
          ),
          recovery.SkipWatch(step, config.run.skips_to_restore),
          callbacks.Interruption(
            step,
            config.run.steps,
            self.interrupts,
            agree=None if is_alone else workers.any,
          ),
          evaluation_callback,
          callbacks.Checkpointing(
            step,
            config.run.steps,
            config.run.checkpoint_every,
            self.checkpoints,
            evaluation_callback,
            # Never restore a state in which steps are being skipped.
            lambda: recovery.num_skipped_in_a_row(self.model) == 0,
          ),
        ],
      )

  def _profiling(self, step):
    steps = configs.profile_steps(self.config)
    if steps is None:
      return []
    return [
      profiling.Profiling(
        step,
        *steps,
        self.folder.tensorboard,
        self.workers.is_chief,
      )
    ]

  def _evaluate(self, board, step):
    """Writes the held-out numbers; returns the score that ranks them."""
    valid = self.inputs.valid_dataset()
    with _averaged(self.model):
      values = self.system.evaluate(self.model, valid, self.workers)
      try:
        details = self.system.details(self.model, valid)
      except np.linalg.LinAlgError as e:
        raise recovery.Diverged(step, f'a matrix has overflowed: {e}') from e
    seconds = time.perf_counter() - self.start
    self._append_evaluation(
      step,
      'trained',
      values,
      session=self.session,
      seconds=seconds,
      **details,
    )
    board.scalars('eval', {**values, **details}, step)
    return self.system.held_out_score(values)

  def _show(self, board, step):
    """Writes sampled videos to TensorBoard."""
    if self.config.run.num_samples:
      with _averaged(self.model):
        board.videos('samples', self._videos, step)

  def _videos(self):
    real = continuations.even_clips(
      self.inputs.valid_dataset(),
      min(self.config.run.num_samples, _MOST_SHOWN),
    )
    return self.system.sample_videos(self.model, *real)

  def _trained(self):
    """The trained model, with its averaged weights if there are any."""
    if self.workers.num_replicas > 1:
      return loading.load(self.folder.path).model
    if self.model.weight_average is not None:
      self.model.weight_average.assign()
    return self.model

  def _finish(self, model):
    """Measures, samples and exports a trained model; returns the metrics."""
    config, inputs, folder = self.config, self.inputs, self.folder
    logging.info('Evaluating the trained model.')
    metrics = self.system.measure(model, config.run.steps, inputs, folder)
    self.system.conclude(model, inputs, folder)
    if config.run.num_samples:
      frames, labels = continuations.even_clips(
        inputs.valid_dataset(), config.run.num_samples
      )
      videos = self.system.sample_videos(model, frames, labels)
      for name, clips in videos.items():
        stem = folder.samples / f'step_{config.run.steps}_{name}'
        words = self.system.words_for(name)
        captions = [
          (f'{label}: real', f'{label}: {words}')
          for label in (inputs.label_names[y] for y in labels)
        ]
        sample_files.save_comparison(stem, frames, clips, captions)
    folder.write_metrics(metrics)
    if self.system.exports:
      path = self.system.export(model, folder)
      version = int(os.path.basename(path))
      folder.append_metrics('export', config.run.steps, version=version)
    return metrics


def _warn(config):
  warmup, steps = config.optimiser.warmup_steps, config.run.steps
  if warmup >= steps:
    logging.warning(
      'The learning rate rises to its highest value over %d steps '
      '(optimiser.warmup_steps), but the run ends after %d (run.steps).',
      warmup,
      steps,
    )


def _log_inputs(inputs):
  names = inputs.label_names
  more = ['...'] if len(names) > _MOST_LABELS else []
  logging.info(
    'Data: %d training and %d held-out clips; labels (%d): %s',
    inputs.num_train_clips,
    inputs.num_valid_clips,
    len(names),
    shown_text.visible(', '.join([*names[:_MOST_LABELS], *more])),
  )


def _averaged(model):
  """Within, the model has its averaged weights, if it keeps an average."""
  average = model.weight_average
  return contextlib.nullcontext() if average is None else average.swapped()
