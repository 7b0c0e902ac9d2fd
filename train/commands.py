"""One function for each mode of the command line; they print their results."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

from absl import app
from absl import logging

from train import failures
from train.ablation import grid
from train.config import configs
from train.config import fields
from train.config import overrides
from train.config import presets
from train.data import inputs
from train.inspect import look
from train.loop import finished
from train.loop import interrupts
from train.loop import session
from train.play import player as player_lib
from train.play import server
from train.report import page
from train.runs import loading
from train.runs import pack as pack_lib
from train.serving import export as export_lib
from train.storage import name_lists
from train.storage import run_folder
from train.systems import systems

__all__ = [
  'ablate',
  'evaluate',
  'export',
  'inspect',
  'make_config',
  'pack',
  'play',
  'prepare',
  'report',
  'sample',
  'train',
]


def make_config(preset, assignments):
  """Makes the config from a preset and assignments.

  Args:
    preset: Key of `presets.PRESETS`.
    assignments: List of `key=value`.

  Returns:
    A `Config`.

  Raises:
    ConfigError: if an assignment or the resulting config is not valid.
  """
  for assignment in assignments:
    if assignment.partition('=')[0].strip() == 'preset':
      raise fields.ConfigError(
        f'--preset chooses the preset, but got --set {assignment}.'
      )
  return configs.check(overrides.override(presets.PRESETS[preset], assignments))


def train(config, workdir, init_from, strategy, stop=None):
  """Trains or resumes a run, prints its numbers, samples from its export.

  Of a run that is finished it prints the numbers that were measured.
  """
  folder = run_folder.RunFolder(workdir)
  # Several workers agree on it in the session.
  is_alone = strategy != 'multi_worker'
  is_finished = is_alone and finished.is_finished(config, folder)
  if is_finished:
    metrics = folder.read_metrics_file()
    logging.info(
      '%s is finished: all %d steps are trained and measured. To measure it '
      'again: --mode=evaluate.',
      workdir,
      config.run.steps,
    )
  else:
    options = session.Options(init_from, strategy)
    metrics, folder = session.train(config, workdir, options, stop)
  if metrics is None:  # Only the chief prints.
    return
  _show_results(config, metrics, folder)
  system, export = systems.of(config), _export(folder)
  is_sampled = is_finished and _sampled(folder).with_suffix('.gif').is_file()
  if export and system.has_head and not is_sampled:
    _sample_export(export, folder, 8 if system.has_tail else 1)


def _show_results(config, metrics, folder):
  """Prints a run's numbers and where its results are."""
  system = systems.of(config)
  print(f'\n{system.format_table(metrics)}\n')
  for name, path in (
    ('Samples', folder.samples),
    ('TensorBoard', folder.tensorboard),
    ('SavedModel', _export(folder)),
  ):
    if path and path.exists():
      print(f'{name + ":":13}{path}')
  sys.stdout.flush()


def _export(folder):
  """The path of the newest SavedModel, or None."""
  version = export_lib.newest_version(folder.exports)
  return None if version is None else folder.exports / str(version)


def _sampled(folder):
  """The path of the samples from the SavedModel, without ending."""
  return folder.samples / 'from_saved_model'


def _sample_export(export, folder, num_frames):
  """Samples from the export in a process of its own."""
  done = subprocess.run(
    [
      sys.executable,
      '-m',
      'train.serving.sample_export',
      f'--stem={_sampled(folder)}',
      f'--frames={num_frames}',
      '--',  # The path may begin with a dash.
      str(export),
    ],
    check=False,
    # A signal of the terminal is for this process, which ends the child.
    start_new_session=True,
  )
  if done.returncode:
    raise failures.Failure(
      'The run is trained, measured and exported, but the process that samples '
      f'from {export} {failures.how_it_ended(done.returncode)}. The same '
      'command tries again.'
    )


def evaluate(workdir, num_importance_samples, which, data_dir):
  """Measures a run's checkpoint again."""
  metrics, config = loading.evaluate_run(
    workdir, num_importance_samples, which, data_dir
  )
  print(systems.of(config).format_table(metrics))


def sample(
  workdir,
  labels,
  num_frames,
  temperatures,
  min_p,
  seed,
  which,
  num_interpolated,
  output=None,
):
  """Samples videos from a run's checkpoint; `temperatures` are strings."""
  try:
    numbers = [float(text) for text in temperatures]
  except ValueError as e:
    raise fields.ConfigError(
      f'--temperature expects numbers, but got {temperatures}.'
    ) from e
  paths = loading.sample_run(
    workdir,
    labels,
    num_frames,
    numbers,
    seed,
    which,
    num_interpolated,
    min_p,
    output,
  )
  print('\n'.join(paths))


def export(workdir, which):
  """Exports a run's checkpoint again."""
  print(loading.export_run(workdir, which))


def inspect(config, folder, step_seconds):
  """Looks at a data set; writes inspect.html to `folder`, None: this one."""
  found, path = look.write(config, folder or '.', step_seconds)
  print(look.text(found))
  print(path)


def prepare(config, folder, runner):
  """Decodes a data set into records; `folder` None: prepared/<data set>."""
  if folder is None:
    folder = os.path.join('prepared', config.data.name.replace(':', '_'))
  print(inputs.prepare(config, folder, runner))


def ablate(preset, assignments, workdir, num_seeds, rows, jobs):
  """Trains the rows of an ablation, and writes its table."""
  paths = grid.run(preset, assignments, workdir, num_seeds, rows, jobs)
  print('\n'.join(str(path) for path in paths))


def report(workdir, which):
  """Writes the page of one run, or of several, separated by commas."""
  print(page.write(name_lists.split(workdir, os.path.isdir), which))


def pack(workdir, destination, which):
  """Copies a run without its training state."""
  if not destination:
    raise app.UsageError(
      '--mode=pack needs --output_dir, a folder that does not exist yet.'
    )
  print(pack_lib.pack_run(workdir, destination, which))


def play(workdir, host, port):
  """Serves a page of the run's newest SavedModel until a signal ends it."""
  server.check(host, port)
  player = player_lib.load(workdir)
  with server.serving(player, os.path.normpath(workdir), host, port) as url:
    print(f'{player.path} plays at {url} (Ctrl-C ends it)')
    sys.stdout.flush()
    with contextlib.suppress(interrupts.Interrupted):
      threading.Event().wait()
