"""Tests of decode.py: geometry, the frames asked for, broken files."""

import fractions
import gzip
import os
import struct
import types
from unittest import mock

from absl.testing import parameterized
import av
import numpy as np
import PIL.Image
import tensorflow as tf

from train.data.decoding import decode
from train.data.decoding import pixels
from train.data.decoding import pyav_reader
from train.data.sets import moving_shapes


def ramp(num_frames, height=48, width=64):
  """Grey frames; frame t has the value 10 t."""
  frames = np.arange(num_frames, dtype=np.uint8)[:, None, None, None] * 10
  return np.tile(frames, [1, height, width, 3])


DECODER = decode.Decoder(16)


class DecodeTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'ramp.mp4')
    moving_shapes.write_video(self.path, ramp(20))

  def values(self, frames):
    return np.rint(frames.mean(axis=(1, 2, 3)) / 10)

  def test_gives_the_frames_asked_for(self):
    frames = DECODER.clip(self.path, 3, 5)
    self.assertEqual(frames.dtype, np.uint8)
    self.assertAllEqual(frames.shape, [5, 16, 16, 3])
    self.assertAllEqual(self.values(frames), [3, 4, 5, 6, 7])
    frames = DECODER.frames(self.path)
    self.assertAllEqual(self.values(frames), np.arange(20))
    self.assertLen(DECODER.frames(self.path, stop=99), 20)
    self.assertEqual(DECODER.num_frames(self.path), 20)

  def test_small_chunks_give_the_same(self):
    whole = DECODER.frames(self.path)
    planes = 3 * 48 * 64 * 3
    self.enter_context(mock.patch.object(decode, '_CHUNK_BYTES', planes))
    to_frames = self.enter_context(
      mock.patch.object(pixels, 'to_frames', wraps=pixels.to_frames)
    )
    self.assertAllEqual(DECODER.frames(self.path), whole)
    lengths = [len(call[0][0][0]) for call in to_frames.call_args_list]
    self.assertEqual(lengths, [3] * 6 + [2])

  def test_stops_reading_after_the_last_frame(self):
    layout_of = self.enter_context(
      mock.patch.object(pyav_reader, 'layout_of', wraps=pyav_reader.layout_of)
    )
    self.assertLen(DECODER.frames(self.path, 2, 5), 3)
    self.assertEqual(layout_of.call_count, 5)

  def test_stride(self):
    decoder = decode.Decoder(16, stride=3)
    frames = decoder.frames(self.path)
    self.assertAllEqual(self.values(frames), np.arange(0, 20, 3))
    self.assertEqual(decoder.num_frames(self.path), 7)
    self.assertAllEqual(self.values(decoder.clip(self.path, 2, 3)), [6, 9, 12])

  @parameterized.parameters(6.0, 12.0, 24.0, 5.0)
  def test_fps(self, fps):
    # The file has 12 pictures a second.
    decoder = decode.Decoder(16, fps=fps)
    num = int(np.ceil(20 * fps / 12 - 1e-6))
    expected = np.floor(np.arange(num) * 12 / fps + 1e-6)
    self.assertAllEqual(self.values(decoder.frames(self.path)), expected)
    self.assertEqual(decoder.num_frames(self.path), num)
    clip = decoder.clip(self.path, 3, 4)
    self.assertAllEqual(self.values(clip), expected[3:7])

  def test_one_channel_is_the_mean(self):
    frame = np.zeros([1, 32, 32, 3], np.uint8)
    frame[..., 0] = 240
    moving_shapes.write_video(self.path, frame)
    grey = decode.Decoder(16, channels=1).clip(self.path, 0, 1)
    self.assertAllEqual(grey.shape, [1, 16, 16, 1])
    self.assertAllClose(np.mean(grey), 80, atol=3)

  @parameterized.parameters(
    ({'channels': 4}, 'Expected 1 or 3 channels, got 4'),
    ({'crop': 'middle'}, "got 'middle'"),
    ({'stride': 0}, 'positive fps and stride'),
    ({'fps': 5.0, 'stride': 2}, 'fps or stride, got both'),
  )
  def test_bad_arguments(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      decode.Decoder(16, **arguments)


class SeekTest(tf.test.TestCase, parameterized.TestCase):
  """A window far from the start is the same with and without a seek."""

  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    rng = np.random.Generator(np.random.Philox(0))
    noise = rng.integers(0, 256, [150, 8, 8, 3]).astype(np.uint8)
    self.frames = noise.repeat(4, axis=1).repeat(4, axis=2)

  @parameterized.product(
    suffix=('mp4', 'mkv', 'avi', 'ts'),
    options=({}, {'stride': 2}, {'fps': 10.0}),
  )
  def test_equals_decoding_from_the_start(self, suffix, options):
    path = os.path.join(self.folder, f'noise.{suffix}')
    write_video(path, self.frames, {'g': '12', 'bf': '2'})
    decoder = decode.Decoder(16, **options)
    whole = decoder.frames(path)
    self.assertEqual(decoder.num_frames(path), len(whole))
    seeking = mock.patch.object(decode, '_SEEK_PICTURES', 5)
    near = pyav_reader.PyavReader.pictures_near
    with (
      seeking,
      mock.patch.object(
        pyav_reader.PyavReader, 'pictures_near', autospec=True, side_effect=near
      ) as sought,
    ):
      for start in (1, 17, 40, len(whole) - 3):
        self.assertAllEqual(
          decoder.clip(path, start, 3), whole[start : start + 3]
        )
    self.assertTrue(sought.called)

  def test_reads_little_of_the_file(self):
    path = os.path.join(self.folder, 'noise.mp4')
    write_video(path, self.frames, {'g': '10'})
    with mock.patch.object(
      pyav_reader, 'layout_of', wraps=pyav_reader.layout_of
    ) as layout_of:
      DECODER.clip(path, 125, 3)
    self.assertLess(layout_of.call_count, 15)

  def test_variable_frame_rate(self):
    path = os.path.join(self.folder, 'vfr.mkv')
    times = np.cumsum([0] + [40, 40, 160, 20] * 20)[:60]
    write_video(path, self.frames[:60], {'g': '10'}, times)
    decoder = decode.Decoder(16, fps=25.0)
    whole = decode.Decoder(16).frames(path)
    shown = np.searchsorted(times, np.arange(0, 900, 40) + 1e-3, 'right') - 1
    self.assertAllEqual(decoder.frames(path, 0, len(shown)), whole[shown])


class ShapeOfPicturesTest(tf.test.TestCase):
  """Rotation, pixel aspect and size limits of real files."""

  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def test_pixel_aspect(self):
    frames = np.zeros([4, 32, 32, 3], np.uint8)
    frames[:, :, 8:24] = 200  # Shown twice as wide: all that is kept.
    path = os.path.join(self.folder, 'wide.mkv')
    write_video(path, frames, {}, aspect=2)
    wide = decode.Decoder(8).frames(path)
    self.assertAllClose(wide, np.full([4, 8, 8, 3], 200), atol=6)
    square = decode.Decoder(8, pixel_aspect=False).frames(path)
    self.assertLess(square[:, :, 0].max(), 10)

  def test_rotation(self):
    path = os.path.join(self.folder, 'upright.mp4')
    frames = np.zeros([2, 32, 48, 3], np.uint8)
    frames[:, :16, :24] = 200  # Top left.
    moving_shapes.write_video(path, frames)
    upright = decode.Decoder(16).frames(path)
    self.assertGreater(upright[0, 2, 2].min(), 150)
    with open(path, 'rb') as f:
      content = f.read()
    one = 0x10000
    identity = struct.pack('>9i', one, 0, 0, 0, one, 0, 0, 0, 2**30)
    self.assertEqual(content[content.index(b'tkhd') :].count(identity), 1)
    # A phone held upright: shown turned clockwise by 90 degrees.
    clockwise = struct.pack('>9i', 0, one, 0, -one, 0, 0, 0, 0, 2**30)
    start = content.index(identity, content.index(b'tkhd'))
    content = content[:start] + clockwise + content[start + 36 :]
    with open(path, 'wb') as f:
      f.write(content)
    turned = decode.Decoder(16).frames(path)
    self.assertAllEqual(turned, np.rot90(upright, -1, axes=(1, 2)))

  def test_large_pictures_are_refused(self):
    path = os.path.join(self.folder, 'large.mkv')
    write_video(path, np.zeros([2, 64, 64, 3], np.uint8), {})
    with self.assertRaisesRegex(decode.DecodeError, '64x64, expected at most'):
      decode.Decoder(16, max_pixels=64 * 63).frames(path)

  def test_slow_files_are_given_up(self):
    path = os.path.join(self.folder, 'slow.mkv')
    write_video(path, np.zeros([2, 64, 64, 3], np.uint8), {})
    with self.assertRaisesRegex(decode.DecodeError, 'takes too long'):
      decode.Decoder(16, max_seconds=1e-9).frames(path)

  def test_idx_images(self):
    path = os.path.join(self.folder, 'train-images-idx3-ubyte.gz')
    images = np.arange(3 * 28 * 28, dtype=np.uint8).reshape([3, 28, 28])
    with gzip.open(path, 'wb') as f:
      f.write(struct.pack('>IIII', 0x803, 3, 28, 28) + images.tobytes())
    padded = np.pad(images, [[0, 0], [2, 2], [2, 2]])
    decoder = decode.Decoder(32, channels=1)
    self.assertAllEqual(decoder.frames(path)[..., 0], padded)
    self.assertAllEqual(decoder.clip(path, 1, 2)[..., 0], padded[1:])
    self.assertEqual(decoder.num_frames(path), 3)
    halves = padded.reshape([3, 16, 2, 16, 2]).mean(axis=(2, 4))
    half = decode.Decoder(16, channels=1).frames(path)[..., 0]
    self.assertAllClose(half, halves, atol=0.51)

  def test_animated_webp(self):
    path = os.path.join(self.folder, 'noise.webp')
    rng = np.random.Generator(np.random.Philox(0))
    frames = rng.integers(0, 256, [3, 16, 16, 3]).astype(np.uint8)
    first, *rest = [PIL.Image.fromarray(f) for f in frames]
    first.save(
      path, save_all=True, append_images=rest, lossless=True, duration=100
    )
    self.assertAllEqual(decode.Decoder(16).frames(path), frames)
    self.assertEqual(decode.Decoder(16).num_frames(path), 3)
    self.assertLen(decode.Decoder(16, fps=20.0).frames(path), 6)

  def test_remote_files(self):
    local = os.path.join(self.folder, 'ramp.mp4')
    moving_shapes.write_video(local, ramp(5))
    remote = 'ram://decode_test/ramp.mp4'
    tf.io.gfile.makedirs('ram://decode_test')
    tf.io.gfile.copy(local, remote, overwrite=True)
    self.assertAllEqual(DECODER.frames(remote), DECODER.frames(local))
    with self.assertRaisesRegex(decode.DecodeError, 'cannot be opened'):
      DECODER.frames('ram://decode_test/none.mp4')


class ResolveTest(tf.test.TestCase):
  def test_no_gpu(self):
    if tf.config.list_physical_devices('GPU'):
      self.skipTest('There is a GPU.')
    self.assertEqual(decode.resolve('pyav', 'auto'), 'cpu')
    with self.assertRaisesRegex(ValueError, 'expects an NVIDIA GPU'):
      decode.resolve('pyav', 'cuda')

  def test_unknown(self):
    with self.assertRaisesRegex(ValueError, "got 'vlc'"):
      decode.resolve('vlc', 'cpu')
    with self.assertRaisesRegex(ValueError, "got 'tpu'"):
      decode.resolve('pyav', 'tpu')


class BrokenFileTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'broken')

  def assert_reason(self, reason, **kwargs):
    with self.assertRaises(decode.DecodeError) as caught:
      DECODER.frames(self.path, **kwargs)
    self.assertEqual(caught.exception.reason, reason)
    self.assertEqual(caught.exception.path, self.path)
    self.assertIn(self.path, str(caught.exception))
    return caught.exception

  def test_missing(self):
    self.assert_reason('cannot be opened')

  def test_loop_of_links(self):
    os.symlink('broken', self.path)
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
      DECODER.num_frames(self.path)

  def test_the_cover_of_a_song_is_no_video(self):
    self.path += '.mp4'
    moving_shapes.write_video(self.path, ramp(3))
    attached = av.stream.Disposition.attached_pic
    with mock.patch.object(
      pyav_reader, '_is_cover', lambda stream: stream.type == 'video'
    ):
      self.assert_reason('no video stream')
    self.assertTrue(
      pyav_reader._is_cover(types.SimpleNamespace(disposition=attached))
    )
    plain = types.SimpleNamespace(disposition=av.stream.Disposition.default)
    self.assertFalse(pyav_reader._is_cover(plain))

  def test_too_few_frames(self):
    self.path += '.mp4'
    moving_shapes.write_video(self.path, ramp(5))
    self.assert_reason('too few frames', start=5)
    with self.assertRaisesRegex(decode.DecodeError, 'expected 6, got 5'):
      DECODER.clip(self.path, 2, 4)

  def test_truncated_clip_ends_early(self):
    whole = self.path + '.mkv'
    write_mkv(whole, ramp(40))
    with open(whole, 'rb') as f:
      content = f.read()
    with open(self.path, 'wb') as f:
      f.write(content[: len(content) // 2])
    frames = DECODER.frames(self.path)
    self.assertBetween(len(frames), 5, 35)
    self.assertAllEqual(frames, DECODER.frames(whole, stop=len(frames)))

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
    frames = [
      types.SimpleNamespace(
        is_corrupt=is_corrupt,
        width=16,
        height=16,
        pts=None,
        time=None,
        duration=0,
        time_base=1,
        rotation=0,
        side_data={},
      )
      for is_corrupt in (False, False, True, False)
    ]
    packet = types.SimpleNamespace(pts=None, dts=None, decode=lambda: frames)
    container = types.SimpleNamespace(
      demux=lambda stream: [packet], format=types.SimpleNamespace(name='x')
    )
    stream = types.SimpleNamespace(
      sample_aspect_ratio=None,
      codec_context=types.SimpleNamespace(
        sample_aspect_ratio=None, width=16, height=16, name='x'
      ),
      average_rate=10,
      guessed_rate=10,
      start_time=0,
      index_entries=[],
    )
    reader = pyav_reader.PyavReader('x', container, stream, None, None)
    with mock.patch.object(pyav_reader, 'layout_of', return_value=(None, None)):
      pictures = list(reader.pictures())
    self.assertAllClose([p.span()[0] for p in pictures], [0.0, 0.1])
    self.assertRegex(reader.error, 'is corrupt')


def write_video(path, frames, options, times=None, aspect=1):
  """H.264, lossless but for the colour; `times` in milliseconds."""
  with av.open(path, 'w') as container:
    stream = container.add_stream('libx264', rate=25)
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt = 'yuv444p'
    stream.options = {'qp': '0', **options}
    stream.codec_context.sample_aspect_ratio = fractions.Fraction(aspect)
    if times is not None:
      stream.codec_context.time_base = fractions.Fraction(1, 1000)
    for k, frame in enumerate(frames):
      frame = av.VideoFrame.from_ndarray(frame, format='rgb24')
      if times is not None:
        frame.pts, frame.time_base = int(times[k]), fractions.Fraction(1, 1000)
      container.mux(stream.encode(frame))
    container.mux(stream.encode())


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
