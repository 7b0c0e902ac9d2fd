"""Restores the last good checkpoint after training has diverged."""

import dataclasses
import json

from absl import logging
import tensorflow as tf
import tf_keras as tfk

from train import errors
from train.storage import files
from train.storage import reading

__all__ = ['Diverged', 'DivergedError', 'Recoveries', 'SkipWatch', 'recover']


class Diverged(RuntimeError):
  """Too many steps in a row were skipped; `recover` handles it.

  Attributes:
    step: Python `int`.
    reason: `str`.
    is_damage: Python `bool`, whether weights or optimiser slots are not finite.
      Training steps cannot cause that, as steps that are not finite are
      skipped; a lower learning rate does not help.
  """

  def __init__(self, step, reason, is_damage=False):
    super().__init__(f'Step {step}: {reason}')
    self.step = step
    self.reason = reason
    self.is_damage = is_damage


class DivergedError(errors.UserError):
  """Training diverged more often than it may be restored."""


@dataclasses.dataclass(frozen=True)
class _Recovery:
  """One restore: where and why training failed, and the step restored."""

  failed_step: int
  restored_step: int
  reason: str
  is_halved: bool


def _recovery(where, row):
  kinds = {'failed_step': int, 'restored_step': int, 'reason': str}
  values = row if isinstance(row, dict) else {}
  reading.require(where, values, kinds)
  is_halved = values.get('is_halved')
  if type(is_halved) is not bool:
    raise files.RunFolderError(
      f'{where}: expected `is_halved` to be true or false, but got '
      f'{is_halved!r}.'
    )
  return _Recovery(**{k: values[k] for k in kinds}, is_halved=is_halved)


class Recoveries:
  """The restores of a run, kept on disk so that a resumed run knows them."""

  def __init__(self, folder):
    """Reads the restores so far.

    Args:
      folder: `RunFolder`.
    """
    self._file = folder.path / 'recoveries.json'
    self.rows = []
    if self._file.exists():
      rows = reading.read_json(self._file, list)
      self.rows = [_recovery(f'{self._file}, {row}', row) for row in rows]

  @property
  def learning_rate_scale(self):
    """Python `float`, the product of all restores' halvings."""
    return 0.5 ** sum(row.is_halved for row in self.rows)

  def add(self, failed_step, restored_step, reason, is_halved):
    row = _Recovery(failed_step, restored_step, reason, is_halved)
    self.rows.append(row)
    text = json.dumps([dataclasses.asdict(r) for r in self.rows], indent=2)
    files.write_atomically(self._file, text + '\n')


class SkipWatch(tfk.callbacks.Callback):
  """Ends training if many steps in a row were skipped.

  It checks every `patience` steps only, because a check waits for the device.
  """

  def __init__(self, initial_step, patience):
    """Creates the callback.

    Args:
      initial_step: Python `int`, steps done before.
      patience: Python `int`, number of steps skipped in a row that ends
        training.
    """
    super().__init__()
    self._supports_tf_logs = True
    self._initial_step = initial_step
    self._patience = patience

  def on_train_batch_end(self, batch, logs=None):
    step = self._initial_step + batch + 1
    if step % self._patience:
      return
    num_skipped = num_skipped_in_a_row(self.model)
    if num_skipped >= self._patience:
      variables = self.model.trainable_variables + [
        v for o in _optimizers(self.model) for v in _slots(o)
      ]
      is_damage = not all(
        bool(tf.reduce_all(tf.math.is_finite(v.read_value())))
        for v in variables
        if v.dtype.is_floating
      )
      reason = f'the last {num_skipped} steps were skipped'
      if is_damage:
        reason += ' because weights or optimiser slots are not finite'
      raise Diverged(step, reason, is_damage)


def num_skipped_in_a_row(model):
  """Python `int`, the number of latest steps in a row that were skipped."""
  return int(model.step_guard.num_skipped_in_a_row.numpy())


def _optimizers(model):
  """The model's optimiser, and a GAN's second one: list."""
  of_discriminator = getattr(model, 'd_optimizer', None)
  return [model.optimizer] + [of_discriminator] * (of_discriminator is not None)


def _slots(optimizer):
  variables = optimizer.variables  # A method of legacy optimisers.
  return list(variables() if callable(variables) else variables)


def recover(failure, recoveries, checkpoints, folder, max_restores):
  """Chooses the checkpoint to restore, and records the restore.

  It is the newest checkpoint. If training already failed after a restore from
  that one, it is the one before. The learning rate is halved, except if weights
  or slots were damaged for the first time.

  Args:
    failure: `Diverged` or `NotFiniteError`.
    recoveries: `Recoveries`.
    checkpoints: `Checkpoints`.
    folder: `RunFolder`.
    max_restores: Python `int`.

  Returns:
    Python `int`, the step of the checkpoint to restore. Later checkpoints are
    removed.

  Raises:
    DivergedError: if there were `max_restores` restores before, or there is no
      checkpoint.
  """
  steps = checkpoints.steps()
  if len(recoveries.rows) >= max_restores or not steps:
    raise DivergedError(
      f'Training diverged: {failure}. It was restored '
      f'{len(recoveries.rows)} times before, the last time with '
      f'{recoveries.learning_rate_scale:g} of the learning rate '
      f'(run.max_restores={max_restores}). There are checkpoints of the steps '
      f'{", ".join(map(str, steps)) or "none"}. Start another run with a lower '
      'optimiser.learning_rate or more optimiser.warmup_steps.'
    )
  good = max(steps)
  earlier = [s for s in steps if s < good]
  is_again = bool(recoveries.rows and recoveries.rows[-1].restored_step == good)
  if is_again and earlier:
    good = max(earlier)
  is_halved = is_again or not getattr(failure, 'is_damage', True)
  checkpoints.discard_after(good)
  folder.truncate_metrics(good)
  recoveries.add(failure.step, good, failure.reason, is_halved)
  folder.append_metrics(
    'event',
    failure.step,
    event='restore',
    restored_step=good,
    reason=failure.reason,
    learning_rate_scale=recoveries.learning_rate_scale,
  )
  logging.warning(
    '%s: going on from step %d with %g of the learning rate.',
    failure,
    good,
    recoveries.learning_rate_scale,
  )
  return good
