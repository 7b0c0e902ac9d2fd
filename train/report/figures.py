"""`Figure`: images to embed in a page, or the reason why there are none."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import warnings

import numpy as np
from PIL import Image as pil

from train import shown_text
from train.samples import sample_files

__all__ = [
  'COLOURS',
  'GREY',
  'Figure',
  'Image',
  'Row',
  'gif',
  'missing',
  'picture',
  'plot',
  'shortened',
]

# Colours of lines and text on white and on black; the others suit both.
INK, INK_ON_DARK = '#24292f', '#d5dbe2'
COLOURS = (
  *('#3f86c9', '#dd8632', '#3a9d6a', '#c2578f', '#8275cf', '#b3892c'),
  *('#2b9fa8', '#cf5c4d', '#6f9a34'),
)
GREY = '#8a929c'
_WIDTH, _HEIGHT = (
  4.2,
  2.9,
)  # Inches: as wide as a phone, with text of 10 points.
_MAX_TEXT = 28
_ENLARGED = 5  # Factor by which frames are enlarged, without smoothing.
_MIME = {'svg': 'image/svg+xml', 'png': 'image/png', 'gif': 'image/gif'}


@dataclasses.dataclass(frozen=True)
class Image:
  """A file that a browser shows.

  Attributes:
    data: `bytes`.
    kind: 'svg', 'png' or 'gif'.
    alt: `str`, its alternative text.
    width: Python `int`, pixels on a page that is wide enough.
    title: `str`, shown above it.
  """

  data: bytes
  kind: str
  alt: str
  width: int
  title: str = ''

  @property
  def uri(self):
    """The file as a URL."""
    return _uri(self.data, self.kind)

  @property
  def dark_uri(self):
    """A plot for a dark page, as a URL; None for pictures."""
    if self.kind != 'svg':
      return None
    return _uri(self.data.replace(INK.encode(), INK_ON_DARK.encode()), 'svg')


def _uri(data, kind):
  return f'data:{_MIME[kind]};base64,{base64.b64encode(data).decode()}'


@dataclasses.dataclass(frozen=True)
class Row:
  """Pictures side by side: a title, and a tuple of `Image`s."""

  title: str
  images: tuple


@dataclasses.dataclass(frozen=True)
class Figure:
  """A figure: plots, or rows of pictures under column titles, or neither.

  Attributes:
    name: `str`, name of its files.
    title: `str`.
    caption: `str`, what it shows and how it was made.
    paper: `str`, the paper's figure, such as 'Fig. 6'; '' if there is none.
    images: Tuple of `Image`, plots.
    columns: Tuple of `str`, titles of the columns of `rows`.
    rows: Tuple of `Row`.
    missing: `str`, why there is no image; '' if there is one.
  """

  name: str
  title: str
  caption: str = ''
  paper: str = ''
  images: tuple = ()
  columns: tuple = ()
  rows: tuple = ()
  missing: str = ''

  @property
  def heads(self):
    """Pairs of a column's title and width: list; a row may have gaps."""
    widths = [
      next((r.images[k].width for r in self.rows if k < len(r.images)), 0)
      for k in range(len(self.columns))
    ]
    return list(zip(self.columns, widths))


def missing(figure, why):
  """The `Figure` without images, with the reason `why`."""
  return dataclasses.replace(figure, images=(), rows=(), missing=str(why))


def shortened(text, most=_MAX_TEXT):
  """Shortens a text for a plot to one line that matplotlib does not parse."""
  text = shown_text.visible(' '.join(str(text).split()))
  text = text if len(text) <= most else text[: most - 1] + '…'
  # matplotlib leaves labels that start with an underscore out of legends.
  return f' {text}' if text.startswith('_') else text


def plot(draw, alt, title='', width=_WIDTH, height=_HEIGHT):
  """Draws a plot of one panel as SVG.

  Args:
    draw: Function of a matplotlib `Axes`.
    alt: `str`.
    title: `str`.
    width: Float, inches.
    height: Float, inches.

  Returns:
    An `Image`.
  """
  from matplotlib import figure as figure_lib

  with _style():
    drawing = figure_lib.Figure(figsize=(width, height), layout='constrained')
    panel = drawing.subplots()
    draw(panel)
    _name_powers(panel)
    file = io.BytesIO()
    drawing.savefig(
      file, format='svg', transparent=True, metadata={'Date': None}
    )
  return Image(file.getvalue(), 'svg', alt, round(96 * width), title)


def _name_powers(panel):
  """Labels logarithmic axes with plain numbers, not with powers of ten."""
  from matplotlib import ticker

  for axis in (panel.xaxis, panel.yaxis):
    if axis.get_scale() == 'log':
      axis.set_major_locator(
        ticker.LogLocator(subs=(1.0, 2.0, 5.0), numticks=7)
      )
    if axis.get_scale() != 'linear':
      axis.set_major_formatter(lambda value, place: f'{value:.6g}')
      axis.set_minor_formatter(ticker.NullFormatter())


@contextlib.contextmanager
def _style():
  """Within, matplotlib has the style of pages, and writes text as text."""
  import matplotlib
  from matplotlib import cycler

  ink = dict.fromkeys(
    ('text.color', 'axes.edgecolor', 'axes.labelcolor', 'xtick.color'), INK
  )
  options = {
    **ink,
    'ytick.color': INK,
    'grid.color': INK,
    'grid.alpha': 0.18,
    'axes.grid': True,
    'axes.axisbelow': True,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.prop_cycle': cycler(color=COLOURS),
    'font.size': 10.0,
    'legend.fontsize': 9.0,
    'legend.frameon': False,
    'lines.linewidth': 1.6,
    'text.parse_math': False,
    'svg.fonttype': 'none',
    'svg.hashsalt': 'tfp_cglow',
  }
  with matplotlib.rc_context(options), warnings.catch_warnings():
    # The page's fonts may have glyphs that matplotlib's lacks.
    warnings.filterwarnings('ignore', message='Glyph .* missing')
    yield


def picture(frames, alt):
  """Frames side by side as a PNG, pixel for pixel.

  Args:
    frames: uint8 `[T, H, W, C]`, C 1 or 3.
    alt: `str`.

  Returns:
    An `Image`.
  """
  wide = np.concatenate(list(sample_files.as_rgb(frames)), axis=1)
  file = io.BytesIO()
  pil.fromarray(wide).save(file, format='PNG', optimize=True)
  return Image(file.getvalue(), 'png', alt, _ENLARGED * wide.shape[1])


def gif(frames, alt, frames_per_second=8):
  """A video as a GIF that repeats, or a PNG if it has one frame.

  Args:
    frames: uint8 `[T, H, W, C]`, C 1 or 3.
    alt: `str`.
    frames_per_second: Number.

  Returns:
    An `Image`.
  """
  if len(frames) == 1:
    return picture(frames, alt)
  images = [pil.fromarray(f) for f in sample_files.as_rgb(frames)]
  data = sample_files.encode_gif(images, frames_per_second)
  return Image(data, 'gif', alt, _ENLARGED * images[0].width)
