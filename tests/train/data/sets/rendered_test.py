"""Tests of rendered.py: files of videos that a function draws."""

import os

from absl.testing import absltest
import numpy as np

from train.data import sources
from train.data.sets import rendered
from train.storage import frame_files


def _render(part, numbers):
  """Two frames of 2x2 pixels that hold the part and the number."""
  frames = np.zeros([len(numbers), 2, 2, 2, 1], np.uint8)
  for frame, number in zip(frames, numbers):
    frame[0] = rendered.PARTS.index(part)
    frame[1] = number
  return frames


def _videos(version=1):
  return rendered.Videos('set', version, (2, 2, 2, 1), _render)


class RenderedTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = os.path.join(self.create_tempdir().full_path, 'set')

  def source(self, version=1, train=70, valid=3):
    return rendered.rendered_source(
      _videos(version),
      {'train': train, 'valid': valid},
      ('even', 'odd'),
      lambda part, i: i % 2,
      self.folder,
    )

  def test_each_region_holds_the_frames_of_its_video(self):
    source = self.source()
    self.assertLen(source.train, 70)  # More than one chunk.
    self.assertLen(source.valid, 3)
    for index, regions in enumerate((source.train, source.valid)):
      for number, region in enumerate(regions):
        frames = frame_files.open_frames(region.path)
        video = frames[region.start : region.stop]
        self.assertEqual(video.ravel().tolist(), [index] * 4 + [number] * 4)
        self.assertEqual(region.label, number % 2)

  def test_rendered_once_and_anew_for_another_version_or_number(self):
    (path,) = {region.path for region in self.source().train}
    time = os.stat(path).st_mtime_ns
    self.source()
    self.assertEqual(os.stat(path).st_mtime_ns, time)
    self.source(version=2)
    self.source(train=5)
    self.assertCountEqual(
      os.listdir(self.folder),
      [
        f'set-v{version}-{part}-{number}.frames.npy'
        for version, part, number in (
          (1, 'train', 70),
          (1, 'valid', 3),
          (2, 'train', 70),
          (2, 'valid', 3),
          (1, 'train', 5),
        )
      ],
    )
    self.assertEqual(os.stat(path).st_mtime_ns, time)

  def test_a_damaged_file_is_named(self):
    (path,) = {region.path for region in self.source().train}
    size = os.path.getsize(path)
    for damage in (0, 40, size - 1):
      os.truncate(path, damage)
      with self.assertRaisesRegex(
        sources.DataError, f'Expected {path} to hold frames.*Remove it'
      ):
        self.source()
    os.remove(path)
    self.source()
    self.assertEqual(os.path.getsize(path), size)

  def test_a_folder_that_cannot_be_written_is_named(self):
    with open(self.folder, 'w', encoding='utf-8'):
      pass
    with self.assertRaisesRegex(
      sources.DataError, f'Cannot write {self.folder}'
    ):
      self.source()

  def test_a_failed_rendering_leaves_no_file(self):
    def fail(part, numbers):
      raise OSError('No space left on device')

    videos = rendered.Videos('set', 1, (2, 2, 2, 1), fail)
    with self.assertRaisesRegex(sources.DataError, 'No space left'):
      rendered.write_part(self.folder, videos, 'train', 3)
    self.assertEmpty(os.listdir(self.folder))

  def test_random_numbers_depend_on_part_and_number_alone(self):
    draws = {
      rendered.video_rng(part, number).random()
      for part in rendered.PARTS
      for number in range(50)
    }
    self.assertLen(draws, 100)
    self.assertEqual(
      rendered.video_rng('valid', 7).random(),
      rendered.video_rng('valid', 7).random(),
    )


if __name__ == '__main__':
  absltest.main()
