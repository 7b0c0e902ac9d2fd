"""Leaves out of standard error what TensorFlow says of itself when it starts.

TensorFlow writes some lines before it knows TF_CPP_MIN_LOG_LEVEL, and calls a
machine without a GPU an error. Other lines pass, at once and also if TensorFlow
ends the process: a small process of its own filters them.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys

__all__ = ['import_tensorflow', 'is_noise', 'quiet']

_LEVEL = 'TF_CPP_MIN_LOG_LEVEL'
# Informations and warnings, which level 2 leaves out.
_BELOW_ERROR = re.compile(rb'[IW]\d{4} [\d:.]+ +\d+ [\w.-]+\.(cc|cu|h):\d+\] ')
_HEADING = re.compile(rb'WARNING: All log messages before absl::InitializeLog')
# Errors by name that are none: libraries that are linked twice, and no GPU.
_NO_ERROR = re.compile(rb'Unable to register cu(FFT|DNN|BLAS) factory')
_NO_GPU = re.compile(rb'failed call to cuInit')
_NVIDIA = ('/dev/nvidiactl', '/dev/nvidia0', '/dev/dxg')  # The last is of WSL.


def import_tensorflow():
  """Imports TensorFlow and looks for devices, without `is_noise` lines."""
  os.environ.setdefault(_LEVEL, '2')
  with quiet():
    import tensorflow as tf

    tf.config.list_physical_devices()


@contextlib.contextmanager
def quiet():
  """Within, `is_noise` lines do not appear on standard error.

  Import TensorFlow in it. It does nothing if that is imported already, because
  a process with threads should not fork, or if the user asks for more lines
  with TF_CPP_MIN_LOG_LEVEL=0 or 1.
  """
  is_wanted = os.environ.get(_LEVEL, '2') < '2'
  if is_wanted or 'tensorflow' in sys.modules or not hasattr(os, 'fork'):
    yield
    return
  try:
    kept = os.dup(2)
  except OSError:  # It is closed.
    yield
    return
  sys.stderr.flush()
  reader, writer = os.pipe()
  child = os.fork()
  if not child:
    _pass_on(reader, kept, (writer, 2))
  os.dup2(writer, 2)
  os.close(reader)
  os.close(writer)
  try:
    yield
  finally:
    sys.stderr.flush()
    os.dup2(kept, 2)  # Closes the pipe, which ends the child.
    os.close(kept)
    # A parent that ignores SIGCHLD hands that on, and there is no child left.
    with contextlib.suppress(ChildProcessError):
      os.waitpid(child, 0)


def is_noise(line, has_gpu):
  """Whether a line of TensorFlow's start is of no use to the user.

  Args:
    line: `bytes`.
    has_gpu: Python `bool`, whether the machine has a GPU of NVIDIA. If so, an
      error about it is shown.
  """
  if _BELOW_ERROR.match(line) or _HEADING.match(line) or _NO_ERROR.search(line):
    return True
  return not has_gpu and bool(_NO_GPU.search(line))


def _pass_on(reader, target, unused):
  """Copies lines until the pipe is closed, then ends this process."""
  try:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
      signal.signal(number, signal.SIG_IGN)  # They are for the program.
    for descriptor in unused:
      os.close(descriptor)
    has_gpu = any(map(os.path.exists, _NVIDIA))
    with os.fdopen(reader, 'rb') as lines:
      for line in lines:
        if not is_noise(line, has_gpu):
          os.write(target, line)
  finally:
    os._exit(0)
