"""Calls a function in worker processes; a crash loses one task only.

The module does not import TensorFlow: a worker imports only what its function
needs.
"""

from __future__ import annotations

import collections
import dataclasses
import multiprocessing
from multiprocessing import connection
import os
import pickle
import signal
import threading
import time
from typing import Any
from typing import Optional

from train import errors
from train import quiet_start

__all__ = ['WorkerCrash', 'WorkerPool', 'WorkerStartError']

# TensorFlow's threads do not survive a fork.
_CONTEXT = multiprocessing.get_context('spawn')


class WorkerCrash(RuntimeError):
  """A task ended its worker process; the message says how."""


class WorkerStartError(errors.UserError, RuntimeError):
  """A worker process could not be started."""


class WorkerPool:
  """Runs `function(task)` in processes that live for many tasks.

  ```python
  with WorkerPool(decode, num_workers=4, max_seconds=60) as pool:
    for task, result in pool.map(tasks):
      if isinstance(result, Exception): ...
  ```

  A script that makes a pool must guard its start with `if __name__ ==
  '__main__'`, as with any use of `multiprocessing`. Workers ignore Ctrl-C,
  which the parent handles, and end with the parent, even if that is killed.
  """

  def __init__(self, function, num_workers, max_seconds=None, start=None):
    """Starts nothing yet.

    Args:
      function: Picklable function of one picklable task.
      num_workers: `int`, at least 1.
      max_seconds: `float` or None, limit on the wall time of one task, without
        the start of its worker.
      start: Picklable function without arguments, which each worker calls
        before its first task, or None.
    """
    if num_workers < 1:
      raise ValueError(f'Expected at least one worker, got {num_workers}.')
    self._payload = pickle.dumps((function, start))
    self._num_workers = num_workers
    self._max_seconds = max_seconds
    self._workers = []

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()

  def map(self, tasks):
    """Iterates over `(task, result)`, in the order of the tasks.

    At most `2 * num_workers` tasks are in work or waiting to be yielded. Only
    one such iterator may be in use at a time.

    Args:
      tasks: Iterable of picklable objects.

    Yields:
      Pairs of a task and its result: the function's return value, the exception
      that it raised, or a `WorkerCrash`.

    Raises:
      Exception: if a worker cannot be started; the worker's own exception, for
        example ImportError, or WorkerStartError if it died.
    """
    tasks = iter(tasks)
    ahead = collections.deque()  # Jobs in order, not yielded yet.
    waiting = collections.deque()  # Those of `ahead` that no worker has yet.
    try:
      while True:
        for task in _take(tasks, 2 * self._num_workers - len(ahead)):
          ahead.append(_Job(task))
          waiting.append(ahead[-1])
        if not ahead:
          return
        self._hand_out(waiting)
        self._receive(0 if ahead[0].is_done else None)
        if ahead[0].is_done:
          job = ahead.popleft()
          yield job.task, job.result
    finally:
      for worker in [w for w in self._workers if w.job]:
        self._remove(worker)

  def close(self):
    """Ends the workers."""
    for worker in list(self._workers):
      self._remove(worker)

  def _hand_out(self, waiting):
    num_busy = sum(worker.job is not None for worker in self._workers)
    wanted = min(self._num_workers, num_busy + len(waiting))
    while len(self._workers) < wanted:
      self._workers.append(_Worker(self._payload))
    for worker in list(self._workers):
      if waiting and worker.is_ready and worker.job is None:
        if worker.send(waiting[0].task):
          worker.job = waiting.popleft()
          worker.started = time.monotonic()
        else:  # Something killed it between two tasks.
          self._remove(worker)

  def _receive(self, timeout):
    """Receives from workers, until `timeout` or a task's time limit."""
    if timeout is None:
      timeout = self._seconds_left()
    pipes = {worker.pipe: worker for worker in self._workers}
    ready = connection.wait(list(pipes), timeout) if pipes else []
    for pipe in ready:
      self._receive_from(pipes[pipe])
    for worker in [w for w in self._workers if w.pipe not in ready]:
      if worker.job and self._left(worker) <= 0:
        self._remove(worker).finish(WorkerCrash('takes too long'))

  def _receive_from(self, worker):
    try:
      kind, value = worker.pipe.recv()
    except (EOFError, OSError):
      how = worker.how_it_ended()
      job = self._remove(worker)
      if job:
        job.finish(WorkerCrash(f'the worker {how}'))
      elif not worker.is_ready:
        raise WorkerStartError(
          f'A worker process {how} while it started. Is there enough memory?'
        ) from None
      return
    if kind == 'ready':
      worker.is_ready = True
    elif kind == 'failed':
      raise value
    else:
      worker.job.finish(value)
      worker.job = None

  def _seconds_left(self):
    """Seconds until the first time limit of a task; None if there is none."""
    if self._max_seconds is None:
      return None
    left = [self._left(worker) for worker in self._workers if worker.job]
    return max(0.0, min(left)) if left else None

  def _left(self, worker):
    if self._max_seconds is None:
      return float('inf')
    return worker.started + self._max_seconds - time.monotonic()

  def _remove(self, worker):
    """Ends a worker; returns its job, or None."""
    self._workers.remove(worker)
    worker.end()
    return worker.job


