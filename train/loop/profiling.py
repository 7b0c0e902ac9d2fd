"""A profile of a few training steps, for TensorBoard."""

from absl import logging
import tensorflow as tf
import tf_keras as tfk

from tfp_cglow.internal import plain_paths

__all__ = ['Profiling']

_UNAVAILABLE = (tf.errors.OpError, OSError, RuntimeError)


class Profiling(tfk.callbacks.Callback):
  """Profiles the steps from `first` to `last`, both included.

  If training ends before `last`, the profile ends there. If the profiler cannot
  start (another one is running, or this TensorFlow has none), training goes on
  without it.
  """

  def __init__(self, initial_step, first, last, folder, is_chief=True):
    """Creates the callback.

    Args:
      initial_step: Python `int`, steps done before.
      first: Python `int`.
      last: Python `int`; a run resumed after it is not profiled.
      folder: Path of TensorBoard's files.
      is_chief: Python `bool`; other workers profile nothing.
    """
    super().__init__()
    self._supports_tf_logs = True
    self._initial_step = initial_step
    self._first = first
    self._last = last
    self._folder = str(folder)
    self._is_wanted = is_chief
    self._is_running = False

  def on_train_begin(self, logs=None):
    if self._is_wanted and self._initial_step >= self._last:
      self._is_wanted = False
      logging.warning(
        'No profile: steps %d to %d were done before step %d.',
        self._first,
        self._last,
        self._initial_step,
      )

  def on_train_batch_begin(self, batch, logs=None):
    if self._is_wanted and self._initial_step + batch + 1 >= self._first:
      self._start()

  def on_train_batch_end(self, batch, logs=None):
    if self._is_running and self._initial_step + batch + 1 >= self._last:
      # Wait for the device, so that its last step is part of the profile.
      tf.nest.map_structure(float, logs)
      self._stop()

  def on_train_end(self, logs=None):
    if self._is_running:
      self._stop()
    elif self._is_wanted:
      logging.warning('No profile: training ended before %d.', self._first)

  def _start(self):
    self._is_wanted = False
    try:
      tf.profiler.experimental.start(plain_paths.plain(self._folder))
    except _UNAVAILABLE as e:
      logging.warning('No profile: the profiler did not start: %s', e)
    else:
      self._is_running = True

  def _stop(self):
    self._is_running = False
    try:
      tf.profiler.experimental.stop()
    except _UNAVAILABLE as e:
      logging.warning('No profile: it could not be written: %s', e)
    else:
      logging.info('Wrote a profile to %s.', self._folder)
