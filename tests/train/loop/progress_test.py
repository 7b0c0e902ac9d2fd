import io
import logging as std_logging
import unittest.mock

from absl import logging
import tensorflow as tf

from train.loop import progress

_VALUES = {
  'loss': 8.0,
  'head_bits_per_dim': 4.25,
  'tail_bits_per_dim': 3.5,
  'head_gradient_norm': 12.0,
  'labels_gradient_norm': 0.001,
  'clips_per_second': 31.25,
  'wait_fraction': 0.031,
  'skipped_steps': 2.0,
  'skipped_files': 0,
}


class _Terminal(io.StringIO):
  def isatty(self):
    return True


class ProgressTest(tf.test.TestCase):
  def test_format(self):
    self.assertEqual(
      ', '.join(progress.format_values(_VALUES)),
      'head 4.2500, tail 3.5000 bits/dim, 31.2 clips/s, 3% waiting, '
      '2 skipped steps, gradients head 12 labels 0.001',
    )

  def test_a_part_alone(self):
    values = {k: v for k, v in _VALUES.items() if not k.startswith('tail')}
    self.assertStartsWith(
      ', '.join(progress.format_values(values)), 'head 4.2500 bits/dim, 31.2'
    )

  def test_a_file_gets_plain_lines(self):
    stream = io.StringIO()
    shown = progress.Progress(10, 40, stream)
    with self.assertLogs(logging.get_absl_logger(), 'INFO') as logs:
      shown.show(20, ['head 1'])
      shown.show(40, ['head 2'])
    shown.close()
    self.assertEmpty(stream.getvalue())
    lines = [r.getMessage() for r in logs.records]
    self.assertEqual(lines[0], 'step 20/40, 0:00:00 left, head 1')
    self.assertEqual(lines[1], 'step 40/40, head 2')

  def test_other_things_than_steps(self):
    shown = progress.Progress(0, 3, io.StringIO(), name='file')
    with self.assertLogs(logging.get_absl_logger(), 'INFO') as logs:
      shown.show(3, ['1 skipped'])
    self.assertEqual(logs.records[0].getMessage(), 'file 3/3, 1 skipped')

  def test_time_left(self):
    with unittest.mock.patch.object(progress.time, 'perf_counter') as clock:
      clock.return_value = 100.0
      shown = progress.Progress(500, 1000, io.StringIO())
      lines = []
      # The first 20 steps take 60 s, tracing; then a step takes 1 s.
      for step, clock.return_value in ((520, 160.0), (580, 220.0)):
        with self.assertLogs(logging.get_absl_logger(), 'INFO') as logs:
          shown.show(step, [])
        lines.append(logs.records[0].getMessage())
    self.assertEqual(lines[0], 'step 520/1000, 0:24:00 left')
    self.assertEqual(lines[1], 'step 580/1000, 0:07:00 left')

  def test_a_file_gets_a_line_a_minute_and_the_last_step(self):
    with (
      unittest.mock.patch.object(progress.time, 'perf_counter') as clock,
      self.assertLogs(logging.get_absl_logger(), 'INFO') as logs,
    ):
      clock.return_value = 0.0
      shown = progress.Progress(0, 200, io.StringIO())
      for step in range(1, 201):  # A step takes 1 s.
        clock.return_value = float(step)
        shown.show(step, [])
    steps = [r.getMessage().partition('/')[0] for r in logs.records]
    self.assertEqual(
      steps, ['step 1', 'step 61', 'step 121', 'step 181', 'step 200']
    )

  def test_a_terminal_is_rewritten(self):
    stream = _Terminal()
    shown = progress.Progress(0, 9, stream)
    with unittest.mock.patch.object(
      progress.shutil, 'get_terminal_size'
    ) as size:
      size.return_value.columns = 32
      shown.show(3, ['head 1', 'tail 2'])
      self.assertEqual(
        stream.getvalue(), 'step 3/9, 0:00:00 left, head 1,\ntail 2'
      )
      shown.show(6, ['head 3'])
    self.assertEndsWith(
      stream.getvalue(),
      'tail 2\x1b[1A\r\x1b[Jstep 6/9, 0:00:00 left, head 3',
    )
    shown.close()
    self.assertEndsWith(stream.getvalue(), 'head 3\n')

  def test_a_terminal_that_is_gone(self):
    stream = _Terminal()
    shown = progress.Progress(0, 100, stream)
    shown.show(10, ['head 1'])
    with (
      unittest.mock.patch.object(stream, 'write', side_effect=OSError(5, 'x')),
      self.assertLogs(logging.get_absl_logger(), 'INFO') as logs,
    ):
      shown.show(20, ['head 2'])
      shown.show(100, ['head 3'])
    shown.close()
    lines = [r.getMessage() for r in logs.records]
    self.assertLen(lines, 2)
    self.assertIn('step 100/100', lines[1])

  def test_a_log_line_stays_on_the_terminal(self):
    stream = _Terminal()
    handler = logging.get_absl_handler()
    num_filters = len(handler.filters)
    shown = progress.Progress(0, 9, stream)
    shown.show(3, ['head 1'])
    record = std_logging.makeLogRecord({'levelno': std_logging.ERROR})
    self.assertTrue(handler.filter(record))
    shown.show(6, ['head 3'])
    self.assertEndsWith(
      stream.getvalue(), 'head 1\nstep 6/9, 0:00:00 left, head 3'
    )
    shown.close()
    self.assertLen(handler.filters, num_filters)


if __name__ == '__main__':
  tf.test.main()
