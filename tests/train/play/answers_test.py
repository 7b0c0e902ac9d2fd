"""Tests of the page's answers, with a player that needs no model."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import av
import numpy as np
from PIL import Image

from train.config import overrides
from train.config import presets
from train.play import answers
from train.play import player as player_lib
from train.play import uploads

_REQUEST = {
  'label': 1,
  'num_frames': 6,
  'num_given': 2,
  'seed': 5,
  'temperature': 0.5,
  'min_p': 0.1,
}


class FakePlayer:
  """A player of grey frames that are all alike; it notes its calls."""

  label_names = ('up', 'up & <b>down</b>/..')
  has_head = has_tail = classifies = True
  max_frames, num_scored = 9, 4
  config = overrides.override(
    presets.PRESETS['smoke'], ['data.frame_size=8', 'data.channels=1']
  )

  def __init__(self, **fields):
    vars(self).update(fields)
    self.calls = []

  def draw(self, *arguments):
    self.calls.append(arguments)
    return np.full([arguments[4], 8, 8, 1], 80, np.uint8)

  def probabilities(self, frames):
    self.calls.append(frames)
    return np.array([0.25, 0.75], np.float32)


class DrawTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def _draw(self, player, upload=None, **changes):
    request = answers.Request(**{**_REQUEST, **changes})
    return answers.draw(player, self.folder, request, upload)

  def test_a_video(self):
    player = FakePlayer()
    drawn = self._draw(player)
    self.assertEqual(player.calls, [(1, 5, 0.5, 0.1, 6, None)])
    path = pathlib.Path(drawn.path)
    self.assertEqual(path.name, 'up_b_down_b__seed_5.mp4')
    self.assertEqual(path.parents[1], pathlib.Path(self.folder))
    with av.open(drawn.path) as container:
      self.assertLen(list(container.decode(video=0)), 6)
      self.assertEqual(container.streams.video[0].width, 256)
    self.assertEqual(drawn.words, '6 frames of up & <b>down</b>/.., seed 5.')
    self.assertNotEqual(self._draw(player).path, drawn.path)

  def test_continues_the_upload(self):
    player = FakePlayer()
    frames = np.zeros([4, 8, 8, 1], np.uint8)
    upload = answers.Upload(frames, None, None, '')
    drawn = self._draw(player, upload)
    self.assertLen(player.calls[0][5], 2)
    self.assertStartsWith(
      drawn.words, 'Frames 1 to 2 are yours, 3 to 6 are drawn of up'
    )
    drawn = self._draw(player, upload, num_given=1)
    self.assertStartsWith(drawn.words, 'Frame 1 is yours, 2 to 6 are drawn')

  def test_a_model_of_images_draws_an_image(self):
    player = FakePlayer(has_tail=False, max_frames=1, label_names=None)
    upload = answers.Upload(np.zeros([1, 8, 8, 1], np.uint8), None, None, '')
    drawn = self._draw(player, upload, label=None, num_frames=None)
    self.assertEqual(player.calls, [(None, 5, 0.5, 0.1, 1, None)])
    self.assertEqual(pathlib.Path(drawn.path).name, 'seed_5.png')
    self.assertEqual(Image.open(drawn.path).size, (256, 256))
    self.assertEqual(drawn.words, 'One frame, seed 5.')

  @parameterized.parameters(
    ('seed', 'Seed'),
    ('temperature', 'Temperature'),
    ('min_p', 'min-p'),
    ('num_frames', 'Frames in all'),
    ('label', 'Label'),
  )
  def test_an_empty_field(self, field, name):
    with self.assertRaisesRegex(player_lib.PlayError, f'^{name} is empty'):
      self._draw(FakePlayer(), **{field: None})

  def test_nothing_left_to_draw(self):
    upload = answers.Upload(np.zeros([6, 8, 8, 1], np.uint8), None, None, '')
    with self.assertRaisesRegex(
      player_lib.PlayError, '6 frames in all, but 6 are given'
    ):
      self._draw(FakePlayer(), upload, num_given=6)

  def test_without_a_head_it_needs_an_upload(self):
    player = FakePlayer(has_head=False)
    with self.assertRaisesRegex(player_lib.PlayError, 'upload a first frame'):
      self._draw(player)
    upload = answers.Upload(np.zeros([2, 8, 8, 1], np.uint8), None, None, '')
    self._draw(player, upload)


class LookTest(absltest.TestCase):
  def _look(self, player, num_frames):
    path = self.create_tempdir().full_path + '/clip.gif'
    images = [Image.new('L', (8, 8), 9 * k) for k in range(num_frames)]
    images[0].save(path, save_all=True, append_images=images[1:])
    return answers.look(player, path)

  def test_a_clip(self):
    found = self._look(FakePlayer(), 12)
    self.assertEqual(found.frames.shape, (9, 8, 8, 1))
    self.assertEqual(
      found.probabilities, {'up': 0.25, FakePlayer.label_names[1]: 0.75}
    )
    self.assertStartsWith(
      found.words, '9 frames, as the model sees them, here the first 8.'
    )
    self.assertIn('of its first 4 frames', found.words)

  def test_one_frame_has_no_label(self):
    player = FakePlayer()
    found = self._look(player, 1)
    self.assertEmpty(player.calls)
    self.assertIsNone(found.probabilities)
    self.assertIn('need a clip', found.words)

  def test_one_frame_of_a_model_of_images_has(self):
    player = FakePlayer(has_tail=False, max_frames=1, num_scored=1)
    found = self._look(player, 3)
    self.assertLen(found.frames, 1)
    self.assertEqual(found.words, 'One frame, as the model sees it.')
    self.assertIsNotNone(found.probabilities)

  def test_a_model_that_takes_no_labels(self):
    player = FakePlayer(classifies=False, label_names=None)
    found = self._look(player, 3)
    self.assertEqual(found.words, '3 frames, as the model sees them.')
    self.assertEmpty(player.calls)


class SentenceTest(absltest.TestCase):
  def test_known_errors_only(self):
    for error, words in (
      (uploads.UploadError('no picture'), 'no picture'),
      (MemoryError('12 GiB'), 'memory is used up'),
      (OSError(28, 'No space left on device'), 'disk is full'),
    ):
      self.assertIn(words, answers.sentence(error))
    self.assertIsNone(answers.sentence(KeyError('a fault')))


if __name__ == '__main__':
  absltest.main()
