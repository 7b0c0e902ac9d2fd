import contextlib
import errno
import io
import os
import subprocess
import sys
from unittest import mock

from absl import app
from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train import errors
from train import failures
from train.loop import interrupts


def _os_error(code, path=None):
  return OSError(code, os.strerror(code), path)


def _in_tf_data(error):
  """What tf.data makes of an error of a Python function."""

  def fail(_):
    raise error

  dataset = tf.data.Dataset.range(1).map(
    lambda i: tf.numpy_function(fail, [i], tf.int64)
  )
  try:
    list(dataset)
  except tf.errors.OpError as e:
    return e


def _raised(function):
  try:
    function()
  except Exception as e:
    return e


class DescribeTest(parameterized.TestCase):
  @parameterized.parameters(
    (_os_error(errno.ENOSPC, '/a/b'), '/a/b: the disk is full .*Make room'),
    (_os_error(errno.EIO, '/a/b'), '/a/b: Input/output .*Check the disk'),
    (_os_error(errno.EROFS, b'/a\xff'), 'read-only'),
    (OSError('1000 requested and 0 written'), '0 written'),
    (MemoryError('Unable to allocate 3 GiB'), 'memory .*3 GiB.*batch_size'),
    (RuntimeError("can't start new thread"), 'No more threads'),
    (np.linalg.LinAlgError('no SVD'), 'no SVD.*learning_rate'),
    (UnicodeDecodeError('utf-8', b'ab\xe9', 2, 3, 'end'), 'byte 2 is 0xe9'),
    (
      UnicodeEncodeError('ascii', 'label é', 6, 7, 'no'),
      r"'label \\xe9' cannot be written as ascii.*PYTHONUTF8",
    ),
    (
      subprocess.CalledProcessError(-9, ['a', 'b']),
      'by SIGKILL.*memory.*: a b',
    ),
    (subprocess.CalledProcessError(-40, 'a'), 'by signal 40'),
    (
      tf.errors.ResourceExhaustedError(
        None, None, '/a/b.data; No space left on device [Op:SaveV2]'
      ),
      '^Cannot use /a/b.data: the disk is full',
    ),
    (
      tf.errors.UnknownError(None, None, '/a/b; Input/output error'),
      '/a/b: Input/output error, EIO',
    ),
    (
      tf.errors.ResourceExhaustedError(
        None, None, 'OOM when allocating tensor with shape[8]'
      ),
      'The memory is used up .*shape.8',
    ),
    (
      tf.errors.InternalError(None, None, 'CUDA_ERROR: out of memory'),
      'The memory is used up',
    ),
    (
      tf.errors.DataLossError(None, None, 'corrupted record at 12'),
      'damaged .*at 12.*copy',
    ),
    (
      tf.errors.UnavailableError(None, None, 'failed to connect'),
      'does not answer',
    ),
  )
  def test_known(self, error, words):
    self.assertRegex(failures.describe(error), words)

  @parameterized.parameters(
    (_os_error(errno.ENOSPC, '/a/b c'), '^Cannot use /a/b c: the disk is full'),
    (UnicodeEncodeError('ascii', 'é', 0, 1, 'no'), 'A text or name'),
    (MemoryError('Unable to allocate 3 GiB'), 'The memory is used up'),
    (np.linalg.LinAlgError('no SVD'), 'A matrix of the model failed'),
  )
  def test_known_in_tf_data(self, error, words):
    wrapped = _in_tf_data(error)
    self.assertIsInstance(wrapped, tf.errors.OpError)
    line = failures.describe(wrapped)
    self.assertRegex(line, words)
    self.assertLen(line.splitlines(), 1)

  def test_real_errors_of_tensorflow(self):
    error = _raised(lambda: tf.io.read_file('/tmp/none'))
    self.assertRegex(failures.describe(error), '/tmp/none: .*gone.*ENOENT')

  def test_the_cause_counts_but_not_the_context(self):
    def fail(is_cause):
      try:
        raise _os_error(errno.ENOSPC, '/a')
      except OSError as e:
        if is_cause:
          raise RuntimeError('wrapped') from e
        raise RuntimeError('a fault of the program')  # noqa: B904

    self.assertIn('/a', failures.describe(_raised(lambda: fail(True))))
    self.assertIsNone(failures.describe(_raised(lambda: fail(False))))

  @parameterized.parameters(
    KeyError('x'),
    ValueError('x'),
    RuntimeError('x'),
    tf.errors.InvalidArgumentError(None, None, 'shapes differ'),
    tf.errors.InternalError(None, None, 'x'),
  )
  def test_unknown(self, error):
    self.assertIsNone(failures.describe(error))

  def test_a_fault_in_tf_data_is_unknown(self):
    self.assertIsNone(failures.describe(_in_tf_data(KeyError('x'))))


