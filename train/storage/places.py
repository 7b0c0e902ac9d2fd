"""Leaves places on this machine out of texts that may be sent."""

from __future__ import annotations

import os
import re
import shlex

__all__ = ['Places', 'hide_in_command']

_NO_PATH = r'\s/\'"<>|;,()'
_QUOTED = re.compile(r"""(['"])~?/[^'"\n]*/([^/'"\n]*)\1""")
_BARE = re.compile(rf'(?<![\w.~/…-])~?/(?:[^{_NO_PATH}]+/)+([^{_NO_PATH}]*)')


class Places:
  """Absolute paths, and the words that stand for them."""

  def __init__(self, named=()):
    """Adds the present folder and the user's own to the named ones.

    Args:
      named: Pairs of a path and the word for it; others are cut to their last
        name.
    """
    known = [(os.getcwd(), '.'), (os.path.expanduser('~'), '~')]
    pairs = {}
    for path, word in [*named, *known]:
      for form in (os.fspath(path), _absolute(path), os.path.realpath(path)):
        form = form.rstrip('/')
        if form.startswith('/'):
          pairs.setdefault(form, word)
    self._words = pairs
    longest_first = map(re.escape, sorted(pairs, key=len, reverse=True))
    self._known = re.compile(
      rf'(?<![\w.-])({"|".join(longest_first)})(?![\w-])'
    )

  def hide(self, text):
    """`text` without absolute paths."""
    if self._words:
      text = self._known.sub(lambda m: self._words[m[1]], text)
    text = _QUOTED.sub(r'\1…/\2\1', text)
    return _BARE.sub(r'…/\1', text)


def hide_in_command(command):
  """A command line in which words stand for absolute paths.

  '--data_dir=/home/ann/films' becomes '--data_dir=DATA_DIR'.
  """
  try:
    arguments = shlex.split(command)
  except ValueError:  # No command line.
    return Places().hide(command)
  return shlex.join(map(_hide_in_argument, arguments))


def _hide_in_argument(argument):
  found = re.fullmatch(r'(?s:(.*?=|)([/~].*))', argument)
  if not found:
    return argument
  key, value = found.groups()
  name = re.split(r'[=.]', key.rstrip('='))[-1].lstrip('-')
  return key + (name.upper() or os.path.basename(value))


def _absolute(path):
  return os.path.abspath(os.path.expanduser(path))
