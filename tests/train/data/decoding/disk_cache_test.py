"""Tests of disk_cache.py."""

import errno
import os
from unittest import mock

import numpy as np
import tensorflow as tf

from train.data import clips as clips_lib
from train.data import sources
from train.data.decoding import decode
from train.data.decoding import disk_cache
from train.data.sets import moving_shapes

DECODER = decode.Decoder(16)


class DiskCacheTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.path = os.path.join(self.folder, 'video.mp4')
    self.write('east')
    self.decoded = []

  def write(self, motion):
    frames = moving_shapes.render('shapes:motion', motion, 6, 16, [0])
    moving_shapes.write_video(self.path, frames)

  def decode(self, path, start, stop):
    self.decoded.append((path, start, stop))
    return DECODER.frames(path, start, stop)

  def cache(self, decoder=DECODER):
    return disk_cache.DiskCache(os.path.join(self.folder, 'cache'), decoder)

  def get(self, stop=4, decoder=DECODER):
    return self.cache(decoder).get(self.path, stop, self.decode)

  def test_decodes_once(self):
    first, second = self.get(), self.get()
    self.assertAllEqual(first, DECODER.frames(self.path, 0, 4))
    self.assertAllEqual(first, second)
    self.assertEqual(self.decoded, [(self.path, 0, 4)])

  def test_what_differs_is_decoded_again(self):
    self.get()
    self.get(stop=5)
    self.get(decoder=decode.Decoder(16, crop='letterbox'))
    self.write('southwest')
    changed = self.get()
    self.assertLen(self.decoded, 4)
    self.assertAllEqual(changed, DECODER.frames(self.path, 0, 4))

  def test_a_full_disk_is_told_once_and_leaves_nothing(self):
    cache = self.cache()
    expected = DECODER.frames(self.path, 0, 4)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
      mock.patch.object(np, 'save', side_effect=full) as save,
      self.assertLogs(level='WARNING') as logs,
    ):
      for _ in range(2):
        frames = cache.get(self.path, 4, self.decode)
        self.assertAllEqual(frames, expected)
    save.assert_called_once()
    self.assertLen(logs.output, 1)
    self.assertIn('the disk is full', logs.output[0])
    self.assertEmpty(os.listdir(os.path.join(self.folder, 'cache')))

  def test_a_folder_that_cannot_be_made(self):
    with open(os.path.join(self.folder, 'cache'), 'w'):
      pass
    with self.assertLogs(level='WARNING') as logs:
      frames = self.get()
    self.assertLen(logs.output, 1)
    self.assertAllEqual(frames, DECODER.frames(self.path, 0, 4))

  def test_a_damaged_entry_is_made_again(self):
    expected = self.get()
    cache = os.path.join(self.folder, 'cache')
    (name,) = os.listdir(cache)
    with open(os.path.join(cache, name), 'r+b') as f:
      f.truncate(100)
    self.assertAllEqual(self.get(), expected)
    self.assertAllEqual(self.get(), expected)
    self.assertLen(self.decoded, 2)

  def test_a_missing_file_is_the_decoders_to_report(self):
    with self.assertRaisesRegex(decode.DecodeError, 'cannot be opened'):
      self.cache().get(self.path + 'x', 4, self.decode)

  def test_clips_use_it(self):
    region = sources.Region(self.path, 0, 0, 4)
    source = sources.Source('one', ('a',), (region,), (region,))
    cache = os.path.join(self.folder, 'cache')
    os.makedirs(cache)
    for _ in range(2):
      clips = clips_lib.Clips(source, 4, DECODER, cache_dir=cache)
      frames = clips.read(region)
      self.assertAllEqual(
        frames, np.load(os.path.join(cache, *os.listdir(cache)))
      )


if __name__ == '__main__':
  tf.test.main()
