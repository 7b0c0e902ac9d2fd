"""What training costs on this machine: parameters, memory, a step's time."""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Optional

import numpy as np
import tensorflow as tf
import tf_keras as tfk

from train.config import fields
from train.config import memory
from train.data.records import worker_pool
from train.systems import systems

__all__ = ['Cost', 'duration', 'measure']

_MOST_STEPS = 10  # Timed ones, after the first.
_ENOUGH_SECONDS = 5.0  # No further step after so many.


@dataclasses.dataclass(frozen=True)
class Cost:
  """What was measured of a config's training.

  Attributes:
    num_parameters: `int`, trainable ones.
    start_seconds: Float, the time of building and of the first step.
    step_seconds: Float, the median time of the steps after the first.
    peak_bytes: `int`, the greatest memory of the process, or of the GPU.
    problem: `str`, why the step could not be measured; '' if it was, or if that
      was not asked for.

  Numbers are None if they were not measured.
  """

  num_parameters: Optional[int] = None
  start_seconds: Optional[float] = None
  step_seconds: Optional[float] = None
  peak_bytes: Optional[int] = None
  problem: str = ''


def measure(config, num_labels, max_seconds):
  """Takes some training steps on random clips, in a process of its own.

  Args:
    config: `Config`.
    num_labels: `int`.
    max_seconds: Float, limit on building the model, and again on the steps; 0:
      nothing is measured.

  Returns:
    `Cost`.

  Raises:
    ConfigError: if the model of the config cannot be built.
  """
  systems.of(config).check()
  has_gpu = bool(tf.config.list_physical_devices('GPU'))
  try:
    memory.check(memory.of_training(config, has_gpu=has_gpu))
  except fields.ConfigError as e:
    return Cost(problem=f'Training would be refused. {e}')
  if not max_seconds:
    return Cost()
  cost = Cost()
  steps = _Steps(config, num_labels)
  with worker_pool.WorkerPool(
    steps, 1, max_seconds, start=tf.config.list_physical_devices
  ) as pool:
    for _, result in pool.map(['build', 'fit']):
      if isinstance(result, fields.ConfigError):
        raise result
      if isinstance(result, Exception):
        return dataclasses.replace(cost, problem=_words(result, max_seconds))
      cost = result
  return cost


def _words(error, max_seconds):
  """Why a step was not measured, as a sentence."""
  if isinstance(error, worker_pool.WorkerCrash):
    if 'too long' in str(error):
      return f'Building the model, or steps, took more than {max_seconds:g} s.'
    return f'{str(error).capitalize()}. Is there enough memory?'
  (first, *_) = str(error).splitlines() or ['']
  return f'{type(error).__name__}: {first[:200]}'


class _Steps:
  """The worker's tasks: 'build', then 'fit'; each returns a `Cost`."""

  def __init__(self, config, num_labels):
    self._config = config
    self._num_labels = num_labels
    self._model = None
    self._start = 0.0

  def __call__(self, task):
    return {'build': self._build, 'fit': self._fit}[task]()

  def _build(self):
    self._start = time.perf_counter()
    self._model = systems.of(self._config).build_model(self._num_labels)
    return Cost(self._count())

  def _count(self):
    sizes = [np.prod(v.shape) for v in self._model.trainable_variables]
    return int(sum(sizes))

  def _fit(self):
    frames, label = self._batch()
    if not self._model.adapted:
      self._model.adapt(frames, label)
    batches = tf.data.Dataset.from_tensors((frames, label)).repeat()
    clock = _Clock()
    self._model.fit(
      batches,
      steps_per_epoch=1 + _MOST_STEPS,
      verbose=0,
      callbacks=[clock],
    )
    return Cost(
      self._count(),
      clock.times[0] - self._start,
      statistics.median(np.diff(clock.times)),
      _peak_bytes(),
    )

  def _batch(self):
    """Random `(frames [B, T, H, W, C], label [B])`."""
    data, size = self._config.data, self._config.run.batch_size
    side = data.frame_size
    rng = np.random.default_rng(0)
    shape = [size, data.num_frames, side, side, data.channels]
    frames = rng.integers(0, 256, shape, np.uint8)
    label = np.arange(size, dtype=np.int32) % self._num_labels
    return tf.constant(frames), tf.constant(label)


class _Clock(tfk.callbacks.Callback):
  """Notes the end of each step, and ends training when that is enough."""

  def __init__(self):
    super().__init__()
    self._supports_tf_logs = True  # As the callbacks of training.
    self.times = []

  def on_train_batch_end(self, batch, logs=None):
    float(next(iter(logs.values())))  # Waits for the device.
    self.times.append(time.perf_counter())
    if batch and self.times[-1] - self.times[0] > _ENOUGH_SECONDS:
      self.model.stop_training = True


def _peak_bytes():
  """The greatest memory so far, of a GPU, else of this process; or None."""
  if tf.config.list_physical_devices('GPU'):
    return tf.config.experimental.get_memory_info('GPU:0')['peak']
  try:  # Linux; `ru_maxrss` would count what the parent had.
    with open('/proc/self/status', encoding='ascii') as f:
      rows = dict(line.split(':', 1) for line in f)
    return int(rows['VmHWM'].split()[0]) * 1024
  except (OSError, KeyError):
    return None


def duration(seconds):
  """A duration in words: '8 s', '5 min', '1 h 10 min', '3 days 4 h'."""
  if seconds < 60:
    return f'{max(1, round(seconds))} s'
  if seconds < 3600:
    return f'{round(seconds / 60)} min'
  if seconds < 86400:
    hours, tens = divmod(round(seconds / 600), 6)
    return f'{hours} h' + (f' {tens}0 min' if tens else '')
  days, hours = divmod(round(seconds / 3600), 24)
  plural = 's' if days > 1 else ''
  return f'{days} day{plural}' + (f' {hours} h' if hours else '')
