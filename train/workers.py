"""The processes and devices of a run, and what they tell each other."""

import json
import os

import numpy as np
import tensorflow as tf

from train import configs
from train import feeding

__all__ = ['STRATEGIES', 'Workers']

STRATEGIES = ('default', 'mirrored', 'multi_worker')


class Workers:
  """A `tf.distribute` strategy, and this process's place in it.

  - default: one process, one device.
  - mirrored: one process, all its GPUs.
  - multi_worker: processes named by TF_CONFIG, each with all its GPUs.

  Attributes:
    strategy: `tf.distribute.Strategy`.
    num: Python `int`, processes.
    index: Python `int`, of this one.
  """

  def __init__(self, name='default'):
    """Joins the other processes; before any TensorFlow operation.

    Args:
      name: One of `STRATEGIES`.

    Raises:
      ConfigError: if TF_CONFIG does not fit.
    """
    self.num, self.index = 1, 0
    if name == 'multi_worker':
      self.num, self.index = _place(os.environ.get('TF_CONFIG'))
      self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
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
    """Python `int`, of all processes."""
    return self.strategy.num_replicas_in_sync

  def check(self, batch_size):
    """Raises ConfigError if replicas' batches would differ in size."""
    if batch_size % self.num_replicas:
      raise configs.ConfigError(
        f'batch_size={batch_size} is that of all replicas: expected a multiple '
        f'of their number, {self.num_replicas}.'
      )

  def rows(self, batch_size):
    """This process's `feeding.Rows` of a batch of `batch_size`."""
    share = batch_size // self.num
    return feeding.Rows(
      self.index * share,
      (self.index + 1) * share,
      batch_size // self.num_replicas,
    )

  def distribute(self, dataset):
    """Batches of `rows`' size as this strategy's replicas take them."""
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

  def _sum_in_graph(self, values):
    def replica(values):
      context = tf.distribute.get_replica_context()
      # Of a process's replicas the first one speaks.
      local = self.num_replicas // self.num
      is_first = tf.equal(context.replica_id_in_sync_group % local, 0)
      values = tf.where(is_first, values, tf.zeros_like(values))
      return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

    result = self.strategy.run(replica, args=(values,))
    return self.strategy.experimental_local_results(result)[0]


def _place(text):
  """The number of processes, and this one's index, of TF_CONFIG."""
  try:
    config = json.loads(text or '')
    workers = config['cluster']['worker']
    kind, index = config['task']['type'], int(config['task']['index'])
  except (ValueError, KeyError, TypeError):
    kind = None
  if kind != 'worker' or set(config['cluster']) != {'worker'}:
    raise configs.ConfigError(
      '--strategy=multi_worker expects TF_CONFIG={"cluster": {"worker": '
      '["host:port", ...]}, "task": {"type": "worker", "index": 0}}, with '
      f'workers only, but got {text}.'
    )
  if not 0 <= index < len(workers):
    raise configs.ConfigError(
      f'TF_CONFIG has {len(workers)} workers, but the index is {index}.'
    )
  return len(workers), index
