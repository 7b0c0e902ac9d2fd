"""Tests of sources.py: trees, the split, label names."""

import os
import shutil

from absl.testing import parameterized
import tensorflow as tf

from train.data import sources


def make_tree(root, videos):
  for video in videos:
    path = os.path.join(root, video)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8'):
      pass
  return root


def part(regions, root):
  return {os.path.relpath(region.path, root) for region in regions}


# Of sha256('0:<video>'), the first 64 bits below 0.1 * 2**64 (by sha256sum).
VALID_TENTH = {
  'cat/0.mp4',
  'cat/1.mp4',
  'cat/7.mp4',
  'cat/15.mp4',
  'cat/17.mp4',
  'cat/18.mp4',
  'cat/20.mp4',
  'cat/21.mp4',
  'cat/37.mp4',
  'cat/45.mp4',
  'cat/49.mp4',
  'ant/2.mp4',
  'ant/41.mp4',
}
VIDEOS = [f'{label}/{i}.mp4' for label in ('cat', 'ant') for i in range(50)]


class FolderSourceTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.root = make_tree(self.create_tempdir().full_path, VIDEOS)

  def test_lists_every_video_once_with_its_label(self):
    make_tree(
      self.root,
      [
        *('cat/.hidden.mp4', 'cat/notes.txt', 'README.md'),
        *('cat/Thumbs.db', 'cat/photo.JPG'),
      ],
    )
    source = sources.folder_source(self.root, 8, valid_fraction=0.3)
    self.assertEqual(source.label_names, ('ant', 'cat'))
    regions = source.train + source.valid
    self.assertCountEqual(
      [os.path.relpath(r.path, self.root) for r in regions], VIDEOS
    )
    for region in regions:
      folder = os.path.basename(os.path.dirname(region.path))
      self.assertEqual(source.label_names[region.label], folder)
    self.assertEqual(source.num_train_clips, len(source.train))
    self.assertBetween(source.num_valid_clips, 15, 45)

  def test_split_does_not_move(self):
    before = part(sources.folder_source(self.root, 8, 0.3).valid, self.root)
    moved = shutil.copytree(self.root, self.root + '-moved')
    make_tree(moved, ['bee/1.mp4', 'bee/2.mp4', 'cat/new.mp4'])
    after = part(sources.folder_source(moved, 4, 0.3).valid, moved)
    self.assertEqual(before, after & set(VIDEOS))
    other = sources.folder_source(self.root, 8, 0.3, split_seed=1)
    self.assertNotEqual(before, part(other.valid, self.root))

  def test_split_is_the_documented_hash(self):
    source = sources.folder_source(self.root, 8, 0.1)
    self.assertEqual(part(source.valid, self.root), VALID_TENTH)

  def test_max_source_frames_ends_regions(self):
    source = sources.folder_source(self.root, 8, 0.3, max_source_frames=30)
    self.assertEqual({r.stop for r in source.train + source.valid}, {30})
    with self.assertRaisesRegex(sources.DataError, 'at least num_frames=8'):
      sources.folder_source(self.root, 8, 0.3, max_source_frames=7)


class BadTreeTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(
    ('nowhere', [], 'found no .*nowhere'),
    ('file', ['file'], 'got a file: .*file'),
    ('flat', ['flat/1.mp4'], 'label folders .*flat, found only files'),
    ('bare', ['bare/cat/notes.txt'], 'label folder .*cat'),
    ('few', ['few/cat/1.mp4'], 'of the 1 in .*--set data.valid_fraction='),
  )
  def test_error_names_the_folder(self, name, files, message):
    root = make_tree(self.create_tempdir().full_path, files)
    with self.assertRaisesRegex(sources.DataError, message):
      sources.folder_source(os.path.join(root, name), 8)

  def test_links_that_lead_nowhere(self):
    root = make_tree(self.create_tempdir().full_path, VIDEOS)
    names = ('cat/loop.mp4', 'cat/gone.mp4')
    for name, target in zip(names, ('loop.mp4', 'none.mp4')):
      os.symlink(target, os.path.join(root, name))
    os.symlink('loop', os.path.join(root, 'loop'))
    os.symlink('..', os.path.join(root, 'cat', 'parent'))
    source = sources.folder_source(root, 8)
    self.assertEqual(source.label_names, ('ant', 'cat'))
    self.assertEqual(part(source.train + source.valid, root), {*VIDEOS, *names})

  def test_empty_folder(self):
    with self.assertRaisesRegex(sources.DataError, 'is empty'):
      sources.folder_source(self.create_tempdir().full_path, 8)

  def test_fraction_out_of_range(self):
    with self.assertRaisesRegex(sources.DataError, 'got 1.5'):
      sources.folder_source(self.create_tempdir().full_path, 8, 1.5)


class FixedClipsTest(tf.test.TestCase):
  def test_both_parts_are_the_first_windows(self):
    regions = (sources.Region('a', 0, 4, 40, 9), sources.Region('b', 1))
    source = sources.Source('x', ('u', 'v'), regions, (regions[1],))
    fixed = sources.fixed_clips(source, 1, 8)
    self.assertEqual(fixed.train, (sources.Region('a', 0, 4, 12, 1),))
    self.assertEqual(fixed.valid, fixed.train)
    with self.assertRaisesRegex(sources.DataError, '1 to 2 fixed clips, got 3'):
      sources.fixed_clips(source, 3, 8)


