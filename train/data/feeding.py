"""The last stages of a training data set: waiting measured, on the device."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import tensorflow as tf

__all__ = ['Rows', 'WaitCounter', 'prefetched', 'to_device']


@dataclasses.dataclass(frozen=True)
class Rows:
  """The rows `start` to `stop` of each training batch, in smaller batches.

  One of many workers reads its rows only, in a batch for each of its replicas.

  Attributes:
    start: `int`.
    stop: `int`.
    batch_size: `int`, a divisor of their number.
  """

  start: int
  stop: int
  batch_size: int

  @classmethod
  def all(cls, batch_size):
    return cls(0, batch_size, batch_size)


def prefetched(dataset):
  """The dataset with two elements made ahead, and no autotuning.

  Everything is set by hand, and the thread that tunes holds up the end of an
  iteration for as long as it sleeps, in time up to a minute.
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
    """The same elements; to be applied last, after the prefetching.

    (A dataset copied to a GPU afterwards waits in the copying thread, which
    waits only if the host has nothing ready.)
    """
    # Asked for in this order, and by the consumer's thread: the clock, the
    # element, and the clock again.
    clock = tf.data.Dataset.range(np.iinfo(np.int64).max)
    clock = clock.map(lambda _: tf.timestamp())
    options = tf.data.Options()
    options.autotune.enabled = False  # As in `prefetched`.
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
