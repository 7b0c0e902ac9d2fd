"""`UserError`, which the command line shows as one line, without traceback."""

__all__ = ['UserError']


class UserError(ValueError):
  """An error that the user can fix; the message says what was expected.

  Attributes:
    exit_code: Python `int`, the exit code of a program that it ends.
  """

  exit_code = 2
