"""Draws the ablation's numbers as a figure."""

import io

from train.ablation import ablation_rows

__all__ = ['draw_panel', 'figure', 'rows_of']


def figure(values):
  """Draws the rows with their seeds and spreads: a PNG, `bytes`."""
  from matplotlib import figure as figure_lib

  rows = {part: rows_of(values, part) for part in ablation_rows.PARTS}
  parts = [part for part in ablation_rows.PARTS if rows[part]]
  heights = [len(rows[part]) + 1.5 for part in parts]
  drawing = figure_lib.Figure(
    figsize=(9, 0.35 * sum(heights) + 0.9), layout='constrained'
  )
  panels = drawing.subplots(
    len(parts), squeeze=False, gridspec_kw={'height_ratios': heights}
  )[:, 0]
  for part, panel in zip(parts, panels):
    draw_panel(panel, rows[part], values['histograms'][part])
    panel.set_title(part.capitalize(), loc='left')
  file = io.BytesIO()
  # Without pyplot, which has global state.
  drawing.savefig(file, format='png', dpi=150)
  return file.getvalue()


def rows_of(values, part):
  """The part's rows with at least one finished run."""
  return [
    row
    for row in values['rows']
    if row['part'] == part and row['bits_per_dim']['mean'] is not None
  ]


def draw_panel(panel, rows, histograms):
  """Draws a part's rows.

  Args:
    panel: A matplotlib `Axes`.
    rows: The result of `rows_of`.
    histograms: `dict`, the part's histograms in the report.
  """
  for place, row in enumerate(rows):
    bits = row['bits_per_dim']
    colour = 'tab:orange' if row['preset'] else 'tab:blue'
    panel.errorbar(
      bits['mean'],
      place,
      xerr=bits['spread'],
      fmt='o',
      markersize=4,
      color=colour,
      capsize=4,
    )
    seeds = bits['by_seed']
    panel.plot(seeds, [place] * len(seeds), '|', color=colour, alpha=0.6)
  for (key, value), style in zip(histograms.items(), (':', '--')):
    if value is not None:
      panel.axvline(
        value,
        color='grey',
        linestyle=style,
        label=f'no flow: {ablation_rows.HISTOGRAMS[key]}',
      )
  panel.set_yticks(range(len(rows)), [row['title'] for row in rows])
  panel.invert_yaxis()
  panel.set_xlabel('held-out bits/dim: mean ± standard deviation over seeds')
  panel.grid(axis='x', alpha=0.3)
  if panel.get_legend_handles_labels()[0]:
    panel.legend(fontsize='small')
