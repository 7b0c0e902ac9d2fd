import fcntl
import os
import pathlib
import sys

from absl.testing import absltest
from absl.testing import parameterized

from train.ablation import child_runs
from train.storage import files
from train.storage import reading

# A program that does what its second argument says.
_CHILD = """
import os, pathlib, sys, time
todo, workdir = sys.argv[1], pathlib.Path(sys.argv[2].partition('=')[2])
print(os.getcwd(), os.environ.get('THREADS'), flush=True)
if todo == 'refuse':
  sys.exit(print('error: no such file') or 2)
if todo == 'fail':
  raise RuntimeError('it broke')
if todo == 'die':
  os.kill(os.getpid(), 9)
if todo == 'wait':
  time.sleep(60)
if todo != 'silent':
  (workdir / 'metrics.json').write_text('{}')
"""


class ChildRunTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)

  def _child(self, todo, name='run', **kwargs):
    program = (sys.executable, '-c', _CHILD)
    return child_runs.ChildRun(self.root / name, [todo], program, **kwargs)

  def _sessions(self, name='run'):
    return reading.read_lines(self.root / name / 'sessions.jsonl')

  @parameterized.parameters(
    ('', None, 0),
    ('refuse', 'no such file', 2),
    ('fail', 'exit code 1: RuntimeError: it broke', 1),
    ('die', 'killed by SIGKILL', -9),
    ('silent', 'ended without a metrics.json', 0),
  )
  def test_says_what_went_wrong(self, todo, error, code):
    self.assertEqual(self._child(todo, facts={'jobs': 2}).run(), error)
    (session,) = self._sessions()
    self.assertEqual((session['exit_code'], session['jobs']), (code, 2))
    self.assertGreater(session['seconds'], 0)

  def test_where_it_runs(self):
    os.environ.pop('THREADS', None)
    self._child('').run()
    self._child('', cwd=self.root, environment={'THREADS': '3'}).run()
    log = (self.root / 'run' / 'log.txt').read_text()
    here, there = os.getcwd(), self.root.resolve()
    self.assertEqual(log, f'{here} None\n{there} 3\n')

  def test_one_process_a_run(self):
    (self.root / 'run').mkdir()
    with open(self.root / 'run' / 'log.txt', 'a') as log:
      fcntl.flock(log, fcntl.LOCK_EX)
      with self.assertRaisesRegex(files.RunFolderError, 'another process'):
        self._child('').run()
    self.assertIsNone(self._child('').run())

  def test_its_output_holds_the_lock(self):
    child = self._child('wait')
    child.start()
    try:
      with self.assertRaisesRegex(files.RunFolderError, 'another process'):
        self._child('').start()
      self.assertTrue(child.is_running)
    finally:
      child.terminate()
    self.assertEqual(child.finish(), 'killed by SIGTERM')

  def test_all_run_whatever_fails(self):
    ends = []
    children = {
      'a': self._child('fail', 'a'),
      'b': child_runs.ChildRun(self.root / 'b', [], ['/none/python']),
      'c': self._child('', 'c'),
    }
    failures = child_runs.run_all(children, 2, lambda *end: ends.append(end))
    self.assertEqual(list(failures), ['b', 'a'])
    self.assertIn('No such file', failures['b'])
    self.assertSameElements(ends, [('c', None), *failures.items()])

  def test_a_child_that_does_not_end_is_killed(self):
    child = self._child('wait')
    child.start()
    self.assertEqual(child.finish(max_seconds=0.01), 'killed by SIGKILL')


if __name__ == '__main__':
  absltest.main()
