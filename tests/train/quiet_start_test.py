import os
import pathlib
import signal
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

from train import main
from train import quiet_start

_NO_GPU = (
  b'E0000 00:00:1796007092.353143    4532 cuda_platform.cc:52] failed call to '
  b'cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)\n'
)
_ONE_DNN = (
  b'I0000 00:00:1796007090.865614    4532 port.cc:153] oneDNN custom '
  b'operations are on.\n'
)
# Writes to standard error as C++ does, within `quiet` and after it.
_PROGRAM = """
import os, signal, sys
from train import quiet_start
with quiet_start.quiet():
  os.write(2, {noise!r})
  os.write(2, b'F0000 00:00:1.5 1 a.cc:5] needs AVX512F\\n')
  sys.stderr.write('no end of line')
  if len(sys.argv) > 1:
    os.kill(os.getpid(), signal.SIGABRT)
os.write(2, b'after\\n')
os.write(2, {noise!r})
"""


class QuietStartTest(parameterized.TestCase):
  @parameterized.parameters(
    b'WARNING: All log messages before absl::InitializeLog() is called are '
    b'written to STDERR\n',
    _ONE_DNN,
    b'I0000 00:00:1796007090.866404    4532 cudart_stub.cc:31] Could not find '
    b'cuda drivers on your machine, GPU will not be used.\n',
    b'W0000 00:00:1747000000.1    77 computation_placer.cc:177] computation '
    b'placer already registered.\n',
    b'E0000 00:00:1747000000.1    77 cuda_dnn.cc:8579] Unable to register '
    b'cuDNN factory: Attempting to register factory for plugin cuDNN when one '
    b'has already been registered\n',
  )
  def test_noise(self, line):
    for has_gpu in (False, True):
      self.assertTrue(quiet_start.is_noise(line, has_gpu))

  @parameterized.parameters(
    b'E0000 00:00:1796007121.6    4532 util.cc:131] a kernel is missing\n',
    b'F0000 00:00:1796007121.6    4532 cpu_feature_guard.cc:1] AVX512F\n',
    b'W1130 02:52:42.871419 140192587406208 warmup.py:59] No requests.\n',
    b'I1130 02:51:42.939369 140192587406208 session.py:191] Evaluating.\n',
    b'Traceback (most recent call last):\n',
    b'error: /none holds no run: there is no config.json.\n',
    b'Warning: out of memory\n',
  )
  def test_what_is_shown(self, line):
    self.assertFalse(quiet_start.is_noise(line, has_gpu=False))

  def test_no_gpu_is_an_error_only_where_there_is_one(self):
    self.assertTrue(quiet_start.is_noise(_NO_GPU, has_gpu=False))
    self.assertFalse(quiet_start.is_noise(_NO_GPU, has_gpu=True))

  def _run(self, *arguments, level='2', start=None):
    """Runs `_PROGRAM`; returns its exit code and standard error."""
    root = pathlib.Path(main.__file__).parents[1]
    done = subprocess.run(
      [sys.executable, '-c', _PROGRAM.format(noise=_ONE_DNN), *arguments],
      cwd=root,
      env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': level},
      stderr=subprocess.PIPE,
      check=False,
      preexec_fn=start,
    )
    return done.returncode, done.stderr

  def test_other_lines_pass_and_nothing_is_filtered_afterwards(self):
    code, stderr = self._run()
    self.assertEqual(code, 0)
    self.assertEqual(
      stderr,
      b'F0000 00:00:1.5 1 a.cc:5] needs AVX512F\nno end of lineafter\n'
      + _ONE_DNN,
    )

  def test_a_parent_that_ignores_ended_children(self):
    ignore = lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    code, stderr = self._run(start=ignore)
    self.assertEqual(code, 0, stderr)
    self.assertIn(b'after\n', stderr)

  def test_the_last_words_of_a_process_that_aborts(self):
    code, stderr = self._run('abort')
    self.assertEqual(code, -signal.SIGABRT)
    self.assertStartsWith(stderr, b'F0000 00:00:1.5 1 a.cc:5] needs AVX512F\n')
    self.assertNotIn(_ONE_DNN, stderr)

  def test_the_user_may_ask_for_all_lines(self):
    _, stderr = self._run(level='0')
    self.assertEqual(stderr.count(_ONE_DNN), 2)

  def test_a_command_says_its_own_words_only(self):
    root = pathlib.Path(main.__file__).parents[1]
    environment = {k: v for k, v in os.environ.items() if k[:6] != 'TF_CPP'}
    done = subprocess.run(
      [sys.executable, '-m', 'train.main', '--mode=export', '--workdir=/none'],
      cwd=root,
      env={**environment, 'PYTHONPATH': os.pathsep.join(sys.path)},
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(done.returncode, 2)
    self.assertEqual(
      done.stderr, 'error: /none holds no run: there is no config.json.\n'
    )


if __name__ == '__main__':
  absltest.main()
