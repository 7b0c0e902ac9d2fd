import contextlib
import io
import os

from absl import app
from absl.testing import absltest
from absl.testing import flagsaver
from absl.testing import parameterized

from train import main
from train import shapes


class MainTest(parameterized.TestCase):
  """Every error a user can put right: one line, exit code 2."""

  def _run(self, **flag_values):
    stderr = io.StringIO()
    flags = flagsaver.flagsaver(**flag_values)
    with flags, contextlib.redirect_stderr(stderr):
      code = main.main(['main'])
    return code, stderr.getvalue()

  @parameterized.named_parameters(
    ('unknown_key', {'set': ['step=3']}, 'Near ones: steps'),
    ('bad_value', {'set': ['steps=many']}, "takes int, but got 'many'"),
    ('unknown_dataset', {'dataset': 'natvidd'}, 'natvid'),
    ('folder_without_data_dir', {'dataset': 'folder'}, '--data_dir'),
    ('no_such_folder', {'dataset': 'folder', 'data_dir': '/none'}, '/none'),
    (
      'size',
      {'preset': 'smoke', 'set': ['frame_size=30']},
      'divisible by 4, but got frames of 30x30',
    ),
    ('no_run', {'mode': 'sample', 'workdir': '/none'}, 'holds no run'),
    ('workdir_is_a_file', {'workdir': __file__}, 'is a file'),
  )
  def test_error(self, flag_values, message):
    scratch = self.create_tempdir().full_path
    values = {'workdir': os.path.join(scratch, 'run'), **flag_values}
    code, stderr = self._run(**values)
    self.assertEqual(code, 2)
    self.assertLen(stderr.strip().splitlines(), 1)
    self.assertStartsWith(stderr, 'error: ')
    self.assertIn(message, stderr)

  def test_clips_longer_than_every_video(self):
    data_dir = self.create_tempdir().full_path
    shapes.write_shapes(
      data_dir,
      'shapes:motion',
      videos_per_label=3,
      num_frames=4,
      size=16,
      seed=0,
    )
    code, stderr = self._run(
      preset='smoke',
      dataset='folder',
      data_dir=data_dir,
      workdir=os.path.join(self.create_tempdir().full_path, 'run'),
      set=['num_frames=5', 'valid_fraction=0.4'],
    )
    self.assertEqual(code, 2)
    self.assertIn('num_frames=5 is longer than every clip', stderr)
    self.assertLen(stderr.strip().splitlines(), 1)

  def test_empty_data_folder(self):
    code, stderr = self._run(
      dataset='folder',
      data_dir=self.create_tempdir().full_path,
      workdir=os.path.join(self.create_tempdir().full_path, 'run'),
    )
    self.assertEqual(code, 2)
    self.assertIn('empty', stderr)

  def test_label_without_a_video_that_decodes(self):
    root = self.create_tempdir()
    for label in ('cat', 'dog'):
      for i in range(8):
        root.create_file(f'{label}/{i}.mp4', content='no video')
    code, stderr = self._run(
      dataset='folder',
      data_dir=root.full_path,
      workdir=os.path.join(self.create_tempdir().full_path, 'run'),
      set=['valid_fraction=0.4'],
    )
    self.assertEqual(code, 2)
    self.assertIn('cat, dog', stderr)
    self.assertLen(stderr.strip().splitlines(), 1)

  def test_positional_arguments_are_refused(self):
    with self.assertRaises(app.UsageError):
      main.main(['main', 'train'])


if __name__ == '__main__':
  absltest.main()
