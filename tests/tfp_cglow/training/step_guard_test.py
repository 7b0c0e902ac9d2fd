"""Tests of `StepGuard`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfp_cglow.training import step_guard


class StepGuardTest(tf.test.TestCase, parameterized.TestCase):
  def test_takes_finite_steps(self):
    guard = step_guard.StepGuard()
    for loss in (2.0, 1.5, 7.0):
      taken, spike = guard.judge(tf.constant(loss), [tf.constant(1.0)])
      self.assertTrue(taken)
      self.assertFalse(spike)
    self.assertEqual(int(guard.num_skipped_in_a_row), 0)

  @parameterized.parameters(
    (np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan), (1.0, np.inf)
  )
  def test_skips_what_is_not_finite(self, loss, norm):
    guard = step_guard.StepGuard()
    for count in (1, 2):
      taken, spike = guard.judge(tf.constant(loss), [1.0, tf.constant(norm)])
      self.assertFalse(taken)
      self.assertFalse(spike)
      self.assertEqual(int(guard.num_skipped_in_a_row), count)
    self.assertTrue(guard.judge(tf.constant(1.0), [tf.constant(1.0)])[0])
    self.assertEqual(int(guard.num_skipped_in_a_row), 0)

  def test_spikes(self):
    guard = step_guard.StepGuard()
    for step in range(100):  # More losses than the guard keeps.
      guard.judge(tf.constant(2.0 + 0.01 * (step % 5)), [])
    for loss, expected in ((2.4, False), (2.6, True), (190.0, True)):
      taken, spike = guard.judge(tf.constant(loss), [])
      self.assertEqual(bool(spike), expected, loss)
      self.assertTrue(taken, loss)
    # One spike does not hide the next.
    self.assertTrue(guard.judge(tf.constant(50.0), [])[1])

  @parameterized.parameters((2.0, 199.0, 201.0), (-3.0, 99.0, 101.0))
  def test_skips_a_hundred_times_the_least_loss(self, usual, most, too_much):
    """From the second loss on: the first step may have broken the weights."""
    guard = step_guard.StepGuard()
    self.assertTrue(guard.judge(tf.constant(usual), [])[0])
    self.assertFalse(guard.judge(tf.constant(too_much), [])[0])
    self.assertEqual(int(guard.num_skipped_in_a_row), 1)
    self.assertTrue(guard.judge(tf.constant(most), [])[0])

  def test_leaps_do_not_become_usual(self):
    guard = step_guard.StepGuard()
    losses = (2.6, 90.0, 250.0, 240.0, 270.0)
    taken = [bool(guard.judge(tf.constant(v), [])[0]) for v in losses]
    self.assertEqual(taken, [True, True, True, True, False])

  def test_takes_any_first_loss(self):
    guard = step_guard.StepGuard()
    self.assertTrue(guard.judge(tf.constant(1e6), [])[0])

  def test_no_spike_of_noisy_losses_or_at_the_start(self):
    guard = step_guard.StepGuard()
    noise = np.random.default_rng(0).standard_cauchy(300)
    losses = 3.0 + np.clip(noise, -3, 3)
    spikes = [guard.judge(tf.constant(v, tf.float32), [])[1] for v in losses]
    self.assertFalse(np.any(spikes))
    guard = step_guard.StepGuard()
    for loss in (6.0, 50.0, 9.0):
      self.assertFalse(guard.judge(tf.constant(loss), [])[1])

  def test_a_checkpoint_has_its_memory(self):
    first, second = step_guard.StepGuard(), step_guard.StepGuard()
    for _ in range(20):
      first.judge(tf.constant(2.0), [])
    path = tf.train.Checkpoint(guard=first).write(self.get_temp_dir() + '/c')
    tf.train.Checkpoint(guard=second).read(path).assert_consumed()
    self.assertTrue(second.judge(tf.constant(9.0), [])[1])


if __name__ == '__main__':
  tf.test.main()
