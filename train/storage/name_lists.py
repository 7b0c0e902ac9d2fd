"""Lists of names that are separated by commas, as flags have them."""

from __future__ import annotations

__all__ = ['split']


def split(text, is_name):
  """Splits a list at its commas, except at those of names that exist.

  Args:
    text: `str`, such as 'runs/a,runs/b'.
    is_name: Function that says whether a `str` is an existing name. The longest
      one wins.

  Returns:
    List of `str`.
  """
  pieces, names = text.split(','), []
  while pieces:
    count = len(pieces)
    while count > 1 and not is_name(','.join(pieces[:count])):
      count -= 1
    names.append(','.join(pieces[:count]))
    pieces = pieces[count:]
  return names
