import os

from absl.testing import absltest
import av
import numpy as np
from PIL import Image

from train.samples import sample_files


def _videos(num, frames, value, channels=3):
  return np.full([num, frames, 4, 4, channels], value, np.uint8)


def _decoded(path):
  """The frames of an MP4: uint8 `[T, H, W, 3]`."""
  with av.open(path) as container:
    frames = container.decode(video=0)
    return np.stack([f.to_ndarray(format='rgb24') for f in frames])


class SamplesTest(absltest.TestCase):
  def test_comparison_has_real_above_generated(self):
    stem = os.path.join(self.create_tempdir().full_path, 'x')
    real, generated = _videos(2, 3, 200), _videos(2, 5, 50)
    generated[:, 4] = 90
    gif, png, mp4 = sample_files.save_comparison(stem, real, generated)
    # The MP4 has the same: real above generated, two side by side.
    movie = _decoded(mp4)
    self.assertEqual(movie.shape, (5, 512, 512, 3))
    np.testing.assert_allclose(movie[:, :256], 200, atol=2)
    np.testing.assert_allclose(movie[:4, 256:], 50, atol=2)
    np.testing.assert_allclose(movie[4, 256:], 90, atol=2)
    with Image.open(gif) as movie:
      self.assertEqual(movie.n_frames, 2)  # GIFs merge equal frames.
      self.assertEqual(movie.size, (2 * 4 * 4, 2 * 4 * 4))
    strip = np.asarray(Image.open(png))[::4, ::4]  # [4 rows of 4, 5 * 4, 3]
    self.assertEqual(strip.shape, (16, 20, 3))
    rows = strip[::4, :, 0]
    np.testing.assert_array_equal(rows[0], 200)  # Holds its last frame.
    np.testing.assert_array_equal(rows[1], [50] * 16 + [90] * 4)
    np.testing.assert_array_equal(rows[::2], 200)

  def test_captions_are_above_the_rows(self):
    stem = os.path.join(self.create_tempdir().full_path, 'x')
    real, generated = _videos(1, 2, 200), _videos(1, 2, 50)
    _, png, _ = sample_files.save_comparison(
      stem, real, generated, [('猫: real', 'cat: drawn')]
    )
    strip = np.asarray(Image.open(png))[..., 0]
    self.assertEqual(strip.shape, (2 * (16 + 16), 2 * 16))
    for top, level in ((0, 200), (32, 50)):
      self.assertNotEmpty(np.flatnonzero(strip[top : top + 16]))  # The words.
      np.testing.assert_array_equal(strip[top + 16 : top + 32], level)

  def test_gray_videos(self):
    stem = os.path.join(self.create_tempdir().full_path, 'x')
    _, png, mp4 = sample_files.save_videos(stem, _videos(1, 2, 7, channels=1))
    np.testing.assert_allclose(_decoded(mp4), 7, atol=2)
    np.testing.assert_array_equal(np.asarray(Image.open(png)), 7)

  def test_a_gif_shows_a_part_of_what_is_too_wide(self):
    stem = os.path.join(self.create_tempdir().full_path, 'wide')
    videos = np.zeros([40, 2, 4, 512, 3], np.uint8)
    gif, png, mp4 = sample_files.save_videos(stem, videos)
    # The MP4 has five rows of eight.
    self.assertEqual(_decoded(mp4).shape, (2, 5 * 4, 4096, 3))
    with Image.open(gif) as image:
      self.assertEqual(image.size, (65532, 16))
    with Image.open(png) as image:
      self.assertEqual(image.size, (4096, 640))

  def test_an_mp4_shows_a_part_of_what_is_too_high(self):
    stem = os.path.join(self.create_tempdir().full_path, 'high')
    videos = np.zeros([1, 2, 4100, 2, 3], np.uint8)
    with self.assertLogs('absl', 'WARNING') as logs:
      _, _, mp4 = sample_files.save_videos(stem, videos)
    (message,) = [r.getMessage() for r in logs.records]
    self.assertStartsWith(message, f'{stem}.mp4 shows a part')
    self.assertEqual(_decoded(mp4).shape, (2, 4096, 2, 3))

  def test_a_picture_is_no_movie(self):
    stem = os.path.join(self.create_tempdir().full_path, 'x')
    paths = sample_files.save_videos(stem, _videos(2, 1, 7))
    self.assertEqual(paths, [f'{stem}.gif', f'{stem}.png'])

  def test_psnr(self):
    real = np.zeros([2, 4, 4, 3], np.uint8)
    np.testing.assert_allclose(sample_files.psnr(real, real + 255), 0.0)
    np.testing.assert_allclose(
      sample_files.psnr(real, real + 1), 20 * np.log10(255.0)
    )


if __name__ == '__main__':
  absltest.main()
