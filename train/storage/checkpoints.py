"""Saves, keeps and restores the checkpoints of a run."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import tempfile

from absl import logging
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2
import tf_keras as tfk

from train.storage import checkpoint_files as on_disk
from train.storage import files as files_lib

__all__ = [
  'Checkpoints',
  'NotFiniteError',
  'parts_of',
  'weights_of',
]

_MOST_PARTS, _SLACK_BYTES = 16, 2**26  # Of a checkpoint's size.
_NAME = re.compile(r'step_(\d{8,})')
_HIDDEN = re.compile(r'\.(new|old|removed)_(step_\d{8,})\..*')
_OLD_INDEX = re.compile(r'ckpt-.*\.index')
# TensorFlow's errors about other processes that save, too. Its other errors are
# about a disk that is full, gone, read-only or broken.
_PEER_ERRORS = (
  tf.errors.AbortedError,
  tf.errors.CancelledError,
  tf.errors.DeadlineExceededError,
  tf.errors.UnavailableError,
)


# Errors of the machine, which say nothing of the model.
_NO_MISFITS = (
  OSError,
  UnicodeError,
  *_PEER_ERRORS,
  tf.errors.PermissionDeniedError,
  tf.errors.ResourceExhaustedError,
)


class NotFiniteError(RuntimeError):
  """Variables are not finite, so that training could not go on from them.

  Attributes:
    step: Python `int`, step of the checkpoint that was not written.
    reason: `str`, with the names of the first of these variables.
  """

  def __init__(self, step, names):
    more = f' and {len(names) - 3} more' if len(names) > 3 else ''
    self.step = step
    self.reason = f'not finite: {", ".join(names[:3])}{more}'
    super().__init__(f'Step {step}: {self.reason}.')


def parts_of(model):
  """The objects of a compiled model that a run's checkpoint saves: `dict`."""
  return {'model': model, 'optimizer': model.optimizer}


def weights_of(model, with_average=True):
  """The objects needed to use a model, without optimiser state: `dict`.

  Args:
    model: `VideoGlow` or `VideoGan`, compiled.
    with_average: `bool`, whether its averaged weights are among them.
  """
  children = dict(tf.train.TrackableView(model).children(model))
  if not with_average:
    children.pop('weight_average', None)
  optimizers = tfk.optimizers.Optimizer, tfk.optimizers.legacy.Optimizer
  kept = {k: v for k, v in children.items() if not isinstance(v, optimizers)}
  return {'model': tf.train.Checkpoint(**kept)}


