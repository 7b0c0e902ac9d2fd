"""Checkpoints of a run, and starting from another run's weights."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import tempfile

from absl import logging
import numpy as np
import tensorflow as tf

from train import configs
from train import models
from train import run_folder

__all__ = [
  'CheckpointError',
  'Checkpoints',
  'NotFiniteError',
  'init_from',
  'parts_of',
  'variables_by_path',
]

_FORMAT = 1
_PREFIX = 'checkpoint'  # Of TensorFlow's files.
_MANIFEST = 'manifest.json'
# What TensorFlow makes of a disk that is full, gone or read-only.
_FILE_ERRORS = (OSError, tf.errors.OpError)


class CheckpointError(ValueError):
  """A checkpoint that cannot be written or used."""


class NotFiniteError(RuntimeError):
  """Weights or slots that are no checkpoint to come back to."""

  def __init__(self, step, names):
    self.step = step
    self.reason = f'not finite: {", ".join(names)}'
    super().__init__(f'Step {step}: {self.reason}')


def parts_of(model):
  """What a run's checkpoint holds of a compiled `VideoGlow`: `dict`."""
  return {'model': model, 'optimizer': model.optimizer}


class Checkpoints:
  """Saves and restores what a run is made of.

  A checkpoint is a folder `step_00000400`: TensorFlow's files, and a manifest
  with the step, the held-out bits/dim and each file's size and SHA-256. It is
  written under another name, synced, read back and compared, and renamed: under
  its own name it is complete. The newest ones are kept, and the best one.
  """

  def __init__(self, parts, folder, keep=3, is_chief=True):
    """Creates the saver; removes what dead processes left half-written.

    Args:
      parts: `dict` of names to what `tf.train.Checkpoint` tracks.
      folder: Path of the checkpoints, local.
      keep: Python `int`, how many of the newest are kept.
      is_chief: Python `bool`. Others of many workers take part in saving, as
        TensorFlow asks of them, but leave the folder as it is.
    """
    self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name='step')
    self._checkpoint = tf.train.Checkpoint(**parts, step=self.step)
    self._folder = pathlib.Path(folder)
    self._keep = keep
    self._is_chief = is_chief
    if is_chief:
      for path in self._folder.glob('.*'):
        shutil.rmtree(path, ignore_errors=True)

  def steps(self):
    """The steps there are checkpoints of, in order."""
    names = self._folder.glob('step_' + '[0-9]' * 8 + '*')
    return sorted(int(path.name[len('step_') :]) for path in names)

  def best_step(self):
    """The step of the lowest held-out bits/dim; None if none was measured."""
    values = []
    for step in self.steps():
      with contextlib.suppress(CheckpointError):
        value = self._read_manifest(step)['held_out_bits_per_dim']
        if value is not None and np.isfinite(value):
          values.append((value, -step))
    return -min(values)[1] if values else None

  def save(self, step, held_out_bits_per_dim=None):
    """Writes a checkpoint; one of the same step gives way to it.

    Args:
      step: Python `int`.
      held_out_bits_per_dim: Python `float`, or None: not measured.

    Raises:
      NotFiniteError: if a variable is not finite; nothing is written.
      CheckpointError: if it cannot be written; what was there still is.
    """
    self.step.assign(step)
    self._check_finite(step)
    if not self._is_chief:
      with tempfile.TemporaryDirectory() as elsewhere:
        self._checkpoint.write(os.path.join(elsewhere, _PREFIX))
      return
    temporary = self._folder / f'.step_{step:08d}.{os.getpid()}'
    try:
      temporary.mkdir()
      self._write(temporary, step, held_out_bits_per_dim)
      self._replace(temporary, self._path(step))
      self._remove_old()
    except _FILE_ERRORS as e:
      shutil.rmtree(temporary, ignore_errors=True)
      raise CheckpointError(self._cannot_save(step, e)) from e

  def restore(self, which='newest'):
    """Restores a checkpoint.

    One that is damaged is set aside, by the chief, and the one before is used.

    Args:
      which: 'newest' or 'best'.

    Returns:
      The step it was saved at; None if there is none.

    Raises:
      CheckpointError: if all are damaged, or the one does not fit the model.
    """
    steps = self.steps()
    if which == 'best' and self.best_step() is not None:
      steps = [self.best_step()]
    for step in reversed(steps):
      try:
        self._verify(self._path(step))
      except CheckpointError as e:
        self._set_aside(step, e)
        continue
      self._read(step)
      logging.info('Restored step %d of %s.', step, self._folder)
      return step
    if steps:
      raise CheckpointError(
        f'Every checkpoint in {self._folder} is damaged. Restore the folder '
        'from a copy, or start again in another --workdir.'
      )
    return None

  def discard_after(self, step):
    """Removes the checkpoints of later steps."""
    for later in self.steps():
      if later > step:
        self._remove(self._path(later))

  def _path(self, step):
    return self._folder / f'step_{step:08d}'

  def _check_finite(self, step):
    bad = [
      name
      for name, variable in variables_by_path(self._checkpoint).items()
      if variable.dtype.is_floating
      and not bool(tf.reduce_all(tf.math.is_finite(variable.read_value())))
    ]
    if bad:
      raise NotFiniteError(step, bad[:3] + ['...'] * (len(bad) > 3))

  def _write(self, folder, step, held_out_bits_per_dim):
    prefix = str(folder / _PREFIX)
    self._checkpoint.write(prefix)
    for path in folder.iterdir():
      _sync(path)
    manifest = {
      'format': _FORMAT,
      'step': step,
      'held_out_bits_per_dim': held_out_bits_per_dim,
      'files': {path.name: _digest(path) for path in folder.iterdir()},
    }
    self._compare(prefix)
    run_folder.write_atomically(
      folder / _MANIFEST, json.dumps(manifest, indent=2) + '\n'
    )
    _sync(folder)

  def _compare(self, prefix):
    """Raises OSError if what is on the disk is not what is in memory."""
    reader = tf.train.load_checkpoint(prefix)
    in_memory = variables_by_path(self._checkpoint)
    for name, variable in in_memory.items():
      key = f'{name}/.ATTRIBUTES/VARIABLE_VALUE'
      if reader.has_tensor(key) and not np.array_equal(
        reader.get_tensor(key), variable.numpy()
      ):
        raise OSError(None, f'{name} was read back with another value')

  def _replace(self, temporary, path):
    if path.exists():
      self._remove(path)
    os.rename(temporary, path)
    _sync(self._folder)

  def _remove_old(self):
    kept = self.steps()[-self._keep :] + [self.best_step()]
    for step in self.steps():
      if step not in kept:
        self._remove(self._path(step))

  def _remove(self, path):
    """Nobody sees a part of it."""
    hidden = path.with_name(f'.{path.name}.removed.{os.getpid()}')
    os.rename(path, hidden)
    shutil.rmtree(hidden)

  def _read_manifest(self, step):
    try:
      manifest = json.loads((self._path(step) / _MANIFEST).read_text())
      if manifest['format'] != _FORMAT:
        raise CheckpointError(f'expected format {_FORMAT}, got {manifest}')
      return {k: manifest[k] for k in ('held_out_bits_per_dim', 'files')}
    except FileNotFoundError:
      raise CheckpointError(f'there is no {_MANIFEST}') from None
    except (OSError, ValueError, KeyError, TypeError) as e:
      raise CheckpointError(f'{_MANIFEST} cannot be read: {e}') from e

  def _verify(self, path):
    files = self._read_manifest(int(path.name[len('step_') :]))['files']
    for name, digest in files.items():
      try:
        found = _digest(path / name)
      except OSError as e:
        raise CheckpointError(f'{name}: {e.strerror}') from e
      for key, expected in digest.items():
        if found[key] != expected:
          raise CheckpointError(
            f'{name}: expected {key} {expected}, got {found[key]}'
          )

  def _set_aside(self, step, error):
    path = self._path(step)
    if not self._is_chief:
      logging.warning('The checkpoint %s is damaged: %s.', path, error)
      return
    aside, number = path.with_name(f'damaged_{path.name}'), 1
    while aside.exists():
      number += 1
      aside = path.with_name(f'damaged_{path.name}_{number}')
    os.rename(path, aside)
    logging.warning(
      'The checkpoint %s is damaged: %s. It is now %s; the one before is used.',
      path,
      error,
      aside.name,
    )

  def _read(self, step):
    path = self._path(step)
    try:
      status = self._checkpoint.read(str(path / _PREFIX))
      status.assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as e:
      reason = str(e).splitlines()[0]
      raise CheckpointError(
        f'The checkpoint {path} is of another model: {reason}'
      ) from e

  def _cannot_save(self, step, error):
    reason = getattr(error, 'strerror', None) or str(error).splitlines()[0]
    try:
      free = f'{shutil.disk_usage(self._folder).free / 2**20:.0f} MiB are free'
    except OSError:
      free = 'the folder is gone'
    steps = self.steps()
    good = f'That of step {steps[-1]} is intact' if steps else 'There is none'
    return (
      f'Cannot write the checkpoint of step {step} to {self._folder}: {reason} '
      f'({free}). {good}; the same command goes on from it.'
    )


