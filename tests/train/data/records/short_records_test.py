"""Tests of short_records.py: what is left out is named."""

import dataclasses
import json
import os
from unittest import mock

from absl import logging
from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train.data.records import records
from train.data.records import short_records


class ShortRecordsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.log = os.path.join(self.folder, 'skipped_files.jsonl')

  def _index(self, *lengths, compression=''):
    """An index of a shard for each list of lengths; the last is held out."""
    shards = []
    for number, of_shard in enumerate(lengths):
      made = [
        records.encode(np.zeros([n, 2, 2, 1], np.uint8), 0, f'cat/{number}_{k}')
        for k, n in enumerate(of_shard)
      ]
      file = records.shard_file('train', number, len(lengths), compression)
      shards.append(records.write_shard(self.folder, file, made))
    parts = {'train': tuple(shards[:-1]), 'valid': tuple(shards[-1:])}
    return records.Index(
      self.folder, 'x', ('cat',), 2, 1, {}, 'raw', compression, 0, parts
    )

  def _lines(self):
    if not os.path.exists(self.log):
      return []
    with open(self.log, encoding='utf-8') as f:
      return [json.loads(line) for line in f]

  @parameterized.parameters('', 'GZIP')
  def test_names_and_counts(self, compression):
    index = self._index([9, 9], [9, 3, 8, 7], [2], compression=compression)
    with self.assertLogs('absl', 'WARNING') as logs:
      short_records.note(index, 8, self.log)
    (message,) = [r.getMessage() for r in logs.records]
    self.assertEqual(
      message,
      'Left out: 3 of 7 records have fewer frames than data.num_frames=8: '
      'cat/1_1 (3), cat/1_3 (7), ...',
    )
    self.assertEqual(
      self._lines(),
      [
        {
          'path': f'cat/1_{k}',
          'reason': 'too few frames',
          'message': f'expected 8, got {n}',
        }
        for k, n in ((1, 3), (3, 7))
      ],
    )
    short_records.note(index, 8, self.log)
    self.assertLen(self._lines(), 2)  # Each once.

  def test_only_the_first_ones_are_named(self):
    index = self._index([3] * 9, [9])
    with self.assertLogs('absl', 'WARNING') as logs:
      short_records.note(index, 8, None)
    self.assertRegex(
      logs.records[0].getMessage(),
      r': cat/0_0 \(3\), .*, cat/0_4 \(3\), \.\.\.$',
    )

  def test_records_without_a_name_are_named_by_their_place(self):
    encode = records.encode

    def nameless(*args):
      record = encode(*args)
      example = tf.train.Example.FromString(record.example)
      del example.features.feature['key']
      example = example.SerializeToString()
      return dataclasses.replace(record, example=example)

    with mock.patch.object(records, 'encode', nameless):
      index = self._index([9, 3, 2], [9])
    short_records.note(index, 8, self.log)
    file = 'train-00000-of-00002.tfrecord'
    self.assertEqual(
      [line['path'] for line in self._lines()],
      [f'{file}, record 1', f'{file}, record 2'],
    )

  def test_nothing_is_said_or_read_if_all_are_long_enough(self):
    index = self._index([8, 9], [8], [])
    with (
      mock.patch.object(logging, 'warning') as warning,
      mock.patch.object(short_records.tf.data, 'TFRecordDataset') as read,
    ):
      short_records.note(index, 8, self.log)
    warning.assert_not_called()
    read.assert_not_called()
    self.assertEmpty(self._lines())


if __name__ == '__main__':
  absltest.main()
