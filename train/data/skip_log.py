"""`SkipLog`: records damaged files, and limits those that cannot be decoded."""

from __future__ import annotations

import contextlib
import math
import os
import threading

from absl import logging
import tensorflow as tf

from train import failures
from train.data import sources
from train.data.decoding import readers
from train.storage import files
from train.storage import reading

__all__ = ['Lines', 'SkipLog']


class SkipLog:
  """The files that could not be decoded, each once.

  Files that end early are noted, but not counted: their first frames are used.
  """

  def __init__(self, source, path=None, max_skipped=0.05):
    """Makes an empty log.

    Args:
      source: The `sources.Source` of the files.
      path: `str` or `None`, a JSONL file; a line is added for each skipped file
        that it does not name yet.
      max_skipped: `float`, the fraction of the files that may be skipped.

    Raises:
      DataError: if the file at `path` is not such a log.
    """
    self._num_files = len(source.paths)
    self._lines = Lines(path)
    self._max_skipped = max_skipped
    self._skipped = {}
    self._noted = set()
    self._error = None
    self._lock = threading.Lock()

  def __len__(self):
    return len(self._skipped)

  @property
  def skipped(self):
    """Dict from paths to their `readers.DecodeError`s."""
    with self._lock:
      return dict(self._skipped)

  @property
  def skipped_before(self):
    """Frozen set of the paths that earlier sessions skipped.

    Without those of which a blank window was skipped: other windows may do.
    """
    return self._lines.skipped_before

  def record(self, error):
    """Notes a `readers.DecodeError`; only the first one of a path is kept."""
    key = _key(error.path, error.reason)
    with self._lock:
      if key in self._noted:
        return
      self._noted.add(key)
      if error.reason == readers.ENDS_EARLY:
        logging.warning('Used in part: %s', failures.printable(error))
      else:
        self._skipped[error.path] = error
        logging.warning('Skipped %s', failures.printable(error))
      self._lines.add(error)

  def check(self):
    """Raises if too many files were skipped, or a dataset has failed.

    Raises:
      DataError: with the count and the first reasons.
    """
    if self._error is not None:
      raise self._error
    if len(self) > self._max_skipped * self._num_files:
      first = '; '.join(str(e) for e in list(self.skipped.values())[:3])
      share = math.ceil(100 * len(self) / self._num_files) / 100
      raise sources.DataError(
        f'Skipped {len(self)} of {self._num_files} files, expected at most '
        f'the fraction {self._max_skipped}: remove them, or allow more with '
        f'--set data.max_skipped={share:.2g}. First: {first}'
      )

  def fail(self, error):
    """Keeps the error that `raising` raises instead of TensorFlow's."""
    self._error = self._error or error

  @contextlib.contextmanager
  def raising(self):
    """Within, turns an error inside tf.data back into its `DataError`."""
    try:
      yield
    except tf.errors.OpError:
      if self._error is None:
        raise
      raise self._error from None


class Lines:
  """The file of a log: a line of JSON for each file, written once.

  Attributes:
    skipped_before: Frozen set of `str`, see `SkipLog.skipped_before`.
  """

  def __init__(self, path):
    """Reads the lines that are there.

    Args:
      path: `str` or `None`: nothing is written.

    Raises:
      DataError: if the file at `path` is not such a log.
    """
    self._path = path
    rows = _logged(path)
    self._written = {_key(*row) for row in rows}
    partly = (readers.ENDS_EARLY, readers.BLANK)
    self.skipped_before = frozenset(p for p, why in rows if why not in partly)

  def add(self, error):
    """Writes a `readers.DecodeError`, unless its file has a line.

    Raises:
      DataError: if it cannot be written.
    """
    key = _key(error.path, error.reason)
    if not self._path or key in self._written:
      return
    self._written.add(key)
    line = {
      'path': error.path,
      'reason': error.reason,
      'message': error.message,
    }
    try:
      files.append_line(self._path, line)
    except OSError as e:
      raise sources.DataError(
        f'Cannot write {self._path}: {e.strerror}.'
      ) from e


def _key(path, reason):
  """What has one line: a file that is left out, or one that ends early."""
  return path, reason == readers.ENDS_EARLY


def _logged(path):
  """The lines of a log: list of (path, reason)."""
  if not path or not os.path.exists(path):
    return []
  try:
    with open(path, 'rb') as f:
      is_log = f.read(1) in (b'', b'{')
    if is_log:
      rows = reading.read_lines(path)
      return [(row['path'], row.get('reason')) for row in rows]
    problem = 'the file is not one'
  except (OSError, KeyError) as e:
    problem = repr(e)
  raise sources.DataError(f'Expected a log of skips in {path}, but {problem}.')
