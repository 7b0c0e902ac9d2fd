"""`dict`s in `dict`s as rows."""

__all__ = ['flat']


def flat(values, prefix=''):
  """The values of nested `dict`s: list of ('key.key', value)."""
  rows = []
  for key, value in values.items():
    if isinstance(value, dict):
      rows += flat(value, f'{prefix}{key}.')
    else:
      rows.append((f'{prefix}{key}', value))
  return rows