def _sync(path):
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def _digest(path):
  with open(path, 'rb') as f:
    digest = hashlib.sha256()
    while block := f.read(2**20):
      digest.update(block)
    return {'size': f.tell(), 'sha256': digest.hexdigest()}


def variables_by_path(root):
  """`dict` of the variables that `root` tracks, by attribute path."""
  view = tf.train.TrackableView(root)
  found, seen = {}, {id(root)}
  queue = [('', root)]
  while queue:
    prefix, node = queue.pop(0)
    for name, child in sorted(view.children(node).items()):
      if id(child) in seen:
        continue
      seen.add(id(child))
      if isinstance(child, tf.Variable):
        found[prefix + name] = child
      else:
        queue.append((f'{prefix}{name}/', child))
  return found


def init_from(model, spec):
  """Copies another run's weights, where the shapes agree.

  ActNorm's parameters come along, with the mark that they are adapted.

  Args:
    model: `VideoGlow`, to be changed.
    spec: 'WORKDIR', 'WORKDIR:head' or 'WORKDIR:tail'.

  Returns:
    List of `str`: what was not copied, and why.

  Raises:
    ConfigError: if the run has no checkpoint, or nothing fits.
  """
  path, _, part = spec.partition(':')
  if part not in ('', 'head', 'tail'):
    raise configs.ConfigError(
      f'--init_from expects WORKDIR, WORKDIR:head or WORKDIR:tail, not {spec}.'
    )
  folder = run_folder.RunFolder(path)
  config = folder.read_config()
  source = models.build_model(config, len(folder.read_labels()))
  checkpoints = Checkpoints(
    parts_of(source), folder.checkpoints, is_chief=False
  )
  if not checkpoints.restore():
    raise configs.ConfigError(f'{path} has no checkpoint to start from.')
  parts = {'': ['head', 'tail', 'processor'], 'tail': ['tail', 'processor']}
  mismatches, num_copied = [], 0
  for name in parts.get(part, [part]):
    target, donor = getattr(model, name), getattr(source, name)
    if target is None or donor is None:
      if target is not None:
        mismatches.append(f'{name}: {path} has none')
      continue
    ours, theirs = variables_by_path(target), variables_by_path(donor)
    for key, variable in ours.items():
      if key not in theirs:
        mismatches.append(f'{name}/{key}: {path} has none')
      elif theirs[key].shape != variable.shape:
        mismatches.append(
          f'{name}/{key}: expected {variable.shape}, '
          f'{path} has {theirs[key].shape}'
        )
      else:
        variable.assign(theirs[key])
        num_copied += 1
  if not num_copied:
    raise configs.ConfigError(
      f'Nothing of {spec} fits this model: {"; ".join(mismatches)}.'
    )
  return mismatches
