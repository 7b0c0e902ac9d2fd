"""Tests of datasets.py."""

import pathlib

from absl.testing import parameterized
import tensorflow as tf

from train.config import data_sets
from train.data import clip_batches
from train.data import clips as clips_lib
from train.data import datasets
from train.data import sources
from train.data.decoding import decode
from train.data.sets import natvid


class MakeSourceTest(tf.test.TestCase, parameterized.TestCase):
  def test_folder_needs_its_folder(self):
    with self.assertRaisesRegex(sources.DataError, '--data_dir='):
      datasets.make_source(data_sets.Folder())

  def test_folder(self):
    root = self.create_tempdir().full_path
    for k in range(20):
      path = pathlib.Path(root, 'cat', f'{k}.mp4')
      path.parent.mkdir(exist_ok=True)
      path.write_text('no video')
    source = datasets.make_source(
      data_sets.Folder(data_dir=root, valid_fraction=0.5)
    )
    self.assertBetween(source.num_valid_clips, 5, 15)

  def test_shapes(self):
    root = self.create_tempdir().full_path
    source = datasets.make_source(
      data_sets.Shapes(variant='appearance', num_frames=2, data_dir=root)
    )
    self.assertEqual(source.label_names, ('circle', 'square', 'triangle'))
    self.assertEqual(source.num_train_clips + source.num_valid_clips, 120)
    clips = clips_lib.Clips(source, 2, decode.Decoder(16))
    clip_batches.check_labels(clips)
    frames, _ = next(iter(clip_batches.train_dataset(clips, 4, 0)))
    self.assertGreater(frames.numpy().max(), 150)

  def test_only_labels_of_shapes(self):
    root = self.create_tempdir().full_path
    source = datasets.make_source(
      data_sets.Shapes(
        variant='appearance',
        num_frames=2,
        data_dir=root,
        only_labels='triangle,square',
      )
    )
    self.assertEqual(source.label_names, ('square', 'triangle'))
    self.assertEqual(source.num_train_clips + source.num_valid_clips, 80)
    for region in source.train + source.valid:
      folder = pathlib.Path(region.path).parent.name
      self.assertEqual(folder, source.label_names[region.label])


class NatvidOptionsTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path
    for film in natvid.FILMS:
      pathlib.Path(self.root, film.file_name).touch()

  def source(self, **options):
    return datasets.make_source(data_sets.Natvid(data_dir=self.root, **options))

  def test_split(self):
    self.assertEqual(self.source().num_train_clips, 132)
    source = self.source(left_out='bunny')
    self.assertEqual({region.label for region in source.valid}, {1})
    self.assertEqual({region.label for region in source.train}, {0, 2, 3})

  def test_only_labels(self):
    source = self.source(only_labels='parrot,bunny')
    self.assertEqual(source.label_names, ('bunny', 'parrot'))
    for region in source.train + source.valid:
      expected = ('bigbuckbunny.mp4', 'cockatoo.mp4')[region.label]
      self.assertEqual(pathlib.Path(region.path).name, expected)

  def test_max_train_frames(self):
    whole, cut = self.source(), self.source(max_train_frames=100)
    self.assertEqual(cut.valid, whole.valid)
    for label in range(4):
      regions = [r for r in cut.train if r.label == label]
      self.assertEqual(sum(r.stop - r.start for r in regions), 25)
    self.assertEqual(cut.num_train_clips, 4 * 5)

  def test_max_train_frames_are_shared_by_the_kept_labels(self):
    source = self.source(only_labels='bunny,parrot', max_train_frames=80)
    lengths = [(r.label, r.stop - r.start) for r in source.train]
    self.assertEqual(lengths, [(0, 40), (1, 40)])
    source = self.source(left_out='parrot', max_train_frames=60)
    lengths = [(r.label, r.stop - r.start) for r in source.train]
    self.assertEqual(lengths, [(0, 20), (1, 20), (2, 20)])

  @parameterized.parameters(
    ({'left_out': 'bunnies'}, "'bunnies': .*mean bunny"),
    ({'left_out': 'parrot', 'only_labels': 'bunny'}, 'only_labels=bunny'),
    ({'only_labels': 'bunny,parot'}, "'parot': did you mean parrot"),
    ({'max_train_frames': 31}, 'at least 32'),
  )
  def test_bad_options(self, options, message):
    with self.assertRaisesRegex(sources.DataError, message):
      self.source(**options)


if __name__ == '__main__':
  tf.test.main()
