"""Callbacks of training: logs, interruption, evaluation, checkpoints.

`fit` must get them in this order: Logging, Interruption, Evaluation,
Checkpointing.
"""

import contextlib
import time

from absl import logging
import tf_keras as tfk

from train.loop import interrupts as interrupts_lib
from train.loop import progress

__all__ = ['Checkpointing', 'Evaluation', 'Interruption', 'Logging']


class _ByStep(tfk.callbacks.Callback):
  """A callback that counts the steps of the run, also after a resume."""

  def __init__(self, initial_step, num_steps):
    super().__init__()
    # Without it Keras waits for the device and copies the logs at each step.
    self._supports_tf_logs = True
    self._initial_step = initial_step
    self._num_steps = num_steps

  def on_train_batch_end(self, batch, logs=None):
    self.on_step(self._initial_step + batch + 1, logs or {})

  def on_step(self, step, logs):
    raise NotImplementedError

  def _is_due(self, step, every):
    return step % every == 0 or step == self._num_steps


class Logging(_ByStep):
  """Shows progress, and writes metrics.jsonl and TensorBoard's numbers.

  The numbers cover the steps since the last log. The clips per second do not
  count the time of other callbacks.
  """

  def __init__(
    self,
    initial_step,
    num_steps,
    every,
    folder,
    inputs,
    watch,
    board,
    is_chief=True,
  ):
    """Creates the callback.

    Args:
      initial_step: Python `int`, steps done before.
      num_steps: Python `int`, of the whole run.
      every: Python `int`, steps between two lines.
      folder: `RunFolder`.
      inputs: `Inputs`, for the skipped files and the time waited for data.
      watch: `ParameterWatch` of the model's parameter groups.
      board: `TensorBoardLog`.
      is_chief: Python `bool`; other workers write and show nothing.
    """
    super().__init__(initial_step, num_steps)
    self._every = every
    self._folder = folder
    self._inputs = inputs
    self._watch = watch
    self._board = board
    self._is_chief = is_chief
    self._waited = inputs.wait_seconds
    self._seconds = 0.0
    self._processor_seconds = 0.0
    self._step_start = None
    self._logged_step = initial_step
    self._progress = None

  def on_train_begin(self, logs=None):
    if self._is_chief:
      self._watch.begin()
      self._progress = progress.Progress(self._initial_step, self._num_steps)

  def on_train_batch_begin(self, batch, logs=None):
    self._step_start = time.perf_counter(), time.process_time()

  def on_step(self, step, logs):
    is_due = self._is_due(step, self._every)
    values = {k: float(v) for k, v in logs.items()} if is_due else None
    start, processor_start = self._step_start
    self._seconds += time.perf_counter() - start
    self._processor_seconds += time.process_time() - processor_start
    if not is_due:
      return
    num_skipped_files = self._inputs.check_skips()
    if self._is_chief:
      values['skipped_files'] = num_skipped_files
      self._log(step, values)
    self._seconds = self._processor_seconds = 0.0
    self._waited = self._inputs.wait_seconds
    self._logged_step = step
    self.model.reset_metrics()

  def _log(self, step, values):
    values['clips_per_second'] = values.pop('clips') / self._seconds
    waited = self._inputs.wait_seconds - self._waited
    values['wait_fraction'] = waited / self._seconds
    values['processor_seconds'] = self._processor_seconds
    values.update(self._watch.measure(step - self._logged_step))
    values['learning_rate'] = float(_learning_rate(self.model.optimizer))
    self._folder.append_metrics('train', step, **values)
    self._board.scalars('train', values, step)
    self._progress.show(step, progress.format_values(values))

  def on_train_end(self, logs=None):
    if self._is_chief:
      self._progress.close()


def _learning_rate(optimizer):
  rate = optimizer.learning_rate
  return rate(optimizer.iterations) if callable(rate) else rate


