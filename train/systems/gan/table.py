"""The numbers of a GAN's run as text."""

__all__ = ['format_table', 'rows', 'verdict_lines']


def format_table(metrics):
  """The table as text.

  Args:
    metrics: `dict` with the keys of metrics.json.

  Returns:
    `str`, several lines.
  """
  lines = [
    f'Generated videos beside {metrics["num_valid_clips"]} held-out clips',
    f'{"":34}{"generated":>10}{"real":>8}',
  ]
  for text, generated, real in rows(metrics):
    lines.append(f'{text:34}{generated:>10}{real:>8}')
  lines += verdict_lines(metrics)
  if 'copy_psnr' in metrics:
    best = metrics['continuation_psnr_best_of_samples']
    copy = metrics['copy_psnr']
    lines.append(
      f'Continuations, best of {metrics["continuation_num_samples"]}: '
      f'{best[0]:.2f} dB at the first frame, {best[-1]:.2f} at the last '
      f'(copied frame: {copy[0]:.2f}, {copy[-1]:.2f})'
    )
  return '\n'.join(lines)


def rows(metrics):
  """The table's rows: list of (text, generated, real), all `str`."""
  result = []
  samples = metrics['samples'] or {}
  for name, text, digits in (
    ('mean', 'mean (levels of 255)', 1),
    ('deviation', 'deviation over a frame', 1),
    ('diversity', 'distance of two of one label', 1),
    ('saturation', 'share of extreme values', 3),
  ):
    if samples:
      both = (samples[f'{k}_{name}'] for k in ('generated', 'real'))
      result.append((text, *(f'{value:.{digits}f}' for value in both)))
  scores = metrics['evaluation']
  both = (f'{scores[f"{k}_score"]:.3f}' for k in ('generated', 'real'))
  return [*result, ('score of the discriminator', *both)]


def verdict_lines(metrics):
  """Says whether the videos are healthy: list of `str`, empty if unknown."""
  if metrics['samples'] is None:
    return []
  verdict = 'yes' if metrics['samples']['is_healthy'] else 'no'
  return [
    'Healthy (deviation within 30%, extreme values under 20%, distance at '
    f'least half): {verdict}'
  ]
