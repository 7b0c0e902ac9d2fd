import errno
import os
import pathlib
import shutil
import unittest.mock

from absl.testing import absltest
import numpy as np

from train.config import overrides
from train.config import presets
from train.storage import files
from train.storage import run_folder


class RunFolderTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.path = pathlib.Path(self.create_tempdir().full_path) / 'run'
    self.folder = run_folder.RunFolder(self.path)

  def test_claim_resume_and_refuse(self):
    self.folder.create()
    config = presets.PRESETS['smoke']
    self.folder.claim(config)
    self.folder.claim(config)
    other = overrides.override(config, ['run.steps=7'])
    self.folder.claim(other)  # Nothing has been trained.
    self.assertEqual(self.folder.read_config(), other)
    self.folder.claim(config)
    (self.folder.checkpoints / 'step_00000000').mkdir()
    moved = overrides.override(
      config, ['data.data_dir=/moved', 'run.profile_steps=1,2']
    )
    self.folder.claim(moved)
    self.assertEqual(self.folder.read_config(), moved)
    self.folder.claim(config)
    with self.assertRaisesRegex(
      files.RunFolderError, 'steps: 6 -> 7.*another --workdir'
    ):
      self.folder.claim(other)
    self.assertEqual(self.folder.read_config(), config)

  def test_workdir_is_a_file(self):
    self.path.write_text('')
    with self.assertRaisesRegex(files.RunFolderError, 'is a file'):
      self.folder.create()

  def test_workdir_is_not_writable(self):
    # Root may write anywhere, so the system's answer is put in its place.
    with (
      unittest.mock.patch.object(
        pathlib.Path, 'mkdir', side_effect=PermissionError(13, 'Denied')
      ),
      self.assertRaisesRegex(files.RunFolderError, 'Denied'),
    ):
      self.folder.create()

  def test_no_run(self):
    with self.assertRaisesRegex(files.RunFolderError, 'holds no run'):
      self.folder.read_config()

  def test_metrics_log_survives_a_cut_line(self):
    self.folder.create()
    self.folder.append_metrics('train', 2, loss=1.0)
    with open(self.folder.metrics_log, 'a') as f:
      f.write('{"kind": "tra')
    self.assertEqual(
      self.folder.read_metrics(), [{'kind': 'train', 'step': 2, 'loss': 1.0}]
    )

  def test_labels_round_trip(self):
    self.folder.create()
    self.folder.write_labels(('walking', 'sitting down'))
    self.assertEqual(self.folder.read_labels(), ('walking', 'sitting down'))

  def test_a_cut_line_does_not_glue(self):
    self.folder.create()
    self.folder.append_metrics('train', 2, loss=1.0)
    os.truncate(
      self.folder.metrics_log, self.folder.metrics_log.stat().st_size - 5
    )
    self.folder.append_metrics('train', 4, loss=2.0)
    self.folder.append_metrics('train', 6, loss=3.0)
    rows = self.folder.read_metrics()
    self.assertEqual([r['step'] for r in rows], [4, 6])

  def test_truncate_metrics(self):
    self.folder.create()
    self.folder.truncate_metrics(0)
    self.assertFalse(self.folder.metrics_log.exists())
    for step in (0, 2, 4, 6):
      self.folder.append_metrics('train', step)
      self.folder.append_metrics('eval', step, model='trained')
      self.folder.append_metrics('event', step, event='start')
    before = self.folder.metrics_log.read_bytes()
    self.assertLen(self.folder.read_metrics('event'), 4)
    self.assertEqual(self.folder.read_metrics('event')[-1]['event'], 'start')
    self.folder.truncate_metrics(6)
    self.assertEqual(self.folder.metrics_log.read_bytes(), before)
    with open(self.folder.metrics_log, 'ab') as f:
      f.write(b'\0\xff{"kind": "tra')
    self.folder.truncate_metrics(2)
    steps = {'train': [], 'eval': [], 'event': []}
    for row in self.folder.read_metrics():
      steps[row['kind']].append(row['step'])
    self.assertEqual(
      steps, {'train': [0, 2], 'eval': [0, 2], 'event': [0, 2, 4, 6]}
    )
    self.folder.truncate_metrics(-1)
    self.assertLen(self.folder.read_metrics(), 4)

  def test_failed_write_leaves_the_old_file(self):
    self.folder.create()
    self.folder.write_metrics({'step': 1})
    before = sorted(os.listdir(self.path))
    with (
      unittest.mock.patch.object(
        os, 'fsync', side_effect=OSError(28, 'No space')
      ),
      self.assertRaisesRegex(
        files.RunFolderError,
        'Cannot write .*metrics.json: the disk is full .No space, ENOSPC',
      ),
    ):
      self.folder.write_metrics({'step': 2})
    self.assertIn('1', self.folder.metrics_file.read_text())
    self.assertEqual(sorted(os.listdir(self.path)), before)

  def test_full_device(self):
    with self.assertRaisesRegex(files.RunFolderError, 'ENOSPC'):
      self.folder.metrics_log = pathlib.Path('/dev/full')
      self.folder.append_metrics('train', 2)

  def test_read_only(self):
    self.folder.create()
    read_only = OSError(errno.EROFS, os.strerror(errno.EROFS))
    with (
      unittest.mock.patch('builtins.open', side_effect=read_only),
      self.assertRaisesRegex(
        files.RunFolderError, 'file system is read-only .*EROFS'
      ),
    ):
      self.folder.append_metrics('train', 2)

  def test_workdir_is_removed(self):
    self.folder.create()
    shutil.rmtree(self.path)
    for write in (
      lambda: self.folder.append_metrics('train', 2),
      lambda: self.folder.write_metrics({}),
      lambda: self.folder.write_labels(['a']),
      lambda: self.folder.write_arrays('a.npz', {'a': np.zeros(1)}),
    ):
      with self.assertRaisesRegex(
        files.RunFolderError, 'its folder is gone .*ENOENT'
      ):
        write()
    self.assertFalse(self.path.exists())

  def test_not_local(self):
    folder = run_folder.RunFolder('gs://bucket/run')
    with self.assertRaisesRegex(files.RunFolderError, 'local.*is of gs'):
      folder.create()

  def test_arrays(self):
    folder = run_folder.RunFolder(self.create_tempdir().full_path)
    self.assertEqual(folder.read_arrays('start.npz'), {})
    folder.write_arrays('start.npz', {'a': np.arange(3)})
    self.assertEqual(folder.read_arrays('start.npz')['a'].tolist(), [0, 1, 2])

  def test_done_is_trained_to_its_end_with_this_config(self):
    folder = run_folder.RunFolder(self.create_tempdir().full_path)
    config = presets.PRESETS['smoke']
    config = overrides.override(config, ['data=folder'])
    chosen = overrides.override(config, ['data.decode_device=cpu'])
    self.assertFalse(folder.is_done(config))
    folder.create()
    folder.claim(chosen)
    self.assertFalse(folder.is_done(config))
    folder.write_metrics(
      {'step': config.run.steps - 1}
    )  # Measured before its end.
    self.assertFalse(folder.is_done(config))
    folder.write_metrics({'step': config.run.steps})
    self.assertTrue(folder.is_done(config))
    other = overrides.override(config, ['run.batch_size=5'])
    self.assertFalse(folder.is_done(other))


if __name__ == '__main__':
  absltest.main()
