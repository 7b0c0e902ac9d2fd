"""The last stages of a training pipeline: prefetching and measuring waits."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import tensorflow as tf

__all__ = [
  'Rows',
  'WaitCounter',
  'clips_at_once',
  'prefetched',
  'to_device',
]

# Frames that are evaluated at once, about as many as a step trains on. All
# frames of many long clips would need gigabytes, and half of the time would be
# spent on getting this memory.
_MOST_FRAMES = 64


@dataclasses.dataclass(frozen=True)
class Rows:
  """Rows `[start, stop)` of each training batch, read in smaller batches.

  Each of several workers reads its own rows only, one batch for each of its
  replicas.

  Attributes:
    start: `int`.
    stop: `int`.
    batch_size: `int`, a divisor of `stop - start`.
  """

  start: int
  stop: int
  batch_size: int

  @classmethod
  def all(cls, batch_size):
    return cls(0, batch_size, batch_size)


def clips_at_once(batch_size, num_frames):
  """Clips of a batch whose frames are all used: at most `batch_size`.

  Training takes some frames of each clip, evaluation all of them.

  Args:
    batch_size: `int`, clips of a training batch.
    num_frames: `int`, frames of a clip.

  Returns:
    `int`, at least 1.
  """
  return max(1, min(batch_size, _MOST_FRAMES // num_frames))


def prefetched(dataset):
  """Prefetches two elements and turns autotuning off.

  Nothing is left to tune, and the tuning thread delays the end of an iteration
  until it wakes up, which may take a minute.
  """
  options = tf.data.Options()
  options.autotune.enabled = False
  return dataset.prefetch(2).with_options(options)


class WaitCounter:
  """Adds up the time that a dataset's consumer waits for its elements."""

  def __init__(self):
    self._seconds = 0.0
    self._lock = threading.Lock()

  @property
  def seconds(self):
    with self._lock:
      return self._seconds

  def measure(self, dataset):
    """Wraps a dataset to measure its consumer's waits; its elements stay.

    Apply it last, after prefetching. (If elements are copied to a GPU
    afterwards, the copying thread waits, if the host has no element ready.)
    """
    # The consumer's thread reads the clock, the element and the clock again.
    clock = tf.data.Dataset.range(np.iinfo(np.int64).max)
    clock = clock.map(lambda _: tf.timestamp())
    options = tf.data.Options()
    options.autotune.enabled = False  # See `prefetched`.
    options.experimental_optimization.inject_prefetch = False
    zipped = tf.data.Dataset.zip((clock, dataset))
    return zipped.map(self._stop).with_options(options)

  def _stop(self, start, element):
    added = tf.numpy_function(self._add, [tf.timestamp() - start], tf.int32)
    with tf.control_dependencies([added]):
      return tf.nest.map_structure(tf.identity, element)

  def _add(self, seconds):
    with self._lock:
      self._seconds += float(seconds)
    return np.int32(0)


def to_device(dataset):
  """Copies batches ahead of time to the GPU, if there is one."""
  if not tf.config.list_physical_devices('GPU'):
    return dataset
  return dataset.apply(tf.data.experimental.prefetch_to_device('/GPU:0'))
