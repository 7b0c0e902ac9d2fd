"""Paths that TensorFlow and FFmpeg take as one plain name.

TensorFlow expands `[ ] * ? { } \\` in some paths, encodes them all as UTF-8 and
reads `name://` as a file system; FFmpeg counts with `%03d`. Every path that
goes to one of them goes through `plain` first.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
import threading

__all__ = ['is_remote', 'plain']

_PLAIN = re.compile(r'[\w/.,:+=@~ -]*')
_REMOTE = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*://')


def is_remote(path):
  """Whether a path is of a file system such as 'gs://': Python `bool`."""
  return _REMOTE.match(os.fsdecode(path)) is not None


def plain(path):
  """A path of the same file or folder, with letters, digits and few signs.

  If the path has other characters, a symbolic link in a temporary folder of
  this process stands for the part up to the last of them. Ask again before each
  use: someone may have emptied the temporary folder.

  Args:
    path: Path, `str` or `bytes`. Its folder must exist; the path itself may be
      one that is still to be written, or the prefix of several files.

  Returns:
    Python `str`, absolute; a remote path is returned as it is.

  Raises:
    OSError: if no link can be made.
  """
  path = os.fsdecode(path)
  if is_remote(path):
    return path
  # Not `abspath`: a link before '..' would lead elsewhere.
  path = path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
  if _PLAIN.fullmatch(path):
    return path
  folder, name = os.path.split(path)
  if _PLAIN.fullmatch(name):
    return os.path.join(plain(folder), name)
  if _is_new(path, name):
    return os.path.join(plain(folder), name)
  return _links.link(path)


def _is_new(path, name):
  """Whether nothing has this name yet, and TensorFlow can write it."""
  try:
    name.encode('utf-8')
  except UnicodeEncodeError:
    return False
  return not os.path.lexists(path)


class _Links:
  """Symbolic links with plain names, in a folder of this process."""

  def __init__(self):
    self._lock = threading.Lock()
    self._owner = None  # Its process; a forked one makes its own folder.
    self._folder = None
    self._numbers = {}

  def link(self, target):
    """The path of a link to `target`: `str`."""
    with self._lock:
      if self._owner != os.getpid():
        self._owner, self._folder, self._numbers = os.getpid(), None, {}
        atexit.register(self._remove, os.getpid())
      if self._folder is None or not os.path.isdir(self._folder):
        self._folder = tempfile.mkdtemp(prefix='tfp_cglow_', dir=_scratch())
      number = self._numbers.setdefault(target, len(self._numbers))
      path = os.path.join(self._folder, str(number))
      if not os.path.islink(path):
        os.symlink(target, path)
      return path

  def _remove(self, owner):
    if owner == os.getpid() and self._folder is not None:
      shutil.rmtree(self._folder, ignore_errors=True)


def _scratch():
  """The first temporary folder whose own name is plain: `str`."""
  folders = [tempfile.gettempdir(), '/tmp', '/var/tmp', '/dev/shm']
  for folder in map(os.path.abspath, folders):
    if _PLAIN.fullmatch(folder) and os.access(folder, os.W_OK | os.X_OK):
      return folder
  raise OSError(
    'Expected a temporary folder with a plain name that can be written; set '
    'TMPDIR to one.'
  )


_links = _Links()
