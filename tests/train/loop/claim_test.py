"""Tests of session.py: who writes into a run's folder, and from when on."""

import contextlib
import pathlib
from unittest import mock

from absl.testing import absltest
import numpy as np

from train.config import overrides
from train.config import presets
from train.data.records import records
from train.loop import session
from train.loop import workers
from train.storage import files
from train.storage import run_folder


def _write_records(folder):
  """Prepared frames of 16x16, with two records that are too short."""
  parts, rng = {}, np.random.default_rng(0)
  for part in records.PARTS:
    made = [
      records.encode(
        rng.integers(0, 256, [n, 16, 16, 3], np.uint8), 0, f'{part}/{n}'
      )
      for n in (8, 2)
    ]
    file = records.shard_file(part, 0, 1)
    parts[part] = (records.write_shard(folder, file, made),)
  records.write_index(
    records.Index(folder, 'x', ('cat',), 16, 3, {}, 'raw', '', 0, parts)
  )


class ClaimTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.create_tempdir().full_path)
    (root / 'records').mkdir()
    _write_records(str(root / 'records'))
    self.config = overrides.override(
      presets.PRESETS['smoke'],
      ['data=tfrecord', f'data.data_dir={root}/records', 'data.frame_size=16'],
    )
    self.folder = run_folder.RunFolder(root / 'run')

  def _start(self, is_chief=True):
    """What `session.train` does before it trains."""
    with contextlib.ExitStack() as stack:
      for patch in (
        mock.patch.object(session._Training, 'run'),
        mock.patch.object(workers.Workers, 'is_chief', is_chief),
      ):
        stack.enter_context(patch)
      session.train(self.config, self.folder.path)

  def test_the_chief_names_short_records(self):
    self._start(is_chief=False)
    self.assertFalse(self.folder.skipped_log.exists())
    self._start()
    (line,) = self.folder.skipped_log.read_text().splitlines()
    self.assertIn('train/2', line)

  def test_a_run_that_is_refused_writes_nothing(self):
    self.folder.create()
    self.folder.claim(overrides.override(self.config, ['seed=3']))
    (self.folder.checkpoints / 'step_00000001').mkdir()
    with self.assertRaisesRegex(files.RunFolderError, 'with another config'):
      self._start()
    self.assertFalse(self.folder.skipped_log.exists())


if __name__ == '__main__':
  absltest.main()
