import os

from absl.testing import absltest
import numpy as np
from PIL import Image

from train.samples import sample_files


def _videos(num, frames, value, channels=3):
  return np.full([num, frames, 4, 4, channels], value, np.uint8)


class SamplesTest(absltest.TestCase):
  def test_comparison_has_real_above_generated(self):
    stem = os.path.join(self.create_tempdir().full_path, 'x')
    real, generated = _videos(2, 3, 200), _videos(2, 5, 50)
    generated[:, 4] = 90
    gif, png = sample_files.save_comparison(stem, real, generated)
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
    _, png = sample_files.save_comparison(
      stem, real, generated, [('猫: real', 'cat: drawn')]
    )
    strip = np.asarray(Image.open(png))[..., 0]
    self.assertEqual(strip.shape, (2 * (16 + 16), 2 * 16))
    for top, level in ((0, 200), (32, 50)):
      self.assertNotEmpty(np.flatnonzero(strip[top : top + 16]))  # The words.
      np.testing.assert_array_equal(strip[top + 16 : top + 32], level)

  def test_gray_videos(self):
    stem = os.path.join(self.create_tempdir().full_path, 'x')
    _, png = sample_files.save_videos(stem, _videos(1, 2, 7, channels=1))
    np.testing.assert_array_equal(np.asarray(Image.open(png)), 7)

  def test_a_gif_shows_a_part_of_what_is_too_wide(self):
    stem = os.path.join(self.create_tempdir().full_path, 'wide')
    videos = np.zeros([40, 2, 4, 512, 3], np.uint8)
    gif, png = sample_files.save_videos(stem, videos)
    with Image.open(gif) as image:
      self.assertEqual(image.size, (65532, 16))
    with Image.open(png) as image:
      self.assertEqual(image.size, (4096, 640))

  def test_psnr(self):
    real = np.zeros([2, 4, 4, 3], np.uint8)
    np.testing.assert_allclose(sample_files.psnr(real, real + 255), 0.0)
    np.testing.assert_allclose(
      sample_files.psnr(real, real + 1), 20 * np.log10(255.0)
    )


if __name__ == '__main__':
  absltest.main()
