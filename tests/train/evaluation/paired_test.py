from absl.testing import absltest
import numpy as np

from train.evaluation import paired


class MeanAndSpreadTest(absltest.TestCase):
  def test_by_hand(self):
    mean, spread, number = paired.mean_and_spread([1.0, 2.0, 6.0])
    self.assertEqual((mean, number), (3.0, 3))
    self.assertAlmostEqual(spread, 7.0**0.5)  # (4 + 1 + 9) / 2.

  def test_few_values(self):
    self.assertEqual(paired.mean_and_spread([2.0]), (2.0, None, 1))
    self.assertEqual(paired.mean_and_spread([]), (None, None, 0))
    self.assertEqual(paired.mean_and_spread([None, 4.0]), (4.0, None, 1))


class PairedDifferenceTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.rng = np.random.default_rng(0)

  def test_what_both_share_cancels(self):
    """A clip's difficulty and a constant difference: no width at all."""
    clips = self.rng.normal(size=[3, 50])
    result = paired.paired_difference(list(clips + 0.5), list(clips))
    for value in (result.mean, result.low, result.high, *result.by_seed):
      self.assertAlmostEqual(value, 0.5)

  def test_one_seed_is_the_normal_interval_of_the_clips(self):
    a = self.rng.normal(1.0, 2.0, size=400)
    result = paired.paired_difference([a], [np.zeros(400)])
    half = 1.96 * a.std() / 20.0
    self.assertAlmostEqual(result.mean, a.mean())
    self.assertAlmostEqual(result.low, a.mean() - half, delta=0.1 * half)
    self.assertAlmostEqual(result.high, a.mean() + half, delta=0.1 * half)

  def test_clips_are_the_same_of_all_seeds(self):
    """More seeds do not make few clips more."""
    clips = self.rng.normal(size=100)
    one = paired.paired_difference([clips], [np.zeros(100)])
    ten = paired.paired_difference([clips] * 10, [np.zeros(100)] * 10)
    self.assertAlmostEqual(
      ten.high - ten.low, one.high - one.low, delta=0.1 * (one.high - one.low)
    )

  def test_seeds_are_resampled(self):
    """Two seeds: a quarter of the resamples has the one alone."""
    a = [np.full(20, -1.0), np.full(20, 1.0)]
    result = paired.paired_difference(a, [np.zeros(20)] * 2)
    self.assertEqual((result.mean, result.low, result.high), (0.0, -1.0, 1.0))
    self.assertEqual(result.by_seed, (-1.0, 1.0))

  def test_deterministic(self):
    a = list(self.rng.normal(size=[3, 20]))
    b = list(self.rng.normal(size=[3, 20]))
    first = paired.paired_difference(a, b, num_resamples=50)
    again = paired.paired_difference(a, b, num_resamples=50)
    other = paired.paired_difference(a, b, num_resamples=50, seed=1)
    self.assertEqual(first, again)
    self.assertNotEqual(first.low, other.low)

  def test_refuses_what_is_not_paired(self):
    with self.assertRaisesRegex(ValueError, r'\[1, 3\] and \[1, 2\]'):
      paired.paired_difference([np.zeros(3)], [np.zeros(2)])
    with self.assertRaisesRegex(ValueError, r'`b`.*\[2, 3\]'):
      paired.paired_difference([np.zeros(3)] * 2, [np.zeros(3), np.zeros(2)])
    with self.assertRaisesRegex(ValueError, r'`a`.*\[\]'):
      paired.paired_difference([], [])


if __name__ == '__main__':
  absltest.main()
