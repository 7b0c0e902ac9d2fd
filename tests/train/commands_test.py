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
from train.config import presets
from train.evaluation import held_out_table
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


class FinishedTest(parameterized.TestCase):
  """The command of a run that has ended."""

  def setUp(self):
    super().setUp()
    self.config = presets.PRESETS['smoke']
    self.folder = run_folder.RunFolder(self.create_tempdir().full_path)
    self.folder.create()
    self.folder.claim(self.config)
    self.folder.write_metrics({'step': 6, 'num_valid_clips': 90})
    for name in ('step_6_generated', 'step_6_continued', 'from_saved_model'):
      (self.folder.samples / f'{name}.gif').touch()
    (self.folder.exports / '1').mkdir(parents=True)
    self.folder.append_metrics('export', 6, version=1)

  def _train(self, strategy='default'):
    """Runs the command without the work.

    Returns:
      Names of the functions that would have worked, and the output.
    """
    stdout, called = io.StringIO(), []
    result = {'step': 6}, self.folder
    with (
      contextlib.redirect_stdout(stdout),
      mock.patch.object(
        commands.session,
        'train',
        lambda *_: called.append('train') or result,
      ),
      mock.patch.object(
        commands, '_sample_export', lambda *_: called.append('sample')
      ),
      mock.patch.object(
        held_out_table, 'format_table', lambda metrics: f'TABLE {metrics}'
      ),
    ):
      commands.train(self.config, str(self.folder.path), None, strategy)
    return called, stdout.getvalue()

  def test_does_nothing_again_and_shows_the_results(self):
    with self.assertLogs('absl', 'INFO') as logs:
      called, output = self._train()
    self.assertEmpty(called)
    self.assertRegex(
      logs.records[0].getMessage(), 'is finished: all 6 steps.*--mode=evaluate'
    )
    self.assertIn("TABLE {'step': 6, 'num_valid_clips': 90}", output)
    for path in (self.folder.samples, self.folder.exports / '1'):
      self.assertIn(str(path), output)

  def test_workers_look_together(self):
    self.assertIn('train', self._train('multi_worker')[0])

  def test_an_interrupted_end_is_made_again(self):
    self.folder.metrics_file.unlink()
    self.assertEqual(self._train()[0], ['train', 'sample'])

  def test_samples_of_the_export_that_are_missing(self):
    (self.folder.samples / 'from_saved_model.gif').unlink()
    self.assertEqual(self._train()[0], ['sample'])


if __name__ == '__main__':
  absltest.main()
