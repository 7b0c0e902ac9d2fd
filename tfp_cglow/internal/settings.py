"""Fields of specs: which ones are settings, and their numbers' limits."""

import dataclasses

__all__ = ['hidden', 'number']


def hidden(default):
  """A field that programs should not offer as a setting."""
  return dataclasses.field(default=default, metadata={'is_setting': False})


def number(default, least, most):
  """A field of a number, for programs that offer it as a setting.

  The builders refuse numbers below `least`. Numbers above `most` would only
  exhaust time and memory: programs refuse them before anything is built.

  Args:
    default: The default.
    least: The least number.
    most: The largest number.
  """
  limits = {'least': least, 'most': most}
  return dataclasses.field(default=default, metadata={'limits': limits})
