from absl.testing import absltest

from train.config import presets
from train.evaluation import held_out_table
from train.evaluation import published

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


class HeldOutTableTest(absltest.TestCase):
  def test_table(self):
    lines = held_out_table.format_table(_METRICS).splitlines()
    self.assertIn('42 clips', lines[0])
    self.assertEqual(lines[1].split(), ['head', 'tail'])
    self.assertLen(lines, 7)
    self.assertLen({len(line) for line in lines[1:]}, 1)
    self.assertEqual(lines[4].split(), ['trained', 'flow', '2.071', '-'])
    self.assertEqual(lines[6].split()[-2:], ['-', '1.675'])

  def test_needs_no_number_of_clips(self):
    metrics = {k: v for k, v in _METRICS.items() if k != 'num_valid_clips'}
    first = held_out_table.format_table(metrics).splitlines()[0]
    self.assertEqual(first, 'Held-out bits/dim')

  def test_label_information_is_a_line(self):
    metrics = {
      **_METRICS,
      'label_entropy_bits': 2.0,
      'label_information_bits': -0.5,
      'calibrated_label_information_bits': 1.25,
      'label_accuracy': 0.75,
    }
    line = held_out_table.format_table(metrics).splitlines()[-1]
    self.assertIn('1.25 of 2.00 bits', line)
    self.assertIn('uncalibrated -0.50', line)
    few = held_out_table.format_table({**metrics, 'num_valid_clips': 29})
    self.assertIn('too few clips', few)
    self.assertNotIn('1.25', few)

  def test_start_from_another_run_is_no_identity(self):
    metrics = {
      k.replace('identity', 'start'): v
      for k, v in _METRICS.items()
      if 'adapted' not in k
    }
    lines = held_out_table.format_table(metrics).splitlines()
    self.assertStartsWith(lines[2], 'before training')
    self.assertStartsWith(lines[3], 'trained flow')

  def test_says_if_the_tail_is_no_better_than_a_histogram(self):
    for bits, is_said in ((1.674, False), (1.675, True), (None, False)):
      text = held_out_table.format_table(
        {**_METRICS, 'tail_bits_per_dim': bits}
      )
      self.assertEqual('The tail is worse' in text, is_said)

  def test_tighter_bound_is_a_row(self):
    metrics = {
      **_METRICS,
      'num_importance_samples': 8,
      'head_bits_per_dim_iw': 2.0001,
      'tail_bits_per_dim_iw': None,
    }
    lines = held_out_table.format_table(metrics).splitlines()
    self.assertLen(lines, 8)
    self.assertEqual(
      lines[5].split(), 'trained, 8 noise samples 2.000 -'.split()
    )

  def test_published_numbers_are_rows_with_their_source(self):
    (number,) = published.numbers_for(presets.PRESETS['bair'])
    lines = held_out_table.format_table(
      {**_METRICS, 'published': [number]}
    ).splitlines()
    self.assertEqual(lines[7].split()[-3:], ['VideoFlow', '-', '1.870'])
    self.assertIn('Kumar', lines[8])
    self.assertIn('three given', lines[8])

  def test_continuations(self):
    by_horizon = {'psnr': [30.0, 20.04], 'ssim': [0.9, 0.5]}
    metrics = {
      **_METRICS,
      **{
        key.format(m): values
        for m, values in by_horizon.items()
        for key in (
          'continuation_{}_mean_of_samples',
          'continuation_{}_best_of_samples',
          'copy_{}',
        )
      },
      'continuation_num_samples': 10,
      'continuation_num_clips': 4,
      'continuation_num_given': 2,
      'continuation_temperature': 0.7,
      'drift': {'ratios': {'deviations': [1.0, 0.75]}},
    }
    lines = held_out_table.format_table(metrics).splitlines()[7:]
    self.assertIn('4 clips', lines[0])
    self.assertEqual(
      lines[2].split()[-4:], ['dB,', '0.90', '20.0', 'dB,', '0.50'][-4:]
    )
    self.assertIn('repeated', lines[4])
    self.assertIn('1.00 at frame 1, 0.75 at frame 2', lines[5])


if __name__ == '__main__':
  absltest.main()
