"""Tests of records.py: what is written is read; foreign folders."""

import dataclasses
import hashlib
import json
import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train.data import sources
from train.data.decoding import decode
from train.data.records import records

SIZE = 8
FORMATS = [(e, c) for e in records.ENCODINGS for c in records.COMPRESSIONS]


def clip(number, num_frames, channels=3):
  rng = np.random.Generator(np.random.Philox(number))
  shape = [num_frames, SIZE, SIZE, channels]
  return rng.integers(0, 256, shape).astype(np.uint8)


def write(folder, encoding='raw', compression='', channels=3):
  """Two training shards of records of 3, 4, 5 and 6 frames; one empty one."""
  os.makedirs(folder, exist_ok=True)
  parts = {}
  for part, num in (('train', 2), ('valid', 1)):
    shards = []
    for k in range(num):
      made = [
        records.encode(clip(n, n, channels), n % 2, f'{n}.mp4', n, encoding)
        for n in (2 * k + 3, 2 * k + 4)
        if part == 'train'
      ]
      skipped = [{'path': f'{k}', 'reason': 'none', 'message': ''}]
      file = records.shard_file(part, k, num, compression)
      shards.append(records.write_shard(folder, file, made, skipped))
    parts[part] = tuple(shards)
  decoder = dataclasses.asdict(decode.Decoder(SIZE, channels))
  index = records.Index(
    folder=folder,
    name='clips',
    label_names=('even', 'odd'),
    size=SIZE,
    channels=channels,
    decoder=decoder,
    encoding=encoding,
    compression=compression,
    num_skipped=3,
    parts=parts,
  )
  records.write_index(index)
  return index


def contents(folder):
  found = {}
  for name in sorted(os.listdir(folder)):
    with open(os.path.join(folder, name), 'rb') as f:
      found[name] = f.read()
  return found


def _edited(text, **values):
  return json.dumps({**json.loads(text), **values})


class RecordsTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = os.path.join(self.create_tempdir().full_path, 'records')

  @parameterized.product(form=FORMATS, channels=(1, 3))
  def test_what_is_written_is_read(self, form, channels):
    written = write(self.folder, *form, channels)
    index = records.read_index(self.folder)
    without = {
      part: tuple(dataclasses.replace(s, skipped=()) for s in shards)
      for part, shards in written.parts.items()
    }
    self.assertEqual(index, dataclasses.replace(written, parts=without))
    dataset = records.records_dataset(index, 'train')
    shape = [None, SIZE, SIZE, channels]
    self.assertEqual(dataset.element_spec[0], tf.TensorSpec(shape, tf.uint8))
    self.assertEqual(dataset.element_spec[1], tf.TensorSpec([], tf.int32))
    found = list(dataset)
    self.assertLen(found, 4)
    for n, (frames, label) in zip(range(3, 7), found):
      self.assertAllEqual(frames, clip(n, n, channels))
      self.assertEqual(label, n % 2)
    self.assertEmpty(list(records.records_dataset(index, 'valid')))

  @parameterized.parameters('raw', 'png')
  def test_parses_a_window(self, encoding):
    index = write(self.folder, encoding)
    example = records.encode(clip(9, 9), 1, 'key', 1, encoding).example

    @tf.function
    def parse(example):
      return records.parse_clip(index, example, 4, lambda windows: windows - 1)

    frames, label = parse(example)
    self.assertEqual(frames.shape, [4, SIZE, SIZE, 3])
    self.assertAllEqual(frames, clip(9, 9)[5:])
    self.assertEqual(label, 1)

  def test_reads_the_files_asked_for(self):
    index = write(self.folder)
    files = [shard.file for shard in index.parts['train']]
    found = list(records.records_dataset(index, 'train', files[::-1]))
    self.assertEqual([len(frames) for frames, _ in found], [5, 6, 3, 4])
    self.assertEmpty(list(records.records_dataset(index, 'train', [])))

  @parameterized.parameters(*FORMATS)
  def test_the_same_bytes_each_time(self, encoding, compression):
    write(self.folder, encoding, compression)
    other = f'{self.folder}2'
    write(other, encoding, compression)
    self.assertEqual(contents(self.folder), contents(other))

  def test_the_json_describes_its_shard(self):
    write(self.folder)
    self.assertCountEqual(
      os.listdir(self.folder),
      [
        'index.json',
        'train-00000-of-00002.tfrecord',
        'train-00000-of-00002.tfrecord.json',
        'train-00001-of-00002.tfrecord',
        'train-00001-of-00002.tfrecord.json',
        'valid-00000-of-00001.tfrecord',
        'valid-00000-of-00001.tfrecord.json',
      ],
    )
    file = 'train-00001-of-00002.tfrecord'
    path = os.path.join(self.folder, file)
    with open(f'{path}.json', encoding='utf-8') as f:
      values = json.load(f)
    self.assertEqual(values['num_records'], 2)
    self.assertEqual(values['num_frames'], 11)
    self.assertEqual(values['frames'], [5, 6])
    self.assertEqual(values['weights'], [5, 6])
    self.assertEqual(values['skipped'][0]['path'], '1')
    with open(path, 'rb') as f:
      sha256 = hashlib.sha256(f.read()).hexdigest()
    self.assertEqual(values['sha256'], sha256)
    (example,) = tf.data.TFRecordDataset(path).take(1)
    parsed = tf.train.Example.FromString(example.numpy()).features.feature
    self.assertEqual(parsed['key'].bytes_list.value[0], b'5.mp4')
    self.assertEqual(parsed['weight'].int64_list.value[0], 5)

  def test_knows_finished_shards(self):
    index = write(self.folder)
    shard = index.parts['train'][0]
    self.assertEqual(records.read_shard(self.folder, shard.file), shard)
    with open(index.path(shard.file), 'ab') as f:
      f.write(b'more')
    self.assertIsNone(records.read_shard(self.folder, shard.file))
    other = index.parts['train'][1].file
    os.remove(index.path(f'{other}.json'))
    self.assertIsNone(records.read_shard(self.folder, other))
    self.assertIsNone(records.read_shard(self.folder, 'none'))

  def test_leaves_nothing_of_a_shard_that_fails(self):
    def fail():
      yield records.encode(clip(0, 3), 0, 'key')
      raise OSError('no space')

    os.makedirs(self.folder)
    with self.assertRaisesRegex(OSError, 'no space'):
      records.write_shard(self.folder, 'train-00000-of-00001.tfrecord', fail())
    self.assertEmpty(os.listdir(self.folder))

  def test_removes_its_own_partial_files_only(self):
    os.makedirs(self.folder)
    keep = ['.hidden', 'index.json', 'train-00000-of-00001.tfrecord']
    partial = [
      '.index.json.123',
      '.train-00000-of-00001.tfrecord.gz.12ab',
      '.train-00000-of-00001.tfrecord.json.123',
    ]
    for name in keep + partial:
      with open(os.path.join(self.folder, name), 'w'):
        pass
    records.remove_partial_files(self.folder)
    self.assertCountEqual(os.listdir(self.folder), keep)

  def test_says_what_is_wrong_with_a_folder(self):
    def assert_error(message):
      with self.assertRaisesRegex(sources.DataError, message):
        records.read_index(self.folder)

    assert_error('--mode=prepare wrote, but .* cannot be read')
    os.makedirs(self.folder)
    assert_error('no prepared data set')
    index = write(self.folder)
    path = index.path('index.json')
    with open(path, encoding='utf-8') as f:
      text = f.read()
    os.remove(path)
    with open(index.path('prepare.json'), 'w') as f:
      f.write('{}')
    assert_error('not finished, it has 3 finished')
    for other, message in (
      (text[:100], 'index.json, line 1: not valid JSON'),
      ('[]', 'index.json must be an object'),
      ('{"format": "theirs"}', "its format is 'theirs'"),
      (text.replace('"version": 1', '"version": 7'), 'got version 7'),
      (text.replace('"frames"', '"pictures"'), "'frames'"),
      (_edited(text, channels='3'), '`channels` to be int'),
      (_edited(text, label_names=[1]), '`label_names` to be a list of str'),
      ('[' * 100_000, 'nested too deeply'),
    ):
      with open(path, 'w', encoding='utf-8') as f:
        f.write(other)
      assert_error(message)
    with open(path, 'w', encoding='utf-8') as f:
      f.write(text)
    records.read_index(self.folder)
    os.remove(index.path('train-00001-of-00002.tfrecord'))
    assert_error('lacks 1 of its files.*train-00001-of-00002.tfrecord')


if __name__ == '__main__':
  tf.test.main()
