"""Means, assignments and indices that replicas training in sync agree on.

Call these functions in replica context: inside `Strategy.run`, or without a
strategy. With one replica they change nothing.
"""

import tensorflow as tf

__all__ = [
  'assign',
  'assign_all',
  'at_least_one_row',
  'check_replica_context',
  'clip_identities',
  'interleaved',
  'mean_over_replicas',
  'num_replicas',
]


def num_replicas():
  """Python `int`, replicas of the current `tf.distribute.Strategy`."""
  return tf.distribute.get_strategy().num_replicas_in_sync


def check_replica_context(owner, variables):
  """Raises RuntimeError if `owner` must be called by `Strategy.run`.

  Args:
    owner: Python `str`, name of the function in the message.
    variables: Sequence of `tf.Variable`s that the function assigns.

  Raises:
    RuntimeError: in a strategy's scope but not in its `run`, or outside of both
      if a variable belongs to a strategy of several replicas.
  """
  is_distributed = any(
    isinstance(v, tf.distribute.DistributedValues) for v in variables
  )
  if tf.distribute.in_cross_replica_context() or (
    is_distributed and not tf.distribute.has_strategy()
  ):
    raise RuntimeError(
      f'Expected a call by `Strategy.run`, as `strategy.run({owner}, '
      f'args=...)`, because all replicas adapt together, but got a direct call '
      f'of {owner}.'
    )


def mean_over_replicas(values):
  """The mean of each tensor over the replicas that train in sync.

  Args:
    values: Nested structure of float tensors. Sparse gradients
      (`tf.IndexedSlices`) are converted to dense tensors.

  Returns:
    The same structure of means.
  """
  flat = [tf.convert_to_tensor(v) for v in tf.nest.flatten(values)]
  if num_replicas() > 1:
    replica = tf.distribute.get_replica_context()
    flat = replica.all_reduce(tf.distribute.ReduceOp.MEAN, flat)
  return tf.nest.pack_sequence_as(values, flat)


def assign(variable, value):
  """Assigns a value that is the same on every replica."""

  # Named functions: merge_call converts its own, and finds the wrong lambda.
  def assign_one(component, value):
    component.assign(value)

  def merged(strategy, value):
    strategy.extended.update(variable, assign_one, args=(value,))

  tf.distribute.get_replica_context().merge_call(merged, args=(value,))


def assign_all(pairs):
  """`assign` for pairs of a variable and a value."""
  for variable, value in pairs:
    assign(variable, value)


def clip_identities(num):
  """Global indices `[num]` of this replica's clips; each replica has `num`."""
  replica = tf.distribute.get_replica_context()
  return replica.replica_id_in_sync_group * num + tf.range(num)


def interleaved(numbers):
  """Maps each replica's local indices to indices that no other replica uses."""
  replica = tf.distribute.get_replica_context()
  return numbers * num_replicas() + replica.replica_id_in_sync_group


def at_least_one_row(x):
  """A batch `[B, ...]`, or one row of zeros if B is 0; None stays None."""
  if x is None:
    return None
  row = tf.concat([tf.maximum(1 - tf.shape(x)[:1], 0), tf.shape(x)[1:]], 0)
  padded = tf.concat([x, tf.zeros(row, x.dtype)], axis=0)
  return tf.ensure_shape(padded, x.shape)
