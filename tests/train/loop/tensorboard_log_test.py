import io
import os
from unittest import mock

import numpy as np
from PIL import Image
import tensorflow as tf

from train.loop import tensorboard_log


def _read(folder):
  """`dict` of tag to (step, value) of the event files in `folder`."""
  found = {}
  for name in sorted(os.listdir(folder)):
    for record in tf.data.TFRecordDataset(os.path.join(folder, name)):
      event = tf.compat.v1.Event.FromString(record.numpy())
      for value in event.summary.value:
        found[value.tag] = (event.step, value)
  return found


class TensorBoardLogTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def test_scalars(self):
    with tensorboard_log.TensorBoardLog(self.folder) as board:
      values = {'a': 1.5, 'b': None, 'head': {'min_scale': 0.25}}
      board.scalars('eval', values, 7)
      found = _read(self.folder)  # Before it is closed.
    self.assertCountEqual(found, ['eval/a', 'eval/head/min_scale'])
    step, value = found['eval/head/min_scale']
    self.assertEqual(step, 7)
    self.assertEqual(tf.make_ndarray(value.tensor), 0.25)

  def _videos(self, channels=3, num_frames=4):
    random = np.random.default_rng(0)
    shape = [2, num_frames, 6, 8, channels]
    return random.integers(0, 256, shape, dtype=np.uint8)

  def test_a_folder_that_cannot_be_written_gives_one_warning(self):
    file = os.path.join(self.folder, 'file')
    with open(file, 'w'):
      pass
    make = mock.Mock()
    with (
      self.assertLogs(level='WARNING') as logs,
      tensorboard_log.TensorBoardLog(file) as board,
    ):
      board.scalars('eval', {'a': 1.0}, 1)
      board.videos('eval', make, 1)
    self.assertLen(logs.output, 1)
    self.assertIn(file, logs.output[0])
    make.assert_not_called()

  def test_a_disk_that_fills_gives_one_warning(self):
    full = tf.errors.ResourceExhaustedError(
      None, None, f'{self.folder}/events; No space left on device'
    )
    with (
      self.assertLogs(level='WARNING') as logs,
      tensorboard_log.TensorBoardLog(self.folder) as board,
    ):
      board.scalars('eval', {'a': 1.0}, 1)
      with mock.patch.object(tf.summary, 'scalar', side_effect=full):
        board.scalars('eval', {'a': 1.0}, 2)
      board.scalars('eval', {'a': 1.0}, 3)
    self.assertLen(logs.output, 1)
    self.assertIn('the disk is full', logs.output[0])
    self.assertEqual(_read(self.folder)['eval/a'][0], 1)

  def test_an_error_of_the_videos_is_passed_on(self):
    with tensorboard_log.TensorBoardLog(self.folder) as board:
      error = tf.errors.ResourceExhaustedError(None, None, 'OOM')
      with self.assertRaises(tf.errors.ResourceExhaustedError):
        board.videos('eval', mock.Mock(side_effect=error), 1)

  def test_strip(self):
    videos = self._videos()
    with tensorboard_log.TensorBoardLog(self.folder) as board:
      board.videos('eval', lambda: {'made': videos}, 3)
    step, value = _read(self.folder)['eval/made/strip']
    self.assertEqual(step, 3)
    width, height, png = tf.make_ndarray(value.tensor)
    self.assertEqual((width, height), (b'32', b'12'))
    strip = np.asarray(Image.open(io.BytesIO(png)))
    self.assertAllEqual(strip[6:, 8:16], videos[1, 1])

  def test_gif_plays(self):
    for channels in (1, 3):
      videos = self._videos(channels)
      folder = os.path.join(self.folder, str(channels))
      with tensorboard_log.TensorBoardLog(folder) as board:
        board.videos('eval', lambda v=videos: {'made': v}, 3)
      found = _read(folder)
      _, value = found['eval/made/video']
      # The same form as that of `tf.summary.image`.
      self.assertEqual(
        value.metadata.plugin_data.plugin_name,
        found['eval/made/strip'][1].metadata.plugin_data.plugin_name,
      )
      width, height, gif = tf.make_ndarray(value.tensor)
      self.assertEqual((width, height), (b'16', b'6'))
      image = Image.open(io.BytesIO(gif))
      self.assertEqual((image.format, image.n_frames), ('GIF', 4))
      self.assertEqual(image.info['duration'], 120)  # In 1/100 s: 125 ms.
      self.assertEqual(image.size, (16, 6))
      image.seek(2)
      frame = np.asarray(image.convert('RGB'), np.int32)
      self.assertAllClose(
        frame[:, 8:], np.broadcast_to(videos[1, 2], [6, 8, 3]), atol=24
      )

  def test_tensorboard_reads_them_as_images(self):
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import img_mime_type_detector

    with tensorboard_log.TensorBoardLog(self.folder) as board:
      board.videos('eval', lambda: {'made': self._videos()}, 3)
    events = event_accumulator.EventAccumulator(self.folder).Reload()
    tags = events.PluginTagToContent('images')
    self.assertCountEqual(tags, ['eval/made/strip', 'eval/made/video'])
    (event,) = events.Tensors('eval/made/video')
    gif = tf.make_ndarray(event.tensor_proto)[2]
    self.assertEqual(img_mime_type_detector.from_bytes(gif), 'image/gif')

  def test_images_have_no_video(self):
    with tensorboard_log.TensorBoardLog(self.folder) as board:
      videos = self._videos(num_frames=1)
      board.videos('eval', lambda: {'made': videos}, 3)
    self.assertCountEqual(_read(self.folder), ['eval/made/strip'])

  def test_only_the_chief_writes(self):
    with tensorboard_log.TensorBoardLog(self.folder, is_chief=False) as board:
      board.scalars('eval', {'a': 1.0}, 1)
      board.videos('eval', self.fail, 1)
    self.assertEmpty(os.listdir(self.folder))


if __name__ == '__main__':
  tf.test.main()
