"""Tests of worker_pool.py: what goes wrong in a task costs that task."""

import functools
import math
import operator
import os
import signal
import subprocess
import sys
import time

from absl.testing import absltest

from train.data.records import worker_pool

# Runs the task itself. Of the standard library, so that a worker starts at
# once: neither this file nor TensorFlow is imported.
CALL = operator.methodcaller('__call__')
DIE = functools.partial(signal.raise_signal, signal.SIGSEGV)
EXIT = functools.partial(os._exit, 3)
FAIL = functools.partial(int, 'x')
SLEEP = functools.partial(time.sleep, 60)


def root(x):
  return functools.partial(math.sqrt, x)


def results(tasks, num_workers=2, max_seconds=None):
  with worker_pool.WorkerPool(CALL, num_workers, max_seconds) as pool:
    return [result for _, result in pool.map(tasks)]


class WorkerPoolTest(absltest.TestCase):
  def assert_crash(self, result, message):
    self.assertIsInstance(result, worker_pool.WorkerCrash)
    self.assertIn(message, str(result))

  def test_results_come_in_the_order_of_the_tasks(self):
    slow = functools.partial(time.sleep, 0.3)
    tasks = [slow] + [root(k * k) for k in range(20)]
    with worker_pool.WorkerPool(CALL, 3) as pool:
      pairs = list(pool.map(tasks))
      self.assertEqual([r for _, r in pairs], [None, *range(20)])
      self.assertIs(pairs[3][0], tasks[3])
      self.assertEqual([r for _, r in pool.map([root(4)])], [2.0])
      self.assertEmpty(list(pool.map([])))

  def test_an_exception_is_a_result(self):
    one, error, two = results([root(1), FAIL, root(4)])
    self.assertEqual((one, two), (1, 2))
    self.assertIsInstance(error, ValueError)
    self.assertIn("'x'", str(error))

  def test_a_result_that_cannot_be_sent_is_an_error(self):
    (error,) = results([functools.partial(open, os.devnull)], num_workers=1)
    self.assertIsInstance(error, TypeError)

  def test_a_worker_that_dies_costs_its_task(self):
    tasks = [root(1), DIE, root(4), DIE, EXIT, root(9)]
    one, died, two, died_too, left, three = results(tasks)
    self.assertEqual((one, two, three), (1, 2, 3))
    self.assert_crash(died, 'signal 11')
    self.assert_crash(died_too, 'signal 11')
    self.assert_crash(left, 'exited with code 3')

  def test_a_task_that_takes_too_long_is_given_up(self):
    start = time.monotonic()
    one, late, two = results([root(1), SLEEP, root(4)], max_seconds=1.0)
    self.assertLess(time.monotonic() - start, 30)
    self.assertEqual((one, two), (1, 2))
    self.assert_crash(late, 'takes too long')

  def test_takes_a_bounded_number_of_tasks_ahead(self):
    taken = []

    def tasks():
      for k in range(100):
        taken.append(k)
        yield root(k)

    with worker_pool.WorkerPool(CALL, 2) as pool:
      results = pool.map(tasks())
      for _ in range(10):
        next(results)
      self.assertBetween(len(taken), 10, 14)
      results.close()

  def test_can_be_used_again_after_it_was_left_in_the_middle(self):
    with worker_pool.WorkerPool(CALL, 1) as pool:
      for _, result in pool.map([root(1), SLEEP]):
        self.assertEqual(result, 1)
        break
      self.assertEqual([r for _, r in pool.map([root(4)])], [2])

  def test_a_worker_that_cannot_start_is_no_crash_of_a_task(self):
    with self.assertRaisesRegex(ValueError, 'at least one'):
      worker_pool.WorkerPool(CALL, 0)
    pool = worker_pool.WorkerPool(CALL, 1)
    pool._payload = b'cno_such_module\nname\n.'  # pylint: disable=protected-access
    with pool, self.assertRaises(ImportError):
      list(pool.map([root(1)]))

  def test_no_worker_survives_its_parent(self):
    for number in (signal.SIGKILL, signal.SIGINT):
      script = self.create_tempfile(
        content='\n'.join(
          [
            'import functools, multiprocessing, operator, os, signal, time',
            'from train.data.records import worker_pool',
            'if __name__ == "__main__":',
            # A shell's background jobs ignore it.
            '  signal.signal(signal.SIGINT, signal.default_int_handler)',
            '  call = operator.methodcaller("__call__")',
            '  pool = worker_pool.WorkerPool(call, 2)',
            '  tasks = [os.getpid] + 3 * [functools.partial(time.sleep, 60)]',
            '  for _, pid in pool.map(tasks):',
            '    time.sleep(0.3)',
            '    for child in multiprocessing.active_children():',
            '      print(child.pid, flush=True)',
            '    print("end", flush=True)',
          ]
        )
      ).full_path
      paths = os.pathsep.join(path for path in sys.path if path)
      parent = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, 'PYTHONPATH': paths},
      )
      pids = [int(pid) for pid in iter(parent.stdout.readline, 'end\n')]
      self.assertLen(pids, 2)
      parent.send_signal(number)
      parent.wait()
      parent.stdout.close()
      deadline = time.monotonic() + 10
      while any(is_running(pid) for pid in pids):
        self.assertLess(time.monotonic(), deadline)
        time.sleep(0.05)


def is_running(pid):
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  try:
    with open(f'/proc/{pid}/stat', encoding='utf-8') as f:
      return f.read().rpartition(')')[2].split()[0] != 'Z'
  except OSError:
    return False


if __name__ == '__main__':
  absltest.main()
