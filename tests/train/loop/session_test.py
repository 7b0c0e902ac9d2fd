"""One small run from video files to an export, shared by the tests."""

import dataclasses
import errno
import json
import os
import pathlib
import shutil
import tempfile
import unittest.mock

import numpy as np
from PIL import Image
import tensorflow as tf

from train import errors
from train.ablation import child_runs
from train.config import fields
from train.config import overrides
from train.config import presets
from train.data import datasets
from train.data.sets import moving_shapes
from train.evaluation import measuring
from train.loop import callbacks
from train.loop import finished
from train.loop import recovery
from train.loop import session
from train.runs import loading
from train.runs import weights
from train.serving import sample_export
from train.storage import checkpoints as checkpoints_lib
from train.storage import files
from train.storage import origin
from train.storage import run_folder
from train.systems.flow import models

# Nothing but training.
_QUICK = child_runs.NUMBERS_ONLY
_METRICS = (
  'step head_bits_per_dim tail_bits_per_dim identity_head_bits_per_dim '
  'identity_tail_bits_per_dim adapted_head_bits_per_dim '
  'adapted_tail_bits_per_dim marginal_histogram_bits_per_dim '
  'previous_pixel_histogram_bits_per_dim label_accuracy num_train_clips '
  'num_valid_clips seconds'
).split()


def _weights(workdir, config):
  """The newest checkpoint's variables, optimiser slots included."""
  folder = run_folder.RunFolder(workdir)
  model = models.build_model(config, len(folder.read_labels()))
  checkpoints = checkpoints_lib.Checkpoints(
    checkpoints_lib.parts_of(model), folder.checkpoints
  )
  checkpoints.restore()
  return [v.numpy() for v in [*model.variables, *model.optimizer.variables()]]


class TrainingTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = cls.create_tempdir_path()
    moving_shapes.write_shapes(
      os.path.join(cls.root, 'data'),
      'shapes:motion',
      videos_per_label=5,
      num_frames=6,
      size=16,
      seed=0,
    )
    cls.config = overrides.override(
      presets.PRESETS['smoke'],
      [
        'data=folder',
        f'data.data_dir={cls.root}/data',
        'data.valid_fraction=0.4',  # 20 clips: no smaller last batch.
        'model.tail.previous_frames=2',
      ],
    )
    cls.workdir = os.path.join(cls.root, 'run')
    cls.metrics, cls.folder = session.train(cls.config, cls.workdir)

  @classmethod
  def create_tempdir_path(cls):
    directory = tempfile.TemporaryDirectory()
    cls.addClassCleanup(directory.cleanup)
    return directory.name

  def test_run_folder(self):
    self.assertContainsSubset(
      [
        'config.json',
        'metrics.jsonl',
        'metrics.json',
        'checkpoints',
        'export',
        'samples',
        'tensorboard',
        'labels.txt',
      ],
      os.listdir(self.workdir),
    )
    written = json.loads(self.folder.metrics_file.read_text())
    self.assertContainsSubset(_METRICS, written)
    self.assertEqual(written['step'], 6)
    self.assertGreater(written['seconds'], 0)
    rows = self.folder.read_metrics()
    self.assertEqual(
      [r['step'] for r in rows if r['kind'] == 'train'], [2, 4, 6]
    )
    self.assertNotEmpty(os.listdir(self.folder.tensorboard))
    self.assertLen(self.folder.read_labels(), 8)

  def test_it_is_finished(self):
    self.assertTrue(finished.is_finished(self.config, self.folder))

  def test_label_parameters_are_watched(self):
    rows = [r for r in self.folder.read_metrics() if r['kind'] == 'train']
    self.assertGreater(rows[-1]['labels_gradient_norm'], 0)
    self.assertGreater(rows[-1]['labels_relative_update'], 0)
    self.assertGreater(rows[-1]['labels_movement'], rows[0]['labels_movement'])

  def test_clips_scores_are_written_and_average_to_the_metrics(self):
    scores = np.load(self.folder.scores_file)
    self.assertLen(scores['label'], self.metrics['num_valid_clips'])
    for name in ('head', 'tail'):
      self.assertAllClose(
        scores[name].mean(), self.metrics[f'{name}_bits_per_dim'], atol=2e-3
      )

  def test_continuations_and_exactness_are_measured(self):
    self.assertTrue(self.metrics['is_exact'])
    # It sees two previous frames, so two are given.
    self.assertLen(self.metrics['continuation_psnr_mean_of_samples'], 4 - 2)
    self.assertLen(self.metrics['drift']['deviations'], 4 * 4 - 2)

  def test_invertibility_is_logged(self):
    rows = self.folder.read_metrics()
    (row,) = (r for r in rows if r['kind'] == 'invertibility')
    for name in ('head', 'tail'):
      self.assertLess(row[name]['round_trip_error_levels'], 0.1)
      self.assertGreaterEqual(row[name]['max_condition_number'], 1.0)

  def test_untrained_rows_lie_where_they_must(self):
    # log2(32) + log2(2 pi) / 2 + E[x^2] / (2 ln 2), 0 <= E[x^2] <= 1/4.
    self.assertBetween(self.metrics['identity_head_bits_per_dim'], 6.325, 6.507)
    self.assertLess(
      self.metrics['head_bits_per_dim'],
      self.metrics['identity_head_bits_per_dim'],
    )

  def test_samples(self):
    for kind in ('generated', 'continued'):
      path = self.folder.samples / f'step_6_{kind}.png'
      image = np.asarray(Image.open(path))
      # Two real and two drawn videos, each below a line of words.
      self.assertEqual(image.shape, (2 * 2 * (16 * 4 + 16), 4 * 16 * 4, 3))
      self.assertGreater(image.std(), 1.0)
      for ending in ('.gif', '.mp4'):
        self.assertTrue(path.with_suffix(ending).exists())

  def test_sampling_by_label_name(self):
    name = self.folder.read_labels()[3]
    gif, png, mp4 = loading.sample_run(
      self.workdir, [name, '0'], 5, [1.0], seed=1
    )
    self.assertEqual(
      np.asarray(Image.open(png)).shape, (2 * 16 * 4, 5 * 16 * 4, 3)
    )
    other = os.path.join(self.root, 'elsewhere', 'samples')
    again = loading.sample_run(
      self.workdir, [name, '0'], 5, [1.0], seed=1, output=other
    )
    self.assertEqual(
      sorted(again),
      [f'{other}/sampled_0001.{x}' for x in ('gif', 'mp4', 'png')],
    )
    for path, first in zip(again, (gif, png, mp4)):
      self.assertEqual(
        pathlib.Path(path).read_bytes(), pathlib.Path(first).read_bytes()
      )

  def test_sampling_at_several_temperatures_and_between_two(self):
    shape = (2 * 16 * 4, 3 * 16 * 4, 3)
    for values, num_rows in (
      (dict(temperatures=[0.0, 1.0]), 2),
      (dict(temperatures=[0.7], num_interpolated=4), 4),
    ):
      _, png, _ = loading.sample_run(self.workdir, ['0'], 3, seed=1, **values)
      image = np.asarray(Image.open(png))
      self.assertEqual(image.shape, (num_rows * shape[0] // 2, *shape[1:]))
      rows = np.split(image, num_rows)
      self.assertNotAllEqual(rows[0], rows[-1])
    with self.assertRaisesRegex(fields.ConfigError, 'one temperature'):
      loading.sample_run(self.workdir, [], 3, [0.1, 0.2], 1, 'newest', 4)

  def test_sampling_without_a_head(self):
    run = loading.load(self.workdir)
    model = dataclasses.replace(run.config.model, head=None)
    alone = dataclasses.replace(
      run, config=dataclasses.replace(run.config, model=model)
    )
    with (
      unittest.mock.patch.object(loading, 'load', return_value=alone),
      self.assertRaisesRegex(
        fields.ConfigError, 'trained no head.*samples has'
      ),
    ):
      loading.sample_run(self.workdir, [], 2, [], seed=1)

  def test_sampling_an_unknown_label(self):
    wrong = self.folder.read_labels()[0][:-1] + '_'
    with self.assertRaisesRegex(fields.ConfigError, wrong):
      loading.sample_run(self.workdir, [wrong], 2, [], seed=1)
    with self.assertRaisesRegex(fields.ConfigError, r'\[0, 8\)'):
      loading.sample_run(self.workdir, ['8'], 2, [], seed=1)

  def test_evaluating_again_gives_the_same_numbers(self):
    data, moved = (os.path.join(self.root, n) for n in ('data', 'moved'))
    os.rename(data, moved)
    self.addCleanup(os.rename, moved, data)
    again, _ = loading.evaluate_run(self.workdir, data_dir=moved)
    for key in ('head_bits_per_dim', 'tail_bits_per_dim', 'seconds'):
      self.assertAllClose(again[key], self.metrics[key], rtol=1e-6)

  def test_export_samples(self):
    videos = sample_export.sample(str(self.folder.exports / '1'), 3, 5)
    self.assertEqual(videos.shape, (3, 5, 16, 16, 3))
    self.assertEqual(videos.dtype, np.uint8)
    self.assertGreater(len(np.unique(videos)), 4)

  def test_resumed_run_ends_with_the_same_weights(self):
    workdir = os.path.join(self.root, 'resumed')
    config = overrides.override(self.config, _QUICK)

    class Killed(Exception):
      pass

    def on_step(logging_callback, step, logs):
      del logging_callback, logs
      if step == 4:  # One step after the checkpoint.
        raise Killed

    with (
      unittest.mock.patch.object(callbacks.Logging, 'on_step', on_step),
      self.assertRaises(Killed),
    ):
      session.train(config, workdir)
    metrics, _ = session.train(config, workdir)
    self.assertAllEqual(
      *(
        [w.tobytes() for w in _weights(d, self.config)]
        for d in (workdir, self.workdir)
      )
    )
    self.assertEqual(
      metrics['identity_head_bits_per_dim'],
      self.metrics['identity_head_bits_per_dim'],
    )

  def test_restoring_changes_no_likelihood(self):
    frames = np.random.default_rng(0).integers(0, 256, [4, 3, 16, 16, 3])
    frames, label = frames.astype(np.uint8), np.arange(4)
    trained = loading.load(self.workdir).model
    before = trained.flow.log_prob(frames, label)
    for _ in range(2):
      again = loading.load(self.workdir).model
      self.assertTrue(again.adapted)
      dataset = tf.data.Dataset.from_tensor_slices((frames, label)).batch(4)
      with unittest.mock.patch.object(again, 'train_step', again.test_step):
        again.fit(dataset, verbose=0)  # Nor does the start of training.
      for a, b in zip(before, again.flow.log_prob(frames, label)):
        self.assertAllClose(a, b, rtol=1e-6)

  def test_slots_that_are_not_finite_are_recovered_from(self):
    config = overrides.override(
      self.config,
      [
        'model.tail=none',
        'run.steps=12',
        'run.skips_to_restore=2',
        'optimiser.ema=0.5',
        *_QUICK,
      ],
    )
    workdir = os.path.join(self.root, 'recovered')
    on_step, broken = callbacks.Logging.on_step, []

    def breaking(logging_callback, step, logs):
      if step == 4 and not broken:
        optimizer = logging_callback.model.optimizer
        slot = optimizer.variables()[-1]
        broken.append(slot.assign(tf.fill(slot.shape, np.nan)))
      on_step(logging_callback, step, logs)

    with unittest.mock.patch.object(callbacks.Logging, 'on_step', breaking):
      metrics, folder = session.train(config, workdir)
    self.assertEqual(metrics['step'], 12)
    self.assertLess(metrics['head_bits_per_dim'], 20.0)
    rows = folder.read_metrics()
    (event,) = (r for r in rows if r['kind'] == 'event')
    self.assertEqual(event['restored_step'], 3)
    trained = [r for r in rows if r['kind'] == 'train']
    self.assertEqual([r['step'] for r in trained], [2, 4, 6, 8, 10, 12])
    self.assertEqual(event['learning_rate_scale'], 1.0)  # Not its fault.
    # What is loaded are the averages.
    model = loading.load(workdir).model
    for weight, average in zip(
      model.trainable_variables, model.weight_average.averages
    ):
      self.assertAllEqual(weight, average)

  def test_an_exploded_loss_is_recovered_from(self):
    """It is finite, but more than a hundred times the losses before."""
    config = overrides.override(
      self.config, ['model.tail=none', 'run.skips_to_restore=2', *_QUICK]
    )
    workdir = os.path.join(self.root, 'exploded')
    on_step, broken = callbacks.Logging.on_step, []

    def breaking(logging_callback, step, logs):
      if step == 4 and not broken:
        (shift,) = (
          v
          for v in logging_callback.model.trainable_variables
          if 'actnorm_shift' in v.name
        )
        broken.append(shift.assign_add(1e3 * tf.ones_like(shift)))
      on_step(logging_callback, step, logs)

    with unittest.mock.patch.object(callbacks.Logging, 'on_step', breaking):
      metrics, folder = session.train(config, workdir)
    self.assertLess(metrics['head_bits_per_dim'], 20.0)
    (event,) = folder.read_metrics('event')
    self.assertEqual(event['restored_step'], 3)
    self.assertEqual(event['learning_rate_scale'], 0.5)

  def test_matrices_that_overflow_are_recovered_from(self):
    config = overrides.override(
      self.config, ['model.tail=none', 'run.steps=8', *_QUICK]
    )
    workdir = os.path.join(self.root, 'overflown')
    cond, calls = np.linalg.cond, []

    def overflowing(matrix):
      calls.append(matrix)
      if len(calls) == 1:
        raise np.linalg.LinAlgError('SVD did not converge')
      return cond(matrix)

    with unittest.mock.patch.object(np.linalg, 'cond', overflowing):
      metrics, folder = session.train(config, workdir)
    self.assertEqual(metrics['step'], 8)
    (event,) = (r for r in folder.read_metrics() if r['kind'] == 'event')
    self.assertIn('SVD did not converge', event['reason'])
    self.assertEqual(event['learning_rate_scale'], 0.5)

  def _finish_a_copy(self, name, patch):
    """Ends the trained run again, with a fault and then without.

    Returns:
      The copy's `RunFolder`.
    """
    workdir = os.path.join(self.root, name)
    shutil.copytree(self.workdir, workdir)
    folder = run_folder.RunFolder(workdir)
    shutil.rmtree(folder.exports)
    self.assertFalse(finished.is_finished(self.config, folder))
    safe = 'step 6 of 6 is safe: the same command goes on'
    # The faults come after it, and it takes long.
    measured = unittest.mock.patch.object(
      measuring, 'measure', lambda *_: dict(self.metrics)
    )
    with measured:
      with patch, self.assertRaisesRegex(errors.UserError, safe):
        session.train(self.config, workdir)
      hidden = [p for p in folder.path.rglob('.*') if p.is_file()]
      self.assertEmpty([p for p in hidden if p.name != '.lock'])
      metrics, _ = session.train(self.config, workdir)
    self.assertEqual(metrics['step'], 6)
    self.assertTrue(finished.is_finished(self.config, folder))
    return folder

  def test_samples_that_cannot_be_written(self):
    error = OSError(errno.EROFS, os.strerror(errno.EROFS))
    replace = os.replace

    def read_only(source, target):
      if 'samples' in str(target):
        raise error
      return replace(source, target)

    patch = unittest.mock.patch.object(os, 'replace', read_only)
    folder = self._finish_a_copy('read_only', patch)
    self.assertNotEmpty(list(folder.samples.glob('*.gif')))

  def test_a_disk_that_is_full_for_the_export(self):
    full = tf.errors.ResourceExhaustedError(
      None, None, '/x/variables.tempstate1; No space left on device'
    )
    patch = unittest.mock.patch.object(tf.saved_model, 'save', side_effect=full)
    folder = self._finish_a_copy('full', patch)
    self.assertEqual(sorted(os.listdir(folder.exports)), ['.lock', '1'])

  def test_training_that_diverges_again_and_again_ends(self):
    config = overrides.override(
      self.config,
      [
        'model.tail=none',
        'run.skips_to_restore=2',
        'run.max_restores=2',
        *_QUICK,
      ],
    )
    workdir = os.path.join(self.root, 'diverged')
    options = session.Options(f'{self.workdir}:head')
    infinite = unittest.mock.patch.object(
      tf.linalg, 'global_norm', lambda g: tf.constant(np.inf)
    )
    with (
      infinite,
      self.assertRaisesRegex(
        recovery.DivergedError, 'restored 2 times.* 0.25 of the learning rate'
      ),
    ):
      session.train(config, workdir, options)
    folder = run_folder.RunFolder(workdir)
    self.assertEqual(origin.words(folder.path), 'run:head')
    rows = folder.read_metrics()
    # Before training it was no identity, nor adapted anew.
    self.assertEqual([r['model'] for r in rows if 'model' in r], ['start'])

  def test_inputs_are_named_in_the_log(self):
    for num_labels, names in (
      (2, '0, 1'),
      (10, '0, 1, 2, 3, 4, 5, 6, 7, 8, 9'),
      (11, '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...'),
    ):
      inputs = unittest.mock.Mock(
        num_train_clips=25,
        num_valid_clips=15,
        label_names=[str(k) for k in range(num_labels)],
      )
      with self.assertLogs('absl', level='INFO') as logs:
        session._log_inputs(inputs)
      self.assertEqual(
        logs.records[0].getMessage(),
        f'Data: 25 training and 15 held-out clips; labels ({num_labels}): '
        f'{names}',
      )

  def test_another_config_is_refused(self):
    other = overrides.override(self.config, ['optimiser.learning_rate=0.5'])
    with self.assertRaisesRegex(files.RunFolderError, 'learning_rate'):
      session.train(other, self.workdir)

  def test_frames_that_blocks_do_not_divide(self):
    config = overrides.override(self.config, ['data.frame_size=17'])
    with self.assertRaisesRegex(fields.ConfigError, 'divisible by 2.*17x17'):
      session.train(config, os.path.join(self.root, 'x'))

  def test_clips_longer_than_every_video(self):
    config = overrides.override(self.config, ['data.num_frames=7'])
    with self.assertRaisesRegex(ValueError, 'longer than every clip'):
      session.train(config, os.path.join(self.root, 'y'))

  def test_data_is_not_touched_when_the_workdir_is_bad(self):
    with unittest.mock.patch.object(datasets, 'make_source') as make_source:
      with self.assertRaises(files.RunFolderError):
        session.train(self.config, __file__)
      make_source.assert_not_called()

  def test_init_from(self):
    config = overrides.override(
      self.config, ['seed=5', 'model.head.labels=none', 'optimiser.ema=0.9']
    )
    model = models.build_model(config, 8)
    mismatches = weights.init_from(model, f'{self.workdir}:tail')
    self.assertEmpty(mismatches)
    copied = [v.numpy() for v in model.flow.tail.trainable_variables]
    model.weight_average.assign()  # It holds the copied weights.
    for before, variable in zip(copied, model.flow.tail.trainable_variables):
      self.assertAllEqual(before, variable)
    self.assertTrue(bool(model.flow.tail.adapted))
    self.assertFalse(bool(model.flow.head.adapted))
    donor = _weights(self.workdir, self.config)
    ours = model.flow.tail.trainable_variables[0].numpy()
    self.assertTrue(
      any(w.shape == ours.shape and np.array_equal(w, ours) for w in donor)
    )
    wider = overrides.override(
      self.config, ['model.head.steps.hidden_channels=9']
    )
    mismatches = weights.init_from(models.build_model(wider, 8), self.workdir)
    self.assertTrue(all('expected' in m for m in mismatches), mismatches)
    self.assertNotEmpty(mismatches)

  def test_init_from_nothing(self):
    model = models.build_model(self.config, 8)
    with self.assertRaisesRegex(files.RunFolderError, 'holds no run'):
      weights.init_from(model, os.path.join(self.root, 'none'))
    with self.assertRaisesRegex(fields.ConfigError, "one of .'head', 'tail'"):
      weights.init_from(model, f'{self.workdir}:state')


if __name__ == '__main__':
  tf.test.main()
