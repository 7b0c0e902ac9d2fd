"""Names of files with numbers, so that nothing is overwritten."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re

from train.storage import files

__all__ = ['new_stem']


@contextlib.contextmanager
def new_stem(folder, name):
  """Yields a path without ending that no file of the folder has.

  ```python
  with numbered.new_stem('samples', 'sampled') as stem:
    ...  # Write f'{stem}.gif': samples/sampled_0001.gif, then ..._0002.gif.
  ```

  An empty file without ending holds the number meanwhile, so that two programs
  do not write the same files.

  Args:
    folder: Path, which is created.
    name: `str`, how the names begin.

  Yields:
    `pathlib.Path`.

  Raises:
    RunFolderError: if the folder cannot be written.
  """
  folder = pathlib.Path(folder)
  files.check_is_local(folder)
  with files.reporting(folder):
    folder.mkdir(parents=True, exist_ok=True)
    stem = _claim(folder, name)
  try:
    yield stem
  finally:
    stem.unlink(missing_ok=True)


def _claim(folder, name):
  """Creates the empty file of the next number; its path."""
  pattern = re.compile(rf'{re.escape(name)}_(\d+)(\..*)?')
  found = map(pattern.fullmatch, os.listdir(folder))
  number = max((int(m[1]) for m in found if m), default=0)
  while True:
    number += 1
    stem = folder / f'{name}_{number:04d}'
    with contextlib.suppress(FileExistsError):
      stem.touch(exist_ok=False)
      return stem
