"""Tests of mp4.py: what is encoded is decoded again."""

import io
import tracemalloc

from absl.testing import absltest
from absl.testing import parameterized
import av
import numpy as np

from train.samples import mp4


def _decoded(data):
  """The stream's codec, pixel format and rate, and frames `[T, H, W, 3]`."""
  with av.open(io.BytesIO(data)) as container:
    (stream,) = container.streams
    context = stream.codec_context
    found = context.name, context.pix_fmt, stream.average_rate
    frames = list(container.decode(stream))
    return found, np.stack([f.to_ndarray(format='rgb24') for f in frames])


def _colors(num_frames, height, width):
  """Movies of single colours: each channel of each frame is another level."""
  levels = np.arange(num_frames * 3).reshape([num_frames, 1, 1, 3]) * 23 % 256
  return np.tile(levels.astype(np.uint8), [1, height, width, 1])


class Mp4Test(parameterized.TestCase):
  def test_plays_in_browsers_and_shows_the_colors(self):
    movie = _colors(7, 64, 32)
    data = mp4.encode(movie, 12.5)
    found, frames = _decoded(data)
    self.assertEqual(found, ('h264', 'yuv420p', 12.5))
    np.testing.assert_allclose(frames, movie.astype(int), atol=3)
    self.assertLess(data.index(b'moov'), data.index(b'mdat'))  # Plays at once.
    self.assertEqual(mp4.encode(movie, 12.5), data)

  def test_pixels_stay_sharp(self):
    pixels = np.random.default_rng(0).integers(0, 256, [3, 16, 16, 1])
    pixels = np.tile(pixels.astype(np.uint8), 3)  # Grey.
    large = np.stack(list(mp4.enlarged(pixels, 16)))
    self.assertEqual(large.shape, (3, 256, 256, 3))
    np.testing.assert_array_equal(large[:, ::16, ::16], pixels)
    _, frames = _decoded(mp4.encode(large, 8))
    error = frames[:, 8::16, 8::16].astype(int) - pixels
    self.assertLess(np.abs(error).mean(), 4)

  @parameterized.parameters(
    ((301, 300), 300, (302, 300)),  # Large enough, but odd.
    ((17, 51), 17, (16 * 17, 16 * 51)),
    ((15, 15), 15, (18 * 15, 18 * 15)),
    ((64, 3000), 64, (64, 3000)),  # Four times as wide is too wide.
    ((32, 32), 16, (512, 512)),  # Four videos.
    ((100, 5001), 100, (100, 4096)),  # A part.
    ((255, 255), 255, (510, 510)),
  )
  def test_sizes(self, size, width, expected):
    movie = np.zeros([2, *size, 3], np.uint8)
    shapes = [frame.shape for frame in mp4.enlarged(movie, width)]
    self.assertEqual(shapes, 2 * [(*expected, 3)])
    self.assertEqual(mp4.is_cut(movie), max(size) > 4096)

  def test_frames_are_enlarged_one_at_a_time(self):
    movie = np.zeros([400, 15, 15, 3], np.uint8)  # 268 times as large.
    tracemalloc.start()
    self.addCleanup(tracemalloc.stop)
    for frame in mp4.enlarged(movie, 15):
      self.assertEqual(frame.shape, (270, 270, 3))
    _, peak = tracemalloc.get_traced_memory()
    self.assertLess(peak, 10 * 270 * 270 * 3)

  def test_a_grid_has_all_videos_in_order(self):
    videos = np.zeros([20, 3, 16, 16, 3], np.uint8)
    videos += np.arange(1, 21, dtype=np.uint8)[:, None, None, None, None]
    table = mp4.grid(videos)
    self.assertEqual(table.shape, (3, 2 * 16, 16 * 16, 3))
    numbers = table[:, ::16, ::16, 0].reshape([3, -1])
    self.assertEqual(numbers[2].tolist(), [*range(1, 21), *[0] * 12])
    few = mp4.grid(videos[:3])
    self.assertEqual(few[0, ::16, ::16, 0].tolist(), [[1, 2, 3]])


if __name__ == '__main__':
  absltest.main()
