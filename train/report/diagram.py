"""Draws the architecture as boxes from top to bottom."""

from __future__ import annotations

import dataclasses

from train.report import figures

__all__ = ['COMPUTATION', 'CONDITION', 'DATA', 'Box', 'image']

_WIDTH, _LINE, _GAP = 4.1, 0.19, 0.2  # Inches.
DATA, CONDITION, COMPUTATION = '#3a9d6a', '#dd8632', '#3f86c9'


@dataclasses.dataclass(frozen=True)
class Box:
  """One box of the diagram.

  Attributes:
    title: `str`.
    detail: `str`, lines below the title: members and sizes.
    num_parameters: Python `int`, number of trainable parameters.
    beside: `str`, the output at its side, such as a level's latent; or ''.
    colour: `str`.
  """

  title: str
  detail: str
  num_parameters: int = 0
  beside: str = ''
  colour: str = COMPUTATION


def image(name, boxes):
  """Draws a part of a model as a plot.

  Args:
    name: `str`.
    boxes: List of `Box`, data side first.

  Returns:
    A `figures.Image`.
  """
  height = sum(_height(box) + _GAP for box in boxes)
  alt = '; '.join(f'{b.title} ({b.detail})' for b in boxes)
  return figures.plot(
    lambda panel: _draw(panel, boxes, height),
    f'{name}: {alt}',
    f'{name}: {sum(b.num_parameters for b in boxes):,} parameters',
    height=height,
  )


def _lines(box):
  """The text below a box's title: list of `str`."""
  *lines, last = box.detail.split('\n')
  if box.num_parameters:
    last += f'; {box.num_parameters:,} parameters'
  return [*lines, last]


def _height(box):
  return _LINE * (1 + len(_lines(box))) + 0.1


def _draw(panel, boxes, height):
  """Boxes from top to bottom, in inches."""
  panel.set_axis_off()
  panel.set_xlim(0.0, _WIDTH)
  panel.set_ylim(height - 0.5 * _GAP, -0.5 * _GAP)
  top = 0.0
  for row, box in enumerate(boxes):
    right = 2.7 if box.beside else _WIDTH
    _draw_box(panel, box, top, right)
    if row:
      _draw_arrow(panel, (1.35, top - _GAP), (0.0, _GAP))
    if box.beside:
      middle = top + 0.5 * _height(box)
      _draw_arrow(panel, (right, middle), (0.2, 0.0))
      panel.text(
        right + 0.23, middle, box.beside, fontsize=9, color=DATA, va='center'
      )
    top += _height(box) + _GAP


def _draw_box(panel, box, top, right):
  from matplotlib import patches

  panel.add_patch(
    patches.FancyBboxPatch(
      (0.02, top),
      right - 0.04,
      _height(box),
      boxstyle='round,pad=0,rounding_size=0.07',
      facecolor=(*_rgb(box.colour), 0.14),
      edgecolor=box.colour,
    )
  )
  for number, text in enumerate([box.title, *_lines(box)]):
    place = top + 0.05 + _LINE * (number + 0.5)
    size = 8.6 if number else 9.6
    panel.text(0.12, place, text, fontsize=size, va='center')


def _rgb(colour):
  from matplotlib import colors

  return colors.to_rgb(colour)


def _draw_arrow(panel, start, step):
  from matplotlib import patches

  end = (start[0] + step[0], start[1] + step[1])
  panel.add_patch(
    patches.FancyArrowPatch(
      start,
      end,
      arrowstyle='-|>',
      mutation_scale=8,
      color=figures.GREY,
      shrinkA=0,
      shrinkB=0,
    )
  )
