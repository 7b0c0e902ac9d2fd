"""Held-out bits/dim of a model, and whether its inverse holds."""

__all__ = ['evaluate', 'invertibility']


def evaluate(model, dataset):
  """Bits/dim and label accuracy on a data set.

  Args:
    model: A compiled `VideoGlow`.
    dataset: Finite `tf.data.Dataset` of `(frames, label)` batches.

  Returns:
    `dict` with head_bits_per_dim, tail_bits_per_dim and label_accuracy (of
    the head's argmax_y p(y | first frame), or of a tail alone, a frame); None
    where there is no such thing.
  """
  values = model.evaluate(dataset, verbose=0, return_dict=True)
  accuracy = values.get(
    'head_label_accuracy', values.get('tail_label_accuracy')
  )
  result = {
    'head_bits_per_dim': values.get('head_bits_per_dim'),
    'tail_bits_per_dim': values.get('tail_bits_per_dim'),
    'label_accuracy': accuracy,
  }
  return {k: v if v is None else float(v) for k, v in result.items()}


def invertibility(model, frames, label):
  """What `VideoGlow.invertibility_report` says, in a few numbers.

  Args:
    model: `VideoGlow`.
    frames: uint8 `[B, T, H, W, C]`.
    label: int `[B]`; not used by a model without labels.

  Returns:
    `dict` from 'head' and 'tail' to a `dict` with round_trip_error_levels (the
    largest, in levels of uint8), min_scale, max_scale and
    max_condition_number.
  """
  label = None if model.num_labels is None else label
  reports = model.invertibility_report(frames, label)
  return {name: _summary(report) for name, report in reports.items()}


def _summary(report):
  def values(key):
    return [row[key] for row in report['steps'] if row[key] is not None]

  return {
    'round_trip_error_levels': 256.0 * report['max_error'],
    'min_scale': min(values('min_scale')),
    'max_scale': max(values('max_scale')),
    'max_condition_number': max(values('condition_number')),
  }
