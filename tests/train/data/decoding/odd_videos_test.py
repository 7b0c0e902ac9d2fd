"""The torture set: odd video files give the right frames, or a reason."""

import os
from unittest import mock

from absl.testing import parameterized
import numpy as np
from PIL import WebPImagePlugin
import PIL.Image
import tensorflow as tf

from benchmarks.drills import odd_videos
from benchmarks.drills import video_cases
from train.data import clips as clips_lib
from train.data import skip_log
from train.data import sources
from train.data.decoding import decode
from train.data.decoding import orientation
from train.data.decoding import pyav_reader
from train.data.decoding import readers
from train.data.decoding import timeline

CASES = {case.name: case for case in video_cases.cases()}


def shown(frames):
  """The numbers and the orientations of frames."""
  return [odd_videos.read(frame) for frame in frames]


class OddVideosTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def write(self, name):
    path = os.path.join(self.folder, name)
    CASES[name].make(path)
    return path

  def check(self, path, decoder, numbers, orientation, reason):
    """All frames, their number, and windows that are sought."""
    expected = [(number, orientation) for number in numbers]
    if not numbers:
      with self.assertRaises(decode.DecodeError) as caught:
        decoder.frames(path)
      self.assertEqual(caught.exception.reason, reason)
      self.assertEqual(caught.exception.path, path)
      return
    frames, error = decoder.read(path)
    self.assertEqual(shown(frames), expected)
    self.assertEqual(error.reason if error else '', reason)
    if reason:
      return
    self.assertEqual(decoder.num_frames(path), len(expected))
    with mock.patch.object(decode, '_SEEK_PICTURES', 2):
      for start in range(3, len(expected) - 2, 8):
        window = shown(decoder.clip(path, start, 2))
        self.assertEqual(window, expected[start : start + 2])

  @parameterized.named_parameters((name, name) for name in CASES)
  def test_pictures(self, name):
    case, path = CASES[name], self.write(name)
    decoder = decode.Decoder(32)
    self.check(path, decoder, case.shown, case.orientation, case.reason)

  @parameterized.named_parameters(
    (name, name)
    for name, case in CASES.items()
    if case.orientation == 1 or name.endswith('mp4')
  )
  def test_frames_by_time(self, name):
    case, path = CASES[name], self.write(name)
    reason = case.timed_reason or case.reason
    decoder = decode.Decoder(32, fps=25.0)
    self.check(path, decoder, case.at_25, case.orientation, reason)

  def test_a_gap_is_refused_before_it_is_filled(self):
    path = self.write('gap_of_a_day.mkv')
    decoder = decode.Decoder(32, fps=25.0)
    with self.assertRaisesRegex(decode.DecodeError, 'mkv: gap.*2160001 frames'):
      decoder.num_frames(path)
    with self.assertRaisesRegex(decode.DecodeError, 'gap in its times'):
      decoder.frames(path, 0, 1000)
    self.assertLen(decoder.frames(path, 0, 30), 30)

  def test_a_long_last_picture_is_refused(self):
    picture = readers.Picture(0, lambda: (0.0, 1e6), None, None)
    with self.assertRaisesRegex(decode.DecodeError, 'x: gap in its times'):
      list(decode._resample('x', [picture], 25.0, 0, np.inf))

  def test_b_frames_in_avi_at_twice_the_rate(self):
    path = self.write('b_frames.avi')
    whole = decode.Decoder(32, fps=50.0).frames(path)
    self.assertEqual([n for n, _ in shown(whole)], [k // 2 for k in range(80)])

  @parameterized.parameters(('mov', 'png', 0), ('mkv', 'ffv1', 1))
  def test_side_data_of_png_are_not_touched(self, ending, codec, num_calls):
    # PyAV would free the name of a colour profile twice, and crash later.
    path = os.path.join(self.folder, f'{codec}.{ending}')
    pix_fmt = 'rgb24' if codec == 'png' else 'yuv420p'
    odd_videos.write(path, range(5), codec=codec, pix_fmt=pix_fmt)
    with mock.patch.object(
      orientation, '_of_side_data', return_value=None
    ) as side_data:
      self.assertLen(decode.Decoder(32).frames(path), 5)
    self.assertEqual(side_data.call_count, num_calls)

  def test_tiles_of_a_picture_are_no_video(self):
    path = self.write('b_frames.mkv')
    with (
      mock.patch.object(pyav_reader, '_is_tile', return_value=True),
      self.assertRaisesRegex(decode.DecodeError, 'picture in tiles'),
    ):
      decode.Decoder(32).frames(path)


class DamagedTest(tf.test.TestCase, parameterized.TestCase):
  """A file that ends early is used, and named in the log."""

  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.path = os.path.join(self.folder, 'damaged.mp4')
    CASES['damaged.mp4'].make(self.path)
    region = sources.Region(self.path, 0)
    self.source = sources.Source('x', ('a',), (region,), (region,))
    self.log = os.path.join(self.folder, 'skipped_files.jsonl')

  def read(self, num_frames, **kwargs):
    skips = skip_log.SkipLog(self.source, self.log, max_skipped=0.0)
    clips = clips_lib.Clips(
      self.source, num_frames, decode.Decoder(32), skips, **kwargs
    )
    clip = clips.read_or_skip(self.source.train[0])
    return clip, skips

  def lines(self):
    with open(self.log, encoding='utf-8') as f:
      return f.read().splitlines()

  @parameterized.parameters(True, False)
  def test_is_noted_and_not_counted(self, is_cached):
    cache_dir = os.path.join(self.folder, 'cache') if is_cached else None
    for _ in range(2):
      clip, skips = self.read(8, cache_dir=cache_dir)
      self.assertEqual([n for n, _ in shown(clip)], list(range(8)))
      self.assertEmpty(skips)
      skips.check()
    (line,) = self.lines()
    self.assertIn('"reason": "ends early"', line)
    self.assertIn('9 pictures can be used', line)
    if is_cached:  # The next run decodes, and notes, it again.
      os.remove(self.log)
      self.read(8, cache_dir=cache_dir)
      self.assertLen(self.lines(), 1)

  def test_too_short_a_rest_is_skipped(self):
    clip, skips = self.read(10)
    self.assertIsNone(clip)
    self.assertLen(skips, 1)
    self.assertLen(self.lines(), 2)
    self.assertIn('too few frames', self.lines()[1])


class WebpTest(tf.test.TestCase):
  """The limits hold for WebP, which Pillow reads."""

  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'x.webp')
    CASES['animation.webp'].make(self.path)

  def refused(self, reason, **kwargs):
    decoder = decode.Decoder(32, **kwargs)
    for call in (decoder.frames, decoder.num_frames):
      with self.assertRaises(decode.DecodeError) as caught:
        call(self.path)
      self.assertEqual(caught.exception.reason, reason)

  def test_limits(self):
    self.refused('frames too large', max_pixels=64 * 63)
    self.refused('takes too long', max_seconds=1e-9)
    with mock.patch.object(PIL.Image, 'MAX_IMAGE_PIXELS', 1000):
      self.refused('frames too large')

  def test_pictures_are_read_as_they_are_needed(self):
    image = PIL.Image.Image
    convert = mock.patch.object(
      image, 'convert', autospec=True, side_effect=image.convert
    )
    with convert as converted:
      self.assertLen(decode.Decoder(32).frames(self.path, 0, 2), 2)
    self.assertEqual(converted.call_count, 2)

  def test_a_damaged_animation_ends_early(self):

    seek = WebPImagePlugin.WebPImageFile.seek

    def failing(image, index):
      if index == 3:
        raise OSError('truncated')
      seek(image, index)

    with mock.patch.object(WebPImagePlugin.WebPImageFile, 'seek', failing):
      frames, error = decode.Decoder(32).read(self.path)
    self.assertEqual(shown(frames), [(0, 1), (1, 1), (2, 1)])
    self.assertEqual(error.reason, readers.ENDS_EARLY)


class TimelineTest(tf.test.TestCase):
  def test_times_are_sorted(self):
    times = timeline.of_packets([(2, 0, 1), (6, 2, 3), (4, 4, 1)], 0.1, 5)
    self.assertAllClose(times.seconds, [0, 0.2, 0.4])
    self.assertAllClose(times.span(1), (0.2, 0.2))
    self.assertAllClose(times.span(2), (0.4, 0.3))
    self.assertAllClose(times.span(4), (1.0, 0.3))

  def test_without_times_pictures_are_equally_long(self):
    times = timeline.of_packets([(None, 0, 1), (6, 2, 1)], 0.1, 5)
    self.assertAllClose(times.seconds, [0, 0.2])
    self.assertFalse(times.can_seek)

  def test_recordings_follow_one_another(self):
    packets = [(k, k, 1) for k in (7, 8, 9, 0, 1)]
    times = timeline.of_packets(packets, 0.5, 2)
    self.assertAllClose(times.seconds, [0, 0.5, 1, 1.5, 2])
    self.assertFalse(times.can_seek)

  def test_no_packets(self):
    self.assertEmpty(timeline.of_packets([], 0.5, 2))


if __name__ == '__main__':
  tf.test.main()
