"""Flattens nested `dict`s."""

__all__ = ['flat']


def flat(values, prefix=''):
  """Lists the values of nested `dict`s as ('key.key', value)."""
  rows = []
  for key, value in values.items():
    if isinstance(value, dict):
      rows += flat(value, f'{prefix}{key}.')
    else:
      rows.append((f'{prefix}{key}', value))
  return rows
