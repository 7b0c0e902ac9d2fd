import json
import pathlib

from absl.testing import absltest
import numpy as np

from train import errors
from train.config import presets
from train.report import run_data
from train.storage import files
from train.storage import run_folder


class RunDataTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = run_folder.RunFolder(self.create_tempdir().full_path)
    self.folder.create()
    self.config = presets.PRESETS['smoke']

  def test_an_empty_run(self):
    self.folder.claim(self.config)
    run = run_data.read(self.folder.path)
    self.assertEqual(run.step, 0)
    self.assertFalse(run.is_finished)
    self.assertEqual((run.metrics, run.rows, run.problems), ({}, [], ()))

  def test_a_finished_run(self):
    self.folder.claim(self.config)
    self.folder.append_metrics('train', 4, loss=1.0)
    self.assertEqual(run_data.read(self.folder.path).step, 4)
    self.folder.write_metrics({'step': self.config.run.steps})
    self.folder.write_arrays('scores.npz', {'head': np.ones(3)})
    run = run_data.read(self.folder.path)
    self.assertTrue(run.is_finished)
    self.assertLen(run.scores['head'], 3)

  def test_damaged_files_are_named(self):
    self.folder.claim(self.config)
    self.folder.metrics_file.write_text('{"step": 6')
    self.folder.scores_file.write_bytes(b'no zip')
    run = run_data.read(self.folder.path)
    self.assertEqual(run.metrics, {})
    self.assertLen(run.problems, 2)
    self.assertStartsWith(run.problems[0], 'metrics.json cannot be read')

  def test_no_run(self):
    with self.assertRaisesRegex(files.RunFolderError, 'holds no run'):
      run_data.read(self.folder.path)

  def test_ablation(self):
    path = pathlib.Path(self.folder.path)
    self.assertIsNone(run_data.read_ablation(path))
    values = {'rows': [], 'histograms': {}, 'untrained': {}}
    (path / 'ablation.json').write_text(json.dumps(values))
    self.assertEqual(run_data.read_ablation(path), values)
    for text, message in (
      ('{', 'not valid JSON'),
      ('[]', 'must be an object'),
      ('{}', '`rows` to be a list'),
      (json.dumps({**values, 'rows': [3]}), 'row 1: expected `name` to be'),
    ):
      (path / 'ablation.json').write_text(text)
      with self.assertRaisesRegex(errors.UserError, message):
        run_data.read_ablation(path)


if __name__ == '__main__':
  absltest.main()