class Interruption(_ByStep):
  """Ends training after the step in which a signal came.

  `Checkpointing`, later in the list, saves that step, and `fit` returns
  normally. `Interrupts.deferred` then raises `Interrupted` at its end.
  """

  def __init__(self, initial_step, num_steps, interrupts, agree=None):
    """Creates the callback.

    Args:
      initial_step: Python `int`, steps done before.
      num_steps: Python `int`, of the whole run.
      interrupts: `Interrupts`.
      agree: Function from a Python `bool`, whether this worker was told to
        stop, to whether any worker was. All workers call it at the end of each
        step. None: there is one worker.
    """
    super().__init__(initial_step, num_steps)
    self._interrupts = interrupts
    self._agree = agree

  def on_step(self, step, logs):
    is_requested = self._interrupts.requested is not None
    if self._agree is not None:
      is_requested = self._agree(is_requested)
    if is_requested:
      self._interrupts.request("another worker's signal")
      logging.warning(
        '%s: stopping at step %d.', self._interrupts.requested, step
      )
      self.model.stop_training = True


class Evaluation(_ByStep):
  """Measures held-out bits/dim during training and shows samples.

  It does nothing once training is to stop, because the sender of the signal is
  waiting.
  """

  def __init__(
    self,
    initial_step,
    num_steps,
    every,
    evaluate,
    show=None,
    interrupts=None,
  ):
    """Creates the callback.

    Args:
      initial_step: Python `int`, steps done before.
      num_steps: Python `int`, of the whole run.
      every: Python `int`, steps between two evaluations.
      evaluate: Function from the step to the held-out bits/dim, a float, or
        None if they are not measured.
      show: Function of the step that is called after `evaluate`, for example
        to write samples to a `TensorBoardLog`; or None.
      interrupts: `Interrupts`; a signal ends an evaluation and training. None:
        evaluations are always completed, as several workers must do together.
    """
    super().__init__(initial_step, num_steps)
    self._every = every
    self._evaluate = evaluate
    self._show = show
    self._interrupts = interrupts
    self._latest = (None, None)

  def is_at(self, step):
    """Whether the latest completed evaluation was at `step`."""
    return self._latest[0] == step

  def value_at(self, step):
    """The held-out bits/dim at `step`, or None."""
    return self._latest[1] if self.is_at(step) else None

  def on_step(self, step, logs):
    if self.model.stop_training or not self._is_due(step, self._every):
      return
    with _kept_metrics(self.model):
      try:
        with self._interruptible():
          self._latest = (step, self._evaluate(step))
          if self._show is not None:
            self._show(step)
      except interrupts_lib.Interrupted as e:
        logging.warning('%s: stopping at step %d.', e.reason, step)
        self.model.stop_training = True

  def _interruptible(self):
    if self._interrupts is None:
      return contextlib.nullcontext()
    return self._interrupts.immediate()


@contextlib.contextmanager
def _kept_metrics(model):
  """Within, keeps the metrics of training, which Keras evaluates with too."""
  variables = [v for metric in model.metrics for v in metric.variables]
  before = [v.numpy() for v in variables]
  yield
  for variable, value in zip(variables, before):
    variable.assign(value)


class Checkpointing(_ByStep):
  """Saves at regular steps, with each evaluation, and when training ends."""

  def __init__(
    self,
    initial_step,
    num_steps,
    every,
    checkpoints,
    evaluation,
    is_good=None,
  ):
    """Creates the callback.

    Args:
      initial_step: Python `int`, steps done before.
      num_steps: Python `int`, of the whole run.
      every: Python `int`, steps between two checkpoints.
      checkpoints: `Checkpoints`.
      evaluation: `Evaluation`, earlier in the list; its held-out bits/dim are
        saved with the checkpoint.
      is_good: Function that returns whether this state is worth restoring. If
        it is not, a checkpoint is written only at the end of training. None: it
        always is.
    """
    super().__init__(initial_step, num_steps)
    self._every = every
    self._is_good = is_good or (lambda: True)
    self._checkpoints = checkpoints
    self._evaluation = evaluation

  def on_step(self, step, logs):
    is_due = self._is_due(step, self._every) or self._evaluation.is_at(step)
    is_end = step == self._num_steps or self.model.stop_training
    if is_end or (is_due and self._is_good()):
      self._checkpoints.save(
        step, held_out_bits_per_dim=self._evaluation.value_at(step)
      )
