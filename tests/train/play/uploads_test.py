"""Tests of reading uploads: pictures, GIFs and videos, whole and broken."""

import os
import pathlib
import shutil

from absl.testing import absltest
import numpy as np
from PIL import Image

from train.config import data_sets
from train.data.sets import moving_shapes
from train.play import uploads

_GREY = data_sets.Balls(frame_size=8)
_COLOUR = data_sets.Shapes(frame_size=8)


def _images(num, size=(24, 16)):
  """Pillow images of one grey level each: 0, 20, 40, ..."""
  return [Image.new('RGB', size, (20 * k,) * 3) for k in range(num)]


class UploadsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def _gif(self, num=5):
    path = self.folder / 'clip.gif'
    first, *others = _images(num)
    first.save(path, save_all=True, append_images=others, duration=100)
    return path

  def test_a_picture_is_one_frame(self):
    for ending in ('png', 'jpg', 'webp', 'bmp'):
      path = self.folder / f'a picture.{ending}'
      _images(4)[3].save(path)
      frames, damage = uploads.read(path, _COLOUR, 5)
      self.assertEqual((frames.shape, damage), ((1, 8, 8, 3), ''), ending)
      self.assertLess(np.abs(frames.astype(int) - 60).max(), 3)

  def test_a_gif_and_a_video_are_clips(self):
    video = self.folder / 'clip.mp4'
    moving_shapes.write_video(str(video), np.zeros([5, 16, 16, 3], np.uint8))
    for path in (self._gif(), video):
      self.assertEqual(uploads.read(path, _COLOUR, 9)[0].shape, (5, 8, 8, 3))
      self.assertEqual(uploads.read(path, _COLOUR, 3)[0].shape, (3, 8, 8, 3))
      self.assertEqual(uploads.read(path, _GREY, 3)[0].shape, (3, 8, 8, 1))

  def test_frames_are_chosen_as_in_training(self):
    data = data_sets.Folder(frame_size=8, frame_stride=2)
    frames, _ = uploads.read(self._gif(), data, 9)
    np.testing.assert_allclose(frames[:, 0, 0, 0], [0, 40, 80], atol=2)
    # A frame takes 0.1 seconds.
    data = data_sets.Folder(frame_size=8, fps=5.0)
    frames, _ = uploads.read(self._gif(), data, 9)
    np.testing.assert_allclose(frames[:, 0, 0, 0], [0, 40, 80], atol=2)
    data = data_sets.Folder(frame_size=8, crop='letterbox')
    frames, _ = uploads.read(self._gif(), data, 9)
    np.testing.assert_array_equal(frames[4, [0, 7]], 0)
    np.testing.assert_allclose(frames[4, 4], 80, atol=2)

  def test_records_and_tfds_say_nothing_of_frames(self):
    for data in (data_sets.Tfrecord(frame_size=8), data_sets.Tfds('x')):
      size = data.frame_size
      frames, _ = uploads.read(self._gif(), data, 2)
      self.assertEqual(frames.shape, (2, size, size, 3))

  def test_what_cannot_be_read_is_one_sentence(self):
    for name, data in (
      ('empty.mp4', b''),
      ('garbage.gif', os.urandom(999)),
      ('text.png', b'no picture'),
      ('header.gif', self._gif().read_bytes()[:20]),
      ('sound.wav', b'RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0'),
    ):
      path = self.folder / name
      path.write_bytes(data)
      with self.subTest(name), self.assertRaises(uploads.UploadError) as raised:
        uploads.read(path, _COLOUR, 5)
      words = str(raised.exception)
      self.assertRegex(words, f'^{name} cannot be used as .*: .*[.]$')
      self.assertNotIn(str(self.folder), words)
      self.assertLen(words.splitlines(), 1)

  def test_the_frames_before_damage_are_used(self):
    whole = self.folder / 'whole.avi'
    frames = np.random.default_rng(0).integers(0, 256, [8, 64, 64, 3])
    moving_shapes.write_video(str(whole), frames.astype(np.uint8))
    cut = self.folder / 'cut.avi'
    shutil.copy(whole, cut)
    os.truncate(cut, whole.stat().st_size // 2)
    frames, damage = uploads.read(cut, _COLOUR, 9)
    self.assertBetween(len(frames), 1, 7)
    self.assertRegex(damage, '^cut.avi ends early .*[.]$')

  def test_strip(self):
    frames = np.arange(10, dtype=np.uint8)[:, None, None, None]
    frames = np.broadcast_to(frames, [10, 48, 48, 1])
    strip = uploads.strip(frames)
    self.assertEqual(strip.shape, (96, 8 * 100, 3))
    np.testing.assert_array_equal(strip[0, ::100, 0], range(8))
    self.assertTrue((strip[:, 96:100] == 255).all())


if __name__ == '__main__':
  absltest.main()
