"""What does each mode do if a call of the system or of a library fails?

  python benchmarks/drills/injected_errors.py --folder=/tmp/errors

Trains a small flow, and runs every mode of the program on a copy of its folder
while one kind of call fails:

  write        files cannot grow at all (RLIMIT_FSIZE), also TensorFlow's
  large_write  files cannot grow above 4 KiB
  fsync        os.fsync: an error of the disk
  rename       os.replace and os.rename: no permission
  read         files of the run, or of the data, cannot be opened
  print        standard output is /dev/full
  child        processes cannot be started
  svd          np.linalg.cond does not converge
  memory       a model, or a record, does not fit into memory
  sigterm      SIGTERM twice, while a model is built

Prints JSON: a row for each mode and kind with the exit code, the lines of
standard error that are no log, the files that were added, changed and removed,
the temporary files left, and the exit code of the same command afterwards. If
the folder did not change, that is the exit code of the command without a fault.
`is_right` says whether the exit code was 2 with one line, 75 with one line for
a signal, or 0 where the mode does without what failed; whether nothing
temporary was left; and whether the same command then ends with 0. Exits with 1
if a row is not right.
"""

import contextlib
import errno
import hashlib
import io
import json
import multiprocessing
import os
import pathlib
import resource
import shutil
import signal
import sys
import traceback
from unittest import mock

from absl import app
from absl import flags
from absl import logging
from absl.testing import flagsaver

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
_ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

import numpy as np  # noqa: E402

from train import main as program  # noqa: E402
from train.data.records import records  # noqa: E402
from train.data.sets import moving_shapes  # noqa: E402
from train.systems.flow import models  # noqa: E402

_FOLDER = flags.DEFINE_string('folder', None, 'An empty folder to work in.')
_ONLY_MODES = flags.DEFINE_list('modes', [], 'Modes to try; default: all.')
_KINDS = flags.DEFINE_list('kinds', [], 'Kinds of failures; default: all.')

_DATA = ('data.valid_fraction=0.4',)
_SETTINGS = (
  *_DATA,
  'model.tail=none',
  'run.num_samples=1',
  'run.quality_samples=0',
)


def _raising(error):
  def fail(*unused, **unused_too):
    raise error

  return fail


def _os_error(code, path=None):
  return OSError(code, os.strerror(code), path)


@contextlib.contextmanager
def _limited(num_bytes):
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def _unreadable(folder):
  """Within, Python cannot open files below `folder` to read them."""
  opened = open

  def refusing(path, mode='r', *arguments, **options):
    is_path = isinstance(path, (str, os.PathLike))
    if is_path and 'r' in mode and str(folder) in os.path.abspath(path):
      raise _os_error(errno.EACCES, str(path))
    return opened(path, mode, *arguments, **options)

  with mock.patch('builtins.open', refusing), mock.patch('io.open', refusing):
    yield


@contextlib.contextmanager
def _printing_to_a_full_disk(folder):
  del folder
  with open('/dev/full', 'w') as full, contextlib.redirect_stdout(full):
    yield


@contextlib.contextmanager
def _childless(folder):
  del folder
  before = sys.executable
  multiprocessing.set_executable('/bin/false')
  try:
    with mock.patch.object(sys, 'executable', '/bin/false'):
      yield
  finally:
    multiprocessing.set_executable(before)


@contextlib.contextmanager
def _without_memory(folder):
  del folder
  fail = _raising(MemoryError('Unable to allocate 9 GiB'))
  with (
    mock.patch.object(models, 'build_model', fail),
    mock.patch.object(records, 'encode', fail),
    mock.patch.object(os, 'cpu_count', return_value=0),  # No workers.
  ):
    yield


def _told_twice(*unused, **unused_too):
  os.kill(os.getpid(), signal.SIGTERM)
  try:
    os.kill(os.getpid(), signal.SIGTERM)
  finally:
    raise RuntimeError('Not stopped.')


def _renaming_fails(folder):
  del folder
  fail = _raising(_os_error(errno.EACCES))
  stack = contextlib.ExitStack()
  for name in ('replace', 'rename'):
    stack.enter_context(mock.patch.object(os, name, fail))
  return stack


_FAILURES = {
  'write': lambda folder: _limited(0),
  'large_write': lambda folder: _limited(4096),
  'fsync': lambda folder: mock.patch.object(
    os, 'fsync', _raising(_os_error(errno.EIO))
  ),
  'rename': _renaming_fails,
  'read': _unreadable,
  'print': _printing_to_a_full_disk,
  'child': _childless,
  'svd': lambda folder: mock.patch.object(
    np.linalg, 'cond', _raising(np.linalg.LinAlgError('SVD did not converge'))
  ),
  'memory': _without_memory,
  'sigterm': lambda folder: mock.patch.object(
    models, 'build_model', _told_twice
  ),
}
_MODES = (
  'train',
  'evaluate',
  'sample',
  'export',
  'report',
  'pack',
  'prepare',
)
# Where a kind of call is not made, and where a mode does without it.
_NOT_MADE = {
  'child': ('evaluate', 'sample', 'export', 'report', 'pack'),
  'svd': ('evaluate', 'sample', 'export', 'pack', 'prepare'),
  'sigterm': ('prepare',),
}
_DOES_WITHOUT = {('report', 'svd'), ('evaluate', 'large_write')}


