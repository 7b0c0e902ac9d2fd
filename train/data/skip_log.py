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

__all__ = ['SkipLog']


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
    self._path = path
    self._max_skipped = max_skipped
    self._written = _logged_keys(path)
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
      if self._path and key not in self._written:
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


def _key(path, reason):
  """What has one line: a file that is left out, or one that ends early."""
  return path, reason == readers.ENDS_EARLY


def _logged_keys(path):
  if not path or not os.path.exists(path):
    return set()
  try:
    with open(path, 'rb') as f:
      is_log = f.read(1) in (b'', b'{')
    if is_log:
      rows = reading.read_lines(path)
      return {_key(row['path'], row.get('reason')) for row in rows}
    problem = 'the file is not one'
  except (OSError, KeyError) as e:
    problem = repr(e)
  raise sources.DataError(f'Expected a log of skips in {path}, but {problem}.')
