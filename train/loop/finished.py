"""Says whether a run has ended, so that its command has nothing left to do."""

from __future__ import annotations

from train import errors
from train.systems import systems

__all__ = ['is_finished']


def is_finished(config, folder):
  """Whether a run was trained, measured, sampled and exported.

  Args:
    config: `Config` of the command.
    folder: `RunFolder`, which need not exist.

  Returns:
    Python `bool`; False if the config is another one, or if a file of the run's
    end is missing or damaged.
  """
  try:
    is_done = folder.is_done(config)
  except errors.UserError:  # A file is damaged: it is made again.
    return False
  has_files = _has_samples(config, folder) and _has_export(config, folder)
  return is_done and has_files


def _has_samples(config, folder):
  if not config.run.num_samples:
    return True
  system = systems.of(config)
  made = {'generated': system.has_head, 'continued': system.has_tail}
  return all(
    (folder.samples / f'step_{config.run.steps}_{name}.gif').is_file()
    for name, is_made in made.items()
    if is_made
  )


def _has_export(config, folder):
  if not systems.of(config).exports:
    return True
  # Others are of --mode=export, perhaps of an earlier step.
  return any(
    (folder.exports / str(row['version'])).is_dir()
    for row in folder.read_metrics('export')
  )
