"""The errors that a user can put right; the command line shows one line."""

__all__ = ['UserError']


class UserError(ValueError):
  """What the user can put right: the message says what was expected."""
