"""Locks of files and folders: one process at a time."""

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

# What cannot be locked: folders on NFS, anything on some network file systems.
_NO_LOCKS = (
  errno.EBADF,
  errno.EINVAL,
  errno.ENOLCK,
  errno.ENOSYS,
  errno.ENOTSUP,
)


def take(file, is_needed=False):
  """Locks an open file or folder until it is closed, by children too.

  A child that has the file open, as for its output, holds the lock when this
  process is gone. The system lets go of the dead's.

  Args:
    file: A file, or a descriptor.
    is_needed: Python `bool`: whether it is an error if the file system has no
      locks.

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
  """Holds a run's folder within a `with`; the system lets go of the dead's.

  Both the lock file and its folder are locked, so that it does not help to
  remove the file. The file stays: it names who holds the folder, or last did.
  On NFS the file alone is locked, and before NFSv4 for one machine only.

  ```python
  with lock.RunLock(folder.path):
    train()
  ```
  """

  def __init__(self, path):
    """Takes no lock yet.

    Args:
      path: Path of the run's folder, which exists; the file is its `.lock`.
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
      # The folder's lock is the second one, for where it is to be had.
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
    except (OSError, ValueError, KeyError, TypeError):
      return 'another process'  # That has not written its name yet.


def _write_holder(descriptor):
  start = datetime.datetime.now().astimezone().isoformat(timespec='seconds')
  holder = {'pid': os.getpid(), 'host': socket.gethostname(), 'start': start}
  os.ftruncate(descriptor, 0)
  os.pwrite(descriptor, (json.dumps(holder) + '\n').encode('utf-8'), 0)
