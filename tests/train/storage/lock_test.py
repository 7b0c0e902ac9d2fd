import contextlib
import errno
import fcntl
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import unittest.mock

from absl.testing import absltest

from train.storage import files
from train.storage import lock

_ROOT = pathlib.Path(__file__).resolve().parents[3]
_HOLD = """
import sys, time
from train.storage import lock
with lock.RunLock(sys.argv[1]):
  print('held', flush=True)
  sys.stdin.read()
"""


@contextlib.contextmanager
def _holder(folder):
  """A process that holds the lock until it is killed or asked to end."""
  process = subprocess.Popen(
    [sys.executable, '-c', _HOLD, str(folder)],
    cwd=_ROOT,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  try:
    assert process.stdout.readline() == 'held\n'
    yield process
  finally:
    process.kill()
    process.communicate()


class RunLockTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.file = self.folder / '.lock'

  def _assert_in_use(self, by):
    with (
      self.assertRaisesRegex(files.RunFolderError, f'in use by {by}'),
      lock.RunLock(self.folder),
    ):
      pass

  def _assert_free(self):
    with lock.RunLock(self.folder):
      holder = json.loads(self.file.read_text())
      self.assertEqual(holder['pid'], os.getpid())

  def test_another_process_has_it(self):
    with _holder(self.folder) as process:
      host = socket.gethostname()
      self._assert_in_use(rf'process {process.pid} on {host} since \d{{4}}-')
      # That neither took it away nor wrote another's name.
      self._assert_in_use(f'process {process.pid} ')
      process.communicate('')
    self._assert_free()

  def test_killed(self):
    with _holder(self.folder) as process:
      process.send_signal(signal.SIGKILL)
      process.wait()
      self.assertEqual(json.loads(self.file.read_text())['pid'], process.pid)
      self._assert_free()

  def test_file_is_removed(self):
    with _holder(self.folder):
      self.file.unlink()
      self._assert_in_use('another process')
    self._assert_free()

  def test_file_is_no_json(self):
    self.file.write_text('{"pid": 1' * 50)  # Longer than what replaces it.
    self._assert_free()
    with _holder(self.folder):
      self.file.write_text('[]')
      self._assert_in_use('another process')

  def test_same_process(self):
    with lock.RunLock(self.folder):
      self._assert_in_use(f'process {os.getpid()} ')
    self._assert_free()

  def test_a_child_does_not_keep_it(self):
    with lock.RunLock(self.folder):
      child = subprocess.Popen(['sleep', '60'], close_fds=False)
    try:
      self._assert_free()
    finally:
      child.kill()
      child.wait()

  def test_another_folder(self):
    other = self.create_tempdir().full_path
    with lock.RunLock(self.folder), lock.RunLock(other):
      pass

  def test_an_error_frees_it(self):
    with (
      contextlib.suppress(KeyError),
      lock.RunLock(self.folder),
    ):
      raise KeyError
    self._assert_free()

  def test_a_file_system_without_locks(self):
    for code, is_local in ((errno.ENOLCK, False), (errno.EIO, True)):
      error = OSError(code, os.strerror(code))
      with (
        self.subTest(errno.errorcode[code]),
        unittest.mock.patch.object(fcntl, 'flock', side_effect=error),
      ):
        with self.assertRaisesRegex(OSError, os.strerror(code)):
          lock.take(0, is_needed=True)
        if is_local:
          with self.assertRaisesRegex(OSError, os.strerror(code)):
            lock.take(0)
        else:
          lock.take(0)

  def test_a_folder_on_nfs(self):
    flock = fcntl.flock

    def of_files(descriptor, operation):
      if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
      flock(descriptor, operation)

    with (
      _holder(self.folder),
      unittest.mock.patch.object(fcntl, 'flock', of_files),
    ):
      self._assert_in_use('process')

  def test_a_child_s_output_holds_it(self):
    path = self.folder / 'log.txt'
    with open(path, 'a') as log:
      lock.take(log)
      child = subprocess.Popen(['sleep', '60'], stdout=log)
    try:
      with open(path, 'a') as log, self.assertRaises(BlockingIOError):
        lock.take(log)
    finally:
      child.kill()
      child.wait()
    with open(path, 'a') as log:
      lock.take(log)

  def test_no_folder(self):
    with (
      self.assertRaisesRegex(files.RunFolderError, 'Cannot lock .*ENOENT'),
      lock.RunLock(self.folder / 'none'),
    ):
      pass


if __name__ == '__main__':
  absltest.main()
