"""Files of one JSON object a line, which a crash may cut short."""

import contextlib
import json
import os
import pathlib

__all__ = ['append', 'read']


def append(path, row):
  """Adds a line, below one that a crash cut short; raises `OSError`.

  Args:
    path: Path.
    row: `dict`.
  """
  line = json.dumps(row) + '\n'
  with open(path, 'ab+') as f:
    if f.seek(0, os.SEEK_END):
      f.seek(-1, os.SEEK_END)
      line = line if f.read(1) == b'\n' else '\n' + line
    f.write(line.encode('utf-8'))
    f.flush()
    os.fsync(f.fileno())


def read(path):
  """The rows of the whole lines: list of `dict`; of no file, none."""
  if not os.path.exists(path):
    return []
  rows = []
  # A crash of the machine may leave any bytes in place of the last line.
  for line in pathlib.Path(path).read_text('utf-8', 'replace').split('\n'):
    with contextlib.suppress(json.JSONDecodeError):
      row = json.loads(line)
      if isinstance(row, dict):
        rows.append(row)
  return rows
