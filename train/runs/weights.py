"""Copies weights of another run, by their names."""

from __future__ import annotations

import os

import tensorflow as tf

from train.config import configs
from train.config import fields
from train.storage import checkpoints
from train.storage import name_lists
from train.storage import run_folder
from train.systems import systems

__all__ = ['init_from', 'runs_of', 'variables_by_path']

# Parts that are copied with a part: the memory makes the tail's state.
_WITH = {'tail': ('memory',)}


def variables_by_path(root):
  """`dict` from attribute paths to the variables that `root` tracks."""
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
  """Copies another run's weights into a model, where the shapes agree.

  From a run with `ema` the averaged weights are copied. ActNorm's parameters
  are copied, too, and count as adapted. The model's own average of its weights
  begins with the copied ones.

  Args:
    model: `VideoGlow` or `VideoGan`, which is changed.
    spec: 'WORKDIR' or 'WORKDIR:PART', such as 'runs/demo:head'; or several,
      separated by commas, of which later ones overwrite earlier ones. A folder
      that exists may have commas and colons in its own name.

  Returns:
    List of `str`: which weights were not copied, and why.

  Raises:
    CheckpointError: if the run's checkpoints are damaged.
    ConfigError: if the run has no checkpoint, or nothing fits.
  """
  mismatches = []
  for path, part in runs_of(spec):
    mismatches += _init_from_one(model, path, part)
  if model.weight_average is not None:
    model.weight_average.restart()  # It holds the weights before.
  return mismatches


def runs_of(spec):
  """The runs of a spec, see `init_from`: list of (path, part), part '' for all.

  Args:
    spec: `str`.
  """
  specs = name_lists.split(spec, lambda one: os.path.isdir(_path_of(one)[0]))
  return [_path_of(one) for one in specs]


def _path_of(spec):
  """Path and part of a spec; the part is '' for a whole run."""
  path, _, part = spec.rpartition(':')
  if os.path.isdir(spec) or not path or not (part.isidentifier() or not part):
    return spec, ''
  return path, part


def _init_from_one(model, path, part):
  spec = f'{path}:{part}' if part else path
  parts = model.submodels()
  if part and part not in parts:
    raise fields.ConfigError(
      '--init_from expects WORKDIR or WORKDIR:PART, PART one of '
      f'{list(parts)}, but got {spec}.'
    )
  folder = run_folder.RunFolder(path)
  config = configs.check(folder.read_config())
  source = systems.of(config).build_model(len(folder.read_labels()))
  saved = checkpoints.Checkpoints(
    checkpoints.weights_of(source), folder.checkpoints, is_chief=False
  )
  if saved.restore() is None:
    raise fields.ConfigError(f'{path} has no checkpoint to start from.')
  if source.weight_average is not None:
    source.weight_average.assign()
  donors = source.submodels()
  if part:
    chosen = _WITH.get(part, ()) + (part,)
    parts = {k: v for k, v in parts.items() if k in chosen}
  mismatches, num_copied = [], 0
  for name, target in parts.items():
    if name not in donors:
      mismatches.append(f'{name}: {path} has none')
      continue
    ours, theirs = variables_by_path(target), variables_by_path(donors[name])
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
    raise fields.ConfigError(
      f'Nothing of {spec} fits this model: {"; ".join(mismatches)}.'
    )
  return mismatches
