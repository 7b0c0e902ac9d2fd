"""The numbers of a GAN's run as text."""

__all__ = ['format_table']


def format_table(metrics):
  """The table as text.

  Args:
    metrics: `dict` with the keys of metrics.json.

  Returns:
    `str`, several lines.
  """
  scores = metrics['evaluation']
  lines = [
    f'Generated videos beside {metrics["num_valid_clips"]} held-out clips',
    f'{"":34}{"generated":>10}{"real":>8}',
    *_sample_lines(metrics['samples']),
    f'{"score of the discriminator":34}{scores["generated_score"]:>10.3f}'
    f'{scores["real_score"]:>8.3f}',
  ]
  if 'copy_psnr' in metrics:
    best = metrics['continuation_psnr_best_of_samples']
    copy = metrics['copy_psnr']
    lines.append(
      f'Continuations, best of {metrics["continuation_num_samples"]}: '
      f'{best[0]:.2f} dB at the first frame, {best[-1]:.2f} at the last '
      f'(copied frame: {copy[0]:.2f}, {copy[-1]:.2f})'
    )
  return '\n'.join(lines)


def _sample_lines(samples):
  if samples is None:
    return []
  lines = []
  for name, text, digits in (
    ('mean', 'mean (levels of 255)', 1),
    ('deviation', 'deviation over a frame', 1),
    ('diversity', 'distance of two of one label', 1),
    ('saturation', 'share of extreme values', 3),
  ):
    generated, real = (samples[f'{k}_{name}'] for k in ('generated', 'real'))
    lines.append(f'{text:34}{generated:>10.{digits}f}{real:>8.{digits}f}')
  verdict = 'yes' if samples['is_healthy'] else 'no'
  lines.append(
    'Healthy (deviation within 30%, extreme values under 20%, distance at '
    f'least half): {verdict}'
  )
  return lines
