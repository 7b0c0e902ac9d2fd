"""The processes and devices of a run, and the communication among them."""

import contextlib
import json
import os
import re
import zlib

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from train.config import fields
from train.data import feeding
from train.loop import interrupts

__all__ = ['STRATEGIES', 'WorkerLost', 'Workers']

STRATEGIES = ('default', 'mirrored', 'multi_worker')
# TensorFlow's errors when a worker is gone; the message then has one of
# `_LOST_WORDS`.
_LOST_ERRORS = (
  tf.errors.AbortedError,
  tf.errors.CancelledError,
  tf.errors.DeadlineExceededError,
  tf.errors.FailedPreconditionError,
  tf.errors.UnavailableError,
)
_SILENCE_SECONDS = 60  # Without a heartbeat: then a worker counts as gone.
_LOST_WORDS = ('collective', 'coordination', 'heartbeat', 'incarnation')


class WorkerLost(RuntimeError):
  """Another worker is gone; this one must end, too, and all start again.

  Attributes:
    exit_code: Python `int`, see `train.failures.exit_code`.
  """

  exit_code = interrupts.EXIT_CODE


class Workers:
  """A `tf.distribute` strategy, and this process's place in it.

  - default: one process, one device.
  - mirrored: one process, all its GPUs.
  - multi_worker: processes named by TF_CONFIG, each with all its GPUs.

  Attributes:
    strategy: `tf.distribute.Strategy`.
    num: Python `int`, number of processes.
    index: Python `int`, index of this process.
  """

  def __init__(self, name='default'):
    """Joins the other processes; call it before any TensorFlow operation.

    Args:
      name: One of `STRATEGIES`.

    Raises:
      ConfigError: if TF_CONFIG does not fit.
      WorkerLost: if another process ends meanwhile.
    """
    self.num, self.index = 1, 0
    if name == 'multi_worker':
      self.num, self.index = _place(os.environ.get('TF_CONFIG'))
      with self.noticing():
        self.strategy = _join(self.num)
    elif name == 'mirrored':
      self.strategy = tf.distribute.MirroredStrategy()
    else:
      self.strategy = tf.distribute.get_strategy()
    self._sum = tf.function(self._sum_in_graph)

  @property
  def is_chief(self):
    """Python `bool`: whether this process writes the run's files."""
    return self.index == 0

  @property
  def num_replicas(self):
    """Python `int`, the number of replicas of all processes."""
    return self.strategy.num_replicas_in_sync

  def check(self, batch_size):
    """Raises ConfigError if replicas' batches would differ in size."""
    if batch_size % self.num_replicas:
      raise fields.ConfigError(
        f'batch_size={batch_size} is shared by all replicas: expected a '
        f'multiple of their number, {self.num_replicas}.'
      )

  def check_same(self, what, text):
    """Raises ConfigError, in every process, if their texts differ.

    Args:
      what: `str`, what the text describes, for the message.
      text: `str`.
    """
    digest = float(zlib.crc32(text.encode('utf-8')) % 2**16)  # Sums are exact.
    total, squares = self.total([digest, digest**2])
    if self.num * squares != total**2:
      raise fields.ConfigError(
        f'Expected the same {what} of all {self.num} workers, but got others: '
        'start them with the same flags and the same version.'
      )

  def rows(self, batch_size):
    """The `feeding.Rows` of a batch of `batch_size` that this process reads."""
    share = batch_size // self.num
    return feeding.Rows(
      self.index * share,
      (self.index + 1) * share,
      batch_size // self.num_replicas,
    )

  def distribute(self, dataset):
    """Distributes a dataset of this process's rows to its replicas."""
    if self.num_replicas == 1:
      return dataset
    return self.strategy.distribute_datasets_from_function(lambda _: dataset)

  def total(self, values):
    """The sum over processes of a list of numbers: float64 array."""
    values = np.asarray(values, np.float64)
    if self.num == 1:
      return values
    return self._sum(tf.constant(values)).numpy()

  def any(self, value):
    """Whether a Python `bool` is True in any process."""
    return bool(self.total([float(value)])[0])

  @contextlib.contextmanager
  def noticing(self):
    """Within, errors caused by the loss of another worker become `WorkerLost`.

    TensorFlow notices the loss within seconds, from a broken connection or
    missing heartbeats; every exchange fails from then on. Code for data or
    checkpoints may have turned that error into one of its own.

    Raises:
      WorkerLost: in place of such an error.
    """
    try:
      yield
    except Exception as e:
      reason = _lost_reason(e)
      if self.num == 1 or reason is None:
        raise
      raise WorkerLost(
        f'Another of the {self.num} workers is gone ({reason}). Start all that '
        'have ended with the same command: the run goes on from its newest '
        'checkpoint.'
      ) from e

  def _sum_in_graph(self, values):
    def replica(values):
      here = tf.distribute.get_replica_context()
      # Only the first replica of each process contributes.
      local = self.num_replicas // self.num
      is_first = tf.equal(here.replica_id_in_sync_group % local, 0)
      values = tf.where(is_first, values, tf.zeros_like(values))
      return here.all_reduce(tf.distribute.ReduceOp.SUM, values)

    result = self.strategy.run(replica, args=(values,))
    return self.strategy.experimental_local_results(result)[0]


def _join(num):
  """A `MultiWorkerMirroredStrategy` that tolerates slow machines."""
  # TensorFlow's limit is 10 seconds, and it has no public way to raise it. The
  # strategy keeps a service that is already configured.
  config = tf.compat.v1.ConfigProto().experimental.coordination_config
  config.coordinated_job_list.add(name='worker', num_tasks=num)
  context.context().configure_coordination_service(
    service_type='standalone',
    service_leader='/job:worker/replica:0/task:0',
    heartbeat_timeout_in_ms=1000 * _SILENCE_SECONDS,
    coordinated_jobs=list(config.coordinated_job_list),
  )
  return tf.distribute.MultiWorkerMirroredStrategy()


def _lost_reason(error):
  """The message about a lost worker in an error or its causes, or None."""
  while error is not None:
    if isinstance(error, _LOST_ERRORS):
      aborted = re.search('ollective ops is aborted by: (.*)', error.message)
      if aborted:
        return aborted[1]
      if any(word in error.message.lower() for word in _LOST_WORDS):
        return error.message.strip().partition('\n')[0]
    error = error.__cause__ or error.__context__
  return None


def _place(text):
  """The number of processes and this process's index, from TF_CONFIG."""
  try:
    config = json.loads(text or '')
    workers = config['cluster']['worker']
    kind, index = config['task']['type'], int(config['task']['index'])
  except (ValueError, KeyError, TypeError):
    kind = None
  if (
    kind != 'worker'
    or set(config['cluster']) != {'worker'}
    or not isinstance(workers, list)
  ):
    raise fields.ConfigError(
      '--strategy=multi_worker expects TF_CONFIG={"cluster": {"worker": '
      '["host:port", ...]}, "task": {"type": "worker", "index": 0}}, with '
      f'workers only, but got {text}.'
    )
  if not 0 <= index < len(workers):
    raise fields.ConfigError(
      f'TF_CONFIG has {len(workers)} workers, but the index is {index}.'
    )
  return len(workers), index
