"""Tests of prepare.py: shards, restarts, what cannot be decoded."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train.data import sources
from train.data.decoding import decode
from train.data.records import prepare
from train.data.records import records
from train.data.records import worker_pool
from train.data.sets import moving_shapes

SIZE = 16
DECODER = decode.Decoder(SIZE, max_seconds=None)


def write_video(path, number, num_frames):
  os.makedirs(os.path.dirname(path), exist_ok=True)
  rng = np.random.Generator(np.random.Philox(number))
  frames = rng.integers(0, 256, [num_frames, SIZE, SIZE, 3]).astype(np.uint8)
  moving_shapes.write_video(path, frames)


def contents(folder):
  found = {}
  for name in sorted(os.listdir(folder)):
    with open(os.path.join(folder, name), 'rb') as f:
      found[name] = f.read()
  return found


# Prepares, but dies before the file number `num_files` is at its place.
DRIVER = """
import os, signal, sys
from train.data.decoding import decode
from train.data.records import prepare
from train.data import sources

root, folder, num_files = sys.argv[1:]
left = int(num_files)
replace = os.replace

def replace_or_die(*args):
  global left
  left -= 1
  if not left:
    os.kill(os.getpid(), signal.SIGKILL)
  replace(*args)

if __name__ == '__main__':
  os.replace = replace_or_die
  source = sources.folder_source(root, 4, valid_fraction=0.3)
  decoder = decode.Decoder(16, max_seconds=None)
  prepare.prepare(
    source, decoder, folder, num_shards=4, num_workers=0, max_skipped=0.1
  )
