"""Tests of tfds_inputs.py; skipped without tensorflow_datasets."""

import collections
import os
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train.config import overrides
from train.config import presets
from train.data import inputs
from train.data import sources
from train.data import tfds_inputs

try:
  import tensorflow_datasets as tfds
except ImportError:
  tfds = None

SIZE = 8
NUM_FRAMES = 3
NUM_VIDEOS = 10


def ramp(number, num_frames):
  """Frame t has the value 10 number + t on its left half, 0 on its right."""
  frames = np.zeros([num_frames, SIZE, SIZE, 3], np.uint8)
  values = 10 * number + np.arange(num_frames)
  frames[:, :, : SIZE // 2] = values[:, None, None, None]
  return frames


def length(number):
  return NUM_FRAMES + number % 4


def write(
  folder,
  name='ramps',
  splits=('train', 'test'),
  kind='video',
  lengths=length,
  first_label=0,
  num_frames=None,
):
  """A set of its own, really prepared in `folder`, in several shards.

  Args:
    folder: `str`.
    name: `str`.
    splits: Names of its splits: ten videos of 3 to 6 frames each.
    kind: 'video', or 'steps': frames in a Dataset of dicts.
    lengths: Function of a video's number.
    first_label: `int`, that of the even ones.
    num_frames: `int` or None, what the set says of all its videos.
  """
  features = tfds.features
  image = features.Image(shape=(None, None, 3), encoding_format='png')

  def structure():
    if kind == 'steps':
      steps = features.Dataset({'observation': {'image': image}, 'x': tf.int64})
      return {'steps': steps}
    video = features.Video(shape=(num_frames, SIZE, SIZE, 3))
    return {'video': video, 'label': features.ClassLabel(names=['even', 'odd'])}

  def example(number):
    frames = ramp(number, lengths(number))
    if kind == 'steps':
      steps = [{'observation': {'image': f}, 'x': 0} for f in frames]
      return {'steps': steps}
    return {'video': list(frames), 'label': number % 2 + first_label}

  class Ramps(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version('1.0.0')
    code_path = None  # No checksums beside this file.

    def _info(self):
      made = features.FeaturesDict(structure())
      return tfds.core.DatasetInfo(builder=self, features=made)

    def _split_generators(self, dl_manager):
      del dl_manager
      return {split: self._generate_examples() for split in splits}

    def _generate_examples(self):
      for number in range(NUM_VIDEOS):
        yield number, example(number)

  Ramps.name = name
  config = tfds.download.DownloadConfig(num_shards=3)
  Ramps(data_dir=folder).download_and_prepare(download_config=config)


def take(dataset, num=-1):
  batches = dataset.take(num)
  return [(frames.numpy(), label.numpy()) for frames, label in batches]


def firsts(batches):
  """The value of each clip's first frame."""
  return [int(frames[0].max()) for batch, _ in batches for frames in batch]


class MissingTest(tf.test.TestCase):
  def test_says_what_to_install(self):
    missing = mock.patch.dict(sys.modules, {'tensorflow_datasets': None})
    expected = r'pip install "tfp-cglow\[tfds\]"'
    with missing, self.assertRaisesRegex(sources.DataError, expected):
      tfds_inputs.TfdsInputs('mnist', 1, SIZE, 1, 4, 0)


class TfdsTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    if tfds is None:
      self.skipTest('tensorflow_datasets is not installed.')
    self.folder = self.create_tempdir().full_path


class PreparedTest(TfdsTest):
  """Sets that are really written and read."""

  def inputs(self, name='ramps', batch_size=3, seed=0, **kwargs):
    return tfds_inputs.TfdsInputs(
      name,
      NUM_FRAMES,
      SIZE,
      3,
      batch_size,
      seed,
      data_dir=self.folder,
      **kwargs,
    )

  def assert_same(self, a, b):
    self.assertEqual(len(a), len(b))
    for (frames, label), (other_frames, other_label) in zip(a, b):
      self.assertAllEqual(frames, other_frames)
      self.assertAllEqual(label, other_label)

  def test_an_epoch_has_a_window_of_each_video(self):
    write(self.folder)
    made = self.inputs(batch_size=5)
    self.assertEqual(made.num_train_clips, NUM_VIDEOS)
    self.assertEqual(made.num_valid_clips, NUM_VIDEOS)
    self.assertEqual(made.label_names, ('even', 'odd'))
    self.assertEqual(made.check_skips(), 0)
    dataset = made.train_dataset(0)
    shape = [5, NUM_FRAMES, SIZE, SIZE, 3]
    self.assertEqual(dataset.element_spec[0], tf.TensorSpec(shape, tf.uint8))
    self.assertEqual(dataset.element_spec[1], tf.TensorSpec([5], tf.int32))
    starts = collections.defaultdict(set)
    batches = take(dataset, 2 * 30)
    self.assertGreater(made.wait_seconds, 0)
    orders = set()
    for epoch in range(30):
      numbers = []
      for frames, labels in batches[2 * epoch : 2 * epoch + 2]:
        for clip, label in zip(frames, labels):
          number, start = divmod(int(clip[0].max()), 10)
          self.assertAllEqual(clip, ramp(number, 9)[start : start + NUM_FRAMES])
          self.assertEqual(label, number % 2)
          numbers.append(number)
          starts[number].add(start)
      self.assertCountEqual(numbers, range(NUM_VIDEOS))
      orders.add(tuple(numbers))
    self.assertLen(orders, 30)
    for number, found in starts.items():
      self.assertEqual(found, set(range(number % 4 + 1)))

  def test_order_is_a_function_of_the_seed_alone(self):
    write(self.folder)
    tf.random.set_seed(1)
    first = take(self.inputs().train_dataset(0), 20)
    tf.random.set_seed(2)
    self.assert_same(first, take(self.inputs().train_dataset(0), 20))
    other = take(self.inputs(seed=1).train_dataset(0), 20)
    self.assertNotEqual(firsts(first), firsts(other))

  @parameterized.parameters(1, 3, 4, 10, 11)
  def test_a_resume_gives_the_same_batches(self, step):
    write(self.folder)
    made = self.inputs()  # An epoch is three batches and a third.
    whole = take(made.train_dataset(0), 14)
    self.assert_same(take(made.train_dataset(step), 14 - step), whole[step:])

  def test_fixed_clips_are_the_first_ones_in_order(self):
    write(self.folder)
    made = self.inputs()
    for dataset in (made.train_clips_dataset(), made.valid_dataset()):
      batches = take(dataset)
      values = firsts(batches)
      self.assertCountEqual(values, [10 * k for k in range(NUM_VIDEOS)])
      self.assertLen(batches[-1][1], 1)
      self.assertEqual(firsts(take(dataset)), values)

  def test_flips_half_of_the_clips(self):
    write(self.folder)
    flipped = take(
      self.inputs(symmetry='mirror', batch_size=10).train_dataset(0), 10
    )
    num_flipped = 0
    for (frames, _), (other, _) in zip(
      take(self.inputs(batch_size=10).train_dataset(0), 10), flipped
    ):
      for clip, other_clip in zip(frames, other):
        if (clip != other_clip).any():
          num_flipped += 1
          self.assertAllEqual(other_clip, clip[:, :, ::-1])
    self.assertBetween(num_flipped, 25, 75)

  def test_the_end_of_the_only_split_is_held_out(self):
    write(self.folder, splits=('train',))
    made = self.inputs(valid_fraction=0.2)
    self.assertEqual((made.num_train_clips, made.num_valid_clips), (8, 2))
    train = firsts(take(made.train_clips_dataset()))
    valid = firsts(take(made.valid_dataset()))
    self.assertCountEqual(train + valid, [10 * k for k in range(NUM_VIDEOS)])
    epoch = firsts(take(self.inputs(batch_size=9).train_dataset(0), 1))
    self.assertLen({value // 10 for value in epoch}, 9)
    self.assertEqual(self.inputs().num_valid_clips, 1)

  def test_steps_of_episodes(self):
    write(self.folder, name='episodes', kind='steps')
    made = self.inputs('episodes', feature='steps/observation/image')
    self.assertEqual(made.label_names, ('all',))
    ((frames, labels),) = take(made.train_dataset(0), 1)
    for clip, label in zip(frames, labels):
      number, start = divmod(int(clip[0].max()), 10)
      self.assertAllEqual(clip, ramp(number, 9)[start : start + NUM_FRAMES])
      self.assertEqual(label, 0)

  def test_a_short_video_is_a_data_error(self):
    write(self.folder, lengths=lambda number: 2 if number == 5 else 6)
    made = self.inputs()
    expected = (
      r'^tfds:ramps cannot be trained on: expected num_frames=3 frames or more '
      r'in each video, got 2\.$'
    )
    for dataset in (made.train_dataset(0), made.valid_dataset()):
      with self.assertRaisesRegex(sources.DataError, expected), made.raising():
        take(dataset, 4)

  def test_a_set_of_short_videos(self):
    write(self.folder, lengths=lambda number: 2, num_frames=2)
    with self.assertRaisesRegex(
      sources.DataError, 'clips of 2 frames in video, expected num_frames=3'
    ):
      self.inputs()

  def test_no_label_is_a_data_error(self):
    write(self.folder, first_label=-1)
    made = self.inputs(batch_size=10)
    with (
      self.assertRaisesRegex(
        sources.DataError, r'expected labels from 0 to 1, got -1\.$'
      ),
      made.raising(),
    ):
      take(made.train_dataset(0), 1)

  def test_other_errors_are_left_alone(self):
    write(self.folder)
    made = self.inputs()
    with self.assertRaises(tf.errors.InvalidArgumentError), made.raising():
      tf.reshape(tf.zeros([2]), [3])

  def test_damaged_files_are_a_data_error(self):
    write(self.folder)
    made = self.inputs()
    folder = os.path.join(self.folder, 'ramps', '1.0.0')
    for name in os.listdir(folder):
      if 'ramps-train' in name:
        os.remove(os.path.join(folder, name))
    expected = self.assertRaisesRegex(
      sources.DataError, 'Cannot read tfds:ramps'
    )
    with expected, made.raising():
      take(made.train_dataset(0), 1)

  def test_no_training_split(self):
    write(self.folder, splits=('test',))
    with self.assertRaisesRegex(sources.DataError, "'train'.*found 'test'"):
      self.inputs()

  def test_from_a_config(self):
    write(self.folder)
    config = overrides.override(
      presets.PRESETS['smoke'],
      [
        'data=tfds',
        'data.dataset=ramps',
        f'data.data_dir={self.folder}',
        'data.num_frames=3',
      ],
    )
    made = inputs.make_inputs(config, skipped_log='')
    ((frames, _),) = take(made.train_dataset(0), 1)
    self.assertEqual(frames.shape, (4, 3, 16, 16, 3))


class MockedTest(TfdsTest):
  """Sets of the package, of random pictures."""

  def mock_set(self, name):
    infos = [
      tfds.core.SplitInfo(
        name=split,
        shard_lengths=[4],
        num_bytes=400,
        filename_template=tfds.core.ShardedFileTemplate(
          data_dir=self.folder,
          dataset_name=name,
          split=split,
          filetype_suffix='tfrecord',
        ),
      )
      for split in ('train', 'test')
    ]
    infos = tfds.core.SplitDict(infos)
    self.enter_context(tfds.testing.mock_data(num_examples=4))
    self.enter_context(
      mock.patch.object(tfds.core.DatasetInfo, 'splits', infos)
    )

  def inputs(self, name, num_frames=1, size=SIZE, **kwargs):
    self.mock_set(name)
    kwargs = {'channels': 3, 'batch_size': 2, 'seed': 0, **kwargs}
    return tfds_inputs.TfdsInputs(
      name, num_frames, size, data_dir=self.folder, **kwargs
    )

  def raw(self, name, features):
    """The examples as TensorFlow Datasets gives them."""
    decoders = tfds.decode.PartialDecoding(features)
    builder = tfds.builder(name, data_dir=self.folder)
    return list(builder.as_dataset(split='test', decoders=decoders))

  @parameterized.parameters(
    ('moving_mnist', 1, 1, 'all'), ('ucf101', 3, 101, 'ApplyEyeMakeup')
  )
  def test_videos(self, name, channels, num_labels, first_label):
    made = self.inputs(name, 2, channels=channels)
    self.assertLen(made.label_names, num_labels)
    self.assertEqual(made.label_names[0], first_label)
    for dataset in (made.train_dataset(1), made.valid_dataset()):
      frames, label = take(dataset, 1)[0]
      self.assertEqual(frames.shape, (2, 2, SIZE, SIZE, channels))
      self.assertEqual(label.shape, (2,))

  @parameterized.parameters(('mnist', 28, 1), ('cifar10', 32, 3))
  def test_images_with_labels(self, name, size, channels):
    made = self.inputs(name, 1, size, channels=channels, batch_size=4)
    self.assertLen(made.label_names, 10)
    found = take(made.valid_dataset())
    raw = self.raw(name, {'image': True, 'label': True})
    self.assertAllEqual(found[0][0][:, 0], [x['image'] for x in raw])
    self.assertAllEqual(found[0][1], [x['label'] for x in raw])

  def test_images_are_no_videos(self):
    with self.assertRaisesRegex(
      sources.DataError,
      'clips of 1 frames in image, expected num_frames=2.*model.tail=none',
    ):
      self.inputs('mnist', 2)

  def test_several_cameras(self):
    name = 'bair_robot_pushing_small'
    with self.assertRaisesRegex(
      sources.DataError,
      'image_aux1, image_main: choose one.*--set data.feature=image_aux1',
    ):
      self.inputs(name)
    made = self.inputs(name, feature='image_main', size=64, batch_size=1)
    self.assertEqual(made.label_names, ('all',))
    found = [frames[0, 0] for frames, _ in take(made.valid_dataset())]
    raw = self.raw(name, {'image_main': True})
    self.assertAllEqual(found, [x['image_main'][0] for x in raw])

  def test_the_preset_of_bair(self):
    config = overrides.override(
      presets.PRESETS['bair'],
      [f'data.data_dir={self.folder}', 'data.num_frames=2'],
    )
    self.mock_set('bair_robot_pushing_small')
    made = inputs.make_inputs(config, skipped_log='')
    spec, _ = made.train_dataset(0).element_spec
    self.assertEqual(spec.shape, [config.run.batch_size, 2, 64, 64, 3])
    found = [frames[0, 0] for frames, _ in take(made.valid_dataset())]
    raw = self.raw('bair_robot_pushing_small', {'image_aux1': True})
    self.assertAllEqual(found[0], raw[0]['image_aux1'][0])

  def test_unknown_feature(self):
    with self.assertRaisesRegex(
      sources.DataError, r"cifar10 \(image\), got 'video'"
    ):
      self.inputs('cifar10', feature='video')


class RefusedTest(TfdsTest):
  @parameterized.parameters(
    ('mnsit', 'Unknown dataset tfds:mnsit: did you mean .*mnist'),
    ('ucf101/nosuch', 'Cannot load tfds:ucf101/nosuch: .*nosuch'),
  )
  def test_unknown_names(self, name, expected):
    with self.assertRaisesRegex(sources.DataError, expected) as caught:
      tfds_inputs.TfdsInputs(name, 1, SIZE, 3, 2, 0, data_dir=self.folder)
    self.assertNotIn('\n', str(caught.exception))


class ConfigTest(absltest.TestCase):
  def test_nothing_to_prepare(self):
    config = overrides.override(presets.PRESETS['smoke'], ['data=tfds'])
    with self.assertRaisesRegex(sources.DataError, 'needs no --mode=prepare'):
      inputs.prepare(config, 'unused')


if __name__ == '__main__':
  tf.test.main()
