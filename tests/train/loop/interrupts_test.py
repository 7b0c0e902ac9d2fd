import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
from unittest import mock

import tensorflow as tf

from train import failures
from train.loop import interrupts

_ROOT = pathlib.Path(failures.__file__).parents[1]
_PROGRAM = """
import sys
import time
from train.loop import interrupts
try:
  with interrupts.Interrupts() as stop, stop.deferred():
    print('ready', flush=True)
    while stop.requested is None or '{mode}' == 'deaf':
      time.sleep(0.01)
    print('saved', flush=True)
except interrupts.Interrupted as e:
  print(e, flush=True)
  sys.exit(interrupts.EXIT_CODE)
"""


def _kill(number):
  os.kill(os.getpid(), number)


class InterruptsTest(tf.test.TestCase):
  def test_raises_at_once_where_nothing_is_deferred(self):
    for number in (signal.SIGTERM, signal.SIGINT):
      with (
        self.assertRaises(interrupts.Interrupted) as raised,
        interrupts.Interrupts(),
      ):
        _kill(number)
        self.fail('Not interrupted.')
      self.assertEqual(raised.exception.reason, signal.Signals(number).name)

  def test_except_exception_does_not_swallow_it(self):
    self.assertNotIsInstance(interrupts.Interrupted('x'), Exception)

  def test_deferred_raises_at_its_end(self):
    reached = False
    with (
      self.assertRaisesRegex(interrupts.Interrupted, 'SIGTERM'),
      interrupts.Interrupts() as stop,
      stop.deferred(),
    ):
      self.assertIsNone(stop.requested)
      _kill(signal.SIGTERM)
      _kill(signal.SIGTERM)
      self.assertEqual(stop.requested, 'SIGTERM')
      reached = True
    self.assertTrue(reached)

  def test_no_signal(self):
    with interrupts.Interrupts() as stop, stop.deferred(), stop.immediate():
      pass
    self.assertIsNone(stop.requested)

  def test_immediate_within_deferred(self):
    with (
      self.assertRaises(interrupts.Interrupted),
      interrupts.Interrupts() as stop,
      stop.deferred(),
    ):
      with self.assertRaises(interrupts.Interrupted), stop.immediate():
        _kill(signal.SIGTERM)
        self.fail('Not interrupted.')
      _kill(signal.SIGTERM)  # The checkpoint is still saved.
      saved = True
    self.assertTrue(saved)

  def test_a_signal_before_is_not_lost(self):
    with interrupts.Interrupts() as stop:
      with self.assertRaises(interrupts.Interrupted):
        _kill(signal.SIGTERM)
      for context in (stop.deferred, stop.immediate):
        with self.assertRaises(interrupts.Interrupted), context():
          self.fail('Not interrupted.')

  def test_an_error_that_tensorflow_made_of_it(self):
    dataset = tf.data.Dataset.range(1).map(
      lambda _: tf.numpy_function(lambda: _kill(signal.SIGTERM), [], tf.int64)
    )
    for is_within in (False, True):
      with (
        self.assertRaises(interrupts.Interrupted),
        interrupts.Interrupts() as stop,
      ):
        if is_within:
          with stop.deferred(), stop.immediate():
            list(dataset)
        else:
          list(dataset)

  def test_a_second_sigterm_does_not_break_off_the_cleaning(self):
    cleaned = False
    with (
      self.assertRaises(interrupts.Interrupted),
      interrupts.Interrupts(),
    ):
      try:
        _kill(signal.SIGTERM)
      finally:
        _kill(signal.SIGTERM)
        cleaned = True
    self.assertTrue(cleaned)

  def test_a_second_sigterm_after_a_while_raises_again(self):
    with (
      mock.patch.object(interrupts, '_CLEANING_SECONDS', -1.0),
      self.assertRaises(interrupts.Interrupted),
      interrupts.Interrupts(),
    ):
      with contextlib.suppress(interrupts.Interrupted):
        _kill(signal.SIGTERM)
      _kill(signal.SIGTERM)
      self.fail('Not interrupted.')

  def test_other_errors_stay_themselves(self):
    with (
      self.assertRaisesRegex(ValueError, 'mine'),
      interrupts.Interrupts() as stop,
      stop.deferred(),
      stop.immediate(),
    ):
      raise ValueError('mine')

  def test_handlers_are_restored(self):
    before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    with interrupts.Interrupts():
      self.assertNotEqual(signal.getsignal(signal.SIGTERM), before[0])
    after = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    self.assertEqual(after, before)

  def test_another_thread(self):
    errors = []

    def run():
      try:
        with interrupts.Interrupts() as stop, stop.deferred():
          pass
      except BaseException as e:
        errors.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    self.assertEmpty(errors)


_ENDING = """
import sys
import time
from train import failures
from train.loop import interrupts
def run():
  with interrupts.Interrupts(ends_process=True) as stop, stop.deferred():
    print('ready', flush=True)
    while stop.requested is None:
      time.sleep(0.001)
code = failures.exit_code(run)
print('ending', flush=True)
time.sleep(1.0)
sys.exit(code)
"""


class ProgramTest(tf.test.TestCase):
  def test_a_late_sigterm_does_not_change_the_exit_code(self):
    program = self._start(_ENDING)
    program.send_signal(signal.SIGTERM)
    self.assertEqual(program.stdout.readline(), 'ending\n')
    program.send_signal(signal.SIGTERM)
    _, stderr = program.communicate(timeout=30)
    self.assertEqual(program.returncode, interrupts.EXIT_CODE)
    self.assertLen(stderr.splitlines(), 2)  # Noted, and stopped.
    self.assertNotIn('Traceback', stderr)

  def _start(self, code):
    program = subprocess.Popen(
      [sys.executable, '-c', textwrap.dedent(code)],
      cwd=_ROOT,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    self.addCleanup(program.kill)
    self.assertEqual(program.stdout.readline(), 'ready\n')
    return program

  def test_saves_and_exits_with_its_code(self):
    for number in (signal.SIGTERM, signal.SIGINT):
      program = self._start(_PROGRAM.format(mode=''))
      program.send_signal(number)
      out, err = program.communicate(timeout=60)
      self.assertEqual(program.returncode, interrupts.EXIT_CODE)
      self.assertStartsWith(out, 'saved\nStopped by SIG')
      self.assertLen(err.splitlines(), 1, err)

  def test_second_sigint_ends_it_at_once(self):
    program = self._start(_PROGRAM.format(mode='deaf'))
    program.send_signal(signal.SIGINT)
    while 'SIGINT' not in (line := program.stderr.readline()):
      self.assertNotEmpty(line)
    program.send_signal(signal.SIGINT)
    out, _ = program.communicate(timeout=60)
    self.assertEqual(program.returncode, -signal.SIGINT)
    self.assertEmpty(out)


if __name__ == '__main__':
  tf.test.main()
