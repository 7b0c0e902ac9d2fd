"""Exponential moving average of weights, for evaluation and export."""

import contextlib

import tensorflow as tf

from tfp_cglow.internal import replicas

__all__ = ['WeightAverage', 'check_decay']


class WeightAverage(tf.Module):
  """Averages variables over training steps (Polyak and Juditsky, 1992).

  ```none
  average += (1 - min(decay, (1 + n) / (10 + n))) * (weight - average)
  ```

  n is the number of updates so far. The average forgets faster at first.
  """

  def __init__(self, variables, decay, name='weight_average'):
    """Creates the averages.

    Args:
      variables: Sequence of `tf.Variable`s.
      decay: Python `float`, at least 0 and less than 1.
      name: Python `str`.

    Raises:
      ValueError: if `decay` is not in that range.
    """
    check_decay(decay)
    super().__init__(name=name)
    self.decay = decay
    self._weights = list(variables)
    self.averages = [
      tf.Variable(v.read_value(), trainable=False, name='average')
      for v in self._weights
    ]
    self._num_updates = tf.Variable(0.0, trainable=False, name='num_updates')

  def restart(self):
    """Restarts the averages from the current weights."""
    for average, weight in zip(self.averages, self._weights):
      replicas.assign(average, weight.read_value())
    replicas.assign(self._num_updates, tf.zeros([]))

  def update(self, strategy):
    """Adds the current weights; call it in cross-replica context.

    Args:
      strategy: `tf.distribute.Strategy`.
    """
    num = self._num_updates.read_value()
    rate = 1.0 - tf.minimum(self.decay, (1.0 + num) / (10.0 + num))

    def move(average, weight):
      average.assign_add(tf.cast(rate, average.dtype) * (weight - average))

    def count(num_updates):
      num_updates.assign_add(1.0)

    for average, weight in zip(self.averages, self._weights):
      strategy.extended.update(average, move, args=(weight,))
    strategy.extended.update(self._num_updates, count)

  def assign(self):
    """Assigns the averages to the weights."""
    for average, weight in zip(self.averages, self._weights):
      weight.assign(average)

  @contextlib.contextmanager
  def swapped(self):
    """Context manager: weights are their averages inside, restored after."""
    before = [w.numpy() for w in self._weights]
    try:
      self.assign()
      yield
    finally:
      for weight, value in zip(self._weights, before):
        weight.assign(value)


def check_decay(decay):
  """Raises ValueError unless `decay` is at least 0 and less than 1."""
  if not 0.0 <= decay < 1.0:
    raise ValueError(
      '`decay` of an average must be at least 0 and less than 1, but got '
      f'{decay}.'
    )
