"""TensorFlow I/O's decoder against PyAV; skipped where its ops do not load."""

import os
from unittest import mock

import numpy as np
import tensorflow as tf

from train.data.decoding import array_readers
from train.data.decoding import decode
from train.data.sets import moving_shapes


class TfioTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    try:
      decode.resolve('tfio', 'cpu')
    except ValueError as e:
      self.skipTest(str(e))
    self.folder = self.create_tempdir().full_path
    self.path = os.path.join(self.folder, 'shapes.mp4')
    frames = moving_shapes.render('shapes:motion', 'east', 20, 64, [0])
    moving_shapes.write_video(self.path, frames)

  def test_same_frames_as_pyav(self):
    tfio = decode.Decoder(16, backend='tfio')
    pyav = decode.Decoder(16)
    for start, stop in ((0, None), (3, 9)):
      a = tfio.frames(self.path, start, stop)
      b = pyav.frames(self.path, start, stop)
      self.assertEqual(a.shape, b.shape)
      self.assertLess(np.abs(a.astype(int) - b).mean(), 1.0)
    self.assertAllEqual(
      decode.Decoder(16, fps=6.0, backend='tfio').frames(self.path),
      tfio.frames(self.path)[::2],
    )

  def test_long_files_are_decoded_by_pyav(self):
    decoder = decode.Decoder(16, backend='tfio', tfio_max_seconds=1.0)
    with mock.patch.object(array_readers, 'read_tfio') as read_tfio:
      self.assertLen(decoder.frames(self.path), 20)
    read_tfio.assert_not_called()

  def test_broken_files(self):
    with open(self.path, 'rb') as f:
      content = f.read()
    path = os.path.join(self.folder, 'cut.mp4')
    with open(path, 'wb') as f:
      f.write(content[: len(content) // 2])
    with self.assertRaises(decode.DecodeError):
      decode.Decoder(16, backend='tfio').frames(path)


class WithoutTfioTest(tf.test.TestCase):
  def test_says_what_it_needs(self):
    failing = mock.patch.object(
      decode.importlib, 'import_module', side_effect=ImportError('no module')
    )
    with (
      failing,
      self.assertRaisesRegex(ValueError, 'TensorFlow 2.17.1.*PyAV|pyav'),
    ):
      decode.resolve('tfio', 'cpu')


if __name__ == '__main__':
  tf.test.main()
