"""Locks files and folders against other processes."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import pathlib
import socket

from train.storage import files

__all__ = ['RunLock', 'take']

# Errors where locks are not supported: for folders on NFS, and for anything on
# some network file systems.
_NO_LOCKS = (
  errno.EBADF,
  errno.EINVAL,
  errno.ENOLCK,
  errno.ENOSYS,
  errno.ENOTSUP,
)


def take(file, is_needed=False):
  """Locks an open file or folder until all processes have closed it.

  A child that has inherited the open file, for example as its output, keeps the
  lock after this process has ended. The system releases the locks of processes
  that die.

  Args:
    file: A file, or a descriptor.
    is_needed: Python `bool`, whether to raise if the file system has no locks.

  Raises:
    BlockingIOError: if another process has the lock.
    OSError: if it cannot be locked.
  """
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError as e:
    if is_needed or e.errno not in _NO_LOCKS:
      raise


class RunLock:
  """Locks a run's folder within a `with`.

  Both the lock file and its folder are locked, so that removing the file does
  not release the lock. The system releases the locks of processes that die. The
  file is never removed; it names the present or last holder. On NFS only the
  file is locked, and before NFSv4 only among the processes of one machine.

  ```python
  with lock.RunLock(folder.path):
    train()
  ```
  """

  def __init__(self, path):
    """Takes no lock yet.

    Args:
      path: Path of the run's folder, which must exist; the lock file is
        `.lock` in it.
    """
    self._path = pathlib.Path(path) / '.lock'
    self._stack = contextlib.ExitStack()

  def __enter__(self):
    """Takes the lock.

    Raises:
      RunFolderError: if another process has it, or it cannot be written.
    """
    with contextlib.ExitStack() as stack:
      with files.reporting(self._path, 'lock'):
        self._take(stack, self._path.parent, os.O_RDONLY)
        descriptor = self._take(stack, self._path, os.O_RDWR | os.O_CREAT)
        _write_holder(descriptor)
      self._stack = stack.pop_all()
    return self

  def __exit__(self, *unused):
    self._stack.close()

  def _take(self, stack, path, mode):
    descriptor = os.open(path, mode, 0o644)
    stack.callback(os.close, descriptor)
    try:
      # The folder's lock is optional: not all file systems have it.
      take(descriptor, is_needed=not path.is_dir())
    except BlockingIOError as e:
      raise files.RunFolderError(
        f'{self._path.parent} is in use by {self._holder()}. Wait until it has '
        'ended, or use another --workdir.'
      ) from e
    return descriptor

  def _holder(self):
    try:
      holder = json.loads(self._path.read_text('utf-8'))
      return (
        f'process {holder["pid"]} on {holder["host"]} since {holder["start"]}'
      )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
      return 'another process'  # It has not written the file yet.


def _write_holder(descriptor):
  start = datetime.datetime.now().astimezone().isoformat(timespec='seconds')
  holder = {'pid': os.getpid(), 'host': socket.gethostname(), 'start': start}
  os.ftruncate(descriptor, 0)
  os.pwrite(descriptor, (json.dumps(holder) + '\n').encode('utf-8'), 0)
