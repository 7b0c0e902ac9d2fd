"""The paper's Table I as a figure and as tables, from ablation.json."""

from __future__ import annotations

import dataclasses
import textwrap

from train.ablation import ablation_figure
from train.ablation import ablation_markdown
from train.ablation import ablation_rows
from train.report import figures
from train.report import sections

__all__ = ['figure', 'sections_of']


def figure(values):
  """Draws the rows with their seeds and spreads, a panel for each part.

  Args:
    values: `dict` of ablation.json.

  Returns:
    A `Figure`.
  """
  drawn = figures.Figure(
    'ablation',
    'Ablation',
    'Held-out bits/dim, mean ± standard deviation over seeds; ticks show each '
    "seed. Orange: the paper's flow; blue: ours. Lines, if they are near: a "
    'histogram of pixel values (dotted), and the same given the same pixel of '
    'the previous frame (dashed).',
    'Table I',
  )
  images = tuple(
    _image(values, part)
    for part in ablation_rows.PARTS
    if ablation_figure.rows_of(values, part)
  )
  if not images:
    return figures.missing(drawn, 'no run of the ablation has finished')
  return dataclasses.replace(drawn, images=images)


def _image(values, part):
  rows = ablation_figure.rows_of(values, part)

  def draw(panel):
    ablation_figure.draw_panel(panel, rows, values['histograms'][part])
    panel.set_xlabel('held-out bits/dim')
    if panel.get_legend() is not None:
      panel.get_legend().remove()  # The caption has it.
    titles = [textwrap.fill(row['title'], 22) for row in rows]
    panel.set_yticks(range(len(rows)), titles)
    panel.set_xlim(*_limits(rows, values['histograms'][part].values()))

  alt = f'Bits/dim of the rows of the {part}'
  return figures.plot(draw, alt, part, height=0.9 + 0.38 * len(rows))


def _limits(rows, references):
  """The limits of the axis, which leave out references far from all rows."""
  bits = [x for row in rows for x in row['bits_per_dim']['by_seed']]
  low, high = min(bits), max(bits)
  margin = max(0.3 * (high - low), 0.02)
  near = [x for x in references if x is not None]
  near = [x for x in near if low - margin < x < high + margin]
  return min([low, *near]) - 0.3 * margin, max([high, *near]) + 0.3 * margin


def sections_of(values):
  """An ablation's page: list of `sections.Section`."""
  blocks = []
  for part in ablation_rows.PARTS:
    columns, *rows = ablation_markdown.table(values, part) or [None]
    if columns:
      rows = [[row[0].strip('_'), *row[1:]] for row in rows]
      blocks.append(sections.Table(columns, rows, f'{part.capitalize()}.'))
  blocks += [sections.Text(note) for note in ablation_markdown.notes(values)]
  failed = [item for row in values['rows'] for item in row['failed'].items()]
  if failed:
    blocks.append(sections.Table(('failed', 'why'), failed))
  (_, command), *facts = ablation_markdown.facts(values)
  how = [sections.Code(command), sections.Table(('', ''), facts)]
  return [
    sections.Section('table', 'Ablation: Table I', blocks),
    sections.Section('figures', 'Figure', [sections.Shown(figure(values))]),
    sections.Section('how', 'How to reproduce', how),
  ]
