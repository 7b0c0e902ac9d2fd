"""Tests of the watch over parameter groups."""

from absl import logging
import numpy as np
import tensorflow as tf

from train.loop import parameter_watch


class ParameterWatchTest(tf.test.TestCase):
  def _watch(self, **kwargs):
    self.labels = tf.Variable([3.0, 4.0])
    self.tail = tf.Variable(tf.ones([4]))
    groups = {'tail': [self.tail], 'labels': [self.labels]}
    watch = parameter_watch.ParameterWatch(
      groups, parameter_watch.sample([self.labels]), **kwargs
    )
    watch.begin()
    return watch

  def test_relative_update_is_a_steps(self):
    watch = self._watch()
    self.labels.assign([3.0, 5.0])
    values = watch.measure(num_steps=10)
    self.assertAllClose(values['labels_relative_update'], 0.1 / np.sqrt(34))
    self.assertEqual(values['tail_relative_update'], 0.0)

  def test_counts_from_the_last_measurement_but_movement_from_the_start(self):
    watch = self._watch()
    self.labels.assign([3.0, 5.0])
    watch.measure(1)
    self.labels.assign([4.0, 5.0])
    values = watch.measure(1)
    self.assertAllClose(values['labels_relative_update'], 1 / np.sqrt(41))
    self.assertAllClose(values['labels_movement'], 1.0)

  def test_movement_counts_from_the_start_that_was_given(self):
    watch = self._watch()
    self.labels.assign([3.0, 7.0])  # As a restore does.
    watch.begin()
    self.assertAllClose(watch.measure(1)['labels_movement'], np.sqrt(9 / 2))

  def test_warns_once_of_a_group_that_stands_still(self):
    watch = self._watch(patience=3)
    with self.assertLogs(logging.get_absl_logger(), 'WARNING') as logs:
      for k in range(6):
        self.labels.assign([3.0, 5.0 + k])
        watch.measure(1)
    self.assertLen(logs.output, 1)
    self.assertIn("'tail' hardly move", logs.output[0])

  def test_large_variables_are_sampled_evenly(self):
    large = tf.Variable(tf.ones([100_001]))
    watch = parameter_watch.ParameterWatch({'head': [large]})
    watch.begin()
    large.assign_add(tf.fill([100_001], 0.5))
    self.assertAllClose(
      watch.measure(1)['head_relative_update'], 0.5 / 1.5, rtol=1e-3
    )
    self.assertNotIn('labels_movement', watch.measure(1))


if __name__ == '__main__':
  tf.test.main()
