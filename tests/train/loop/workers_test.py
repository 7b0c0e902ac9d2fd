"""Tests of workers.py; benchmarks/drills/two_workers.py has real workers."""

import json
import os
import types
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train.config import fields
from train.data import feeding
from train.data import sources
from train.loop import workers as workers_lib

_ADDRESSES = ['a:1', 'b:1']


def setUpModule():
  cpu = tf.config.list_physical_devices('CPU')[0]
  tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
  )


def _tf_config(kind='worker', index=0, **cluster):
  cluster = cluster or {'worker': _ADDRESSES}
  task = {'type': kind, 'index': index}
  return json.dumps({'cluster': cluster, 'task': task})


def _place(num, index, num_replicas):
  """Workers as of `num` processes, that nobody has joined."""
  workers = workers_lib.Workers()
  workers.num, workers.index = num, index
  workers.strategy = types.SimpleNamespace(num_replicas_in_sync=num_replicas)
  return workers


class TFConfigTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.named_parameters(
    ('missing', None, 'expects TF_CONFIG=.*got None'),
    ('empty', '', 'expects TF_CONFIG='),
    ('no_json', '{"cluster"', r'got {"cluster"\.'),
    ('no_object', '[1]', r'got \[1\]'),
    ('no_task', '{"cluster": {"worker": ["a:1"]}}', 'expects TF_CONFIG='),
    ('no_workers', _tf_config(ps=['a:1']), 'workers only'),
    ('chief', _tf_config('chief', chief=['a:1'], worker=['b:1']), 'workers on'),
    ('beside_chief', _tf_config(chief=['a:1'], worker=['b:1']), 'workers only'),
    ('evaluator', _tf_config('evaluator'), '"evaluator"'),
    ('address', _tf_config(worker='a:1'), 'expects TF_CONFIG='),
    ('index', _tf_config(index='first'), '"first"'),
    ('too_large', _tf_config(index=2), '2 workers, but the index is 2'),
    ('negative', _tf_config(index=-1), '2 workers, but the index is -1'),
    ('none', _tf_config(worker=[]), '0 workers, but the index is 0'),
  )
  def test_raises(self, text, words):
    environment = {} if text is None else {'TF_CONFIG': text}
    with (
      mock.patch.dict(os.environ, environment),
      mock.patch.object(workers_lib, '_join') as joined,
    ):
      if text is None:
        os.environ.pop('TF_CONFIG', None)
      with self.assertRaisesRegex(fields.ConfigError, words):
        workers_lib.Workers('multi_worker')
      joined.assert_not_called()

  def test_has_its_place(self):
    for index in (1, '1'):  # Text, where a script wrote it.
      with (
        mock.patch.dict(os.environ, TF_CONFIG=_tf_config(index=index)),
        mock.patch.object(workers_lib, '_join') as joined,
      ):
        workers = workers_lib.Workers('multi_worker')
      joined.assert_called_once_with(2)
      self.assertEqual((workers.num, workers.index), (2, 1))
      self.assertFalse(workers.is_chief)

  def test_is_for_multi_worker_only(self):
    with mock.patch.dict(os.environ, TF_CONFIG='broken'):
      self.assertEqual(workers_lib.Workers().num, 1)


_LOST = tf.errors.UnavailableError(
  None, None, '{{node x}} Collective ops is aborted by: Socket closed\nMore.'
)


class NoticingTest(tf.test.TestCase, parameterized.TestCase):
  def test_says_who_is_missing(self):
    with (
      self.assertRaisesRegex(
        workers_lib.WorkerLost,
        r'2 workers is gone \(Socket closed\)',
      ),
      _place(2, 0, 2).noticing(),
    ):
      raise _LOST

  def test_sees_through_what_it_was_taken_for(self):
    for cause in (None, _LOST):  # As `from None`, and as `from e`.
      with (
        self.assertRaisesRegex(workers_lib.WorkerLost, 'Socket closed'),
        _place(2, 0, 2).noticing(),
      ):
        try:
          raise _LOST
        except tf.errors.OpError:
          raise sources.DataError('Cannot read the records.') from cause

  @parameterized.named_parameters(
    ('alone', 1, _LOST),
    ('data', 2, tf.errors.UnavailableError(None, None, 'The bucket is away.')),
    ('bug', 2, tf.errors.InternalError(None, None, 'Collective type differs.')),
    ('other', 2, ValueError('collective')),
  )
  def test_leaves_other_errors(self, num, error):
    with self.assertRaises(type(error)), _place(num, 0, num).noticing():
      raise error


class ShareTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters((1, 1), (2, 2), (3, 6), (4, 4))
  def test_rows_are_a_partition(self, num, num_replicas):
    rows = [_place(num, k, num_replicas).rows(24) for k in range(num)]
    taken = np.concatenate([np.arange(r.start, r.stop) for r in rows])
    self.assertAllEqual(taken, np.arange(24))
    for r in rows:
      self.assertEqual(r.batch_size, 24 // num_replicas)
      self.assertEqual((r.stop - r.start) % r.batch_size, 0)

  def test_rows_of_one_process_are_all(self):
    rows = workers_lib.Workers().rows(8)
    self.assertEqual(rows, feeding.Rows.all(8))

  def test_batch_size_is_divisible(self):
    _place(2, 0, 4).check(8)
    with self.assertRaisesRegex(fields.ConfigError, 'batch_size=6.*number, 4'):
      _place(2, 0, 4).check(6)


class TotalTest(tf.test.TestCase):
  @mock.patch.object(workers_lib.zlib, 'crc32', len)
  def test_check_same(self):
    workers_lib.Workers().check_same('config', 'a')
    self._check_same(['a', 'a', 'a'])
    # The second one has the mean of the digests.
    for texts in (['a', 'aa', 'aaa'], ['a', 'a', 'aa']):
      with self.assertRaisesRegex(fields.ConfigError, 'same config of all 3'):
        self._check_same(texts, 1)

  def _check_same(self, texts, index=0):
    digests = np.array([len(text) for text in texts])
    workers = _place(3, index, 3)
    total = [digests.sum(), (digests**2).sum()]
    with mock.patch.object(workers, 'total', return_value=total):
      workers.check_same('config', texts[index])

  def test_alone(self):
    workers = workers_lib.Workers()
    self.assertTrue(workers.is_chief)
    self.assertEqual(workers.num_replicas, 1)
    total = workers.total([1, 2.5])
    self.assertEqual(total.dtype, np.float64)
    self.assertAllEqual(total, [1.0, 2.5])
    self.assertIs(workers.any(True), True)
    self.assertIs(workers.any(False), False)
    dataset = tf.data.Dataset.range(3)
    self.assertIs(workers.distribute(dataset), dataset)

  def test_of_a_process_one_replica_speaks(self):
    workers = workers_lib.Workers()
    workers.strategy = tf.distribute.MirroredStrategy(
      ['CPU:0', 'CPU:1'],
      # Another strategy of this process may have used up collectives' keys.
      cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    workers.num = 2  # As if one of the replicas were another process's.
    total = workers.total([0.1, 2.0**40 + 0.5])
    self.assertEqual(total.dtype, np.float64)
    self.assertAllEqual(total, [0.2, 2.0**41 + 1.0])
    self.assertTrue(workers.any(True))
    self.assertFalse(workers.any(False))
    one = workers_lib.Workers()  # A process of two replicas.
    one.strategy = workers.strategy
    three = tf.constant([3.0], tf.float64)
    self.assertAllEqual(one._sum(three), [3.0])


if __name__ == '__main__':
  tf.test.main()
