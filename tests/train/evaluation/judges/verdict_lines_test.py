"""Tests of the verdict in words."""

from absl.testing import absltest

from train.evaluation.judges import verdict_lines


def _rate(rate):
  return {'rate': rate, 'judged': 0 if rate is None else 4}


def _of_shapes(right, num_given=0):
  return {
    'num_videos': 48,
    'num_given': num_given,
    'first_frames': {'no_object': _rate(0.25), 'right': _rate(right)},
    'videos_right_through': {'8': _rate(right), '16': _rate(0.125)},
  }


def _of_classifier(rate):
  return {
    'num_videos': 40,
    'num_given': 0,
    'first_frames': {'recognised': _rate(rate)},
    'frames_recognised_at': {'1': _rate(rate)},
  }


class VerdictLinesTest(absltest.TestCase):
  def test_no_judge_has_no_lines(self):
    self.assertEqual(verdict_lines.verdict_lines({}), [])

  def test_of_shapes(self):
    judged = {
      'name': 'shapes',
      'sampling': {'temperature': 0.7, 'min_p': 0.02},
      'real': _of_shapes(1.0),
      'generated': _of_shapes(0.5),
      'continued': _of_shapes(0.75, num_given=2),
    }
    generated, continued, real = verdict_lines.verdict_lines({'judge': judged})
    self.assertEqual(
      generated,
      'Judge: shapes, temperature 0.7, min_p 0.02. 48 of labels: no object '
      '0.25, first frame right 0.50, right through frame 8 0.50, 16 0.12',
    )
    self.assertStartsWith(
      continued, '48 from 2 real frames: first frame right 0.75'
    )
    self.assertStartsWith(real, 'real clips: no object 0.25, first frame')

  def test_of_a_classifier_and_without_labels(self):
    judged = {
      'name': 'classifier',
      'sampling': {'temperature': 1.0},
      'real': _of_classifier(1.0),
      'generated': _of_classifier(None),
      'continued': None,
    }
    generated, real = verdict_lines.verdict_lines({'judge': judged})
    self.assertEndsWith(generated, '40 of labels: first frame recognised -')
    self.assertEqual(real, 'real clips: first frame recognised 1.00')


if __name__ == '__main__':
  absltest.main()
