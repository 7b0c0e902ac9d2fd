import os
import tempfile
import unittest.mock

import numpy as np
import tensorflow as tf

import tfp_cglow
from train import configs
from train import export
from train import models
from train import presets


class ExportTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    config = configs.override(presets.PRESETS['smoke'], ['tail_labels=true'])
    cls.model = models.build_model(config, 3)
    frames = np.random.RandomState(0).randint(0, 256, [4, 3, 16, 16, 3])
    cls.frames = frames.astype(np.uint8)
    cls.label = np.array([0, 1, 2, 0], np.int32)
    cls.model.adapt(cls.frames, cls.label)
    path = export.export_model(cls.model, cls.enter_folder())
    cls.loaded = tf.saved_model.load(path)
    cls.signatures = cls.loaded.signatures

  @classmethod
  def enter_folder(cls):
    directory = tempfile.TemporaryDirectory()
    cls.addClassCleanup(directory.cleanup)
    cls.folder = directory.name
    return directory.name

  def _sample(self, **changes):
    request = {
      'labels': tf.constant([0, 2]),
      'seed': tf.constant([[1, 2], [3, 4]]),
      'temperature': tf.constant([1.0, 0.5]),
      'num_frames': tf.constant(4),
    }
    request.update({k: tf.constant(v) for k, v in changes.items()})
    return self.signatures['sample'](**request)['frames']

  def test_sample_is_the_model_s(self):
    frames = self._sample()
    self.assertEqual(frames.dtype, tf.uint8)
    expected = self.model.sample(
      [0, 2], 4, temperature=[1.0, 0.5], seed=[[1, 2], [3, 4]]
    )
    self.assertAllEqual(frames, expected)

  def test_rows_do_not_depend_on_their_batch(self):
    alone = self._sample(labels=[2], seed=[[3, 4]], temperature=[0.5])
    self.assertAllEqual(alone[0], self._sample()[1])

  def test_log_prob_is_the_model_s(self):
    bits = self.signatures['log_prob'](
      frames=tf.constant(self.frames), labels=tf.constant(self.label)
    )
    head, tail = self.model.log_prob(self.frames, self.label)
    for name, expected in (('head', head), ('tail', tail)):
      self.assertAllClose(
        bits[f'{name}_bits_per_dim'],
        tfp_cglow.bits_per_dim(expected, [16, 16, 3], 5),
        rtol=1e-5,
      )

  def test_bad_requests(self):
    for changes, words in (
      ({'labels': [0, 3]}, r'labels must be in \[0, 3\)'),
      ({'num_frames': 0}, 'num_frames must be >= 1'),
      ({'temperature': [1.0, -0.1]}, 'temperature must be finite'),
      ({'temperature': [1.0, np.nan]}, 'temperature must be finite'),
    ):
      with self.assertRaisesRegex(tf.errors.InvalidArgumentError, words):
        self._sample(**changes)
    self._sample()  # The model goes on.

  def test_failed_export_leaves_the_old_version(self):
    before = os.listdir(os.path.join(self.folder, '1'))
    with (
      unittest.mock.patch.object(
        tf.saved_model, 'save', side_effect=OSError(28, 'No space')
      ),
      self.assertRaises(OSError),
    ):
      export.export_model(self.model, self.folder)
    self.assertEqual(os.listdir(os.path.join(self.folder, '1')), before)


if __name__ == '__main__':
  tf.test.main()
