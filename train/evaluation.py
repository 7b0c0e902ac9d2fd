"""Held-out numbers of a model, and the table that shows them."""

import numpy as np

from train import samples

__all__ = ['continuation_psnr', 'evaluate', 'format_table', 'invertibility']


def evaluate(model, dataset):
  """Bits/dim and label accuracy on a data set.

  Args:
    model: A compiled `VideoGlow`.
    dataset: Finite `tf.data.Dataset` of `(frames, label)` batches.

  Returns:
    `dict` with head_bits_per_dim, tail_bits_per_dim and label_accuracy (of
    the head's argmax_y p(y | first frame)); None where there is no such thing.
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


def continuation_psnr(model, frames, label):
  """PSNR of continuations from the first frame, at temperature 0.

  Args:
    model: `VideoGlow` with a tail.
    frames: uint8 `[B, T, H, W, C]`, real clips.
    label: int `[B]`.

  Returns:
    psnr: List of T - 1 floats, dB, mean over clips, by horizon.
    copy_psnr: The same of repeating the first frame.
    continued: uint8 `[B, T, H, W, C]`.
  """
  frames = np.asarray(frames)
  continued = model.sample(
    labels=None if model.num_labels is None else label,
    num_frames=frames.shape[1],
    first_frames=frames[:, :1],
    temperature=0.0,
    seed=0,
  ).numpy()
  real = frames[:, 1:]
  psnr = samples.psnr(real, continued[:, 1:]).mean(axis=0)
  copied = samples.psnr(real, continued[:, :1]).mean(axis=0)
  return psnr.tolist(), copied.tolist(), continued


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


def format_table(metrics):
  """The held-out table as text.

  Args:
    metrics: `dict` with the keys of metrics.json.

  Returns:
    `str`, several lines.
  """
  marginal = metrics['marginal_histogram_bits_per_dim']
  previous = metrics['previous_pixel_histogram_bits_per_dim']
  rows = [
    (
      'identity flow',
      metrics['identity_head_bits_per_dim'],
      metrics['identity_tail_bits_per_dim'],
    ),
    (
      'adapted, untrained flow',
      metrics['adapted_head_bits_per_dim'],
      metrics['adapted_tail_bits_per_dim'],
    ),
    (
      'trained flow',
      metrics['head_bits_per_dim'],
      metrics['tail_bits_per_dim'],
    ),
    ('no flow: pixel histogram', marginal, marginal),
    ('no flow: given previous pixel', None, previous),
  ]
  lines = [
    f'Held-out bits/dim ({metrics["num_valid_clips"]} clips)',
    f'{"":32}{"head":>8}{"tail":>8}',
  ]
  for name, *values in rows:
    cells = ''.join(f'{"-" if v is None else f"{v:.3f}":>8}' for v in values)
    lines.append(f'{name:32}{cells}')
  return '\n'.join(lines + _label_lines(metrics))


def _label_lines(metrics):
  """What the model has found of the label, if it takes one."""
  entropy = metrics.get('label_entropy_bits')
  calibrated = metrics.get('calibrated_label_information_bits')
  if calibrated is None:
    return []
  return [
    f'Label information: {calibrated:.2f} of {entropy:.2f} bits a clip '
    f'(uncalibrated {metrics["label_information_bits"]:.2f}), accuracy '
    f'{metrics["label_accuracy"]:.2f}'
  ]
