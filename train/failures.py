"""Errors of the system and of libraries, in one line for the user.

`describe` knows full and broken disks, memory that is used up, text that cannot
be encoded, matrices that have overflowed, and children that failed, also where
TensorFlow or tf.data have wrapped them. `exit_code` runs a program: what
`describe` knows ends it with a line, anything else keeps its traceback.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import os
import re
import signal
import subprocess
import sys

from absl import app
from absl import logging
import numpy as np

from train import errors
from train import shown_text

__all__ = [
  'Failure',
  'OutputError',
  'describe',
  'describe_os_error',
  'exit_code',
  'how_it_ended',
  'open_streams',
  'printable',
  'signal_name',
  'words_of_system',
]

# What an error of the system means, and what to do about it.
_REASONS = {
  errno.EACCES: ('no permission', 'Allow it, or use another folder'),
  errno.EDQUOT: ('the quota is used up', 'Make room'),
  errno.EFBIG: ('the file is larger than is allowed', 'Raise `ulimit -f`'),
  errno.EIO: (None, 'Check the disk, or use another one'),
  errno.EISDIR: ('it is a folder', 'Move it away'),
  errno.EMFILE: ('too many files are open', 'Raise `ulimit -n`'),
  errno.ENAMETOOLONG: ('the name is too long', 'Use a shorter one'),
  errno.ENFILE: ('too many files are open', 'Close other programs'),
  errno.ENOENT: ('the file or its folder is gone', 'Put it back'),
  errno.ENOMEM: ('the memory is used up', 'Close other programs'),
  errno.ENOSPC: ('the disk is full', 'Make room'),
  errno.ENOTDIR: ('a part of the path is a file', 'Use another path'),
  errno.EPERM: ('no permission', 'Allow it, or use another folder'),
  errno.EPIPE: ('the reader is gone', 'Let it read to the end'),
  errno.EROFS: ('the file system is read-only', 'Use another folder'),
  errno.ESTALE: ('the network file system lost it', 'Mount it again'),
}
_IN_PYTHON = re.compile(r'\b(\w+Error): (.*)')
_OS_ERROR = re.compile(r"\[Errno (\d+)\] [^:\n]*(?:: '(.*?)')?")
_NO_MEMORY = re.compile(
  '(?i)OOM when allocating|out of memory|unable to allocate'
  '|failed to allocate|cannot allocate memory|^MemoryError'
)
_MEMORY_ADVICE = (
  'Close other programs, or use smaller batches (run.batch_size), frames or '
  'models'
)
_MATRIX_ADVICE = (
  'The weights have overflowed, or are not finite: use an earlier checkpoint '
  '(--checkpoint=best), or train with a lower optimiser.learning_rate'
)


class Failure(errors.UserError):
  """A failure of the system or of a library, in words."""


class OutputError(Failure, OSError):
  """The standard output cannot be written."""


def describe_os_error(error):
  """Describes an `OSError`, with the system's message: `str`."""
  words = f'{error.strerror or error}'
  if error.errno in errno.errorcode:
    words += f', {errno.errorcode[error.errno]}'
  reason, _ = _REASONS.get(error.errno, (None, None))
  return f'{reason} ({words})' if reason else words


def describe(error):
  """What failed, where, and what to do: `str`, or None for an unknown error.

  The causes of an error (`raise ... from`) are looked at, too.

  Args:
    error: An exception.
  """
  while error is not None:
    words = _describe_one(error)
    if words is not None:
      return words
    error = error.__cause__
  return None


def words_of_system(error):
  """Describes an `OSError`, or what TensorFlow made of one; or None."""
  found = _os_error(error)
  return None if found is None else describe_os_error(found)


def _describe_one(error):
  system = _os_error(error)
  if system is not None:
    return _of_system(system)
  if isinstance(error, UnicodeError):
    return _of_text(error)
  if isinstance(error, subprocess.CalledProcessError):
    command = error.cmd if isinstance(error.cmd, str) else ' '.join(error.cmd)
    return f'A child {how_it_ended(error.returncode)}: {command}.'
  if isinstance(error, MemoryError):
    return f'The memory is used up ({error!r}). {_MEMORY_ADVICE}.'
  if isinstance(error, np.linalg.LinAlgError):
    return f'A matrix of the model failed ({error}). {_MATRIX_ADVICE}.'
  if isinstance(error, RuntimeError) and 'start new thread' in str(error):
    return f'No more threads ({error}). Close other programs; see `ulimit -u`.'
  return _of_tensorflow(error)


