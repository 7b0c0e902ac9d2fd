from absl.testing import absltest

from train import evaluation

_METRICS = {
  'head_bits_per_dim': 2.0714,
  'tail_bits_per_dim': None,
  'identity_head_bits_per_dim': 6.4,
  'identity_tail_bits_per_dim': None,
  'adapted_head_bits_per_dim': 3.9,
  'adapted_tail_bits_per_dim': None,
  'marginal_histogram_bits_per_dim': 4.692,
  'previous_pixel_histogram_bits_per_dim': 1.675,
  'num_valid_clips': 42,
}


class EvaluationTest(absltest.TestCase):
  def test_table(self):
    lines = evaluation.format_table(_METRICS).splitlines()
    self.assertIn('42 clips', lines[0])
    self.assertEqual(lines[1].split(), ['head', 'tail'])
    self.assertLen(lines, 7)
    self.assertLen({len(line) for line in lines[1:]}, 1)
    self.assertEqual(lines[4].split(), ['trained', 'flow', '2.071', '-'])
    self.assertEqual(lines[6].split()[-2:], ['-', '1.675'])

  def test_label_information_is_a_line(self):
    metrics = {
      **_METRICS,
      'label_entropy_bits': 2.0,
      'label_information_bits': -0.5,
      'calibrated_label_information_bits': 1.25,
      'label_accuracy': 0.75,
    }
    line = evaluation.format_table(metrics).splitlines()[-1]
    self.assertIn('1.25 of 2.00 bits', line)
    self.assertIn('uncalibrated -0.50', line)


if __name__ == '__main__':
  absltest.main()
