"""Writes `report.html`, a single file without scripts or external resources.

The template engine escapes everything that comes from data, and the page's
content security policy lets a browser load nothing from outside.
"""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import re
from typing import Any

import jinja2
import markupsafe

from train import shown_text
from train.report import ablation
from train.report import comparison
from train.report import gallery
from train.report import run_data
from train.report import run_page
from train.storage import files
from train.storage import places as places_lib

__all__ = ['Page', 'render', 'write']

# '--set key=value' or '--flag=value', without a sentence's full stop.
_FLAG = re.compile(r'--set [\w.]+=(?:\.\.\.|[\w.]*\w)|--\w+(?:=[\w.]*\w)?')
_TEMPLATES = pathlib.Path(__file__).parent / 'templates'


@dataclasses.dataclass(frozen=True)
class Page:
  """The content of a page, for `render`.

  Attributes:
    title: `str`.
    subtitle: `str`.
    sections: List of `sections.Section`.
    figures: List of `figures.Figure` that are saved beside the page.
    places: Pairs of a path on this machine and the word that the page has for
      it, see `train.storage.places`.
  """

  title: str
  subtitle: str
  sections: Any
  figures: Any
  places: Any = ()


def write(workdirs, which='newest'):
  """Writes the report of a run or an ablation, or a comparison of runs.

  For one folder it writes `report.html` and `figures/` into it. For several it
  writes `comparison.html` and `comparison_figures/` beside the first.

  Args:
    workdirs: List of paths.
    which: The checkpoint, see `train.runs.loading.load`.

  Returns:
    The page's path.

  Raises:
    RunFolderError: if a folder holds neither run nor ablation, or it cannot be
      written.
    ConfigError: if a run is of another version.
  """
  paths = [pathlib.Path(path) for path in workdirs]
  if len(paths) == 1:
    page, path = _page_of(paths[0], which), paths[0] / 'report.html'
    folder = paths[0] / 'figures'
  else:
    parent = paths[0].resolve().parent
    page, path = _comparison(paths), parent / 'comparison.html'
    folder = parent / 'comparison_figures'
  gallery.save(page.figures, folder)
  files.write_atomically(path, render(page))
  return path


def _page_of(path, which):
  values = run_data.read_ablation(path)
  if values is not None:
    name = path.resolve().name
    drawn = [gallery.of_ablation(values)]
    made = ablation.sections_of(values)
    return Page(name, 'An ablation', made, drawn, [(path, name)])
  run = run_data.read(path)
  made, drawn = run_page.sections_of(run, which)
  state = 'A run' if run.is_finished else 'A run that is not finished'
  subtitle = f'{state} of {run.config.data.name}'
  return Page(run.name, subtitle, made, drawn, run.places)


def _comparison(paths):
  named = comparison.unique_names([run_data.read(path) for path in paths])
  made, drawn = comparison.sections_of(named)
  known = [place for run in named.values() for place in run.places]
  return Page(f'{len(named)} runs', ', '.join(named), made, drawn, known)


def render(page):
  """Renders a `Page` as HTML: `str`.

  Characters that cannot be seen are written out, and absolute paths are left
  out, wherever the text comes from.
  """
  hide = places_lib.Places(page.places).hide

  def shown(value):
    is_text = type(value) is str and not value.startswith('data:')
    return shown_text.visible(hide(value)) if is_text else value

  def flags(text):
    escaped = str(markupsafe.escape(shown(text)))
    return markupsafe.Markup(_FLAG.sub(r'<code>\g<0></code>', escaped))

  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    finalize=shown,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters['flags'] = flags
  now = datetime.datetime.now().astimezone()
  template = environment.get_template('page.html')
  return template.render(page=page, date=now.isoformat(' ', 'minutes'))