def _flags_of(mode, folder):
  """The flags of a command in a cell's folder: `dict`."""
  values = {'mode': mode, 'workdir': str(folder / 'run')}
  if mode in ('train', 'prepare'):
    values.update(
      preset='smoke',
      dataset='folder',
      data_dir=str(folder.parent / 'data'),
      set=list(_SETTINGS if mode == 'train' else _DATA),
    )
  if mode in ('pack', 'prepare'):
    values['output_dir'] = str(folder / 'made')
  return values


def _command(mode, folder):
  """Runs the program; returns its exit code and standard error.

  The code is None if the error reached the user as a traceback.
  """
  stderr, handler = io.StringIO(), logging.get_absl_handler()
  with (
    flagsaver.flagsaver(**_flags_of(mode, folder)),
    contextlib.redirect_stderr(stderr),
    mock.patch.object(handler.python_handler, 'stream', io.StringIO()),
  ):
    try:
      return program.main(['main']), stderr.getvalue()
    except Exception:
      return None, stderr.getvalue() + traceback.format_exc()


def _snapshot(folder):
  """SHA-256 of every file below a folder: `dict`."""
  return {
    str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(folder.rglob('*'))
    if path.is_file() and path.name != '.lock'
  }


def _make_cell(folder, mode, name):
  """A copy of the run; for training the last checkpoint is missing."""
  cell = folder / name
  shutil.rmtree(cell, ignore_errors=True)
  shutil.copytree(folder / 'clean', cell / 'run')
  if mode == 'train':
    newest = max((cell / 'run' / 'checkpoints').glob('step_*'))
    shutil.rmtree(newest)
    for path in ('metrics.json', 'export', 'samples'):
      path = cell / 'run' / path
      shutil.rmtree(path) if path.is_dir() else path.unlink()
  return cell


def _row(folder, mode, kind, without_fault):
  cell = _make_cell(folder, mode, f'{mode}_{kind}')
  before = _snapshot(cell)
  unreadable = cell / 'run' if mode != 'prepare' else cell / 'made'
  with _FAILURES[kind](unreadable):
    code, stderr = _command(mode, cell)
  if code == 75 and kind != 'sigterm':
    raise SystemExit('Stopped.')  # The signal was for this program.
  after = _snapshot(cell)
  changed = sorted(
    n for n in {*before, *after} if before.get(n) != after.get(n)
  )
  left = [
    name
    for name in after
    if any(part[0] == '.' for part in pathlib.Path(name).parts)
    or 'tempstate' in name
  ]
  # What is packed or printed is done: the same command would be refused.
  is_done = mode == 'pack' and kind == 'print'
  again = without_fault
  if changed and not is_done:
    again, _ = _command(mode, cell)
  lines = stderr.replace(str(cell), 'CELL').strip().splitlines()
  expected = 75 if kind == 'sigterm' else 2
  codes = (0,) if (mode, kind) in _DOES_WITHOUT else (expected,)
  if kind == 'read' and mode == 'prepare':
    codes = (0, 2)  # Nothing was made yet that it could read.
  row = {
    'mode': mode,
    'failure': kind,
    'exit_code': code,
    'lines': lines,
    'added': [n for n in changed if n not in before],
    'changed': [n for n in changed if n in before and n in after],
    'removed': [n for n in changed if n not in after],
    'temporary': left,
    'again': again,
    'is_right': code in codes
    and len(lines) == (code != 0)
    and not left
    and again == 0,
  }
  shutil.rmtree(cell)
  print(json.dumps(row), file=sys.stderr, flush=True)
  return row


def _train_clean(folder):
  if not (folder / 'clean').exists():
    moving_shapes.write_shapes(
      str(folder / 'data'),
      'shapes:motion',
      videos_per_label=3,
      num_frames=6,
      size=16,
      seed=0,
    )
    code, stderr = _command('train', folder / 'first')
    if code != 0:
      raise RuntimeError(f'The run without a fault failed: {stderr}')
    (folder / 'first' / 'run').rename(folder / 'clean')


def main(argv):
  del argv
  if _FOLDER.value is None:
    raise app.UsageError('Expected --folder=<an empty folder>.')
  folder = pathlib.Path(_FOLDER.value).resolve() / 'cells'
  folder.mkdir(parents=True, exist_ok=True)
  with (
    mock.patch.object(os, 'cpu_count', return_value=1),
    contextlib.redirect_stdout(io.StringIO()),  # A limit would apply to it.
  ):
    printed = os.dup(1)
    os.dup2(2, 1)  # What children print.
    rows = list(_rows(folder))
    os.dup2(printed, 1)
  print(json.dumps(rows, indent=2))
  return 0 if all(row['is_right'] for row in rows) else 1


def _rows(folder):
  _train_clean(folder)
  for mode in _ONLY_MODES.value or _MODES:
    without_fault, _ = _command(mode, _make_cell(folder, mode, f'{mode}_none'))
    for kind in _KINDS.value or _FAILURES:
      if mode not in _NOT_MADE.get(kind, ()):
        yield _row(folder, mode, kind, without_fault)


if __name__ == '__main__':
  app.run(main)
