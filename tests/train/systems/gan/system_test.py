"""A GAN as a run: trained, resumed, measured, sampled."""

import json
import os
import tempfile

import numpy as np
import tensorflow as tf

from train.config import configs
from train.config import fields
from train.config import overrides
from train.config import presets
from train.loop import session
from train.runs import loading
from train.runs import weights
from train.systems import systems
from train.systems.gan import models

_QUICK = [
  'run.quality_samples=0',
  'run.num_samples=0',
]


def _weights(model):
  optimizers = (model.g_optimizer, model.d_optimizer)
  slots = [v for o in optimizers for v in o.variables()]
  return [v.numpy() for v in [*model.variables, *slots]]


class SystemTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    directory = tempfile.TemporaryDirectory()
    cls.addClassCleanup(directory.cleanup)
    cls.root = directory.name
    cls.config = configs.check(
      overrides.override(
        presets.PRESETS['smoke'],
        [
          f'data.data_dir={cls.root}/data',
          'model=gan',
          'data.frame_size=8',
          'data.num_frames=3',
          'data.videos_per_label=5',
          'data.valid_fraction=0.4',
          'run.batch_size=9',  # Of 27: a smaller last batch is traced again.
          'run.steps=4',
          'run.eval_every=4',
          'run.checkpoint_every=2',
          'optimiser.ema=0.9',
          'model.num_levels=2',
          'model.base_channels=4',
          'model.num_first_view_nets=1',
          'run.quality_samples=2',
          'run.sample_frames=4',
        ],
      )
    )
    cls.workdir = os.path.join(cls.root, 'run')
    cls.metrics, cls.folder = session.train(cls.config, cls.workdir)

  def test_log_has_what_the_paper_plots(self):
    rows = [r for r in self.folder.read_metrics() if r['kind'] == 'train']
    self.assertEqual([r['step'] for r in rows], [2, 4])
    for row in rows:
      self.assertContainsSubset(
        'generated_mean generated_deviation real_mean real_deviation '
        'generator_loss discriminator_loss saturation generator_gradient_norm '
        'discriminator_gradient_norm labels_gradient_norm clips_per_second '
        'learning_rate'.split(),
        row,
      )
      self.assertGreater(row['labels_gradient_norm'], 0.0)
    self.assertNotEmpty(os.listdir(self.folder.tensorboard))
    curves = (self.folder.path / 'gan_curves.png').read_bytes()
    self.assertStartsWith(curves, b'\x89PNG')

  def test_metrics(self):
    written = json.loads(self.folder.metrics_file.read_text())
    self.assertEqual(written, self.metrics)
    self.assertTrue(written['is_exact'])
    self.assertLen(written['continuation_psnr_best_of_samples'], 2)
    table = systems.of(self.config).format_table(written)
    self.assertRegex(table, r'deviation over a frame +\d+\.\d +\d+\.\d')
    self.assertRegex(table, 'Healthy .*: (yes|no)')

  def test_samples_are_written(self):
    for kind in ('generated', 'continued'):
      path = self.folder.samples / f'step_4_{kind}.gif'
      self.assertTrue(path.exists())

  def test_resumed_is_uninterrupted(self):
    config = overrides.override(self.config, _QUICK)
    workdir = os.path.join(self.root, 'resumed')
    # The rate's two steps of warm-up are the same for any number of steps.
    _, folder = session.train(
      overrides.override(config, ['run.steps=2']), workdir
    )
    # As if it had been killed after its checkpoint.
    longer = overrides.override(folder.read_config(), ['run.steps=4'])
    folder.config_file.write_text(configs.to_json(longer))
    session.train(config, workdir)
    expected, resumed = (
      _weights(loading.load(w).model) for w in (self.workdir, workdir)
    )
    for a, b in zip(expected, resumed):
      self.assertAllEqual(a, b)

  def test_sampled_by_label(self):
    name = self.folder.read_labels()[2]
    paths = loading.sample_run(self.workdir, [name, '0'], 5, [], seed=1)
    self.assertTrue(all(map(os.path.exists, paths)))

  def test_measured_again(self):
    again, config = loading.evaluate_run(self.workdir)
    self.assertEqual(config, self.config)
    self.assertAllClose(
      again['samples']['generated_deviation'],
      self.metrics['samples']['generated_deviation'],
    )

  def test_what_is_for_flows_is_refused(self):
    with self.assertRaisesRegex(fields.ConfigError, 'export is for flows'):
      loading.export_run(self.workdir)
    with self.assertRaisesRegex(fields.ConfigError, 'interpolate is for'):
      loading.sample_run(self.workdir, [], 2, [], 1, 'newest', 3)
    with self.assertRaisesRegex(fields.ConfigError, 'a GAN has none'):
      loading.evaluate_run(self.workdir, 8)
    with self.assertRaisesRegex(fields.ConfigError, 'checkpoint=best'):
      loading.load(self.workdir, 'best')
    for wrong, message in (
      ('model.tail.frames_per_step=1', 'No such config key'),
      ('model.label_dropout=0.1', 'No such config key'),
      ('model.dequantisation=legacy', 'No such config key'),
      ('data.num_frames=1', 'num_frames of at least 2'),
      ('model.loss=wgan', "takes .*'hinge', but got 'wgan'"),
      ('model.discriminator_rate_factor=0', 'must be float, at least 1e-06'),
    ):
      with self.assertRaisesRegex(fields.ConfigError, message):
        configs.check(overrides.override(self.config, [wrong]))
    with self.assertRaisesRegex(fields.ConfigError, 'divisible by 16'):
      models.build_model(
        overrides.override(self.config, ['model.num_levels=4']), 8
      )

  def test_init_from(self):
    config = overrides.override(self.config, ['seed=5'])
    model = models.build_model(config, len(self.folder.read_labels()))
    before = [v.numpy() for v in model.generator.variables]
    weights.init_from(model, f'{self.workdir}:discriminator')
    trained = loading.load(self.workdir).model
    for a, b in zip(
      model.discriminator.variables, trained.discriminator.variables
    ):
      self.assertAllEqual(a, b)
    for a, b in zip(model.generator.variables, before):
      self.assertAllEqual(a, b)
    with self.assertRaisesRegex(fields.ConfigError, "'generator'.*:head"):
      weights.init_from(model, f'{self.workdir}:head')

  def test_generated_and_real_statistics_in_one_scale(self):
    samples = self.metrics['samples']
    scores = self.metrics['evaluation']
    self.assertAllClose(
      samples['real_deviation'] / 127.5, scores['real_deviation'], rtol=0.05
    )
    self.assertGreater(np.abs(scores['real_deviation']), 0.0)


if __name__ == '__main__':
  tf.test.main()
