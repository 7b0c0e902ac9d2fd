"""The first batch of the data that Keras's `fit` takes."""

import itertools

import numpy as np
import tensorflow as tf
import tf_keras as tfk

__all__ = ['first_batch']


def first_batch(strategy, x, y=None, batch_size=None):
  """Takes the first batch, and keeps the data whole.

  Args:
    strategy: `tf.distribute.Strategy` of the model.
    x: The argument `x` of `fit`.
    y: The argument `y` of `fit`.
    batch_size: The argument `batch_size` of `fit`.

  Returns:
    batch: The first batch, a structure of tensors or of each replica's tensors.
    x: The data, with this batch.

  Raises:
    ValueError: if the data are of another kind.
  """
  if isinstance(x, tf.distribute.DistributedDataset):
    return next(iter(x)), x
  if isinstance(x, tf.data.Dataset):
    batches = x.take(1)
  elif isinstance(x, tfk.utils.Sequence):
    batches = _of_one(x[0])
  elif hasattr(x, '__next__'):
    batch = next(x)
    batches, x = _of_one(batch), itertools.chain([batch], x)
  elif isinstance(x, np.ndarray) or tf.is_tensor(x):
    arrays = (x,) if y is None else (x, tf.convert_to_tensor(y))
    if len({len(a) for a in arrays}) > 1:
      raise ValueError(
        f'Expected one label a clip, but got {len(x)} clips and {len(y)} labels.'
      )
    batches = tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size or 32)
  else:
    raise ValueError(
      'Expected frames, a Dataset, a generator or a Sequence, but got '
      f'{type(x).__name__}.'
    )
  return next(iter(strategy.experimental_distribute_dataset(batches))), x


def _of_one(batch):
  return tf.data.Dataset.from_tensors(batch)