class OnlyLabelsTest(tf.test.TestCase):
  SOURCE = sources.Source(
    'x',
    ('ant', 'bee', 'cat'),
    tuple(sources.Region(f'{i}', i % 3, 1, 9, 2) for i in range(6)),
    tuple(sources.Region(f'v{i}', i) for i in range(2)),
    pixel_aspect=False,
  )

  def test_regions_are_renumbered_in_the_order_of_the_source(self):
    source = sources.only_labels(self.SOURCE, ['cat', ' bee'])
    self.assertEqual(source.label_names, ('bee', 'cat'))
    self.assertEqual(
      source.train,
      tuple(
        sources.Region(path, label, 1, 9, 2)
        for path, label in (('1', 0), ('2', 1), ('4', 0), ('5', 1))
      ),
    )
    self.assertEqual(source.valid, (sources.Region('v1', 0),))
    self.assertFalse(source.pixel_aspect)

  def test_unknown_label(self):
    with self.assertRaisesRegex(sources.DataError, "'bea': did you mean bee"):
      sources.only_labels(self.SOURCE, ['ant', 'bea'])

  def test_empty_part(self):
    with self.assertRaisesRegex(sources.DataError, '=cat, got 2 and 0'):
      sources.only_labels(self.SOURCE, ['cat'])


class CutTrainingTest(tf.test.TestCase, parameterized.TestCase):
  def cut(self, spans, max_frames, num_frames):
    """`cut_training` of (label, start, stop, weight), and of its result."""
    regions = tuple(
      sources.Region('a', label, start, stop, weight)
      for label, start, stop, weight in spans
    )
    source = sources.Source('x', ('u', 'v', 'w'), regions, regions)
    cut = sources.cut_training(source, max_frames, num_frames)
    self.assertEqual(cut.valid, regions)
    return [(r.label, r.start, r.stop, r.weight) for r in cut.train]

  def test_each_label_has_its_share_and_the_last_region_is_shortened(self):
    spans = [
      *((0, 0, 20, 4), (1, 0, 100, 24)),
      *((0, 30, 60, 6), (0, 60, 90, 6)),
    ]
    # 80 // 2 frames each: 20 and 20 of 30; 20 of clips of 8 have 4, 40 have 9.
    self.assertEqual(
      self.cut(spans, 81, 8), [(0, 0, 20, 4), (0, 30, 50, 4), (1, 0, 40, 9)]
    )

  def test_what_is_shorter_than_a_clip_is_dropped(self):
    spans = [(0, 0, 5, 1), (0, 5, 15, 1), (0, 20, 40, 4)]
    self.assertEqual(self.cut(spans, 17, 8), [(0, 5, 15, 1)])
    self.assertEqual(self.cut(spans, 18, 8), [(0, 5, 15, 1), (0, 20, 28, 1)])

  def test_enough_frames_cut_nothing(self):
    spans = [(0, 0, 20, 4), (1, 3, 30, 5)]
    self.assertEqual(self.cut(spans, 54, 8), spans)

  def test_no_weight_grows(self):
    self.assertEqual(self.cut([(0, 0, 99, 1)], 40, 8), [(0, 0, 40, 1)])

  def test_images(self):
    spans = [(i % 2, i, i + 1, 1) for i in range(8)]
    expected = [spans[i] for i in (0, 2, 1, 3)]
    self.assertEqual(self.cut(spans, 5, 1), expected)

  @parameterized.parameters(
    ([(0, 0, 20, 4), (1, 0, 20, 4)], 15, 'at least 16, .* got 15'),
    ([(0, 0, 20, 4), (1, 0, None, 1)], 99, 'known length, .*got a;'),
    (
      [(0, 0, 20, 4), (1, 0, 1, 1)],
      99,
      'num_frames=8 for the label v.*num_frames=1',
    ),
  )
  def test_what_cannot_be_cut(self, spans, max_frames, message):
    with self.assertRaisesRegex(sources.DataError, message):
      self.cut(spans, max_frames, 8)


class ResolveLabelsTest(tf.test.TestCase):
  NAMES = ('bikes', 'bunny', 'parrot')

  def test_names_and_ids(self):
    labels = sources.resolve_labels(['parrot', '0', ' bunny'], self.NAMES)
    self.assertEqual(labels, [2, 0, 1])

  def test_names_in_another_normal_form(self):
    # As macOS types and unzips them.
    for known, typed in (('Küche', 'Ku\u0308che'), ('Ku\u0308che', 'Küche')):
      self.assertEqual(sources.resolve_labels([typed], ('a', known)), [1])

  def test_a_name_wins_over_an_id(self):
    self.assertEqual(sources.resolve_labels(['1'], ('5', '1', '0')), [1])

  def test_unknown_name_lists_near_ones(self):
    with self.assertRaisesRegex(ValueError, "'parot'.*mean parrot"):
      sources.resolve_labels(['parot'], self.NAMES)

  def test_id_out_of_range(self):
    for name in ('3', '-1'):
      with self.assertRaisesRegex(ValueError, rf'\[0, 3\), got {name}'):
        sources.resolve_labels([name], self.NAMES)


if __name__ == '__main__':
  tf.test.main()