"""


class PrepareTest(tf.test.TestCase, parameterized.TestCase):
  """Twelve videos of 4 to 9 frames and two labels."""

  def setUp(self):
    super().setUp()
    temporary = self.create_tempdir().full_path
    self.root = os.path.join(temporary, 'videos')
    self.folder = os.path.join(temporary, 'records')
    for k in range(12):
      write_video(self.video(k), k, 4 + k % 6)

  def video(self, k):
    return os.path.join(self.root, 'ab'[k % 2], f'{k:02}.mp4')

  def break_video(self, k):
    with open(self.video(k), 'w', encoding='utf-8') as f:
      f.write('no video')

  def source(self):
    return sources.folder_source(self.root, 4, valid_fraction=0.3)

  def prepare(self, folder=None, num_workers=0, **kwargs):
    return prepare.prepare(
      self.source(),
      kwargs.pop('decoder', DECODER),
      folder or self.folder,
      num_workers=num_workers,
      **kwargs,
    )

  def read(self, index, part):
    """Pairs of the frames and the label."""
    dataset = records.records_dataset(index, part)
    return [(frames.numpy(), int(label)) for frames, label in dataset]

  @parameterized.product(
    encoding=records.ENCODINGS, compression=records.COMPRESSIONS
  )
  def test_records_hold_what_the_decoder_gives(self, encoding, compression):
    index = self.prepare(encoding=encoding, compression=compression)
    source = self.source()
    for part in records.PARTS:
      order = prepare._mixed_order if part == 'train' else prepare._order
      regions = sorted(getattr(source, part), key=order)
      found = self.read(index, part)
      self.assertLen(found, len(regions))
      for region, (frames, label) in zip(regions, found):
        self.assertAllEqual(frames, DECODER.frames(region.path))
        self.assertEqual(label, region.label)
    self.assertEqual(index.label_names, ('a', 'b'))
    self.assertEqual(index.decoder, dataclasses.asdict(DECODER))

  def test_workers_give_the_same_bytes(self):
    self.break_video(3)
    kwargs = {'num_shards': 3, 'max_skipped': 0.1, 'encoding': 'png'}
    self.prepare(**kwargs)
    other = f'{self.folder}2'
    self.prepare(other, num_workers=2, **kwargs)
    self.assertEqual(contents(self.folder), contents(other))

  def test_shards_are_mixed_and_alike(self):
    index = self.prepare(num_shards=3)
    num_train = len(self.source().train)
    sizes = [shard.num_records for shard in index.parts['train']]
    self.assertLen(sizes, 3)
    self.assertEqual(sum(sizes), num_train)
    self.assertLessEqual(max(sizes) - min(sizes), 1)
    keys = []
    for shard in index.parts['train']:
      for example in tf.data.TFRecordDataset(index.path(shard.file)):
        feature = tf.train.Example.FromString(example.numpy()).features.feature
        keys.append(feature['key'].bytes_list.value[0].decode())
    self.assertLen(set(keys), num_train)
    self.assertNotEqual(keys, sorted(keys))
    for key in keys:
      self.assertRegex(key, r'^[ab]/\d\d.mp4#0:$')

  @parameterized.parameters(
    (100, 30, 1),
    (100, None, 2),  # An end that is not known: 250 frames.
    (3000, 30, 5),
    (4000, 1, 4),
  )
  def test_default_number_of_shards(self, num_clips, stop, expected):
    regions = tuple(
      sources.Region(f'{k}.mp4', 0, 0, stop) for k in range(num_clips)
    )
    source = sources.Source('many', ('a',), regions, regions[:1])
    decoder = decode.Decoder(64)
    plans = prepare._plans(source, decoder, None, '')
    self.assertLen(plans, expected + 1)

  def test_uses_the_first_frames_only(self):
    index = self.prepare(max_frames=5)
    frames = [n for s in index.parts['train'] for n in s.frames]
    self.assertEqual(max(frames), 5)

  def test_a_weighted_region_is_one_record(self):
    path = self.video(5)  # 9 frames.
    train = tuple(sources.Region(path, 1, k, k + 4, 2 + k) for k in (0, 3))
    valid = (sources.Region(path, 1, 5, 9),)
    source = sources.Source('pieces', ('a', 'b'), train, valid)
    index = prepare.prepare(source, DECODER, self.folder, num_workers=0)
    (shard,) = index.parts['train']
    self.assertEqual(shard.weights, (2, 5))
    (_, (frames, label)) = self.read(index, 'train')
    self.assertAllEqual(frames, DECODER.frames(path, 3, 7))
    self.assertEqual(label, 1)

  def test_skips_what_gives_no_frames(self):
    self.break_video(4)
    frames = np.zeros([6, SIZE, SIZE, 3], np.uint8)
    moving_shapes.write_video(self.video(7), frames)
    index = self.prepare(max_skipped=0.2, num_shards=2)
    self.assertEqual(index.num_skipped, 2)
    with open(index.path('skipped_files.jsonl'), encoding='utf-8') as f:
      rows = [json.loads(line) for line in f]
    reasons = {row['path']: row['reason'] for row in rows}
    self.assertEqual(
      reasons,
      {self.video(4): 'cannot be opened', self.video(7): 'blank frames'},
    )
    shards = index.parts['train'] + index.parts['valid']
    self.assertEqual(sum(shard.num_records for shard in shards), 10)

  def test_too_many_skipped_files_are_an_error(self):
    for k in range(1, 12, 2):
      self.break_video(k)
    with self.assertRaisesRegex(
      sources.DataError, r'Skipped 2 of 12 files.*b/.*cannot be opened'
    ):
      self.prepare(num_shards=8, max_skipped=0.1)
    names = os.listdir(self.folder)
    self.assertContainsSubset(['train-00000-of-00008.tfrecord.json'], names)
    self.assertNotIn('index.json', names)
    with self.assertRaisesRegex(sources.DataError, 'Skipped 2 of 12'):
      self.prepare(num_shards=8, max_skipped=0.1)
    self.assertEqual(self.prepare(num_shards=8, max_skipped=1.0).num_skipped, 6)

  def test_a_crash_of_the_decoder_skips_the_file(self):
    class Pool:
      def __init__(self, function, unused_num_workers, unused_max_seconds):
        self.function = function

      def __enter__(self):
        return self

      def __exit__(self, *unused):
        pass

      def map(self, items):
        for k, item in enumerate(items):
          crash = worker_pool.WorkerCrash('the worker died of signal 11')
          with mock.patch.object(prepare, '_use_one_core'):
            yield item, crash if k == 2 else self.function(item)

    with mock.patch.object(worker_pool, 'WorkerPool', Pool):
      index = self.prepare(num_workers=2, max_skipped=0.1)
    self.assertEqual(index.num_skipped, 1)
    with open(index.path('skipped_files.jsonl'), encoding='utf-8') as f:
      row = json.loads(f.read())
    self.assertEqual(row['reason'], 'crashes the decoder')
    self.assertIn('signal 11', row['message'])

  def test_a_file_that_ends_early_is_noted_and_not_counted(self):
    error = decode.DecodeError(self.video(0), 'ends early', 'damaged')
    read = decode.Decoder.read

    def ends_early(decoder, path, *args):
      frames, _ = read(decoder, path, *args)
      return frames, error if path == self.video(0) else None

    with mock.patch.object(decode.Decoder, 'read', ends_early):
      index = self.prepare(max_skipped=0.0)
    self.assertEqual(index.num_skipped, 0)
    num = sum(s.num_records for part in index.parts.values() for s in part)
    self.assertEqual(num, 12)
    with open(index.path('skipped_files.jsonl'), encoding='utf-8') as f:
      row = json.loads(f.read())
    self.assertEqual((row['path'], row['reason']), (error.path, error.reason))

  def test_a_mistake_in_the_program_is_no_skipped_file(self):
    with (
      mock.patch.object(prepare, 'prepare_file', side_effect=KeyError('x')),
      self.assertRaises(KeyError),
    ):
      self.prepare()

  def test_does_finished_shards_once(self):
    self.prepare(num_shards=4)
    before = contents(self.folder)
    os.remove(os.path.join(self.folder, 'index.json'))
    lost = 'train-00002-of-00004.tfrecord'
    os.remove(os.path.join(self.folder, f'{lost}.json'))
    with open(os.path.join(self.folder, '.index.json.12'), 'w') as f:
      f.write('{')
    with mock.patch.object(
      records, 'write_shard', wraps=records.write_shard
    ) as write:
      self.prepare(num_shards=4)
    self.assertEqual([call.args[1] for call in write.call_args_list], [lost])
    self.assertEqual(contents(self.folder), before)

  def test_goes_on_after_a_kill(self):
    num_files = 6  # The options, two shards, and half of the third.
    self.break_video(0)
    script = self.create_tempfile(content=DRIVER).full_path
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
      [sys.executable, script, self.root, self.folder, str(num_files)],
      env={**os.environ, 'PYTHONPATH': paths},
      stderr=subprocess.PIPE,
      text=True,
      check=False,
    )
    self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
    left = os.listdir(self.folder)
    self.assertLen(left, num_files)
    self.assertTrue(any(name.startswith('.') for name in left))
    with self.assertRaisesRegex(sources.DataError, 'not finished'):
      records.read_index(self.folder)
    self.prepare(num_shards=4, max_skipped=0.1)
    other = f'{self.folder}2'
    self.prepare(other, num_shards=4, max_skipped=0.1)
    self.assertEqual(contents(self.folder), contents(other))

  def test_refuses_other_options_and_lists_them(self):
    self.prepare()
    with self.assertRaisesRegex(
      sources.DataError, "decoder.size: 16 -> 8; encoding: 'raw' -> 'png'."
    ):
      self.prepare(decoder=decode.Decoder(8, max_seconds=None), encoding='png')
    write_video(self.video(12), 12, 4)
    with self.assertRaisesRegex(
      sources.DataError, 'files_sha256: .*; num_files: 12 -> 13'
    ):
      self.prepare()

  def test_refuses_folders_and_options_that_it_cannot_use(self):
    with self.assertRaisesRegex(sources.DataError, 'holds a and no prepare'):
      self.prepare(self.root)
    with self.assertRaisesRegex(sources.DataError, 'Cannot write'):
      self.prepare(self.video(0))
    with self.assertRaisesRegex(sources.DataError, 'local'):
      self.prepare('gs://bucket/records')
    for kwargs in (
      {'encoding': 'jpeg'},
      {'compression': 'zip'},
      {'num_shards': 0},
      {'max_frames': 0},
    ):
      with self.assertRaisesRegex(sources.DataError, next(iter(kwargs))):
        self.prepare(**kwargs)

  def test_one_process_at_a_time(self):
    with (
      prepare._own_folder(self.folder),
      self.assertRaisesRegex(sources.DataError, 'Another --mode=prepare'),
    ):
      self.prepare()

  def test_says_how_to_get_beam(self):
    with (
      mock.patch.dict(sys.modules, {'apache_beam': None}),
      self.assertRaisesRegex(sources.DataError, r'tfp-cglow\[beam\]'),
    ):
      self.prepare(runner='DirectRunner')

  def test_beam_gives_the_same_bytes(self):
    try:
      import apache_beam  # noqa: F401
    except ImportError:
      self.skipTest('Apache Beam is not installed.')
    self.break_video(3)
    kwargs = {'num_shards': 3, 'max_skipped': 0.1}
    self.prepare(**kwargs)
    other = f'{self.folder}2'
    self.prepare(other, runner='DirectRunner', **kwargs)
    self.assertEqual(contents(self.folder), contents(other))


if __name__ == '__main__':
  tf.test.main()
