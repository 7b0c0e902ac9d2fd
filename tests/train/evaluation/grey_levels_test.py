from absl.testing import absltest
import numpy as np

from train.evaluation import grey_levels


class GreyLevelsTest(absltest.TestCase):
  def test_squared_errors_sum_over_pixels_and_channels(self):
    frames = np.zeros([2, 3, 4, 4, 2], np.uint8)
    frames[1, 2, 0, 0] = 255
    predicted = np.zeros(frames.shape)
    predicted[1, 2, 0, 0, 0] = 127.5
    expected = np.zeros([2, 3])
    expected[1, 2] = 0.25 + 1
    np.testing.assert_allclose(
      grey_levels.squared_errors(frames, predicted), expected
    )
    # Differences of uint8 do not wrap.
    self.assertEqual(grey_levels.squared_errors(frames, 255 - frames).max(), 32)

  def test_cross_entropy(self):
    frames = np.array([0, 51, 255], np.uint8).reshape([1, 1, 3, 1])
    predicted = np.array([25.5, 127.5, 204.0]).reshape(frames.shape)
    expected = -np.log(0.9) - np.log(0.5) - np.log(0.8)
    np.testing.assert_allclose(
      grey_levels.cross_entropy(frames, predicted), [expected]
    )

  def test_entropy_is_the_least_cross_entropy(self):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, [5, 8, 8, 1], np.uint8)
    frames[0] = 255 * (frames[0] > 99)  # Black and white: no entropy.
    entropy = grey_levels.entropy(frames)
    self.assertEqual(entropy[0], 0)
    for change in (-1, 1):
      other = np.clip(frames.astype(float) + change, 1, 254)
      self.assertTrue(
        (grey_levels.cross_entropy(frames, other) > entropy).all()
      )


if __name__ == '__main__':
  absltest.main()