class Checkpoints:
  """Saves and restores the state of a run.

  A checkpoint is a folder `step_00000400` with TensorFlow's files and a
  manifest of the step, the held-out bits/dim and each file's size and SHA-256.
  It is written under a hidden name, synced, read back, compared and renamed, so
  that a folder with that name is complete. The file system must be local.

  Attributes:
    step: `tf.Variable`, int64, saved with the other objects.
  """

  def __init__(self, objects, folder, keep=3, is_chief=True):
    """Creates the saver; the chief cleans up after killed processes.

    Args:
      objects: `dict` from names to objects that `tf.train.Checkpoint` tracks.
      folder: Path of the checkpoints.
      keep: Python `int`, number of newest checkpoints to keep; the best one is
        kept, too.
      is_chief: Python `bool`, whether this process owns the folder by the run's
        lock. Other processes do not change the folder: they restore, or as
        workers take part in saving.

    Raises:
      CheckpointError: if the folder cannot be created.
      RunFolderError: if it is not local.
    """
    files_lib.check_is_local(folder)
    self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name='step')
    self._checkpoint = tf.train.Checkpoint(**objects, step=self.step)
    self._folder = pathlib.Path(folder)
    self._keep = keep
    self._is_chief = is_chief
    if is_chief:
      with self._reporting(f'Cannot use {self._folder} for checkpoints'):
        self._folder.mkdir(parents=True, exist_ok=True)
        self._clean()

  def steps(self):
    """The steps whose checkpoints have intact manifests and sizes: list."""
    return [step for step, _ in self._manifests()]

  def best_step(self):
    """The step with the lowest held-out bits/dim; None if none was measured."""
    return next(iter(_best_first(self._manifests())), None)

  def save(self, step, held_out_bits_per_dim=None):
    """Writes a checkpoint, then removes those that are not kept.

    It replaces a checkpoint of the same step; a crash leaves the old or the new
    one.

    Args:
      step: Python `int`.
      held_out_bits_per_dim: Python `float`, or None: not measured.

    Raises:
      CheckpointError: if it cannot be written, or reads back differently.
      NotFiniteError: if a variable, other than a metric's, is not finite.
      In both cases earlier checkpoints are not changed.
    """
    self.step.assign(step)
    path = self._path(step)
    with self._reporting(f'Cannot write the checkpoint {path}'):
      if not self._is_chief:
        # Saving needs all workers, but only the chief keeps the files.
        with tempfile.TemporaryDirectory() as elsewhere:
          self._write(pathlib.Path(elsewhere), step)
        return
      with self._hidden('new', step) as temporary:
        temporary.mkdir()
        files = self._write(temporary, step)
        on_disk.write_manifest(temporary, step, held_out_bits_per_dim, files)
        files_lib.sync(temporary)
        self._put(temporary, path)
    self._retire()

  def restore(self, which='newest'):
    """Restores a checkpoint.

    A checkpoint is damaged if a checksum of the bytes that were read says so.
    The chief then renames it to `corrupt_step_...`, and the next one is tried:
    the one before, or the next best. For 'best', checkpoints without held-out
    bits/dim come last. One that cannot be read is an error: it may be intact.

    Args:
      which: 'newest', or 'best' by held-out bits/dim.

    Returns:
      The step of the checkpoint; None if there is none.

    Raises:
      CheckpointError: if all are damaged, one cannot be read, or the
        checkpoint does not fit the model.
    """
    problems = []
    for step in self._candidates(which):
      path = self._path(step)
      try:
        self._check(path)
      except on_disk.DamageError as e:
        problems.append(f'{path.name}: {e}')
        self._set_aside(path, e)
        continue
      except on_disk.CheckpointError:
        if not self._is_chief and not path.exists():
          continue  # The process that trains has removed it.
        raise
      self._read(path)
      logging.info('Restored %s.', path)
      return step
    self._check_is_new(problems)
    return None

  def discard_after(self, step):
    """Removes the checkpoints of later steps, including damaged ones.

    Args:
      step: Python `int`.

    Raises:
      CheckpointError: if they cannot be removed.
    """
    if not self._is_chief:
      return
    with self._reporting(f'Cannot remove checkpoints from {self._folder}'):
      for later in self._numbers():
        if later > step:
          self._remove(later)
      files_lib.sync(self._folder)

  def _path(self, step):
    return on_disk.path_of(self._folder, step)

  def _numbers(self):
    """The steps of all checkpoints, including damaged ones, in order."""
    names = map(_NAME.fullmatch, self._names())
    return sorted(int(m[1]) for m in names if m)

  def _names(self):
    """The names in the folder; unlike `glob`, raises if it cannot be read."""
    try:
      return os.listdir(self._folder)
    except FileNotFoundError:
      return []
    except OSError as e:
      raise on_disk.CheckpointError(
        f'Cannot read {self._folder}: {on_disk.describe(e)}.'
      ) from e

  def _check(self, path):
    """Raises unless a checkpoint has the bytes that were written."""
    manifest = on_disk.read_manifest(path)
    on_disk.check_content(path, manifest, _max_bytes(self._checkpoint))

  def _manifests(self, needs_all=True):
    """Pairs (step, manifest) of checkpoints that look intact, in order.

    Args:
      needs_all: Python `bool`, whether one that cannot be read is an error.
    """
    found = []
    for step in self._numbers():
      path = self._path(step)
      try:
        manifest = on_disk.read_manifest(path)
        if on_disk.looks_whole(path, manifest):
          found.append((step, manifest))
      except on_disk.DamageError:
        continue
      except on_disk.CheckpointError:
        if needs_all and (self._is_chief or path.exists()):
          raise
    return found

  def _candidates(self, which):
    """All steps, in the order in which to try them."""
    if which not in ('newest', 'best'):
      raise ValueError(f"Expected 'newest' or 'best', got {which!r}.")
    best = _best_first(self._manifests()) if which == 'best' else []
    return best + [s for s in self._numbers()[::-1] if s not in best]

  def _write(self, folder, step):
    """Writes and checks TensorFlow's files; `dict` from names to digests."""
    prefix = on_disk.prefix_of(folder)
    self._checkpoint.write(prefix)
    paths = sorted(folder.iterdir())
    for path in paths:
      on_disk.sync_file(path)
    self._compare(tf.train.load_checkpoint(prefix), step)
    return {path.name: files_lib.digest(path) for path in paths}

  def _compare(self, reader, step):
    """Raises if values on disk differ from memory, or are not finite."""
    bad = []
    for key, variable, is_metric in _saved_variables(reader, self._checkpoint):
      saved, value = reader.get_tensor(key), variable.numpy()
      name = key.replace('/.ATTRIBUTES/VARIABLE_VALUE', '')
      if saved.dtype != value.dtype or saved.tobytes() != value.tobytes():
        raise OSError(f'{name} is not read back as it was written')
      is_float = variable.dtype.is_floating or variable.dtype.is_complex
      if is_float and not is_metric and not np.isfinite(saved).all():
        bad.append(name)
    if bad:
      raise NotFiniteError(step, bad)

  def _put(self, temporary, path):
    """Renames `temporary` to `path`, replacing an old checkpoint.

    If the process is killed in between, `_clean` puts the old one back.
    """
    step = int(_NAME.fullmatch(path.name)[1])
    with self._hidden('old', step) as old:
      if path.exists():
        os.rename(path, old)
      try:
        os.rename(temporary, path)
      except BaseException:  # Also one raised by a signal.
        if old.exists() and not path.exists():
          os.rename(old, path)
        raise
      files_lib.sync(self._folder)

  def _retire(self):
    """Removes all but the newest and the best ones; only warns of failures."""
    manifests = self._manifests(needs_all=False)
    steps = [step for step, _ in manifests]
    kept = steps[-self._keep :] + _best_first(manifests)[:1]
    for step in steps:
      if step not in kept:
        try:
          self._remove(step)
        except OSError as e:
          logging.warning('Cannot remove %s: %s', self._path(step), e)

  def _remove(self, step):
    """Removes a checkpoint; it is renamed first, so no part of it stays."""
    with self._hidden('removed', step) as hidden:
      os.rename(self._path(step), hidden)

  @contextlib.contextmanager
  def _hidden(self, kind, step):
    """Yields a free hidden path, which is removed afterwards."""
    path = _free(
      self._folder / f'.{kind}_{self._path(step).name}.{os.getpid()}'
    )
    try:
      yield path
    finally:
      shutil.rmtree(path, ignore_errors=True)

  def _clean(self):
    """Restores or removes hidden folders that killed processes have left."""
    for hidden in self._names():
      match = _HIDDEN.fullmatch(hidden)
      if not match:
        continue
      kind, name = match.groups()
      path, final = self._folder / hidden, self._folder / name
      if kind == 'old' and not final.exists():
        os.rename(path, final)
      else:
        shutil.rmtree(path, ignore_errors=True)

  def _read(self, path):
    try:
      status = self._checkpoint.read(on_disk.prefix_of(path))
      status.assert_existing_objects_matched()
      status.expect_partial()  # The model may lack the optimiser's state.
    except _NO_MISFITS as e:
      raise on_disk.CheckpointError(
        f'Cannot restore {path}, which is intact: {on_disk.describe(e)}.'
      ) from e
    except (AssertionError, ValueError, tf.errors.OpError) as e:
      raise on_disk.CheckpointError(
        f'The checkpoint {path} is intact, but does not fit this model '
        '(a run of --mode=pack cannot be resumed, use --init_from): '
        f'{on_disk.first_line(e)}'
      ) from e

  def _set_aside(self, path, problem):
    logging.warning(
      'The checkpoint %s is damaged: %s. Trying the next one.', path, problem
    )
    if self._is_chief:
      aside = _free(path.with_name(f'corrupt_{path.name}'))
      with self._reporting(f'Cannot rename {path} to {aside.name}'):
        os.rename(path, aside)
        files_lib.sync(self._folder)

  def _check_is_new(self, problems):
    """Raises if there were checkpoints, so that no run silently restarts."""
    names = sorted(self._names())
    aside = [name for name in names if name.startswith('corrupt_step_')]
    if problems or aside:
      raise on_disk.CheckpointError(
        f'No checkpoint in {self._folder} is intact: '
        f'{"; ".join(problems or aside)}. Put back a copy, or move the folder '
        'away to train from the start.'
      )
    if any(_OLD_INDEX.fullmatch(name) for name in names):
      raise on_disk.CheckpointError(
        f'Expected checkpoints like step_00000400 in {self._folder}, but found '
        'ckpt-*.index of an older version of this program. Use that one, or '
        'another --workdir.'
      )

  @contextlib.contextmanager
  def _reporting(self, what):
    """Turns disk errors into a `CheckpointError` that says what is left."""
    try:
      yield
    except (OSError, tf.errors.OpError) as e:
      if isinstance(e, _PEER_ERRORS):
        raise
      raise on_disk.CheckpointError(
        f'{what}: {on_disk.describe(e)}. {self._free_space()} '
        f'{self._newest_good()}'
      ) from e

  def _free_space(self):
    try:
      free = shutil.disk_usage(self._folder).free
    except OSError as e:
      return f'{self._folder}: {on_disk.describe(e)}.'
    return f'{free / 1e9:.2f} GB are free there.'

  def _newest_good(self):
    for step in self._numbers()[::-1]:
      path = self._path(step)
      with contextlib.suppress(on_disk.DamageError, on_disk.CheckpointError):
        self._check(path)
        return f'The newest intact checkpoint is {path}.'
    return 'There is no intact checkpoint.'


