"""The number of a set's protocol beside published ones, as text."""

__all__ = ['protocol_lines']

_UNSEEN = ' (*)'


def protocol_lines(metrics):
  """Says what was measured and what others report: list of `str`.

  Args:
    metrics: `dict` with the keys of metrics.json.

  Returns:
    One line for each number; empty for sets without a protocol.
  """
  found = metrics.get('protocol')
  if not found:
    return []
  error = found['standard_error']
  spread = '' if error is None else f' ± {error:.2g}'
  above = found.get('above_bound')
  distance = '' if above is None else f', {above:.1f} above the lower bound'
  lines = [
    f'{_capital(found["number"])}: '
    f'{_shown(found["value"])}{spread} ({found["how"]}){distance}.'
  ]
  lines += [
    f'{_capital(row["title"])}: {_shown(row["value"])}.'
    for row in found['references']
  ]
  bound = _published_bound(found)
  for row in found['published']:
    mark = '' if row['is_seen'] else _UNSEEN
    beyond = ''
    if bound is not None and row['value'] != bound:
      beyond = f', {row["value"] - bound:.1f} above its own lower bound'
    lines.append(
      f'Published, {row["title"]}: {row["value"]:g}{beyond}{mark}; '
      f'{row["source"]}; {row["note"]}.'
    )
  if any(not row['is_seen'] for row in found['published']):
    lines.append(
      '(*) The paper was not read for this figure: check it before quoting.'
    )
  return lines


def _published_bound(found):
  bounds = [row['value'] for row in found['published'] if row.get('is_bound')]
  return bounds[0] if bounds else None


def _shown(value):
  """Four significant digits."""
  return f'{value:.4g}'


def _capital(text):
  return text[:1].upper() + text[1:]
