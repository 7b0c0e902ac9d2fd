"""One update of the weights, the same on every replica, or none at all."""

import tensorflow as tf

__all__ = ['apply_if', 'create_slots']


def apply_if(is_taken, optimizer, pairs, average=None):
  """Applies gradients, or leaves weights, slots and step counter alone.

  Args:
    is_taken: Boolean scalar, the same on every replica.
    optimizer: A `tf_keras` optimiser.
    pairs: List of gradients, means over the replicas, and their variables.
    average: `WeightAverage` to be updated with them, or None.
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

  # In cross-replica context: a replica may not merge inside a tf.cond, and an
  # optimiser merges.
  def merged(strategy, is_taken, *gradients):
    first, *_ = strategy.experimental_local_results(is_taken)
    tf.cond(first, lambda: update(strategy, gradients), lambda: False)

  replica = tf.distribute.get_replica_context()
  replica.merge_call(merged, args=(is_taken, *gradients))


def create_slots(optimizer, variables):
  """Creates an optimiser's variables before the first trace.

  A `tf.function` that creates variables is traced twice, and one trace of the
  training step takes seconds.
  """
  if hasattr(optimizer, 'build'):
    optimizer.build(variables)
  else:
    optimizer._create_all_weights(variables)  # The legacy optimisers' build.
