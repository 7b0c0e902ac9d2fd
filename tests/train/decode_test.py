"""Tests of train/decode.py: geometry, the frames asked for, broken files."""

import os
from unittest import mock

from absl.testing import parameterized
import av
import numpy as np
import tensorflow as tf

from train import decode
from train import shapes


def ramp(num_frames, height=48, width=64):
  """Grey frames; frame t has the value 10 t."""
  frames = np.arange(num_frames, dtype=np.uint8)[:, None, None, None] * 10
  return np.tile(frames, [1, height, width, 3])


class AreaResizeTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters((64, 64), (60, 84), (144, 176), (90, 33), (20, 27))
  def test_is_the_area_mean_of_tf_image(self, height, width):
    rng = np.random.Generator(np.random.Philox(0))
    frames = rng.integers(0, 256, [2, height, width, 3]).astype(np.uint8)
    size = 32
    resized = [round(n * size / min(height, width)) for n in (height, width)]
    expected = tf.image.resize(
      frames.astype(np.float32), resized, method='area'
    )
    top, left = (resized[0] - size) // 2, (resized[1] - size) // 2
    expected = expected[:, top : top + size, left : left + size]
    actual = decode.area_resize(frames, size)
    self.assertEqual(actual.dtype, tf.uint8)
    # TensorFlow's op rounds pixel edges to floats: hence not exact.
    self.assertAllClose(tf.cast(actual, tf.float32), expected, rtol=0, atol=0.6)

  def test_crops_the_centre(self):
    frames = np.zeros([1, 32, 96, 3], np.uint8)
    frames[:, :, 32:64] = 200
    self.assertAllEqual(
      decode.area_resize(frames, 16), np.full([1, 16, 16, 3], 200)
    )

  def test_same_size_is_the_identity(self):
    frames = np.arange(16 * 16 * 3, dtype=np.uint8).reshape([1, 16, 16, 3])
    self.assertAllEqual(decode.area_resize(frames, 16), frames)


class DecodeTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'ramp.mp4')
    shapes.write_video(self.path, ramp(20))

  def values(self, frames):
    return np.rint(frames.mean(axis=(1, 2, 3)) / 10)

  def test_gives_the_frames_asked_for(self):
    frames = decode.decode_region(self.path, 3, 5, 16)
    self.assertEqual(frames.dtype, np.uint8)
    self.assertAllEqual(frames.shape, [5, 16, 16, 3])
    self.assertAllEqual(self.values(frames), [3, 4, 5, 6, 7])
    frames = decode.decode_frames(self.path, 16)
    self.assertAllEqual(self.values(frames), np.arange(20))
    self.assertLen(decode.decode_frames(self.path, 16, stop=99), 20)
    self.assertEqual(decode.count_packets(self.path), 20)

  def test_small_chunks_give_the_same(self):
    whole = decode.decode_frames(self.path, 16)
    self.enter_context(
      mock.patch.object(decode, '_CHUNK_BYTES', 3 * 48 * 64 * 3)
    )
    shrink = self.enter_context(
      mock.patch.object(decode, '_shrink', wraps=decode._shrink)
    )
    self.assertAllEqual(decode.decode_frames(self.path, 16), whole)
    lengths = [len(call[0][0]) for call in shrink.call_args_list]
    self.assertEqual(lengths, [3] * 6 + [2])

  def test_stops_reading_after_the_last_frame(self):
    decoded, converted = [], []
    convert = av.VideoFrame.to_ndarray

    class Spy:
      is_corrupt = False

      def __init__(self, frame):
        decoded.append(1)
        self.frame = frame

      def to_ndarray(self, **kwargs):
        converted.append(1)
        return convert(self.frame, **kwargs)

    with decode._open(self.path) as (container, stream):

      class Container:
        def decode(self, stream):
          return map(Spy, container.decode(stream))

      frames = list(decode._Frames(Container(), stream, 2, 5))
    self.assertLen(frames, 3)
    self.assertLen(converted, 3)
    self.assertLen(decoded, 5)

  def test_one_channel_is_the_mean(self):
    frame = np.zeros([1, 32, 32, 3], np.uint8)
    frame[..., 0] = 240
    shapes.write_video(self.path, frame)
    grey = decode.decode_region(self.path, 0, 1, 16, channels=1)
    self.assertAllEqual(grey.shape, [1, 16, 16, 1])
    self.assertAllClose(np.mean(grey), 80, atol=3)
    with self.assertRaisesRegex(ValueError, 'Expected 1 or 3 channels, got 4'):
      decode.decode_frames(self.path, 16, channels=4)


class BrokenFileTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'broken')

  def assert_reason(self, reason, **kwargs):
    with self.assertRaises(decode.DecodeError) as caught:
      decode.decode_frames(self.path, 16, **kwargs)
    self.assertEqual(caught.exception.reason, reason)
    self.assertEqual(caught.exception.path, self.path)
    self.assertIn(self.path, str(caught.exception))
    return caught.exception

  def test_missing(self):
    self.assert_reason('cannot be opened')

  def test_not_a_video(self):
    with open(self.path, 'w', encoding='utf-8') as f:
      f.write('label,path\n' * 100)
    self.assert_reason('cannot be opened')

  def test_audio_only(self):
    with av.open(self.path, 'w', format='wav') as container:
      stream = container.add_stream('pcm_s16le', rate=8000)
      stream.layout = 'mono'
      samples = np.zeros([1, 800], np.int16)
      frame = av.AudioFrame.from_ndarray(samples, format='s16', layout='mono')
      frame.rate = 8000
      container.mux(stream.encode(frame))
      container.mux(stream.encode())
    self.assert_reason('no video stream')
    with self.assertRaisesRegex(decode.DecodeError, 'no video stream'):
      decode.count_packets(self.path)

  def test_too_few_frames(self):
    self.path += '.mp4'
    shapes.write_video(self.path, ramp(5))
    self.assert_reason('too few frames', start=5)
    with self.assertRaisesRegex(decode.DecodeError, 'expected 6, got 5'):
      decode.decode_region(self.path, 2, 4, 16)

  def test_truncated_clip_ends_early(self):
    whole = self.path + '.mkv'
    write_mkv(whole, ramp(40))
    with open(whole, 'rb') as f:
      content = f.read()
    with open(self.path, 'wb') as f:
      f.write(content[: len(content) // 2])
    frames = decode.decode_frames(self.path, 16)
    self.assertBetween(len(frames), 5, 35)
    self.assertAllEqual(
      frames, decode.decode_frames(whole, 16, stop=len(frames))
    )

  def test_file_without_packets(self):
    whole = self.path + '.mkv'
    write_mkv(whole, ramp(4))
    with open(whole, 'rb') as f:
      content = f.read()
    header = content.index(b'\x1f\x43\xb6\x75')  # The first cluster.
    with open(self.path, 'wb') as f:
      f.write(content[: header + 20])
    self.assert_reason('no frames')

  def test_corrupt_frame_ends_the_clip(self):
    self.path += '.mp4'
    shapes.write_video(self.path, ramp(6))

    class Frame:
      def __init__(self, corrupt):
        self.is_corrupt = corrupt

      def to_ndarray(self, format):
        del format
        return np.zeros([16, 16, 3], np.uint8)

    class Container:
      def decode(self, stream):
        del stream
        return [Frame(False), Frame(False), Frame(True), Frame(False)]

    frames = decode._Frames(Container(), None, 0, None)
    self.assertLen(list(frames), 2)
    self.assertEqual(frames.error, 'frame 2 is corrupt')


def write_mkv(path, frames):
  """One intra-coded packet a frame, so that any half of a file has some."""
  with av.open(path, 'w') as container:
    stream = container.add_stream('mjpeg', rate=10)
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt = 'yuvj420p'
    for frame in frames:
      frame = av.VideoFrame.from_ndarray(frame, format='rgb24')
      container.mux(stream.encode(frame.reformat(format='yuvj420p')))
    container.mux(stream.encode())


if __name__ == '__main__':
  tf.test.main()
