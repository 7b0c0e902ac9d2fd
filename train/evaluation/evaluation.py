"""Held-out bits/dim of a model, and the precision of its inverse."""

import functools

import numpy as np
import tensorflow as tf

from tfp_cglow.video import objective

__all__ = ['evaluate', 'invertibility']


def evaluate(model, dataset, workers=None):
  """Bits/dim and label accuracy on a data set.

  Args:
    model: A compiled `VideoGlow`.
    dataset: Finite `tf.data.Dataset` of `(frames, label)` batches, the same in
      every process.
    workers: `Workers` that share the work, all of which call this; None: this
      process does it alone.

  Returns:
    `dict` with head_bits_per_dim, tail_bits_per_dim and label_accuracy (of the
    head's argmax_y p(y | first frame), or without a head of the tail's, for
    each frame), each None if the model does not have it; and the terms of the
    bits/dim in nats per dimension, ..._log_det and ..._base_log_prob.
  """
  if workers is None or workers.num_replicas == 1:
    values = model.evaluate(dataset, verbose=0, return_dict=True)
  else:
    values = _shared(model, dataset, workers)
  accuracy = values.get(
    'head_label_accuracy', values.get('tail_label_accuracy')
  )
  result = {
    'head_bits_per_dim': values.get('head_bits_per_dim'),
    'tail_bits_per_dim': values.get('tail_bits_per_dim'),
    'label_accuracy': accuracy,
  }
  for key, value in values.items():
    if key.endswith(('_log_det', '_base_log_prob')):
      result[key] = value
  return {k: v if v is None else float(v) for k, v in result.items()}


def _shared(model, dataset, workers):
  """Means over the clips; worker i of n takes every n-th batch."""
  terms_of = tf.function(
    functools.partial(objective.loss_terms, model.flow, model.test_loss),
    autograph=False,
    reduce_retracing=True,
  )
  names, sums, first = None, 0.0, 0
  for number, (frames, label) in enumerate(dataset):
    size = int(frames.shape[0])
    if number % workers.num == workers.index or names is None:
      # Also a worker without a batch of its own must know the names.
      label = label if model.flow.takes_labels else None
      clips = tf.range(first, first + size)
      terms = terms_of(frames, label, tf.constant([0, 0]), clips)
      names = names or list(terms)
      is_own = number % workers.num == workers.index
      row = np.array([1.0, *(float(terms[k]) for k in names)])
      sums = sums + size * is_own * row
    first += size
  total = workers.total(sums)
  return dict(zip(names, total[1:] / total[0]))


def invertibility(flow, frames, label):
  """Summarises `VideoFlow.invertibility_report`.

  Args:
    flow: `VideoFlow`.
    frames: uint8 `[B, T, H, W, C]`.
    label: int `[B]`; not used by a flow without labels.

  Returns:
    `dict` from 'head' and 'tail' to a `dict` with round_trip_error_levels (the
    largest error, in levels of uint8), mean_round_trip_error_levels, min_scale,
    max_scale and max_condition_number (1 for a flow without steps).
  """
  label = label if flow.takes_labels else None
  reports = flow.invertibility_report(frames, label)
  return {name: _summary(report) for name, report in reports.items()}


def _summary(report):
  def values(key):
    return [row[key] for row in report['steps'] if row[key] is not None]

  return {
    'round_trip_error_levels': 256.0 * report['max_error'],
    'mean_round_trip_error_levels': 256.0 * report['mean_error'],
    'min_scale': min(values('min_scale'), default=1.0),
    'max_scale': max(values('max_scale'), default=1.0),
    'max_condition_number': max(values('condition_number'), default=1.0),
  }
