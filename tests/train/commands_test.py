import contextlib
import io
import pathlib
import subprocess
from unittest import mock

from absl.testing import absltest
from absl.testing import flagsaver
from absl.testing import parameterized

from train import commands
from train import failures
from train.serving import sample_export
from train.storage import run_folder


class SampleExportTest(parameterized.TestCase):
  """The child that samples from the export when training has ended."""

  def _run(self, code, export):
    done = subprocess.CompletedProcess([], code)
    with mock.patch.object(subprocess, 'run', return_value=done) as run:
      commands._sample_export(export, run_folder.RunFolder('-dash'), 8)
    return run

  def test_a_path_with_a_dash_is_no_flag(self):
    run = self._run(0, pathlib.Path('-dash/export/1'))
    command = run.call_args[0][0]
    self.assertEqual(command[-2:], ['--', '-dash/export/1'])
    with (
      flagsaver.flagsaver(),
      mock.patch.object(sample_export, '_write_samples') as write,
    ):
      arguments = sample_export.flags.FLAGS(command[2:])
      self.assertEqual(sample_export.main(arguments), 0)
    write.assert_called_once_with('-dash/export/1')

  @parameterized.parameters(
    (2, 'failed with exit code 2'), (-9, 'was killed by SIGKILL')
  )
  def test_its_failure_is_one_line_and_says_what_is_safe(self, code, words):
    with self.assertRaisesRegex(
      failures.Failure, f'trained, measured and exported.*export/1 {words}'
    ):
      self._run(code, pathlib.Path('-dash/export/1'))

  def test_what_it_cannot_load_is_one_line(self):
    stderr = io.StringIO()
    folder = self.create_tempdir().full_path
    with contextlib.redirect_stderr(stderr):
      code = sample_export.main(['sample_export', folder])
    self.assertEqual(code, 2)
    self.assertRegex(stderr.getvalue(), f'^error: .*{folder}.*\n$')
    self.assertLen(stderr.getvalue().splitlines(), 1)


if __name__ == '__main__':
  absltest.main()
