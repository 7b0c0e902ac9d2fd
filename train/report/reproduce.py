"""The commands that train a run again."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex

from train.config import configs
from train.config import overrides
from train.config import presets

__all__ = ['assignments', 'commands', 'versions']

_PACKAGES = (
  'tensorflow',
  'tensorflow-probability',
  'tf-keras',
  'numpy',
  'av',
  'matplotlib',
)


def assignments(config):
  """The preset that a config starts from, and the changes to it.

  Args:
    config: `Config`.

  Returns:
    preset: `str`; 'demo' if the config's preset does not exist.
    assignments: List of `str` for `overrides.override`; a part's kind comes
      before its fields.
  """
  name = config.preset if config.preset in presets.PRESETS else 'demo'
  changes = overrides.changes(config, presets.PRESETS[name])
  return name, [c for c in changes if not c.startswith('preset=')]


def commands(run):
  """A run's commands, a line each, without places on this machine.

  Args:
    run: `run_data.RunData`.

  Returns:
    `str`.
  """
  preset, changed = assignments(run.config)
  shown = []
  for text in changed:
    key = text.partition('=')[0]
    if key in configs.PLACES:
      text = f'{key}={key.rpartition(".")[2].upper()}'
    shown.append(text)
  workdir = shlex.quote(f'runs/{run.name}')
  train = ['python -m train.main', f'--preset={preset}']
  train += [f'--set {shlex.quote(text)}' for text in shown]
  train += ['--init_from=INIT_FROM'] * bool(run.origin)
  return '\n'.join(
    [
      ' \\\n    '.join([*train, f'--workdir={workdir}']),
      f'python -m train.main --mode=evaluate --workdir={workdir}',
      f'python -m train.main --mode=report --workdir={workdir}',
    ]
  )


def versions():
  """Versions of Python, packages and machine: list of (name, version)."""
  found = [('Python', platform.python_version())]
  for name in _PACKAGES:
    try:
      found.append((name, importlib.metadata.version(name)))
    except importlib.metadata.PackageNotFoundError:
      found.append((name, 'not installed as a package'))
  return [*found, ('machine', f'{platform.system()} {platform.machine()}')]
