"""Tests of `Player` with a tiny SavedModel, and of what a run must have."""

import pathlib
import shutil

from absl.testing import absltest
import numpy as np
import tensorflow as tf

from tests.train.play import tiny_run
from train.config import presets
from train.play import player as player_lib
from train.storage import files
from train.storage import run_folder


class PlayerTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    root = pathlib.Path(absltest.get_default_test_tmpdir(), cls.__name__)
    shutil.rmtree(root, ignore_errors=True)
    cls.folder = tiny_run.make(root / 'a [run]')
    cls.player = player_lib.load(cls.folder.path)
    rng = np.random.default_rng(0)
    cls.clip = rng.integers(0, 256, [4, *tiny_run.SHAPE]).astype(np.uint8)

  def test_says_what_the_model_has(self):
    player = self.player
    self.assertEqual(player.path, self.folder.exports / '1')
    self.assertEqual(player.frame_shape, tiny_run.SHAPE)
    self.assertEqual(player.label_names, tiny_run.LABELS)
    self.assertTrue(player.has_head and player.has_tail and player.classifies)
    self.assertEqual(player.max_frames, 5)
    self.assertEqual(player.num_scored, 4)  # Of a training clip.
    self.assertEqual(player.num_seen, 1)

  def test_draws_what_the_signatures_draw(self):
    video = self.player.draw(2, 7, 0.5, 0.1, num_frames=3)
    request = {
      'seed': [[0, 7]],
      'temperature': [0.5],
      'min_p': [0.1],
      'num_frames': [3],
    }
    sample = self.player.signatures['sample']
    expected = sample(
      labels=tf.constant([2]), **{k: tf.constant(v) for k, v in request.items()}
    )
    self.assertAllEqual(video, expected['frames'][0])
    self.assertNotAllEqual(video, self.player.draw(2, 8, 0.5, 0.1, 3))
    self.assertNotAllEqual(video, self.player.draw(1, 7, 0.5, 0.1, 3))

  def test_continues(self):
    given = self.clip[:2]
    video = self.player.draw(0, 1, 1.0, 0.0, 4, given)
    self.assertEqual(
      (video.shape, video.dtype), ((4, *tiny_run.SHAPE), np.uint8)
    )
    # At the model's 32 levels.
    self.assertAllEqual(video[:2] // 8, given // 8)

  def test_probabilities_are_of_a_training_clip(self):
    values = self.player.probabilities(self.clip)
    self.assertAllClose(values.sum(), 1.0)
    again = self.player.probabilities(np.concatenate([self.clip, self.clip]))
    self.assertAllClose(values, again)
    other = self.player.probabilities(self.clip[:3])
    self.assertNotAllClose(values, other)

  def test_a_refusal_is_one_sentence(self):
    for words, change in (
      ('temperature must be finite and >= 0, but got -1', {'temperature': -1}),
      (r'min_p must be in \[0, 1\), but got 1', {'min_p': 1.0}),
      (r'num_frames must be in \[1, 5\], but got 6', {'num_frames': 6}),
      (r'labels must be in \[0, 2\], but got 3', {'label': 3}),
    ):
      request = {'label': 0, 'seed': 0, 'temperature': 1.0, 'min_p': 0.0}
      with self.subTest(words), self.assertRaises(player_lib.PlayError) as e:
        self.player.draw(**{**request, **change})
      self.assertRegex(str(e.exception), f'^The model refuses: {words}[.]$')

  def test_the_newest_export_is_played(self):
    shutil.copytree(self.folder.exports / '1', self.folder.exports / '10')
    self.addCleanup(shutil.rmtree, self.folder.exports / '10')
    self.assertEqual(player_lib.load(self.folder.path).path.name, '10')


class RunsTest(absltest.TestCase):
  """Runs that cannot be played: one sentence."""

  def _check(self, workdir, error, words):
    with self.assertRaisesRegex(error, words) as raised:
      player_lib.load(workdir)
    self.assertEqual(raised.exception.exit_code, 2)
    self.assertLen(str(raised.exception).splitlines(), 1)

  def test_no_run(self):
    path = self.create_tempdir().full_path
    self._check(path, files.RunFolderError, 'holds no run')

  def test_no_export(self):
    path = self.create_tempdir().full_path
    tiny_run.write(path)
    words = f'no export: expected a SavedModel in .*--workdir={path}'
    self._check(path, player_lib.PlayError, words)

  def test_an_unfinished_export(self):
    path = self.create_tempdir().full_path
    (tiny_run.write(path).exports / '.unfinished').mkdir(parents=True)
    self._check(path, player_lib.PlayError, 'no export')

  def test_a_broken_export(self):
    path = self.create_tempdir().full_path
    broken = tiny_run.write(path).exports / '1'
    broken.mkdir(parents=True)
    self._check(path, player_lib.PlayError, 'export/1 cannot be loaded')
    (broken / 'saved_model.pb').write_bytes(b'no model')
    self._check(path, player_lib.PlayError, 'export/1 cannot be loaded')

  def test_a_gan(self):
    path = self.create_tempdir().full_path
    folder = run_folder.RunFolder(path)
    folder.create()
    folder.claim(presets.PRESETS['gan_paper'])
    self._check(path, player_lib.PlayError, 'holds a GAN')


if __name__ == '__main__':
  tf.test.main()
