"""Tests of train/datasets.py."""

import pathlib

from absl.testing import parameterized
import tensorflow as tf

from train import clips as clips_lib
from train import data
from train import datasets
from train import decode
from train import sources


class MakeSourceTest(tf.test.TestCase, parameterized.TestCase):
  def test_unknown_name(self):
    with self.assertRaisesRegex(sources.DataError, "'natvit': .*mean natvid"):
      datasets.make_source('natvit', 8)

  def test_folder_needs_its_folder(self):
    with self.assertRaisesRegex(sources.DataError, '--data_dir='):
      datasets.make_source('folder', 8)

  def test_folder(self):
    root = self.create_tempdir().full_path
    for k in range(20):
      path = pathlib.Path(root, 'cat', f'{k}.mp4')
      path.parent.mkdir(exist_ok=True)
      path.write_text('no video')
    source = datasets.make_source('folder', 8, root, valid_fraction=0.5)
    self.assertBetween(source.num_valid_clips, 5, 15)

  def test_shapes(self):
    root = self.create_tempdir().full_path
    source = datasets.make_source('shapes:appearance', 2, root)
    self.assertEqual(source.label_names, ('circle', 'square', 'triangle'))
    self.assertEqual(source.num_train_clips + source.num_valid_clips, 120)
    clips = clips_lib.Clips(source, 2, decode.Decoder(16))
    data.check_labels(clips)
    frames, _ = next(iter(data.train_dataset(clips, 4, 0)))
    self.assertGreater(frames.numpy().max(), 150)


if __name__ == '__main__':
  tf.test.main()
