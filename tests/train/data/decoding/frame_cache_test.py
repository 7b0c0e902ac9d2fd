"""Tests of frame_cache.py."""

import threading

import numpy as np
import tensorflow as tf

from train.data.decoding import frame_cache


class FrameCacheTest(tf.test.TestCase):
  def test_keeps_the_latest_within_its_bytes(self):
    cache = frame_cache.FrameCache(200)
    made = []

    def get(key):
      def make():
        made.append(key)
        return np.zeros([100], np.uint8)

      cache.get(key, make)

    for key in 'abacab':
      get(key)
    self.assertEqual(''.join(made), 'abcb')
    self.assertEqual(cache.num_bytes, 200)

  def test_threads_share_one_decode(self):
    cache = frame_cache.FrameCache(1000)
    started, go, made = threading.Event(), threading.Event(), []

    def make():
      made.append(1)
      started.set()
      go.wait(10)
      return np.zeros([10], np.uint8)

    threads = [
      threading.Thread(target=cache.get, args=('a', make)) for _ in range(3)
    ]
    for thread in threads:
      thread.start()
    started.wait(10)
    go.set()
    for thread in threads:
      thread.join()
    self.assertLen(made, 1)

  def test_an_error_is_not_kept(self):
    cache = frame_cache.FrameCache(1000)
    with self.assertRaises(ZeroDivisionError):
      cache.get('a', lambda: 1 // 0)
    self.assertEqual(cache.get('a', lambda: 5), 5)


if __name__ == '__main__':
  tf.test.main()
