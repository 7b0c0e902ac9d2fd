"""Tests of the numbers of a run."""

import unittest.mock

from absl.testing import parameterized
import tensorflow as tf

from train.config import configs
from train.config import fields
from train.config import overrides
from train.config import presets
from train.data import inputs as inputs_lib
from train.evaluation import measuring
from train.evaluation import published
from train.samples import continuations
from train.storage import run_folder
from train.systems.flow import models


class MeasuringTest(tf.test.TestCase, parameterized.TestCase):
  def _measure(self, *assignments, rows=(), **kwargs):
    config = overrides.override(
      presets.PRESETS['smoke'],
      [
        f'data.data_dir={self.create_tempdir().full_path}',
        'data.videos_per_label=5',
        'data.valid_fraction=0.4',
        'run.batch_size=9',  # Of 27: a smaller last batch is traced again.
        *assignments,
      ],
    )
    folder = run_folder.RunFolder(self.create_tempdir().full_path)
    for row in rows:
      folder.append_metrics('eval', 2, **row)
    inputs = inputs_lib.make_inputs(
      inputs_lib.resolve(configs.check(config)), folder.skipped_log
    )
    model = models.build_model(config, len(inputs.label_names))
    metrics = measuring.measure(
      model.flow, config, 2, inputs, folder, 1, **kwargs
    )
    return metrics, folder

  def test_means_are_those_of_the_clips_scores(self):
    metrics, folder = self._measure('run.quality_samples=0', 'run.batch_size=4')
    scores = folder.read_arrays('scores.npz')
    for part in ('head', 'tail'):
      self.assertAllClose(metrics[f'{part}_bits_per_dim'], scores[part].mean())
    self.assertEqual(metrics['step'], 2)
    self.assertNotIn('continuation_psnr_mean_of_samples', metrics)

  def test_published_numbers_of_the_same_frames(self):
    keys = {'data': 'shapes', 'data.frame_size': 16}
    number = {'title': 'theirs', 'part': 'head', 'bits_per_dim': 1.0}
    with unittest.mock.patch.object(
      published, 'NUMBERS', ({**number, 'keys': keys},)
    ):
      metrics, _ = self._measure('model.tail=none', 'run.quality_samples=0')
    self.assertEqual(metrics['published'], [number])

  @parameterized.parameters('head', 'tail')
  def test_one_part_alone(self, part):
    other = {'head': 'tail', 'tail': 'head'}[part]
    metrics, _ = self._measure(f'model.{other}=none', 'run.quality_samples=1')
    self.assertIsNone(metrics[f'{other}_bits_per_dim'])
    self.assertEqual(
      'continuation_psnr_mean_of_samples' in metrics, part == 'tail'
    )
    self.assertTrue(metrics['is_exact'])

  def test_seconds_are_a_sum_over_sessions(self):
    rows = [
      {'session': 1.0, 'seconds': 50.0},
      {'session': 1.0, 'seconds': 100.0},
      {'session': 2.0, 'seconds': 101.0},
      {'session': 3.0, 'seconds': 7.0},
    ]
    metrics, _ = self._measure(
      'model.tail=none', 'run.quality_samples=0', rows=rows
    )
    self.assertEqual(metrics['seconds'], 208.0)

  def test_tighter_bound_of_legacy_frames_is_refused_before_all_else(self):
    with self.assertRaisesRegex(fields.ConfigError, 'legacy'):
      self._measure('model.dequantisation=legacy', num_importance_samples=2)

  def test_bound_of_one_draw_is_the_mean(self):
    metrics, _ = self._measure(
      'model.tail=none', 'run.quality_samples=0', num_importance_samples=1
    )
    self.assertEqual(metrics['num_importance_samples'], 1)
    self.assertAllClose(
      metrics['head_bits_per_dim_iw'], metrics['head_bits_per_dim'], rtol=1e-6
    )
    self.assertIsNone(metrics['tail_bits_per_dim_iw'])

  def test_inexact_model_is_reported(self):
    with unittest.mock.patch.object(continuations, 'is_exact') as is_exact:
      is_exact.return_value = False
      with self.assertLogs(level='WARNING'):
        metrics, _ = self._measure('model.tail=none', 'run.quality_samples=1')
    self.assertFalse(metrics['is_exact'])


if __name__ == '__main__':
  tf.test.main()