class ExitCodeTest(parameterized.TestCase):
  def _run(self, error):
    def function():
      if error is not None:
        raise error

    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr):
      code = failures.exit_code(function)
    return code, stderr.getvalue()

  @parameterized.parameters(
    (None, 0, ''),
    (errors.UserError('a\nb\u2028c'), 2, 'error: a\\nb\\u2028c\n'),
    (interrupts.Interrupted('SIGTERM'), 75, 'Stopped by SIGTERM; the same.*\n'),
    (KeyboardInterrupt(), 75, 'Stopped by SIGINT.\n'),
    (_os_error(errno.EROFS, '/a'), 2, 'error: Cannot use /a: .*\n'),
  )
  def test_one_line(self, error, code, line):
    self.assertEqual(self._run(error)[0], code)
    stderr = self._run(error)[1]
    if '.*' in line:
      self.assertRegex(stderr, f'^{line}$')
    else:
      self.assertEqual(stderr, line)
    self.assertLen(stderr.splitlines(), 1 if line else 0)

  @parameterized.parameters(app.UsageError('x'), SystemExit(3))
  def test_not_its_own(self, error):
    with self.assertRaises(type(error)):
      self._run(error)

  def test_an_unknown_error_says_where_to_report_it(self):
    error = KeyError('x')
    with self.assertRaises(KeyError):
      _, stderr = self._run(error)
    if sys.version_info >= (3, 11):
      self.assertIn('CONTRIBUTING.md', error.__notes__[0])
      self.assertIn(tf.__version__, error.__notes__[0])

  def test_nobody_reads_the_errors(self):
    stderr = mock.Mock()
    stderr.write.side_effect = BrokenPipeError
    with mock.patch.object(sys, 'stderr', stderr):
      self.assertEqual(failures.exit_code(mock.Mock(side_effect=OSError)), 2)


_PROGRAM = """
import sys
from train import failures
sys.exit(failures.exit_code(lambda: print('a \\xe9 \\udcff')))
"""


class StreamsTest(parameterized.TestCase):
  """Of a program that only prints; TensorFlow is not imported."""

  def _run(self, shell, **environment):
    return subprocess.run(
      ['bash', '-c', f'"$0" -c "$1" {shell}', sys.executable, _PROGRAM],
      env={
        **os.environ,
        **environment,
        'PYTHONPATH': os.pathsep.join(sys.path),
      },
      capture_output=True,
      check=False,
    )

  @parameterized.parameters(
    ('ascii', rb'a \xe9 \udcff'),
    ('utf-8', 'a é \\udcff'.encode()),
    ('latin-1', b'a \xe9 \\udcff'),
  )
  def test_every_text_can_be_printed(self, encoding, printed):
    done = self._run('', PYTHONIOENCODING=encoding)
    self.assertEqual((done.returncode, done.stderr), (0, b''))
    self.assertEqual(done.stdout.strip(), printed)

  @parameterized.parameters(
    ('> /dev/full', 2, b'the standard output: the disk is full'),
    ('>&-', 0, b''),
    ('2>&- >&-', 0, b''),
    ('2>&- > /dev/full', 2, b''),
  )
  def test_streams_that_are_full_or_closed(self, shell, code, words):
    done = self._run(shell)
    if code is not None:
      self.assertEqual(done.returncode, code)
    self.assertIn(words, done.stderr)
    self.assertLessEqual(len(done.stderr.splitlines()), 1)

  def test_the_reader_is_gone(self):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
      [sys.executable, '-c', _PROGRAM],
      env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
      stdout=write,
      stderr=subprocess.PIPE,
      check=False,
    )
    os.close(write)
    self.assertEqual(done.returncode, 2)
    self.assertRegex(
      done.stderr, b'^error: Cannot write to the standard output.*EPIPE.*\n$'
    )


_READER = """
import gc
import sys
import time
import numpy as np
import tensorflow as tf
from train import failures

def slow(i):
  if i > 1:
    time.sleep(0.5)
  return np.int64(i)

def run():
  numbers = tf.data.Dataset.range(99).map(
    lambda i: tf.numpy_function(slow, [i], tf.int64), num_parallel_calls=4
  )
  iterator = iter(numbers.prefetch(2))
  cycle = [iterator]  # As a loop of Keras does, it holds itself.
  cycle.append(cycle)
  next(iterator)
  raise {error}

gc.disable()  # It may come before the end, or not.
sys.exit(failures.exit_code(run))
"""


class ReaderTest(parameterized.TestCase):
  @parameterized.parameters(('KeyboardInterrupt', 75), ("TypeError('odd')", 1))
  def test_a_program_ends_while_a_data_set_is_read(self, error, code):
    done = subprocess.run(
      [sys.executable, '-c', _READER.format(error=error)],
      env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
      capture_output=True,
      check=False,
      timeout=240,
    )
    self.assertEqual(done.returncode, code, done.stderr)


if __name__ == '__main__':
  absltest.main()
