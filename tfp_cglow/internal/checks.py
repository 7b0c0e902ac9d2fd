"""Checks of arguments. Errors say what was expected and what came."""

__all__ = ['check_at_least', 'check_choice', 'check_kind']


def check_kind(name, value, *kinds):
  """Raises ValueError unless `value` is None or an instance of `kinds`.

  Args:
    name: Python `str`, the argument's name in the message.
    value: The argument's value.
    *kinds: The classes that are allowed.

  Raises:
    ValueError: if `value` is neither None nor an instance of one of them.
  """
  if value is not None and not isinstance(value, kinds):
    names = ', '.join(kind.__name__ for kind in kinds)
    raise ValueError(f'`{name}` must be {names} or None, but got {value!r}.')


def check_choice(name, value, choices):
  """Raises ValueError unless `value` is one of the choices."""
  if value not in choices:
    raise ValueError(f'`{name}` must be one of {choices}, but got {value!r}.')


def check_at_least(name, value, least):
  """Raises ValueError unless `value` is None or at least `least`."""
  if value is not None and value < least:
    raise ValueError(f'`{name}` must be at least {least}, but got {value}.')
