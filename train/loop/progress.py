"""Shows the progress of training, on a terminal or in a log."""

import datetime
import math
import shutil
import sys
import time

from absl import logging

__all__ = ['Progress', 'format_values']

_SECONDS_BETWEEN_LINES = 60.0  # Without a terminal.

_OF_GANS = {
  'generator_loss': 'losses: generator',
  'discriminator_loss': 'discriminator',
  'generated_deviation': 'frames: deviation',
  'saturation': 'saturated',
}


def format_values(values, submodels=('head', 'tail')):
  """The numbers of a log line as short texts, the most important first.

  Args:
    values: `dict` from `str` to float, as in metrics.jsonl.
    submodels: Names of the submodels that have bits/dim.

  Returns:
    List of `str`.
  """
  parts = [
    f'{name} {values[f"{name}_bits_per_dim"]:.4f}'
    for name in submodels
    if f'{name}_bits_per_dim' in values
  ]
  if parts:
    parts[-1] += ' bits/dim'
  for name, text in _OF_GANS.items():
    if name in values:
      parts.append(f'{text} {values[name]:.3g}')
  parts.append(f'{values["clips_per_second"]:.3g} clips/s')
  parts.append(f'{values["wait_fraction"]:.0%} waiting')
  for name in ('skipped_steps', 'spikes', 'skipped_files'):
    if values.get(name):
      parts.append(f'{values[name]:.0f} {name.replace("_", " ")}')
  ending = '_gradient_norm'
  norms = {k: v for k, v in values.items() if k.endswith(ending)}
  if norms:
    texts = [f'{k[: -len(ending)]} {v:.3g}' for k, v in norms.items()]
    parts.append(f'gradients {" ".join(texts)}')
  return parts


class Progress:
  """Shows the step, the time left and numbers.

  A terminal shows them at its end, rewritten in place; lines that are logged
  meanwhile stay above. Without a terminal it logs a line a minute, and the
  first and the last step; metrics.jsonl has the other steps.
  """

  def __init__(self, initial_step, num_steps, stream=None, name='step'):
    """Starts the clock.

    Args:
      initial_step: Python `int`, steps done before.
      num_steps: Python `int`, of the whole run.
      stream: Text stream that may be a terminal; None: standard output.
      name: Python `str`, what is counted.
    """
    self._name = name
    self._num_steps = num_steps
    self._stream = sys.stdout if stream is None else stream
    self._is_terminal = self._stream.isatty()
    self._num_rows = 0  # Rows of the terminal that are rewritten next.
    self._since = (initial_step, time.perf_counter())
    self._is_shown = False
    self._line_time = -math.inf  # When the latest line was logged.
    if self._is_terminal:
      logging.get_absl_handler().addFilter(self._keep_rows)

  def show(self, step, parts):
    """Shows a step.

    Args:
      step: Python `int`.
      parts: List of `str`, to be joined.
    """
    texts = [f'{self._name} {step}/{self._num_steps}']
    if step < self._num_steps:
      texts.append(f'{self._time_left(step)} left')
    texts += parts
    if self._is_terminal:
      width = shutil.get_terminal_size().columns - 1
      self._rewrite(_wrap(texts, width))
    if not self._is_terminal:  # Or no longer.
      self._log(step, ', '.join(texts))

  def close(self):
    """Ends the rewriting; the last numbers stay on the terminal."""
    if self._is_terminal:
      self._keep_rows(None)
      logging.get_absl_handler().removeFilter(self._keep_rows)

  def _log(self, step, line):
    now = time.perf_counter()
    is_due = now - self._line_time >= _SECONDS_BETWEEN_LINES
    if is_due or step >= self._num_steps:
      self._line_time = now
      logging.info('%s', line)

  def _time_left(self, step):
    since_step, since = self._since
    now = time.perf_counter()
    if not self._is_shown:  # The first steps include the tracing.
      self._is_shown = True
      self._since = (step, now)
    seconds = (now - since) / (step - since_step) * (self._num_steps - step)
    return datetime.timedelta(seconds=round(seconds))

  def _rewrite(self, rows):
    up = f'\x1b[{self._num_rows - 1}A' if self._num_rows > 1 else ''
    erase = f'{up}\r\x1b[J' if self._num_rows else ''
    self._num_rows = len(rows)
    self._write(erase + '\n'.join(rows))

  def _keep_rows(self, record):
    """A filter of absl's handler: a logged line begins on a row of its own."""
    del record
    if self._num_rows:
      self._num_rows = 0
      self._write('\n')
    return True

  def _write(self, text):
    """Writes to the terminal, until that is gone: training goes on."""
    try:
      self._stream.write(text)
      self._stream.flush()
    except OSError:
      self._num_rows = 0
      self._is_terminal = False
      logging.get_absl_handler().removeFilter(self._keep_rows)


def _wrap(texts, width):
  """Joins texts into rows of at most `width` characters."""
  rows = ['']
  for i, text in enumerate(texts):
    text += ', ' if i + 1 < len(texts) else ''
    if rows[-1] and len(rows[-1] + text.rstrip()) > width:
      rows.append('')
    rows[-1] += text
  return [row.rstrip()[:width] for row in rows]
