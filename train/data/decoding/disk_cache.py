"""Caches decoded files on disk, for sets that are decoded more than once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os

from absl import logging
import numpy as np
import tensorflow as tf

from tfp_cglow.internal import plain_paths
from train.storage import files

__all__ = ['DiskCache']


class DiskCache:
  """Arrays of decoded frames, a `.npy` for each decoded file.

  Its name is a hash of the path, the file's size and modification time, the
  frames asked for and the decoder. If any of them changes, the file is decoded
  again. If the folder cannot be written, a warning says so once, and nothing
  more is kept: training goes on without it.
  """

  def __init__(self, folder, decoder):
    """Makes the folder.

    Args:
      folder: `str`.
      decoder: A `decode.Decoder`, which is hashed into every name.
    """
    self._folder = folder
    self._is_writable = True
    try:
      os.makedirs(folder, exist_ok=True)
    except OSError as e:
      self._give_up(e)
    self._decoder = dataclasses.asdict(decoder)

  def get(self, path, stop, decode):
    """The frames `[0, stop)` of a file; `decode(path, 0, stop)` if not kept."""
    name = self._name(path, stop)
    if name is None:  # The decoder then raises the error.
      return decode(path, 0, stop)
    try:
      return np.load(name, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # New, or cut off by a crash.
      frames = decode(path, 0, stop)
    if self._is_writable:
      try:
        self._write(name, frames)
      except OSError as e:
        self._give_up(e)
    return frames

  def _give_up(self, error):
    if self._is_writable:  # Several threads may fail at a time.
      self._is_writable = False
      logging.warning(
        'Cannot keep decoded files in %s: %s. Going on without.',
        self._folder,
        files.describe_os_error(error),
      )

  def _name(self, path, stop):
    try:
      stat = tf.io.gfile.stat(plain_paths.plain(path))
    except (OSError, tf.errors.OpError):
      return None
    key = [path, stat.length, stat.mtime_nsec, stop, self._decoder]
    digest = hashlib.sha256(json.dumps(key).encode('utf-8', 'replace'))
    return os.path.join(self._folder, f'{digest.hexdigest()[:32]}.npy')

  def _write(self, name, frames):
    with files.replacing(name) as temporary, open(temporary, 'wb') as f:
      np.save(f, frames)
