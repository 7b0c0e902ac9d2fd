"""Weights by their names, and those of another run."""

from __future__ import annotations

import tensorflow as tf

from train import checkpoints
from train import configs
from train import models
from train import run_folder

__all__ = ['init_from', 'variables_by_path']


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
    CheckpointError: if the run's checkpoints are damaged.
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
  # The weights are enough, whatever else that run has saved.
  saved = checkpoints.Checkpoints(
    {'model': source}, folder.checkpoints, is_chief=False
  )
  if saved.restore() is None:
    raise configs.ConfigError(f'{path} has no checkpoint to start from.')
  parts = {
    'head': ['head', 'head_noise'],
    'tail': ['tail', 'processor', 'tail_noise'],
  }
  parts[''] = [*parts['head'], *parts['tail']]
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
