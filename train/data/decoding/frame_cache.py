"""Caches decoded frames in memory, up to a number of bytes."""

from __future__ import annotations

import collections
from concurrent import futures
import threading

__all__ = ['FrameCache']


class FrameCache:
  """A least-recently-used cache of decoded files; thread-safe.

  If two threads ask for a key at the same time, its value is made once.
  """

  def __init__(self, max_bytes):
    self._max_bytes = max_bytes
    self._bytes = 0
    self._entries = collections.OrderedDict()  # key -> Future of an array.
    self._lock = threading.Lock()

  @property
  def num_bytes(self):
    return self._bytes

  def get(self, key, make):
    """The value of `key`, an array or a small object; `make()` if not kept."""
    with self._lock:
      future = self._entries.get(key)
      is_new = future is None
      if is_new:
        future = self._entries[key] = futures.Future()
      self._entries.move_to_end(key)
    if is_new:
      self._fill(key, future, make)
    return future.result()

  def _fill(self, key, future, make):
    try:
      value = make()
    except BaseException as e:
      with self._lock:
        del self._entries[key]
      future.set_exception(e)
      raise
    future.set_result(value)
    with self._lock:
      self._bytes += _num_bytes(value)
      for old, entry in list(self._entries.items()):
        if self._bytes <= self._max_bytes:
          break
        if entry.done():
          self._bytes -= _num_bytes(entry.result())
          del self._entries[old]


def _num_bytes(value):
  return getattr(value, 'nbytes', 0)
