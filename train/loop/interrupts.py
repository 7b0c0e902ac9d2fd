"""Signals to stop: at the end of a step while training, else at once."""

import contextlib
import signal
import threading

from absl import logging

__all__ = ['EXIT_CODE', 'Interrupted', 'Interrupts']

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: run the same command again.
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
  """A run that was told to stop, with nothing to save left.

  No `Exception`, as KeyboardInterrupt is none: what skips a broken file must
  not skip the signal.
  """

  def __init__(self, reason):
    """Creates the exception.

    Args:
      reason: `str`, the signal's name.
    """
    super().__init__(f'Stopped by {reason}; the same command goes on.')
    self.reason = reason


class Interrupts:
  """Handles SIGTERM and SIGINT within a `with`.

  The first of them raises `Interrupted`, or within `deferred` is noted in
  `requested`. A second SIGINT ends the process as if there were no handler.
  Only the main thread gets signals: in another one this does nothing.

  ```python
  with interrupts.Interrupts() as stop:
    prepare()
    with stop.deferred():  # Its end raises, if there was a signal.
      while not (done or stop.requested):
        step()
      save()
  ```

  Attributes:
    requested: `str`, the signal's name, or None: there was none.
  """

  def __init__(self):
    self.requested = None
    self._is_deferred = False
    self._before = {}

  def __enter__(self):
    if threading.current_thread() is threading.main_thread():
      self._before = {s: signal.signal(s, self._handle) for s in _SIGNALS}
    return self

  def __exit__(self, kind, error, traceback):
    for number, handler in self._before.items():
      signal.signal(number, signal.SIG_DFL if handler is None else handler)
    self._before = {}
    # TensorFlow turns what is raised within a function of tf.data into an
    # error of its own.
    if self.requested is not None and isinstance(error, Exception):
      logging.warning('While stopping: %s: %s', type(error).__name__, error)
      raise Interrupted(self.requested) from error

  def request(self, reason):
    """Stops like a signal within `deferred`; the first reason is kept.

    Args:
      reason: `str`, to be told.
    """
    if self.requested is None:
      self.requested = reason

  @contextlib.contextmanager
  def deferred(self):
    """Within, a signal is only noted; at the end it raises.

    Raises:
      Interrupted: if there was a signal, before or within.
    """
    with self._deferring(True):
      self._raise_if_requested()
      yield
    self._raise_if_requested()

  @contextlib.contextmanager
  def immediate(self):
    """Within, inside of `deferred`, a signal raises again.

    Raises:
      Interrupted: if there was a signal, before or within, also where
        TensorFlow has made an error of its own of it.
    """
    try:
      with self._deferring(False):
        self._raise_if_requested()
        yield
    except Exception as e:
      if self.requested is None:
        raise
      raise Interrupted(self.requested) from e
    self._raise_if_requested()

  @contextlib.contextmanager
  def _deferring(self, value):
    before, self._is_deferred = self._is_deferred, value
    try:
      yield
    finally:
      self._is_deferred = before

  def _raise_if_requested(self):
    if self.requested is not None:
      raise Interrupted(self.requested)

  def _handle(self, number, frame):
    del frame
    name = signal.Signals(number).name
    if number == signal.SIGINT:  # The second one needs no Python to run.
      signal.signal(signal.SIGINT, signal.SIG_DFL)
    is_first = self.requested is None
    self.request(name)
    if not self._is_deferred:
      raise Interrupted(name)
    if is_first:
      _log(name)


def _log(name):
  # The handler may run while the stream is being written to, which then
  # refuses; the step's end says it again.
  with contextlib.suppress(RuntimeError):
    logging.warning(
      '%s: stopping after this step%s.',
      name,
      ' (again: at once, without saving)' if name == 'SIGINT' else '',
    )
