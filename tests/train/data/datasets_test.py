"""Tests of datasets.py."""

import pathlib

from absl.testing import parameterized
import tensorflow as tf

from train.data import clip_batches
from train.data import clips as clips_lib
from train.data import datasets
from train.data import sources
from train.data.decoding import decode
from train.data.sets import natvid


class MakeSourceTest(tf.test.TestCase, parameterized.TestCase):
  def test_unknown_name(self):
    with self.assertRaisesRegex(sources.DataError, "'natvit': .*mean natvid"):
      datasets.make_source('natvit', 8)

  def test_folder_needs_its_folder(self):
    with self.assertRaisesRegex(sources.DataError, '--data_dir='):
      datasets.make_source('folder', 8)

  def test_folder(self):
    root = self.create_tempdir().full_path
    for k in range(20):
      path = pathlib.Path(root, 'cat', f'{k}.mp4')
      path.parent.mkdir(exist_ok=True)
      path.write_text('no video')
    source = datasets.make_source('folder', 8, root, valid_fraction=0.5)
    self.assertBetween(source.num_valid_clips, 5, 15)

  def test_shapes(self):
    root = self.create_tempdir().full_path
    source = datasets.make_source('shapes:appearance', 2, root)
    self.assertEqual(source.label_names, ('circle', 'square', 'triangle'))
    self.assertEqual(source.num_train_clips + source.num_valid_clips, 120)
    clips = clips_lib.Clips(source, 2, decode.Decoder(16))
    clip_batches.check_labels(clips)
    frames, _ = next(iter(clip_batches.train_dataset(clips, 4, 0)))
    self.assertGreater(frames.numpy().max(), 150)

  def test_only_labels_of_shapes(self):
    root = self.create_tempdir().full_path
    source = datasets.make_source(
      'shapes:appearance', 2, root, only_labels='triangle,square'
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
    return datasets.make_source('natvid', 8, self.root, **options)

  def test_split(self):
    self.assertEqual(self.source(left_out='bunny').num_train_clips, 132)
    source = self.source(split='source', left_out='bunny')
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
    source = self.source(split='source', max_train_frames=60)
    lengths = [(r.label, r.stop - r.start) for r in source.train]
    self.assertEqual(lengths, [(0, 20), (1, 20), (2, 20)])

  @parameterized.parameters(
    ({'split': 'source', 'left_out': 'bunnies'}, "'bunnies': .*mean bunny"),
    ({'split': 'sources'}, "'sources': did you mean source"),
    ({'split': 'source', 'only_labels': 'bunny'}, 'got only_labels=bunny'),
    ({'only_labels': 'bunny,parot'}, "'parot': did you mean parrot"),
    ({'max_train_frames': 31}, 'at least 32'),
  )
  def test_bad_options(self, options, message):
    with self.assertRaisesRegex(sources.DataError, message):
      self.source(**options)

  def test_split_by_source_is_of_natvid(self):
    message = 'split=source with --dataset=natvid only, got --dataset=shapes'
    with self.assertRaisesRegex(sources.DataError, message):
      datasets.make_source('shapes', 8, self.root, split='source')


if __name__ == '__main__':
  tf.test.main()