def _max_bytes(root):
  """Most bytes of a checkpoint that could fit `root`: Python `int`.

  A checkpoint may have optimiser slots and averages that `root` lacks.
  """
  variables = [
    v
    for v in tf.train.TrackableView(root).descendants()
    if isinstance(v, tf.Variable)
  ]
  total = sum(v.dtype.size * (v.shape.num_elements() or 0) for v in variables)
  return _MOST_PARTS * total + _SLACK_BYTES


def _best_first(manifests):
  """The measured steps by held-out bits/dim; among equals the newest first."""
  measured = [
    (manifest['held_out_bits_per_dim'], -step)
    for step, manifest in manifests
    if manifest['held_out_bits_per_dim'] is not None
  ]
  return [-step for _, step in sorted(measured)]


def _saved_variables(reader, root):
  """Yields the variables of a checkpoint of `root` that was just written.

  It walks the saved object graph and the objects in memory side by side,
  because names alone do not identify variables.

  Args:
    reader: From `tf.train.load_checkpoint`.
    root: `tf.train.Checkpoint`.

  Yields:
    Tuples (key, its `tf.Variable`, whether it belongs to a metric).
  """
  graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
    reader.get_tensor('_CHECKPOINTABLE_OBJECT_GRAPH')
  )
  living, queue, in_metric = {0: root}, [0], set()
  for index in queue:
    children = tf.train.TrackableView.children(living[index])
    for child in graph.nodes[index].children:
      if child.node_id not in living:
        living[child.node_id] = children[child.local_name]
        queue.append(child.node_id)
        if isinstance(living[index], tfk.metrics.Metric):
          in_metric.add(child.node_id)
  for index in queue:
    for slot in graph.nodes[index].slot_variables:
      original = living[slot.original_variable_node_id]
      living[slot.slot_variable_node_id] = living[index].get_slot(
        original, slot.slot_name
      )
  for index, variable in living.items():
    # Reading a variable that sums over replicas would wait for all workers.
    if (
      isinstance(variable, tf.Variable)
      and variable.synchronization != tf.VariableSynchronization.ON_READ
    ):
      for attribute in graph.nodes[index].attributes:
        yield attribute.checkpoint_key, variable, index in in_metric


def _free(path):
  """`path`, with a number appended if it exists already."""
  candidate, number = path, 1
  while candidate.exists():
    number += 1
    candidate = path.with_name(f'{path.name}.{number}')
  return candidate
