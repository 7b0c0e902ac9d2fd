"""Tests of `WeightAverage`."""

import numpy as np
import tensorflow as tf

from tfp_cglow.training import weight_average


class WeightAverageTest(tf.test.TestCase):
  def test_is_the_recurrence(self):
    weight = tf.Variable([1.0, 2.0])
    average = weight_average.WeightAverage([weight], 0.5)
    strategy = tf.distribute.get_strategy()
    expected = np.array([1.0, 2.0])
    for n in range(12):
      weight.assign([float(n), -float(n)])
      average.update(strategy)
      decay = min(0.5, (1 + n) / (10 + n))
      expected += (1 - decay) * (weight.numpy() - expected)
    self.assertAllClose(average.averages[0], expected, rtol=1e-6)

  def test_swapped_gives_the_weights_back(self):
    weight = tf.Variable(1.0)
    average = weight_average.WeightAverage([weight], 0.9)
    weight.assign(5.0)
    with average.swapped():
      self.assertEqual(float(weight), 1.0)
    self.assertEqual(float(weight), 5.0)
    with self.assertRaisesRegex(KeyError, 'inside'), average.swapped():
      raise KeyError('inside')
    self.assertEqual(float(weight), 5.0)
    average.assign()
    self.assertEqual(float(weight), 1.0)

  def test_restart(self):
    weight = tf.Variable(1.0)
    average = weight_average.WeightAverage([weight], 0.9)
    average.update(tf.distribute.get_strategy())
    weight.assign(3.0)
    average.restart()
    self.assertEqual(float(average.averages[0]), 3.0)

  def test_bad_decay(self):
    for decay in (1.0, -0.1, float('nan')):
      with self.assertRaisesRegex(ValueError, 'at least 0 and less than 1'):
        weight_average.WeightAverage([], decay)


if __name__ == '__main__':
  tf.test.main()
