"""`UserError`, which the command line shows as one line, without traceback."""

__all__ = ['UserError']


class UserError(ValueError):
  """An error that the user can fix; the message says what was expected."""
