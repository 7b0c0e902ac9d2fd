"""Label names, and the file labels.txt that holds one a line."""

from __future__ import annotations

import unicodedata

from train import errors

__all__ = ['LabelNameError', 'check', 'from_bytes', 'to_text']

# Control characters, halves of characters (names that are not UTF-8), and the
# ends of a line and of a paragraph.
_REFUSED = ('Cc', 'Cs', 'Zl', 'Zp')
_BYTE_ORDER_MARK = '\ufeff'


class LabelNameError(errors.UserError):
  """A label has a name that cannot be written, or read back."""


def check(names, where):
  """Raises unless each name can be a line of labels.txt.

  Args:
    names: Sequence of `str`.
    where: `str`, what has these labels, for the message.

  Raises:
    LabelNameError: for the first name that cannot.
  """
  for number, name in enumerate(names):
    what = _what_is_wrong(name)
    if what:
      raise LabelNameError(
        f'Label {number} of {where}, {ascii(name)}, {what}: give it a name of '
        'one line of UTF-8 text.'
      )


def to_text(names):
  """The content of labels.txt: `str`."""
  return ''.join(f'{name}\n' for name in names)


def from_bytes(data, path):
  """The names in the content of labels.txt: tuple of `str`.

  A byte order mark and line ends of Windows, which editors add, are no part of
  the names.

  Args:
    data: `bytes`.
    path: Path of the file, for messages.

  Raises:
    LabelNameError: if it is not UTF-8, or a line is no label name.
  """
  try:
    text = data.decode('utf-8-sig')
  except UnicodeDecodeError as e:
    line = data[: e.start].count(b'\n') + 1
    raise LabelNameError(
      f'{path}, line {line}: expected a label name in UTF-8, but {e.reason} '
      f'({data[e.start : e.end]!r}).'
    ) from None
  lines = [line.removesuffix('\r') for line in text.split('\n')]
  names = tuple(lines[:-1] if not lines[-1] else lines)
  check(names, str(path))
  return names


def _what_is_wrong(name):
  """Why a name cannot be a label's: `str`, or None if it can."""
  if not name:
    return 'is empty'
  if _BYTE_ORDER_MARK in name:
    return 'has a byte order mark'
  found = next((c for c in name if unicodedata.category(c) in _REFUSED), None)
  if found is None:
    return None
  is_half = unicodedata.category(found) == 'Cs'
  return 'is not UTF-8' if is_half else 'has a control character or line end'
