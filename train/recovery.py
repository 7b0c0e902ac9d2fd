"""Back to the last good checkpoint where training has gone wrong."""

import dataclasses
import json

from absl import logging
import tf_keras as tfk

from train import run_folder

__all__ = ['Diverged', 'DivergedError', 'Recoveries', 'SkipWatch', 'recover']


class Diverged(RuntimeError):
  """Too many skipped steps in a row; `recover` knows what to do."""

  def __init__(self, step, reason):
    super().__init__(f'Step {step}: {reason}')
    self.step = step
    self.reason = reason


class DivergedError(ValueError):
  """Training that diverges again and again."""


@dataclasses.dataclass(frozen=True)
class _Recovery:
  """One restore: what happened at `failed_step`, and where it went on."""

  failed_step: int
  restored_step: int
  reason: str


class Recoveries:
  """The restores of a run, on disk: a resume must know of them."""

  def __init__(self, folder):
    """Reads them.

    Args:
      folder: `RunFolder`.
    """
    self._file = folder.path / 'recoveries.json'
    self.rows = []
    if self._file.exists():
      rows = json.loads(self._file.read_text())
      self.rows = [_Recovery(**row) for row in rows]

  @property
  def learning_rate_scale(self):
    """Python `float`: each restore halves the learning rate."""
    return 0.5 ** len(self.rows)

  def add(self, failed_step, restored_step, reason):
    self.rows.append(_Recovery(failed_step, restored_step, reason))
    text = json.dumps([dataclasses.asdict(r) for r in self.rows], indent=2)
    run_folder.write_atomically(self._file, text + '\n')


class SkipWatch(tfk.callbacks.Callback):
  """Ends training where many steps in a row were skipped.

  It looks every `patience` steps, so that no step waits for the device.
  """

  def __init__(self, initial_step, patience):
    """Creates the callback.

    Args:
      initial_step: Python `int`, steps done before.
      patience: Python `int`, skipped steps in a row that are too many.
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
      raise Diverged(step, f'the last {num_skipped} steps were skipped')


def num_skipped_in_a_row(model):
  """Python `int`: how many of the last steps a model skipped, in a row."""
  return int(model.step_guard.num_skipped_in_a_row.numpy())


def recover(failure, recoveries, checkpoints, folder, max_restores):
  """Decides where to go on, and writes it down.

  That is the newest checkpoint, or where training failed after a restore from
  that one already, the one before it.

  Args:
    failure: `Diverged` or `NotFiniteError`.
    recoveries: `Recoveries`.
    checkpoints: `Checkpoints`.
    folder: `RunFolder`.
    max_restores: Python `int`.

  Returns:
    Python `int`, the step of the checkpoint to be restored, now the newest.

  Raises:
    DivergedError: if there were `max_restores` before, or there is none.
  """
  steps = checkpoints.steps()
  if len(recoveries.rows) >= max_restores or not steps:
    raise DivergedError(
      f'Training diverged: {failure}. It was restored '
      f'{len(recoveries.rows)} times before, each time at half the learning '
      f'rate (max_restores={max_restores}). The checkpoints are those of steps '
      f'{", ".join(map(str, steps)) or "none"}. Start another run with a lower '
      'learning_rate, a longer warmup_steps, smaller clip norms or '
      'skip_spikes=true.'
    )
  good = max(steps)
  earlier = [s for s in steps if s < good]
  if recoveries.rows and recoveries.rows[-1].restored_step == good and earlier:
    good = max(earlier)
  checkpoints.discard_after(good)
  folder.truncate_metrics(good)
  recoveries.add(failure.step, good, failure.reason)
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
