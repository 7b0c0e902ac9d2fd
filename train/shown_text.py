"""Text from data, made safe to show in a page, a figure or Markdown."""

from __future__ import annotations

import re
import unicodedata

__all__ = ['code', 'markdown', 'visible']

_SPECIAL = re.compile(r'([\\`*_{}\[\]<>#|~])')
_KEPT = '\n\t\u200c\u200d'  # The last two join letters and emoji.
# Controls, halves of characters, ends of lines, and format characters, of which
# some turn the direction of the text after them.
_HIDDEN = ('Cc', 'Cs', 'Zl', 'Zp', 'Cf')


def visible(text):
  """`text` with characters that cannot be seen written as '\\\\u202e'."""
  if text.isascii() and text.isprintable():
    return text
  return ''.join(map(_escaped, text))


def _escaped(character):
  if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
    return character
  return character.encode('unicode_escape').decode('ascii')


def markdown(text):
  """`text` as one line of Markdown that shows just these characters."""
  line = visible(' '.join(str(text).split()))
  return _SPECIAL.sub(r'\\\1', line)


def code(text):
  """`text` as code in a line of Markdown."""
  text = visible(text).replace('\n', '\\n').replace('\t', ' ')
  fence = '`' * (1 + max(map(len, re.findall('`+', text)), default=0))
  space = ' ' if len(fence) > 1 else ''
  return f'{fence}{space}{text}{space}{fence}'
