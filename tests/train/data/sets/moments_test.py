"""Tests of moments.py: the layout, its lists, 10,000 videos."""

import os
import time

from absl.testing import parameterized
import tensorflow as tf

from train.data import sources
from train.data.sets import moments

LAYOUT = {
  'moments_categories.txt': 'running,1\nclapping,0\n',
  'trainingSet.csv': (
    'clapping/a.mp4,clapping,3,0\n\nrunning/b.mp4,running,4,1\n'
    '"running/c,2.mp4",running,2,1\n'
  ),
  'validationSet.csv': 'running/d.mp4,running,5,0\r\n',
  'training/clapping/a.mp4': '',
  'training/running/b.mp4': '',
  'training/running/unlisted.mp4': '',
  'validation/running/d.mp4': '',
}


def write_tree(root, files):
  for name, text in files.items():
    path = f'{root}/{name}'
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, 'w') as f:
      f.write(text)
  return root


def without(*names):
  return {name: text for name, text in LAYOUT.items() if name not in names}


def clips(regions, root):
  return [(region.path[len(root) + 1 :], region.label) for region in regions]


class MomentsSourceTest(tf.test.TestCase, parameterized.TestCase):
  def root(self, kind='local'):
    if kind == 'ram':
      return f'ram://moments/{self.id()}'
    return self.create_tempdir().full_path

  @parameterized.parameters('local', 'ram')
  def test_lists_say_what_is_used(self, kind):
    root = write_tree(self.root(kind), LAYOUT)
    source = moments.moments_source(root + '/', 8, max_source_frames=30)
    self.assertEqual(source.name, 'moments_in_time')
    self.assertEqual(source.label_names, ('clapping', 'running'))
    expected = [
      ('training/clapping/a.mp4', 0),
      ('training/running/b.mp4', 1),
      ('training/running/c,2.mp4', 1),  # Not there: for the decoder to skip.
    ]
    self.assertEqual(clips(source.train, root), expected)
    self.assertEqual(
      clips(source.valid, root), [('validation/running/d.mp4', 1)]
    )
    self.assertEqual({r.stop for r in source.train + source.valid}, {30})

  @parameterized.parameters('local', 'ram')
  def test_folders_without_lists(self, kind):
    files = without(
      'trainingSet.csv', 'validationSet.csv', 'moments_categories.txt'
    )
    root = write_tree(self.root(kind), files)
    source = moments.moments_source(root, 8)
    self.assertEqual(source.label_names, ('clapping', 'running'))
    expected = [
      ('training/clapping/a.mp4', 0),
      ('training/running/b.mp4', 1),
      ('training/running/unlisted.mp4', 1),
    ]
    self.assertEqual(clips(source.train, root), expected)
    self.assertLen(source.valid, 1)

  def test_one_list(self):
    root = write_tree(self.root(), without('trainingSet.csv'))
    source = moments.moments_source(root, 8)
    self.assertLen(source.train, 3)
    self.assertIn('unlisted', source.train[-1].path)

  def test_labels_are_the_ids(self):
    files = dict(LAYOUT, **{'moments_categories.txt': 'running,0\nclapping,1'})
    source = moments.moments_source(write_tree(self.root(), files), 8)
    self.assertEqual(source.label_names, ('running', 'clapping'))
    self.assertEqual([r.label for r in source.train], [1, 0, 0])

  @parameterized.parameters('local', 'ram')
  def test_split_by_hash(self, kind):
    files = {f'{c}/{i}.mp4': '' for c in ('walk', 'run') for i in range(100)}
    root = write_tree(self.root(kind), files)
    source = moments.moments_source(root, 8)
    self.assertEqual(source.label_names, ('run', 'walk'))
    # Of sha256('0:<video>'), the first 64 bits below 0.01 * 2**64 (by
    # sha256sum).
    held_out = [('run/36.mp4', 0), ('run/85.mp4', 0), ('run/90.mp4', 0)]
    self.assertEqual(clips(source.valid, root), held_out)
    self.assertLen(source.train, 197)
    write_tree(root, {'moments_categories.txt': 'walk,0\nrun,1\n'})
    source = moments.moments_source(root, 8)
    self.assertEqual(source.label_names, ('walk', 'run'))
    self.assertEqual([r.label for r in source.valid], [1, 1, 1])

  def test_10_000_videos(self):
    root = self.create_tempdir().full_path
    first = self.create_tempfile().full_path  # A link costs less than a file.
    for i in range(200):
      os.makedirs(f'{root}/category{i:03d}')
      for j in range(50):
        os.link(first, f'{root}/category{i:03d}/{j}.mp4')
    start = time.monotonic()
    source = moments.moments_source(root, 8)
    self.assertLess(time.monotonic() - start, 10.0)
    self.assertLen(source.label_names, 200)
    self.assertLen(source.train + source.valid, 10_000)
    self.assertBetween(len(source.valid), 50, 150)


class BadDataTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.named_parameters(
    ('fields', 'trainingSet.csv', 'a/b.mp4,a\n', 'Set.csv, line 1: expected'),
    (
      'header',
      'trainingSet.csv',
      'file,label,yes,no\n',
      'line 1: expected <category>/<file>,.*, got .file,label',
    ),
    (
      'votes',
      'validationSet.csv',
      'running/d.mp4,running,5,0\nrunning/e.mp4,running,5,x\n',
      'validationSet.csv, line 2: expected .*running,5,x',
    ),
    (
      'category',
      'trainingSet.csv',
      'runing/a.mp4,runing,1,0\n',
      "line 1: category 'runing' is not in .*did you mean running",
    ),
    (
      'no_rows',
      'validationSet.csv',
      '\n',
      'rows in .*validationSet.csv, got n',
    ),
    ('no_ids', 'moments_categories.txt', '', 'categories.txt, got none'),
    ('id', 'moments_categories.txt', 'running,x', "line 1: .*'running,x'"),
    (
      'gap',
      'moments_categories.txt',
      'clapping,0\nrunning,2\n',
      'ids 0 to 1, each once, .*got 2 where 1',
    ),
    (
      'same_id',
      'moments_categories.txt',
      'clapping,0\nrunning,0\n',
      'got 0 where 1',
    ),
    (
      'same_category',
      'moments_categories.txt',
      'clapping,0\nclapping,1\n',
      "line 2: .*'clapping' again",
    ),
  )
  def test_file(self, name, text, message):
    root = write_tree(self.create_tempdir().full_path, LAYOUT | {name: text})
    with self.assertRaisesRegex(sources.DataError, message):
      moments.moments_source(root, 8)

  def test_not_text(self):
    root = write_tree(self.create_tempdir().full_path, LAYOUT)
    with open(f'{root}/trainingSet.csv', 'wb') as f:
      f.write(b'\xff\xfe')
    with self.assertRaisesRegex(sources.DataError, 'UTF-8 .*trainingSet.csv'):
      moments.moments_source(root, 8)

  def test_no_such_root(self):
    root = self.create_tempdir().full_path
    for path in (f'{root}/nowhere', 'ram://nowhere/at/all', 'nofs://a/b'):
      with self.assertRaisesRegex(sources.DataError, path):
        moments.moments_source(path, 8)

  def test_one_part_only(self):
    root = self.create_tempdir().full_path
    write_tree(root, {'training/running/a.mp4': ''})
    with self.assertRaisesRegex(sources.DataError, 'found only training'):
      moments.moments_source(root, 8)
    write_tree(root, {'validationSet.csv': 'running/d.mp4,running,5,0\n'})
    with self.assertRaisesRegex(sources.DataError, 'no .*/validation'):
      moments.moments_source(root, 8)

  def test_folder_of_no_category(self):
    files = without('trainingSet.csv') | {'training/jumping/a.mp4': ''}
    root = write_tree(self.create_tempdir().full_path, files)
    with self.assertRaisesRegex(sources.DataError, "'jumping' is not in"):
      moments.moments_source(root, 8)

  def test_too_few_source_frames(self):
    with self.assertRaisesRegex(sources.DataError, 'at least num_frames=8'):
      moments.moments_source('anywhere', 8, max_source_frames=7)


if __name__ == '__main__':
  tf.test.main()
