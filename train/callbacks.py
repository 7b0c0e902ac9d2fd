"""What happens beside the training steps: logs, evaluation, checkpoints."""

import time

import tensorflow as tf
import tf_keras as tfk

__all__ = ['Checkpointing', 'DivergedError', 'Evaluation', 'Logging']


class DivergedError(ValueError):
  """Training whose loss or gradients are no longer finite."""


class _ByStep(tfk.callbacks.Callback):
  """A callback that knows the run's step, also after a resume."""

  def __init__(self, initial_step, num_steps):
    super().__init__()
    self._initial_step = initial_step
    self._num_steps = num_steps

  def on_train_batch_end(self, batch, logs=None):
    self.on_step(self._initial_step + batch + 1, logs or {})

  def on_step(self, step, logs):
    raise NotImplementedError

  def _is_due(self, step, every):
    return step % every == 0 or step == self._num_steps


class Logging(_ByStep):
  """Progress bar, metrics.jsonl and TensorBoard, from the same numbers."""

  def __init__(self, initial_step, num_steps, every, folder, inputs, watch):
    """Creates the callback.

    Args:
      initial_step: Python `int`, steps done before.
      num_steps: Python `int`, of the whole run.
      every: Python `int`, steps between two lines.
      folder: `RunFolder`.
      inputs: `Inputs`: what is skipped and waited for.
      watch: `ParameterWatch` of the model's parameter groups.
    """
    super().__init__(initial_step, num_steps)
    self._every = every
    self._folder = folder
    self._inputs = inputs
    self._watch = watch
    self._waited = inputs.wait_seconds
    self._writer = tf.summary.create_file_writer(str(folder.tensorboard))
    self._bar = None
    self._since = None
    self._logged_step = initial_step

  def on_train_begin(self, logs=None):
    self._since = time.perf_counter()
    self._watch.begin()
    self._bar = tfk.utils.Progbar(
      self._num_steps - self._initial_step,
      stateful_metrics=[
        'step',
        'head',
        'tail',
        'clips/s',
        'wait',
        'skipped steps',
        'skipped files',
      ],
      unit_name='step',
    )

  def on_step(self, step, logs):
    if not self._is_due(step, self._every):
      return
    num_skipped_files = self._inputs.check_skips()
    now, waited = time.perf_counter(), self._inputs.wait_seconds
    values = {k: float(v) for k, v in logs.items()}
    num_steps = step - self._logged_step
    self._logged_step = step
    values['clips_per_second'] = values.pop('clips') / (now - self._since)
    values['wait_fraction'] = (waited - self._waited) / (now - self._since)
    self._waited = waited
    values['skipped_files'] = num_skipped_files
    values.update(self._watch.measure(num_steps))
    values['learning_rate'] = float(_learning_rate(self.model.optimizer))
    self._since = now
    self._folder.append_metrics('train', step, **values)
    with self._writer.as_default(step=step):
      for name, value in values.items():
        tf.summary.scalar(f'train/{name}', value)
    self._show(step, values)
    self.model.reset_metrics()
    if values['skipped_steps'] == num_steps:
      raise DivergedError(
        f'The last {num_steps} steps up to step {step} were skipped: loss or '
        'gradients are not finite. The weights are those before; start again '
        'with a lower learning_rate.'
      )

  def _show(self, step, values):
    shown = [('step', step)]
    for name in ('head', 'tail'):
      if f'{name}_bits_per_dim' in values:
        shown.append((name, values[f'{name}_bits_per_dim']))
    shown.append(('clips/s', values['clips_per_second']))
    shown.append(('wait', values['wait_fraction']))
    for name in ('skipped_steps', 'skipped_files'):
      if values[name]:
        shown.append((name.replace('_', ' '), values[name]))
    self._bar.update(
      step - self._initial_step, shown, finalize=step == self._num_steps
    )

  def on_train_end(self, logs=None):
    self._writer.close()


def _learning_rate(optimizer):
  rate = optimizer.learning_rate
  return rate(optimizer.iterations) if callable(rate) else rate


class Evaluation(_ByStep):
  """Held-out bits/dim during training."""

  def __init__(self, initial_step, num_steps, every, evaluate):
    super().__init__(initial_step, num_steps)
    self._every = every
    self._evaluate = evaluate

  def on_step(self, step, logs):
    if self._is_due(step, self._every):
      self._evaluate(step)


class Checkpointing(_ByStep):
  """Saves every so many steps, and at the end."""

  def __init__(self, initial_step, num_steps, every, checkpoints):
    super().__init__(initial_step, num_steps)
    self._every = every
    self._checkpoints = checkpoints

  def on_step(self, step, logs):
    if self._is_due(step, self._every):
      self._checkpoints.save(step)
