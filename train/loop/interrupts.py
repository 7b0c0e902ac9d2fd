"""Handles signals to stop: after the current step of training, else at once."""

import contextlib
import signal
import threading
import time

from absl import logging

__all__ = ['EXIT_CODE', 'Interrupted', 'Interrupts']

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: run the same command again.
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A second signal within these seconds does not break off what the first one
# began: locks are released, half-written files removed.
_CLEANING_SECONDS = 10.0


class Interrupted(BaseException):
  """A run was told to stop, and everything is saved.

  Like KeyboardInterrupt it is no `Exception`, so that code that skips broken
  files does not catch it.

  Attributes:
    exit_code: Python `int`, see `failures.exit_code`.
  """

  exit_code = EXIT_CODE

  def __init__(self, reason):
    """Creates the exception.

    Args:
      reason: `str`, the signal's name.
    """
    super().__init__(f'Stopped by {reason}; the same command continues.')
    self.reason = reason


class Interrupts:
  """Handles SIGTERM and SIGINT within a `with`.

  The first signal raises `Interrupted`; within `deferred` it is only noted in
  `requested`. A second SIGINT ends the process as if there were no handler. A
  second SIGTERM does nothing for ten seconds, and then raises again.
  Only the main thread gets signals; in another thread the class does nothing.

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

  def __init__(self, ends_process=False):
    """Handles nothing yet.

    Args:
      ends_process: Python `bool`, whether the process ends after a stop. Its
        exit code then stays: a SIGTERM that comes later does nothing.
    """
    self.requested = None
    self._ends_process = ends_process
    self._raised = None  # The time of the first `Interrupted`.
    self._is_deferred = False
    self._before = {}

  def __enter__(self):
    if threading.current_thread() is threading.main_thread():
      self._before = {s: signal.signal(s, self._handle) for s in _SIGNALS}
    return self

  def __exit__(self, kind, error, traceback):
    before, self._before = self._before, {}
    if before and self._ends_process and self.requested is not None:
      # Not SIG_IGN, which children would inherit.
      before = {signal.SIGTERM: lambda *_: None, signal.SIGINT: None}
    for number, handler in before.items():
      signal.signal(number, signal.SIG_DFL if handler is None else handler)
    # TensorFlow turns an exception raised in a function of tf.data into an
    # error of its own.
    if self.requested is not None and isinstance(error, Exception):
      logging.warning('While stopping: %s: %s', type(error).__name__, error)
      raise Interrupted(self.requested) from error

  def request(self, reason):
    """Requests a stop, like a signal within `deferred`.

    Args:
      reason: `str`, for the message; the first request's reason is kept.
    """
    if self.requested is None:
      self.requested = reason

  @contextlib.contextmanager
  def deferred(self):
    """Within, a signal is only noted; `Interrupted` is raised at the end.

    Raises:
      Interrupted: if there was a signal, before or within.
    """
    with self._deferring(True):
      self._raise_if_requested()
      yield
    self._raise_if_requested()

  @contextlib.contextmanager
  def immediate(self):
    """Within, although inside of `deferred`, a signal raises at once.

    Raises:
      Interrupted: if there was a signal, before or within, even if TensorFlow
        turned it into another error.
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
      self._raised = time.monotonic()
      raise Interrupted(self.requested)

  def _handle(self, number, frame):
    del frame
    name = signal.Signals(number).name
    if number == signal.SIGINT:  # A second one ends the process by itself.
      signal.signal(signal.SIGINT, signal.SIG_DFL)
    is_first = self.requested is None
    self.request(name)
    if self._is_deferred:
      if is_first:
        _log(name)
      return
    now = time.monotonic()
    if self._raised is None or now - self._raised > _CLEANING_SECONDS:
      self._raised = now
      raise Interrupted(name)


def _log(name):
  # If the handler runs in the middle of a write to the stream, logging raises.
  # The message is logged again at the end of the step.
  with contextlib.suppress(RuntimeError):
    logging.warning(
      '%s: stopping after this step%s.',
      name,
      ' (again: at once, without saving)' if name == 'SIGINT' else '',
    )
