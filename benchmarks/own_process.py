"""Measurements in separate processes, and the memory that a process used."""

import json
import os
import subprocess
import sys

__all__ = ['reset_peak', 'run_again', 'status_bytes']


def run_again(*arguments):
  """Runs this program once more, with its own flags and further ones.

  Args:
    *arguments: `str`s, flags.

  Returns:
    Its last line of output, parsed as JSON.

  Raises:
    RuntimeError: if it fails, with the end of its output.
  """
  command = [sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]]
  done = subprocess.run(
    [*command, *arguments], capture_output=True, text=True, check=False
  )
  if done.returncode:
    raise RuntimeError(f'{" ".join(arguments)} failed:\n{done.stderr[-2000:]}')
  return json.loads(done.stdout.splitlines()[-1])


def status_bytes(key, process='self'):
  """A field of Linux's record of a process: VmRSS, or VmHWM, the peak."""
  with open(f'/proc/{process}/status', encoding='ascii') as f:
    rows = dict(line.split(':', 1) for line in f)
  return int(rows[key].split()[0]) * 1024


def reset_peak():
  """Resets the peak to the memory in use now."""
  with open('/proc/self/clear_refs', 'w', encoding='ascii') as f:
    f.write('5')
