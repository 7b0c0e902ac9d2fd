"""Tests of frame_arrays.py: files of raw frames through the decoder."""

import io
import os

import numpy as np
import tensorflow as tf

from train.config import data_sets
from train.data import clip_batches
from train.data import clips as clips_lib
from train.data import datasets
from train.data.decoding import decode
from train.data.decoding import readers
from train.storage import frame_files


def _write(folder, frames, name='a'):
  path = os.path.join(folder, name + frame_files.SUFFIX)
  with open(path, 'wb') as f:
    frame_files.write_header(f, frames.shape)
    f.write(frames.tobytes())
  return path


class FrameArraysTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def test_frames_are_unchanged(self):
    rng = np.random.default_rng(0)
    for channels in (1, 3):
      frames = rng.integers(0, 256, [9, 30, 30, channels], np.uint8)
      path = _write(self.folder, frames, f'of_{channels}')
      decoder = decode.Decoder(30, channels)
      self.assertAllEqual(decoder.frames(path), frames)
      self.assertAllEqual(decoder.clip(path, 3, 4), frames[3:7])
      self.assertEqual(decoder.num_frames(path), 9)
      self.assertAllEqual(
        decode.Decoder(30, channels, stride=4).frames(path), frames[::4]
      )
    grey = decode.Decoder(30, 3).frames(
      os.path.join(self.folder, 'of_1' + frame_files.SUFFIX)
    )
    self.assertAllEqual(grey[..., 0], grey[..., 2])

  def test_other_files_are_refused(self):
    path = os.path.join(self.folder, 'b' + frame_files.SUFFIX)
    for content in (np.zeros([2, 4, 4, 1]), np.zeros([2, 4], np.uint8)):
      np.save(path, content)
      with self.assertRaisesRegex(readers.DecodeError, 'expected uint8 frames'):
        decode.Decoder(4).frames(path)
    os.truncate(path, 20)
    with self.assertRaisesRegex(readers.DecodeError, 'cannot be opened'):
      decode.Decoder(4).frames(path)

  def test_archives_and_pickles_are_refused(self):
    archive, objects = io.BytesIO(), io.BytesIO()
    np.savez(archive, np.zeros([2, 4, 4, 1], np.uint8))
    np.save(objects, np.array([{}]))
    for number, content in enumerate(
      (archive.getvalue(), objects.getvalue(), b'PK\x03\x04 cut short', b'')
    ):
      name = f'{number}{frame_files.SUFFIX}'
      path = os.path.join(self.folder, name)
      with open(path, 'wb') as f:
        f.write(content)
      with self.assertRaisesRegex(
        readers.DecodeError, f'{name}: cannot be opened'
      ):
        decode.Decoder(4).frames(path)

  def test_clips_of_a_rendered_set(self):
    data = data_sets.Balls(
      num_frames=100, train_videos=4, valid_videos=2, data_dir=self.folder
    )
    source = datasets.make_source(data)
    clips = clips_lib.Clips(source, 100, decode.Decoder(30, 1))
    clip_batches.check_labels(clips)
    stored = frame_files.open_frames(source.valid[0].path)
    frames, labels = zip(*clip_batches.valid_dataset(clips, 1))
    expected = stored.reshape([2, 100, 30, 30, 1])
    self.assertAllEqual(np.concatenate(frames), expected)
    self.assertAllEqual(np.concatenate(labels), [0, 0])


if __name__ == '__main__':
  tf.test.main()
