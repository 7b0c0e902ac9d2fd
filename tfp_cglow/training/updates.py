"""A conditional update of the weights, the same on every replica."""

import tensorflow as tf

__all__ = ['apply_if', 'create_slots']


def apply_if(is_taken, optimizer, pairs, average=None):
  """Applies gradients, or leaves weights, slots and step counter alone.

  Args:
    is_taken: Boolean scalar, the same on every replica.
    optimizer: A `tf_keras` optimiser.
    pairs: List of pairs of a gradient, its mean over the replicas, and its
      variable.
    average: `WeightAverage` to update after the weights, or None.
  """
  gradients, variables = zip(*pairs)

  def apply(*gradients):
    optimizer.apply_gradients(
      zip(gradients, variables), experimental_aggregate_gradients=False
    )

  def update(strategy, gradients):
    strategy.extended.call_for_each_replica(apply, args=gradients)
    if average is not None:
      average.update(strategy)
    return True

  # The tf.cond is in cross-replica context, because optimisers call merge_call,
  # which replicas must not do inside a tf.cond.
  def merged(strategy, is_taken, *gradients):
    first, *_ = strategy.experimental_local_results(is_taken)
    tf.cond(first, lambda: update(strategy, gradients), lambda: False)

  replica = tf.distribute.get_replica_context()
  replica.merge_call(merged, args=(is_taken, *gradients))


def create_slots(optimizer, variables):
  """Creates an optimiser's variables before the training step is traced.

  A `tf.function` that creates variables is traced twice. One trace of the
  training step takes seconds.
  """
  if hasattr(optimizer, 'build'):
    optimizer.build(variables)
  else:
    optimizer._create_all_weights(
      variables
    )  # As `build`, for legacy optimisers.
