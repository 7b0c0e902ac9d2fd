"""Decides which training steps are taken, and detects spikes of the loss."""

import tensorflow as tf

__all__ = ['StepGuard']

_WINDOW = 64  # Number of losses that a new one is compared with.
_LEAST_KNOWN = 16  # With fewer known losses, none is called a spike.
_SPIKE_MARGIN = 0.5  # Bits/dim.
_SPIKE_DEVIATIONS = 20.0
# A loss this many times the least one (or 1 bit/dim) comes of broken weights:
# the steps that follow would have to train the model anew.
_EXPLOSION = 100.0


class StepGuard(tf.Module):
  """Judges a step by its loss and gradient norms, and remembers the losses.

  A step is taken if its loss and gradient norms are finite, and its loss is at
  most a hundred times the least of the last 64 losses of taken steps, or of 1
  bit/dim if that is less. A loss is a spike if it exceeds their median by more
  than 0.5 bits/dim and by more than 20 median absolute deviations. Spikes are
  only reported: their steps are taken. The guard keeps its state in variables,
  so checkpoints hold it.
  """

  def __init__(self, name='step_guard'):
    super().__init__(name=name)
    self._losses = _variable(tf.zeros([_WINDOW]), 'losses')
    self._num_taken = _variable(tf.zeros([], tf.int64), 'num_taken')
    self._num_skipped = _variable(tf.zeros([], tf.int64), 'skipped_in_a_row')

  @property
  def num_skipped_in_a_row(self):
    """int64 variable: number of steps skipped since the last one taken."""
    return self._num_skipped

  def judge(self, loss, norms):
    """Judges a step, and remembers its loss if it is taken.

    Args:
      loss: Float scalar, bits/dim, the mean over all replicas.
      norms: List of float scalars, norms of the gradients' means over all
        replicas.

    Returns:
      is_taken: Boolean scalar.
      is_spike: Boolean scalar; False if the step is not taken.
    """
    num = tf.minimum(self._num_taken, _WINDOW)
    known = tf.sort(self._losses.read_value()[:num])
    # Not the median: after two leaps, it would be a leap.
    bound = _EXPLOSION * tf.reduce_max([tf.reduce_min(known), 1.0])
    is_taken = tf.reduce_all([tf.math.is_finite(v) for v in [loss, *norms]])
    is_taken &= loss <= bound  # Infinite before the first loss.
    is_spike = is_taken & (num >= _LEAST_KNOWN) & _is_spike(loss, known)
    self._remember(loss, is_taken)
    return is_taken, is_spike

  def _remember(self, loss, is_taken):
    # No tf.cond: replicas must not assign variables inside one.
    place = tf.one_hot(self._num_taken % _WINDOW, _WINDOW, True, False)
    losses = tf.where(place & is_taken, loss, self._losses)
    self._losses.assign(losses)
    zero = tf.zeros([], tf.int64)
    self._num_taken.assign_add(tf.cast(is_taken, tf.int64))
    self._num_skipped.assign(tf.where(is_taken, zero, self._num_skipped + 1))


def _is_spike(loss, known):
  """See `StepGuard`; `known` are sorted losses."""
  median = _median(known)
  deviation = _median(tf.sort(tf.abs(known - median)))
  return loss > median + tf.maximum(
    _SPIKE_MARGIN, _SPIKE_DEVIATIONS * deviation
  )


def _variable(value, name):
  """A variable to which every replica assigns the same value."""
  return tf.Variable(
    value,
    trainable=False,
    name=name,
    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
  )


def _median(ordered):
  """The upper median of sorted values; 0 if there are none."""
  size = tf.shape(ordered)[0]
  return tf.reduce_sum(ordered[size // 2 : size // 2 + 1])
