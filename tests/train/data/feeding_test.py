"""Tests of feeding.py."""

import time

import numpy as np
import tensorflow as tf

from train.data import feeding


def slow(seconds):
  def sleep(i):
    time.sleep(seconds)
    return np.int64(i)

  dataset = tf.data.Dataset.range(10)
  return dataset.map(lambda i: tf.numpy_function(sleep, [i], tf.int64))


class WaitCounterTest(tf.test.TestCase):
  def test_elements_and_order_stay(self):
    counter = feeding.WaitCounter()
    dataset = tf.data.Dataset.range(6).map(lambda i: (i, 2 * i)).prefetch(2)
    rows = [(int(a), int(b)) for a, b in counter.measure(dataset)]
    self.assertEqual(rows, [(i, 2 * i) for i in range(6)])

  def test_counts_waiting_for_the_producer(self):
    counter = feeding.WaitCounter()
    list(counter.measure(slow(0.05).prefetch(2)))
    self.assertGreater(counter.seconds, 0.3)

  def test_does_not_count_the_consumers_time(self):
    counter = feeding.WaitCounter()
    dataset = counter.measure(tf.data.Dataset.range(5).prefetch(2))
    start = time.perf_counter()
    for _ in dataset:
      time.sleep(0.1)
    self.assertLess(counter.seconds, time.perf_counter() - start - 0.45)


class ClipsAtOnceTest(tf.test.TestCase):
  def test_long_clips_come_in_small_batches(self):
    self.assertEqual(feeding.clips_at_once(8, 8), 8)
    self.assertEqual(feeding.clips_at_once(32, 16), 4)
    self.assertEqual(feeding.clips_at_once(32, 30), 2)
    self.assertEqual(feeding.clips_at_once(32, 1000), 1)


class PrefetchedTest(tf.test.TestCase):
  def test_has_no_thread_that_tunes(self):
    dataset = feeding.prefetched(tf.data.Dataset.range(3))
    self.assertEqual([int(i) for i in dataset], [0, 1, 2])
    self.assertFalse(dataset.options().autotune.enabled)
    measured = feeding.WaitCounter().measure(dataset)
    self.assertFalse(measured.options().autotune.enabled)


if __name__ == '__main__':
  tf.test.main()
