"""Tests of `pack`."""

import pathlib
import shutil

from absl.testing import absltest
import numpy as np
import tensorflow as tf

from train.config import overrides
from train.config import presets
from train.runs import loading
from train.runs import pack
from train.runs import weights
from train.storage import checkpoint_files as on_disk
from train.storage import checkpoints
from train.storage import files
from train.storage import origin
from train.storage import run_folder
from train.systems.flow import models

_LABELS = ('cat', 'dog')
_STEP = 6


def _size(path):
  return sum(p.stat().st_size for p in pathlib.Path(path).rglob('*.data*'))


class PackRunTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)
    self.packed = self.root / 'packed'

  def _make_run(self, *assignments):
    """A run as training leaves it, with random weights and full Adam slots."""
    config = overrides.override(
      presets.PRESETS['smoke'],
      ['data.data_dir=/home/me', *assignments],
    )
    folder = run_folder.RunFolder(self.root / 'run')
    folder.create()
    folder.claim(config)
    folder.write_labels(_LABELS)
    folder.write_metrics({'step': _STEP, 'num_train_clips': 12})
    model = models.build_model(config, len(_LABELS))
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
      variable.assign(0.1 * rng.standard_normal(variable.shape))
    gradients = [tf.ones_like(v) for v in model.trainable_variables]
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    model.flow.label_counts.assign([3.0, 1.0])
    checkpoints.Checkpoints(
      checkpoints.parts_of(model), folder.checkpoints
    ).save(_STEP)
    return model, folder

  def test_has_the_weights_and_no_more(self):
    model, folder = self._make_run()
    self.assertEqual(pack.pack_run(folder.path, self.packed), self.packed)
    run = loading.load(self.packed)
    self.assertEqual(run.step, _STEP)
    self.assertEqual(run.label_names, _LABELS)
    for ours, theirs in zip(run.model.variables, model.variables, strict=True):
      np.testing.assert_array_equal(ours, theirs)
    self.assertLess(_size(self.packed), 0.45 * _size(folder.path))
    self.assertCountEqual(
      [path.name for path in self.packed.iterdir()],
      'config.json labels.txt metrics.json model_card.md checkpoints'.split(),
    )

  def test_starts_another_run_but_is_not_resumed(self):
    model, folder = self._make_run()
    pack.pack_run(folder.path, self.packed)
    config = run_folder.RunFolder(self.packed).read_config()
    other = models.build_model(config, len(_LABELS))
    self.assertEmpty(weights.init_from(other, str(self.packed)))
    for name in ('head', 'tail', 'memory'):
      for ours, theirs in zip(
        other.submodels()[name].variables,
        model.submodels()[name].variables,
        strict=True,
      ):
        np.testing.assert_array_equal(ours, theirs)
    resumed = checkpoints.Checkpoints(
      checkpoints.parts_of(other), self.packed / 'checkpoints'
    )
    with self.assertRaisesRegex(on_disk.CheckpointError, '--init_from'):
      resumed.restore()

  def test_parts_of_two_runs(self):
    first, folder = self._make_run()
    pack.pack_run(folder.path, self.packed)
    second = loading.load(self.packed).model
    for variable in second.trainable_variables:
      variable.assign_add(tf.ones_like(variable))
    second_path = self.root / 'second'
    checkpoints.Checkpoints(
      checkpoints.weights_of(second), second_path / 'checkpoints'
    ).save(_STEP)
    for path in ('config.json', 'labels.txt'):
      shutil.copy(self.packed / path, second_path)
    config = run_folder.RunFolder(self.packed).read_config()
    model = models.build_model(config, len(_LABELS))
    weights.init_from(model, f'{self.packed}:head,{second_path}:tail')
    for name, donor in (('head', first), ('tail', second)):
      for ours, theirs in zip(
        model.submodels()[name].variables,
        donor.submodels()[name].variables,
        strict=True,
      ):
        np.testing.assert_array_equal(ours, theirs)

  def test_says_nothing_of_this_machine(self):
    _, folder = self._make_run()
    origin.write(
      folder.path,
      [('/home/me/a', 'head'), ('/home/me/a b', 'tail')],
      ['head/x: /home/me/a has none', 'tail: /home/me/a b has none'],
    )
    pack.pack_run(folder.path, self.packed)
    config = run_folder.RunFolder(self.packed).read_config()
    self.assertEqual(config.data.data_dir, '')
    self.assertEqual(
      origin.words(self.packed), 'a:head, a b:tail; 2 weights not copied'
    )
    for path in self.packed.rglob('*'):
      if path.is_file():
        self.assertNotIn(b'/home/me', path.read_bytes(), path)

  def test_card(self):
    _, folder = self._make_run()
    pack.pack_run(folder.path, self.packed)
    card = (self.packed / 'model_card.md').read_text()
    for words in (
      'head and tail',
      '0. cat\n1. dog',
      '| training clips | 12 |',
      '--mode=sample --workdir=FOLDER',
      '| model.tail.memory.channels | 4 |',
    ):
      self.assertIn(words, card)
    self.assertNotIn('Signatures', card)

  def test_numbers_of_another_step_stay_behind(self):
    _, folder = self._make_run()
    folder.write_metrics({'step': _STEP + 1, 'num_train_clips': 12})
    pack.pack_run(folder.path, self.packed)
    metrics = run_folder.RunFolder(self.packed).read_metrics_file()
    self.assertEqual(metrics, {'step': _STEP})

  def test_averaged_weights(self):
    model, folder = self._make_run('optimiser.ema=0.5')
    for average in model.weight_average.averages:
      average.assign_add(tf.ones_like(average))
    checkpoints.Checkpoints(
      checkpoints.parts_of(model), folder.checkpoints
    ).save(_STEP)
    pack.pack_run(folder.path, self.packed)
    self.assertIsNone(loading.load(self.packed).config.optimiser.ema)
    self.assertLess(_size(self.packed), 0.3 * _size(folder.path))
    model.weight_average.assign()
    other = models.build_model(folder.read_config(), len(_LABELS))
    weights.init_from(other, str(folder.path))
    for copy in (loading.load(self.packed).model, other):
      for ours, theirs in zip(
        copy.trainable_variables, model.trainable_variables, strict=True
      ):
        np.testing.assert_array_equal(ours, theirs)

  def test_nothing_is_overwritten_and_nothing_is_left(self):
    _, folder = self._make_run()
    self.packed.mkdir()
    with self.assertRaisesRegex(files.RunFolderError, 'packed exists'):
      pack.pack_run(folder.path, self.packed)
    with self.assertRaisesRegex(files.RunFolderError, 'holds no run'):
      pack.pack_run(self.root / 'none', self.root / 'new')
    self.assertCountEqual(
      [path.name for path in self.root.iterdir()], ['run', 'packed']
    )


if __name__ == '__main__':
  absltest.main()
