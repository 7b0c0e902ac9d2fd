"""The elements of a page, before they are rendered as HTML."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ['Code', 'Details', 'List', 'Section', 'Shown', 'Table', 'Text']


@dataclasses.dataclass(frozen=True)
class Section:
  """A title with blocks below it.

  Attributes:
    anchor: `str`, its name in links.
    title: `str`.
    blocks: Sequence of the classes below.
  """

  anchor: str
  title: str
  blocks: Any


@dataclasses.dataclass(frozen=True)
class Text:
  """A paragraph."""

  text: str
  kind = 'text'


@dataclasses.dataclass(frozen=True)
class List:
  """Sentences of `str`, one below the other; flags are set as code."""

  items: Any
  kind = 'list'


@dataclasses.dataclass(frozen=True)
class Code:
  """Shell commands."""

  text: str
  kind = 'code'


@dataclasses.dataclass(frozen=True)
class Table:
  """Rows of `str`; a column's title may be ''."""

  columns: Any
  rows: Any
  caption: str = ''
  kind = 'table'

  @property
  def has_head(self):
    return any(self.columns)


@dataclasses.dataclass(frozen=True)
class Shown:
  """A `figures.Figure`."""

  figure: Any
  kind = 'figure'


@dataclasses.dataclass(frozen=True)
class Details:
  """Blocks that open on demand."""

  title: str
  blocks: Any
  kind = 'details'
