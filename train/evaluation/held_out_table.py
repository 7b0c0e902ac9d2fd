"""The held-out numbers of a run as text."""

from train.evaluation import protocol_lines
from train.evaluation.judges import verdict_lines

__all__ = ['format_table', 'label_lines', 'rows']

# With fewer clips, a temperature fitted on one half does not fit the other.
_LEAST_CLIPS = 30


def format_table(metrics):
  """The held-out table as text.

  Args:
    metrics: `dict` with the keys of metrics.json.

  Returns:
    `str`, several lines.
  """
  num_clips = metrics.get('num_valid_clips')
  of_clips = '' if num_clips is None else f' ({num_clips} clips)'
  lines = [
    f'Held-out bits/dim{of_clips}',
    f'{"":32}{"head":>8}{"tail":>8}',
  ]
  for name, *values in rows(metrics):
    cells = ''.join(f'{"-" if v is None else f"{v:.3f}":>8}' for v in values)
    lines.append(f'{name:32}{cells}')
  lines += _source_lines(metrics) + protocol_lines.protocol_lines(metrics)
  lines += _verdict(metrics) + label_lines(metrics)
  lines += _continuation_lines(metrics)
  lines += verdict_lines.verdict_lines(metrics)
  return '\n'.join(lines)


def rows(metrics):
  """The table's rows: list of (name, the head's bits/dim, the tail's).

  Args:
    metrics: See `format_table`. Numbers that it lacks are None in the rows.
  """
  marginal = metrics.get('marginal_histogram_bits_per_dim')
  previous = metrics.get('previous_pixel_histogram_bits_per_dim')

  def bits(prefix):
    return (metrics.get(f'{prefix}{p}_bits_per_dim') for p in ('head', 'tail'))

  untrained = [
    ('identity flow', *bits('identity_')),
    ('before training', *bits('start_')),
    ('adapted, untrained flow', *bits('adapted_')),
  ]
  return [
    *(row for row in untrained if any(v is not None for v in row[1:])),
    ('trained flow', *bits('')),
    *_importance_rows(metrics),
    ('no flow: pixel histogram', marginal, marginal),
    ('no flow: given previous pixel', None, previous),
    *_published_rows(metrics),
  ]


def _importance_rows(metrics):
  """The row of the tighter bound, if it was measured."""
  num_samples = metrics.get('num_importance_samples')
  if num_samples is None:
    return []
  bits = (metrics[f'{part}_bits_per_dim_iw'] for part in ('head', 'tail'))
  return [(f'trained, {num_samples} noise samples', *bits)]


def _published_rows(metrics):
  """Rows of published numbers on the same frames."""
  return [
    (
      number['title'],
      *(
        number['bits_per_dim'] if number['part'] == part else None
        for part in ('head', 'tail')
      ),
    )
    for number in metrics.get('published', ())
  ]


def _source_lines(metrics):
  return [
    f'{number["title"]}: {number["source"]}; {number["note"]}.'
    for number in metrics.get('published', ())
  ]


def _verdict(metrics):
  """Says so if a histogram predicts held-out frames better than the tail."""
  previous = metrics.get('previous_pixel_histogram_bits_per_dim')
  tail = metrics.get('tail_bits_per_dim')
  if tail is None or previous is None or tail < previous:
    return []
  return [
    'The tail is worse than the histogram given the previous pixel: it does '
    'not use',
    'its context. Train it longer, or start from --preset=demo.',
  ]


def label_lines(metrics):
  """Says how much of the label the model has found: list of `str`.

  The list is empty if the model takes no label.
  """
  entropy = metrics.get('label_entropy_bits')
  calibrated = metrics.get('calibrated_label_information_bits')
  if calibrated is None:
    return []
  if metrics.get('num_valid_clips', _LEAST_CLIPS) < _LEAST_CLIPS:
    return [
      'Label information: too few clips to measure it, expected at least '
      f'{_LEAST_CLIPS}.'
    ]
  return [
    f'Label information: {calibrated:.2f} of {entropy:.2f} bits a clip '
    f'(uncalibrated {metrics["label_information_bits"]:.2f}), accuracy '
    f'{metrics["label_accuracy"]:.2f}'
  ]


def _continuation_lines(metrics):
  """Quality of continuations at the first and the last predicted frame."""
  if metrics.get('continuation_psnr_mean_of_samples') is None:
    return []
  num_samples = metrics['continuation_num_samples']
  lines = [
    f'Continuations of {metrics["continuation_num_clips"]} clips, frames given '
    f'{metrics["continuation_num_given"]}, temperature '
    f'{metrics["continuation_temperature"]:g}',
    f'{"":32}{"next frame":>15}{"last frame":>15}',
  ]
  for title, key in (
    (f'PSNR, SSIM: mean of {num_samples}', 'continuation_{}_mean_of_samples'),
    (f'PSNR, SSIM: best of {num_samples}', 'continuation_{}_best_of_samples'),
    ('the last given frame, repeated', 'copy_{}'),
  ):
    psnr, ssim = (metrics[key.format(m)] for m in ('psnr', 'ssim'))
    cells = ''.join(
      f'{f"{psnr[i]:.1f} dB, {ssim[i]:.2f}":>15}' for i in (0, -1)
    )
    lines.append(f'{title:32}{cells}')
  deviations = metrics['drift']['ratios']['deviations']
  if deviations is not None:
    lines.append(
      "Standard deviation of generated frames divided by the data's: "
      f'{deviations[0]:.2f} at frame 1, {deviations[-1]:.2f} at frame '
      f'{len(deviations)}'
    )
  return lines