@dataclasses.dataclass
class _Job:
  task: Any
  result: Any = None
  is_done: bool = False

  def finish(self, result):
    self.result, self.is_done = result, True


class _Worker:
  """A process with its pipe; it has at most one job.

  Attributes:
    pipe: The parent's end of the pipe.
    is_ready: `bool`, whether the process has loaded the function.
    job: A `_Job` or None.
    started: `float`, `time.monotonic()` when it got the job.
  """

  def __init__(self, payload):
    self.pipe, theirs = _CONTEXT.Pipe()
    self._process = _CONTEXT.Process(
      target=_work, args=(theirs, payload), daemon=True
    )
    self._process.start()
    theirs.close()  # Else the pipe would not report the process's end.
    self.is_ready = False
    self.job: Optional[_Job] = None
    self.started = 0.0

  def send(self, task):
    """Sends a task; returns whether the process took it."""
    try:
      self.pipe.send(task)
      return True
    except OSError:
      return False

  def end(self):
    self._process.kill()  # No effect on a process that has died.
    self._process.join()
    self.pipe.close()

  def how_it_ended(self):
    self._process.join(5)  # The pipe closes shortly before the process ends.
    code = self._process.exitcode
    if code is None:
      return 'closed its pipe'
    return f'died of signal {-code}' if code < 0 else f'exited with code {code}'


def _take(iterator, count):
  for _ in range(count):
    try:
      yield next(iterator)
    except StopIteration:
      return


def _work(pipe, payload):
  """The main loop of a worker, until its pipe or its parent ends."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  try:
    with quiet_start.quiet():  # It forks, so before there are threads.
      function, start = pickle.loads(payload)
      if start is not None:
        start()
  except Exception as e:
    pipe.send(('failed', _picklable(e)))
    return
  threading.Thread(target=_end_with_parent, daemon=True).start()
  pipe.send(('ready', None))
  while True:
    try:
      task = pipe.recv()
    except (EOFError, OSError):
      return
    _send_result(pipe, function, task)


def _send_result(pipe, function, task):
  try:
    pipe.send(('result', function(task)))
  except BrokenPipeError:
    os._exit(1)  # The parent is gone.
  except Exception as e:  # The function failed, or its result is not picklable.
    pipe.send(('result', _picklable(e)))


def _picklable(error):
  """The exception, or a picklable one with the same message."""
  try:
    pickle.loads(pickle.dumps(error))
    return error
  except Exception:
    return RuntimeError(f'{type(error).__name__}: {error}')


def _end_with_parent():
  """Ends the worker with its parent, even in the middle of a task."""
  connection.wait([multiprocessing.parent_process().sentinel])
  os._exit(1)
