"""The figure of a GAN's training, as the paper's Fig. 7 and a little more."""

import io

__all__ = ['figure']

_PANELS = (
  ('mean', (('generated_mean', '-'), ('real_mean', ':'))),
  (
    'standard deviation',
    (('generated_deviation', '-'), ('real_deviation', ':')),
  ),
  ('share within 1% of -1 or +1', (('saturation', '-'),)),
  ('loss', (('generator_loss', '-'), ('discriminator_loss', ':'))),
  (
    'gradient norm',
    (('generator_gradient_norm', '-'), ('discriminator_gradient_norm', ':')),
  ),
  ('score', (('generated_score', '-'), ('real_score', ':'))),
)
_LOGARITHMIC = ('loss', 'gradient norm')


def figure(runs):
  """Draws the curves of one run or several.

  Args:
    runs: `dict` of a run's title to the rows of its metrics.jsonl.

  Returns:
    A PNG, `bytes`.
  """
  from matplotlib import figure as figure_lib

  drawing = figure_lib.Figure(figsize=(11, 6), layout='constrained')
  panels = drawing.subplots(2, 3).flat
  for panel, (title, lines) in zip(panels, _PANELS):
    panel.set_title(title, fontsize=10)
    for number, (name, rows) in enumerate(runs.items()):
      rows = [row for row in rows if row['kind'] == 'train']
      for key, style in lines:
        kind = key.split('_')[0] if len(lines) > 1 else ''
        panel.plot(
          [row['step'] for row in rows],
          [row.get(key) for row in rows],
          style,
          color=f'C{number}',
          linewidth=1,
          label=' '.join(filter(None, (name, kind))) or None,
        )
    if title in _LOGARITHMIC:
      panel.set_yscale('symlog', linthresh=1e-3)
    if len(lines) > 1 or len(runs) > 1:
      panel.legend(fontsize=6)
    panel.tick_params(labelsize=8)
    panel.set_xlabel('step', fontsize=8)
  file = io.BytesIO()
  drawing.savefig(file, format='png', dpi=120)
  return file.getvalue()
