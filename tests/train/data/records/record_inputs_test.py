"""Tests of record_inputs.py: batches are a function of (seed, step)."""

import collections
import os
import socket

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train.data import sources
from train.data.records import record_inputs
from train.data.records import records

SIZE = 4
NUM_FRAMES = 3


def ramp(number, num_frames):
  """Frame t has the value 10 number + t on its left half, 0 on its right."""
  frames = np.zeros([num_frames, SIZE, SIZE, 3], np.uint8)
  values = 10 * number + np.arange(num_frames)
  frames[:, :, : SIZE // 2] = values[:, None, None, None]
  return frames


def write(folder, weights=None, encoding='raw'):
  """Ten training records of 2 to 6 frames in four shards, three to validate.

  Record k has 2 + k % 5 frames: those of 0 and 5 are shorter than a clip.
  """
  weights = weights or [1] * 13
  os.makedirs(folder)
  made = [
    records.encode(ramp(k, 2 + k % 5), k % 2, f'{k}', weights[k], encoding)
    for k in range(13)
  ]
  parts = {}
  for part, edges in (('train', (0, 3, 3, 6, 10)), ('valid', (10, 13))):
    num = len(edges) - 1
    parts[part] = tuple(
      records.write_shard(
        folder, records.shard_file(part, k, num), made[edges[k] : edges[k + 1]]
      )
      for k in range(num)
    )
  index = records.Index(
    folder=folder,
    name='ramps',
    label_names=('even', 'odd'),
    size=SIZE,
    channels=3,
    decoder={'size': SIZE},
    encoding=encoding,
    compression='',
    num_skipped=2,
    parts=parts,
  )
  records.write_index(index)
  return records.read_index(folder)


def take(dataset, num):
  batches = dataset.take(num)
  return [(frames.numpy(), label.numpy()) for frames, label in batches]


def firsts(batches):
  """The value of each clip's first frame."""
  return [int(frames[0].max()) for batch, _ in batches for frames in batch]


class RecordInputsTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = os.path.join(self.create_tempdir().full_path, 'records')

  def inputs(self, index=None, batch_size=3, seed=0, **kwargs):
    index = index or write(self.folder)
    return record_inputs.RecordInputs(
      index, NUM_FRAMES, batch_size, seed, **kwargs
    )

  def assert_same(self, a, b):
    self.assertEqual(len(a), len(b))
    for (frames, label), (other_frames, other_label) in zip(a, b):
      self.assertAllEqual(frames, other_frames)
      self.assertAllEqual(label, other_label)

  @parameterized.parameters('raw', 'png')
  def test_an_epoch_has_a_window_of_each_record(self, encoding):
    made = self.inputs(write(self.folder, encoding=encoding), batch_size=4)
    self.assertEqual(made.num_train_clips, 8)
    self.assertEqual(made.num_valid_clips, 2)
    self.assertEqual(made.label_names, ('even', 'odd'))
    self.assertEqual(made.check_skips(), 2)
    dataset = made.train_dataset(0)
    shape = [4, NUM_FRAMES, SIZE, SIZE, 3]
    self.assertEqual(dataset.element_spec[0], tf.TensorSpec(shape, tf.uint8))
    self.assertEqual(dataset.element_spec[1], tf.TensorSpec([4], tf.int32))
    starts = collections.defaultdict(set)
    batches = take(dataset, 2 * 30)
    self.assertGreater(made.wait_seconds, 0)
    for epoch in range(30):
      numbers = []
      for frames, labels in batches[2 * epoch : 2 * epoch + 2]:
        for clip, label in zip(frames, labels):
          number, start = divmod(int(clip[0].max()), 10)
          self.assertAllEqual(clip, ramp(number, 9)[start : start + NUM_FRAMES])
          self.assertEqual(label, number % 2)
          numbers.append(number)
          starts[number].add(start)
      self.assertCountEqual(numbers, [1, 2, 3, 4, 6, 7, 8, 9])
    for number, found in starts.items():
      self.assertEqual(found, set(range(number % 5)))

  def test_order_is_a_function_of_the_seed_alone(self):
    index = write(self.folder)
    tf.random.set_seed(1)
    first = take(self.inputs(index).train_dataset(0), 20)
    tf.random.set_seed(2)
    self.assert_same(first, take(self.inputs(index).train_dataset(0), 20))
    other = take(self.inputs(index, seed=1).train_dataset(0), 20)
    self.assertNotEqual(firsts(first), firsts(other))
    numbers = [value // 10 for value in firsts(first)]
    self.assertNotEqual(numbers[:8], numbers[8:16])

  @parameterized.parameters(1, 2, 4, 8, 11)
  def test_a_resume_gives_the_same_batches(self, step):
    made = self.inputs()  # An epoch is two batches and two thirds.
    whole = take(made.train_dataset(0), 16)
    self.assert_same(take(made.train_dataset(step), 16 - step), whole[step:])

  def test_the_shuffle_buffer_is_bounded(self):
    index = write(self.folder)
    made = self.inputs(index, batch_size=8, shuffle_bytes=1)
    batches = take(made.train_dataset(0), 3)
    for values in (firsts([batch]) for batch in batches):
      numbers = [value // 10 for value in values]
      self.assertCountEqual(numbers, [1, 2, 3, 4, 6, 7, 8, 9])
      # Not shuffled: each shard's records are in order.
      self.assertLess(numbers.index(1), numbers.index(2))
      self.assertLess(numbers.index(3), numbers.index(4))
      self.assertLess(numbers.index(8), numbers.index(9))

  def test_a_weight_is_a_number_of_draws(self):
    weights = [1] * 13
    weights[1], weights[9] = 3, 4
    made = self.inputs(write(self.folder, weights), batch_size=13)
    self.assertEqual(made.num_train_clips, 13)
    counts = collections.Counter(
      value // 10 for value in firsts(take(made.train_dataset(0), 2))
    )
    self.assertEqual(counts[1], 6)
    self.assertEqual(counts[9], 8)
    self.assertEqual(counts[2], 2)
    fixed = firsts(list(take(made.train_clips_dataset(), -1)))
    self.assertEqual(
      fixed, [10, 10, 10, 20, 30, 40, 60, 70, 80, 90, 91, 92, 93]
    )

  def test_fixed_clips_are_the_first_ones_in_order(self):
    made = self.inputs()
    self.assertEqual(
      firsts(take(made.train_clips_dataset(), -1)),
      [10, 20, 30, 40, 60, 70, 80, 90],
    )
    valid = take(made.valid_dataset(), -1)
    self.assertEqual(firsts(valid), [110, 120])
    ((frames, label),) = valid
    self.assertAllEqual(frames[1], ramp(12, NUM_FRAMES))
    self.assertAllEqual(label, [1, 0])

  def test_flips_half_of_the_clips(self):
    index = write(self.folder)
    plain = take(self.inputs(index, batch_size=8).train_dataset(0), 20)
    made = self.inputs(index, batch_size=8, symmetry='mirror')
    flipped = take(made.train_dataset(0), 20)
    num_flipped = 0
    for (frames, _), (other, _) in zip(plain, flipped):
      for clip, other_clip in zip(frames, other):
        if (clip != other_clip).any():
          num_flipped += 1
          self.assertAllEqual(other_clip, clip[:, :, ::-1])
    self.assertBetween(num_flipped, 50, 110)
    self.assertAllEqual(
      take(made.valid_dataset(), 1)[0][0][1], ramp(12, NUM_FRAMES)
    )

  def test_what_cannot_be_trained_on(self):
    index = write(self.folder)
    with self.assertRaisesRegex(
      sources.DataError, 'num_frames=7 .* longest one has 6'
    ):
      record_inputs.RecordInputs(index, 7, 3, 0)
    for address in ('localhost:1', 'grpc://localhost', 'grpc://a:b'):
      with self.assertRaisesRegex(sources.DataError, 'grpc://<host>:<port>'):
        self.inputs(index, data_service=address)

  def test_a_label_without_a_record(self):
    index = write(self.folder)
    names = ('even', 'odd', 'prime')
    index = records.Index(**{**vars(index), 'label_names': names})
    with self.assertRaisesRegex(sources.DataError, 'found none for prime'):
      self.inputs(index)

  def test_damaged_records_are_a_data_error(self):
    index = write(self.folder)
    made = self.inputs(index)
    path = index.path(index.parts['train'][2].file)
    with open(path, 'r+b') as f:
      f.seek(100)
      f.write(b'damage')
    expected = self.assertRaisesRegex(sources.DataError, 'Cannot.*corrupted')
    with expected, made.raising():
      take(made.train_dataset(0), 5)
    os.remove(path)
    expected = self.assertRaisesRegex(sources.DataError, 'No such file')
    with expected, made.raising():
      take(made.train_dataset(0), 5)


class DataServiceTest(tf.test.TestCase):
  def test_workers_deal_out_the_epochs(self):
    folder = os.path.join(self.create_tempdir().full_path, 'records')
    index = write(folder)
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer(service.DispatcherConfig(port=0))
    address = dispatcher.target.split('://')[1]
    workers = [
      service.WorkerServer(service.WorkerConfig(dispatcher_address=address))
      for _ in range(2)
    ]
    made = record_inputs.RecordInputs(
      index, NUM_FRAMES, 8, 0, data_service=dispatcher.target
    )
    local = record_inputs.RecordInputs(index, NUM_FRAMES, 8, 0)
    for step in (0, 5):
      dataset = made.train_dataset(step)
      self.assertEqual(
        dataset.element_spec, local.train_dataset(0).element_spec
      )
      found = {tuple(firsts([batch])) for batch in take(dataset, 10)}
      self.assertLen(found, 10)  # No epoch comes twice.
      expected = take(local.train_dataset(step), 200)
      self.assertContainsSubset(found, {tuple(firsts([b])) for b in expected})
    del dataset, workers, dispatcher

  def test_says_that_nobody_answers(self):
    folder = os.path.join(self.create_tempdir().full_path, 'records')
    with socket.socket() as s:
      s.bind(('localhost', 0))
      port = s.getsockname()[1]
    made = record_inputs.RecordInputs(
      write(folder), NUM_FRAMES, 8, 0, data_service=f'grpc://localhost:{port}'
    )
    with self.assertRaisesRegex(sources.DataError, 'cannot be reached'):
      made.train_dataset(0)


if __name__ == '__main__':
  tf.test.main()
