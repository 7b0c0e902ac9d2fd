"""Tests of `classifier`."""

import numpy as np
import tensorflow as tf

from train.evaluation.judges import classifier


def _videos(num_videos, seed=0, noise=20):
  """A bright square that moves left (0) or right (1)."""
  rng = np.random.default_rng(seed)
  labels = rng.integers(2, size=num_videos)
  videos = rng.integers(noise, size=[num_videos, 4, 8, 8, 1])
  for video in videos:
    row, column = rng.integers(6), rng.integers(4)
    for t, frame in enumerate(video):
      frame[row : row + 2, column + t : column + t + 2] += 200
  videos[labels == 0] = videos[labels == 0, :, :, ::-1]
  return videos.astype(np.uint8), labels


class ClassifierTest(tf.test.TestCase):
  def test_tells_motions_apart_and_mirrored_ones(self):
    videos, labels = _videos(256)
    unseen, truth = _videos(64, seed=1)
    trained = classifier.train_classifier(videos, labels, 2, steps=120)
    self.assertGreater(trained.accuracy(unseen, truth), 0.9)
    mirrored = unseen[:, :, :, ::-1]
    self.assertLess(trained.accuracy(mirrored, truth), 0.1)
    self.assertEqual(trained.features(unseen).shape, (64, 128))

  def test_a_seed_gives_the_same_classifier(self):
    videos, labels = _videos(32)
    hashes = [
      classifier.train_classifier(
        videos, labels, 2, steps=2, seed=seed
      ).weights_hash
      for seed in (0, 0, 1)
    ]
    self.assertEqual(hashes[0], hashes[1])
    self.assertNotEqual(hashes[0], hashes[2])

  def test_flip_hides_the_direction(self):
    videos, labels = _videos(256)
    trained = classifier.train_classifier(
      videos, labels, 2, steps=60, flip=True
    )
    self.assertAllClose(trained.accuracy(*_videos(256, seed=1)), 0.5, atol=0.2)

  def test_wrong_arguments(self):
    videos, labels = _videos(4)
    with self.assertRaisesRegex(ValueError, '4 videos and 3 labels'):
      classifier.train_classifier(videos, labels[:3], 2)


class ClassifierJudgeTest(tf.test.TestCase):
  def test_rates_of_frames(self):
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=64)
    videos = rng.integers(60, size=[64, 9, 8, 8, 1]) + 150 * labels.reshape(
      [-1, 1, 1, 1, 1]
    )
    videos = videos.astype(np.uint8)
    judge = classifier.ClassifierJudge(
      classifier.train_classifier(videos[:, :1], labels, 2, steps=40)
    )
    videos[:16, 8] = 255 - videos[:16, 8]  # The last frame of a quarter.
    rates = judge.judge(videos, labels, num_given=2)
    everywhere = {'rate': 1.0, 'judged': 64}
    self.assertEqual(rates['first_frames'], {'recognised': everywhere})
    self.assertEqual(
      rates['frames_recognised_at'],
      {'8': everywhere, '9': {'rate': 0.75, 'judged': 64}},
    )

  def test_nothing_is_recognised_without_labels(self):
    judge = classifier.ClassifierJudge(None)
    rates = judge.judge(np.zeros([2, 1, 8, 8, 1], np.uint8))
    self.assertEqual(
      rates['first_frames'], {'recognised': {'rate': None, 'judged': 0}}
    )

  def test_large_frames_are_averaged(self):
    videos = np.zeros([4, 1, 64, 64, 1], np.uint8)
    self.assertEqual(classifier._prepared(videos).shape, [4, 32, 32, 1])


class FrechetDistanceTest(tf.test.TestCase):
  def test_of_gaussians(self):
    rng = np.random.default_rng(0)
    a = rng.standard_normal([20_000, 3])
    mixing = np.array([[2.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.0, 0.3, 0.5]])
    b = rng.standard_normal([20_000, 3]) @ mixing + [1.0, 0.0, -2.0]
    self.assertAllClose(classifier.frechet_distance(a, a), 0.0, atol=1e-9)
    covariance = mixing.T @ mixing
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values) @ vectors.T
    expected = 5.0 + np.trace(np.eye(3) + covariance - 2 * root)
    self.assertAllClose(classifier.frechet_distance(a, b), expected, rtol=0.02)
    self.assertAllClose(
      classifier.frechet_distance(a, b), classifier.frechet_distance(b, a)
    )

  def test_wrong_arguments(self):
    with self.assertRaisesRegex(ValueError, r'\(1, 3\)'):
      classifier.frechet_distance(np.zeros([1, 3]), np.zeros([5, 3]))


if __name__ == '__main__':
  tf.test.main()
