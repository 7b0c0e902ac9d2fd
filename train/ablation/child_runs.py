"""Runs the training program in child processes.

The output of a process is appended to its run's `log.txt`, and a line about the
process to `sessions.jsonl`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from train import errors
from train import failures
from train.storage import files
from train.storage import lock
from train.storage import run_folder

__all__ = ['NUMBERS_ONLY', 'PROGRAM', 'ChildRun', 'run_all']

PROGRAM = (sys.executable, '-m', 'train.main')
# Settings of a run of which only the numbers are needed: no SavedModel, no
# samples, no continuations.
NUMBERS_ONLY = (
  'model.export_max_frames=none',
  'run.num_samples=0',
  'run.quality_samples=0',
)

_SECONDS_BETWEEN_LOOKS = 0.1
_MAX_SECONDS_TO_END = 20.0


class ChildRun:
  """A process that trains or evaluates a run."""

  def __init__(
    self,
    workdir,
    arguments,
    program=PROGRAM,
    cwd=None,
    environment=None,
    facts=None,
  ):
    """Starts nothing yet.

    Args:
      workdir: Path of the run's folder.
      arguments: Sequence of `str`, command-line arguments without --workdir.
      program: Sequence of `str`, the command that trains a run.
      cwd: Path of the working directory; None: that of this process.
      environment: `dict` of `str`, added to this process's environment, or
        None.
      facts: `dict`, written to sessions.jsonl with seconds and exit code.
    """
    self.folder = run_folder.RunFolder(workdir)
    self._command = [*program, *arguments, f'--workdir={workdir}']
    self._cwd = cwd
    self._environment = environment or {}
    self._facts = facts or {}

  def run(self):
    """Starts the process and waits for it; see `start` and `finish`."""
    self.start()
    return self.finish()

  def start(self):
    """Starts the process.

    Raises:
      RunFolderError: if another process trains the run.
      OSError: if it cannot be started.
    """
    path = self.folder.path
    path.mkdir(parents=True, exist_ok=True)
    self._start = time.monotonic()
    with open(self.folder.log, 'a') as log:
      # The child's output keeps the lock, even if this process is killed.
      try:
        lock.take(log)
      except BlockingIOError:
        raise files.RunFolderError(f'another process trains {path}') from None
      self._process = subprocess.Popen(
        self._command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=self._cwd,
        env={**os.environ, **self._environment},
      )

  @property
  def is_running(self):
    return self._process.poll() is None

  def terminate(self):
    """Sends SIGTERM; the run can be resumed from its last checkpoint."""
    self._process.terminate()

  def finish(self, max_seconds=None):
    """Waits for the process, kills it after `max_seconds`, notes the session.

    Returns:
      The error message, `str`, or None if the run succeeded.
    """
    code = self._wait(max_seconds)
    session = {
      'seconds': time.monotonic() - self._start,
      'exit_code': code,
      **self._facts,
    }
    try:
      files.append_line(self.folder.sessions, session)
    except OSError as e:
      words = files.describe_os_error(e)
      return f'Cannot write {self.folder.sessions}: {words}'
    if code == 0 and self.folder.metrics_file.exists():
      return None
    return _what_went_wrong(self.folder.log, code)

  def _wait(self, max_seconds):
    try:
      return self._process.wait(max_seconds)
    except subprocess.TimeoutExpired:
      self._process.kill()
      return self._process.wait()


def _what_went_wrong(log, exit_code):
  """The child's error message or, if it has none, how it ended: `str`."""
  lines = log.read_text(errors='replace').splitlines()
  error = next((x for x in reversed(lines) if x.startswith('error: ')), None)
  if exit_code == 2 and error:
    return error[len('error: ') :]
  if exit_code < 0:
    return f'killed by {failures.signal_name(-exit_code)}'
  if exit_code == 0:
    return 'ended without a metrics.json'
  last = next((x.strip() for x in reversed(lines) if x.strip()), 'no output')
  return f'exit code {exit_code}: {last}'


def run_all(children, jobs, ended):
  """Runs children; one that fails does not stop the others.

  If this process is interrupted, it terminates the running children.

  Args:
    children: `dict` from names to `ChildRun`s.
    jobs: Python `int`, number of processes at a time.
    ended: Function that is called with the name of each child that has ended
      and its error message or None.

  Returns:
    `dict` from the names of failed children to error messages.
  """
  waiting, running, failures = list(children.items()), {}, {}

  def note(name, error):
    if error:
      failures[name] = error
    ended(name, error)

  try:
    while waiting or running:
      for name in [n for n, child in running.items() if not child.is_running]:
        note(name, running.pop(name).finish())
      while waiting and len(running) < jobs:
        name, child = waiting.pop(0)
        try:
          child.start()
        except (errors.UserError, OSError) as e:
          note(name, str(e))
        else:
          running[name] = child
      time.sleep(_SECONDS_BETWEEN_LOOKS)
  finally:
    for child in running.values():
      child.terminate()
    for child in running.values():
      child.finish(_MAX_SECONDS_TO_END)
  return failures