def _of_tensorflow(error):
  text = _op_message(error)
  if text is None:
    return None
  name, words = _in_python(text)
  if _NO_MEMORY.search(text.partition('Traceback')[0]) or name == 'MemoryError':
    return f'The memory is used up ({words}). {_MEMORY_ADVICE}.'
  if name == 'LinAlgError':
    return f'A matrix of the model failed ({words}). {_MATRIX_ADVICE}.'
  if name in ('UnicodeEncodeError', 'UnicodeDecodeError'):
    return f'A text or name cannot be used ({words}). Rename it, in ASCII.'
  kind = type(error).__name__
  if kind == 'DataLossError':
    return f'A file is damaged ({words}). Put back a copy, or make it again.'
  if kind in ('UnavailableError', 'DeadlineExceededError'):
    return f'A service does not answer ({words}). Is it running?'
  if kind in ('NotFoundError', 'PermissionDeniedError') and '/' in words:
    return f'A file cannot be used ({words}). Put it back, or allow it.'
  return None


def _of_system(error):
  """The words for an `OSError`."""
  _, advice = _REASONS.get(error.errno, (None, None))
  words = describe_os_error(error)
  paths = [os.fsdecode(p) for p in (error.filename, error.filename2) if p]
  # A library's text often has the path already.
  where = ' to '.join(str(p) for p in paths if str(p) not in words)
  advice = f' {advice}, then run the same command again.' if advice else ''
  return (f'Cannot use {where}: {words}.' if where else f'{words}.') + advice


def _of_text(error):
  if isinstance(error, UnicodeEncodeError):
    text = ascii(error.object[max(error.start - 20, 0) : error.end + 20])
    return (
      f'The text {text} cannot be written as {error.encoding}. Set '
      'PYTHONUTF8=1, or rename what has this name.'
    )
  if isinstance(error, UnicodeDecodeError):
    return (
      f'A text is not {error.encoding}: byte {error.start} is '
      f'0x{error.object[error.start]:02x} ({error.reason}). Save it as UTF-8.'
    )
  return f'A text or name cannot be used ({error}). Rename it, in ASCII.'


def _os_error(error):
  """The `OSError` that `error` is or that TensorFlow made of it, or None."""
  if isinstance(error, OSError):
    return error
  text = _op_message(error)
  if text is None:
    return None
  name, words = _in_python(text)
  if name is not None:
    found = _OS_ERROR.search(words)
    return found and OSError(
      int(found[1]), os.strerror(int(found[1])), found[2] or None
    )
  # TensorFlow's files: '<path>; <the system's words>'.
  for code in errno.errorcode:
    path, found, _ = text.partition(f'; {os.strerror(code)}')
    if found:
      return OSError(code, os.strerror(code), path.split('} ')[-1])
  return None


def _op_message(error):
  """The message of a TensorFlow error, or None."""
  tensorflow = sys.modules.get('tensorflow')
  if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
    return None
  return str(error.message)


def _in_python(text):
  """The error that Python code within tf.data raised: its name and words."""
  head = re.sub(r'^\{\{.*?\}\} | \[Op:.*', '', text.partition('\nTraceback')[0])
  found = _IN_PYTHON.search(head) if '\nTraceback' in text else None
  line = (head.splitlines() or [''])[0].strip()
  return (found[1], found[2]) if found else (None, line)


def how_it_ended(code):
  """Says how a process with a return code other than 0 ended: `str`."""
  if code >= 0:
    return f'failed with exit code {code}'
  hint = ' (was the memory used up?)' if -code == signal.SIGKILL else ''
  return f'was killed by {signal_name(-code)}{hint}'


