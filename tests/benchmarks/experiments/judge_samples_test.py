"""Tests of the combinations, the batches, the strips and the means."""

import types

from absl.testing import absltest
from absl.testing import flagsaver
import numpy as np
from PIL import Image
import tensorflow as tf

from benchmarks.experiments import judge_samples
from train.evaluation.judges import base


class _Judge(base.Judge):
  """Frames of 1 are right."""

  name = 'ones'

  def judge(self, videos, labels=None, num_given=0):
    return {
      'num_videos': len(videos),
      'num_given': num_given,
      'right': base.rate((videos == 1).all(axis=(1, 2, 3, 4))),
    }

  def marks(self, videos, labels=None):
    return 2 * (videos == 1).all(axis=(2, 3, 4)).astype(int)


class _Model:
  """Draws frames of `level`."""

  num_labels = 3

  def __init__(self):
    self.calls = []

  def sample(
    self, labels, num_frames, seed, temperature, level, first_frames=None
  ):
    self.calls.append((list(labels), seed, temperature))
    frames = np.full([len(labels), num_frames, 4, 4, 3], level, np.uint8)
    if first_frames is not None:
      frames[:, : first_frames.shape[1]] = first_frames
    return tf.constant(frames)


def _samples(**system):
  samples = judge_samples.Samples.__new__(judge_samples.Samples)
  samples.model, samples.judge = _Model(), _Judge()
  kind = {'has_head': True, 'has_tail': True, **system}
  samples.system = types.SimpleNamespace(**kind)
  samples.clips = np.ones([5, 8, 4, 4, 3], np.uint8)
  samples.labels = np.arange(5, dtype=np.int32) % 3
  samples.num_given = 2
  return samples


class JudgeSamplesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.enter_context(
      flagsaver.as_parsed(
        workdir='unused',
        videos_per_label='2',
        frames='3',
        batch='4',
        seed='5',
        png_videos='2',
      )
    )
    self._sampling = {'temperature': 0.5, 'level': 1}

  def test_combinations(self):
    keywords = dict(
      map(judge_samples.parse, ['min_p=0,0.1', 'kind=some', 'w=null'])
    )
    self.assertEqual(
      judge_samples.combinations({'temperature': [1.0], **keywords}),
      [
        {'temperature': 1.0, 'min_p': p, 'kind': 'some', 'w': None}
        for p in (0, 0.1)
      ],
    )
    with self.assertRaisesRegex(ValueError, 'NAME=VALUE'):
      judge_samples.parse('min_p')

  def test_draws_in_batches_with_seeds_of_their_own(self):
    samples = _samples()
    row = judge_samples.judged(samples, self._sampling)
    self.assertEqual(
      samples.model.calls,
      [
        ([0, 1, 2], 10, 0.5),
        ([0, 1, 2], 11, 0.5),
        ([0, 1, 2], 10, 0.5),
        ([0, 1], 11, 0.5),
      ],
    )
    self.assertEqual(row['sampling'], self._sampling)
    self.assertEqual(row['generated']['right'], {'rate': 1.0, 'judged': 6})
    self.assertEqual(row['generated']['num_given'], 0)
    self.assertEqual(row['continued']['right'], {'rate': 1.0, 'judged': 5})
    self.assertEqual(row['continued']['num_given'], 2)

  def test_parts_that_a_model_lacks(self):
    samples = _samples(has_tail=False)
    row = judge_samples.judged(samples, self._sampling)
    self.assertIsNone(row['continued'])
    videos, _ = samples.generated(self._sampling)
    self.assertEqual(videos.shape, (6, 1, 4, 4, 3))
    row = judge_samples.judged(_samples(has_head=False), self._sampling)
    self.assertIsNone(row['generated'])

  def test_strips_have_bars(self):
    stem = f'{self.create_tempdir().full_path}/strip'
    sampling = {'temperature': 1.0, 'level': 2}
    judge_samples.judged(_samples(), sampling, stem)
    strip = np.asarray(Image.open(f'{stem}_continued.png'))[1::3, 1::3]
    self.assertEqual(strip.shape, (2 * (4 + 3), 3 * 4, 3))
    np.testing.assert_array_equal(strip[:4, :8], 1)  # Given.
    np.testing.assert_array_equal(strip[:4, 8:], 2)
    np.testing.assert_array_equal(strip[4, 1], [0, 180, 0])
    np.testing.assert_array_equal(strip[4, 9], [200, 0, 0])

  def test_over_runs(self):
    rows = [
      {'sampling': {}, 'generated': {'right': {'rate': rate, 'judged': 2}}}
      for rate in (0.5, 1.0)
    ]
    (row,) = judge_samples.over_runs([{'rows': [r]} for r in rows])
    self.assertEqual(row['generated.right']['mean'], 0.75)
    self.assertEqual(row['generated.right']['by_seed'], [0.5, 1.0])


if __name__ == '__main__':
  absltest.main()
