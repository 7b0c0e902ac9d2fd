"""Tests of `base`."""

from absl.testing import absltest
from absl.testing import parameterized

from train.config import overrides
from train.config import presets
from train.systems import systems


class WordsTest(parameterized.TestCase):
  @parameterized.parameters(
    ([], 'drawn from the label, temperature 0.7, min_p 0'),
    (['model.head.labels=none'], 'drawn, temperature 0.7, min_p 0'),
    (['model=gan'], 'drawn from the label, temperature 0.7'),
    (['model=gan', 'model.use_labels=false'], 'drawn, temperature 0.7'),
  )
  def test_of_generated_videos(self, assignments, words):
    config = overrides.override(presets.PRESETS['smoke'], assignments)
    self.assertEqual(systems.of(config).words_for('generated'), words)

  def test_of_continued_videos(self):
    for frames, words in ((1, 'frame,'), (2, 'frames,')):
      config = overrides.override(
        presets.PRESETS['smoke'], [f'model.tail.previous_frames={frames}']
      )
      self.assertStartsWith(
        systems.of(config).words_for('continued'),
        f'continued from {frames} real {words}',
      )


if __name__ == '__main__':
  absltest.main()