def signal_name(number):
  """A signal's name: `str`."""
  try:
    return signal.Signals(number).name
  except ValueError:  # A real-time signal.
    return f'signal {number}'


def printable(text):
  """The text as one line: what cannot be seen is shown as an escape."""
  line = shown_text.visible(str(text).strip())
  return line.replace('\n', '\\n').replace('\t', '\\t')


def open_streams():
  """Lets every text be printed, and opens closed standard streams."""
  for number, name in ((0, 'stdin'), (1, 'stdout'), (2, 'stderr')):
    if getattr(sys, name) is None:
      # The next file opened would get its number.
      nothing = os.open(os.devnull, os.O_RDWR)
      if nothing != number:
        os.dup2(nothing, number)
        os.close(nothing)
      mode = 'w' if number else 'r'
      stream = os.fdopen(number, mode, encoding='utf-8', closefd=False)
      setattr(sys, name, stream)
  for stream in (sys.stdout, sys.stderr):
    if hasattr(stream, 'reconfigure'):
      stream.reconfigure(errors='backslashreplace')


def exit_code(function):
  """Calls a function and returns the exit code of the program, `int`.

  An exception with an attribute `exit_code`, such as a `UserError`, gives this
  code; a known failure gives 2. Each is shown as a line on standard error.

  Args:
    function: Function without arguments.

  Returns:
    0 if it returned and its output could be written.

  Raises:
    Exception: what is not known, with a note on where to report it.
  """
  open_streams()
  atexit.register(_end_data_sets)
  try:
    with contextlib.redirect_stdout(_Output(sys.stdout)):
      function()
      sys.stdout.flush()
    return 0
  except app.UsageError:
    raise  # `app.run` shows it.
  except KeyboardInterrupt:
    _tell('Stopped by SIGINT.')
    return 75
  except Exception as e:
    code, line = getattr(e, 'exit_code', None), str(e)
    if code is None:
      line, code = describe(e), 2
    if line is None:
      _note(e)
      raise
    logging.debug('The error in full:', exc_info=e)
  except BaseException as e:  # Not `SystemExit`.
    code, line = getattr(e, 'exit_code', None), str(e)
    if code is None:
      raise
  _tell(line if code == 75 else f'error: {line}')
  return code


def _end_data_sets():
  """Deletes iterators of data sets while Python still runs.

  An iterator's end waits for its functions that are still reading. Later, when
  the interpreter ends, these could not go on, and the process would never end.
  """
  # A traceback that was shown holds the variables of its functions.
  sys.last_type = sys.last_value = sys.last_traceback = sys.last_exc = None
  gc.collect()


class _Output:
  """Standard output; what cannot be written raises an `OutputError`."""

  def __init__(self, stream):
    self._stream = stream

  def __getattr__(self, name):
    return getattr(self._stream, name)

  def write(self, text):
    with self._reporting():
      return self._stream.write(text)

  def flush(self):
    with self._reporting():
      self._stream.flush()

  @contextlib.contextmanager
  def _reporting(self):
    try:
      yield
    except OSError as e:
      self._give_up()
      raise OutputError(
        f'Cannot write to the standard output: {describe_os_error(e)}.'
      ) from e

  def _give_up(self):
    """Sends what is left to nowhere: Python writes it again when it ends."""
    with contextlib.suppress(OSError, ValueError):
      nothing = os.open(os.devnull, os.O_WRONLY)
      os.dup2(nothing, self._stream.fileno())
      os.close(nothing)
      self._stream.flush()


def _tell(line):
  with contextlib.suppress(OSError):  # Nobody reads it.
    print(printable(line), file=sys.stderr, flush=True)


def _note(error):
  """Says below the traceback where to report an unknown error."""
  tensorflow = sys.modules.get('tensorflow')
  text = (
    'This error is not known, and probably a fault of this program. Please '
    'report it as CONTRIBUTING.md says, with all lines above, the command '
    f'and the versions: Python {sys.version.split()[0]}, TensorFlow '
    f'{getattr(tensorflow, "__version__", "not imported")}.'
  )
  if hasattr(error, 'add_note'):  # Since Python 3.11.
    error.add_note(text)
  else:
    _tell(text)
