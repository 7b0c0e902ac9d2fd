"""Curves of a GAN's training: those of the paper's Fig. 7 and a few more."""

import io

__all__ = ['PANELS', 'draw_panel', 'figure']

# A title, and the keys of metrics.jsonl that are drawn solid and dotted.
PANELS = (
  ('mean (dotted: real)', ('generated_mean', 'real_mean')),
  (
    'standard deviation (dotted: real)',
    ('generated_deviation', 'real_deviation'),
  ),
  ('share within 1% of -1 or +1', ('saturation',)),
  (
    'loss of generator (dotted: discriminator)',
    ('generator_loss', 'discriminator_loss'),
  ),
  (
    'gradient norm of generator (dotted: discriminator)',
    ('generator_gradient_norm', 'discriminator_gradient_norm'),
  ),
  ('score of generated (dotted: real)', ('generated_score', 'real_score')),
)
_LOGARITHMIC = ('loss', 'gradient')


def figure(runs):
  """Draws the curves of one or more runs.

  Args:
    runs: `dict` from runs' titles to the rows of their metrics.jsonl.

  Returns:
    A PNG, `bytes`.
  """
  from matplotlib import figure as figure_lib

  drawing = figure_lib.Figure(figsize=(11, 6), layout='constrained')
  for panel, (title, keys) in zip(drawing.subplots(2, 3).flat, PANELS):
    draw_panel(panel, title, keys, runs)
    panel.set_title(title, fontsize=9)
    if len(keys) == 1 and len(runs) > 1:
      panel.legend(fontsize=7)
    panel.tick_params(labelsize=8)
    panel.set_xlabel('step', fontsize=8)
  file = io.BytesIO()
  drawing.savefig(file, format='png', dpi=90)
  return file.getvalue()


def draw_panel(panel, title, keys, runs):
  """Draws one of `PANELS`.

  Args:
    panel: A matplotlib `Axes`.
    title: `str`, the panel's title.
    keys: Keys of metrics.jsonl that are drawn solid and dotted.
    runs: See `figure`; each run has a colour.
  """
  for number, (name, rows) in enumerate(runs.items()):
    rows = [row for row in rows if row['kind'] == 'train']
    for key, style in zip(keys, ('-', ':')):
      panel.plot(
        [row['step'] for row in rows],
        [row.get(key, float('nan')) for row in rows],
        style,
        color=f'C{number}',
        linewidth=1,
        label=name or None,
      )
  if title.startswith(_LOGARITHMIC):
    panel.set_yscale('symlog', linthresh=1e-3)
