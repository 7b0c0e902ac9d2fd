"""Tests of images.py: folders, CelebA, Fashion-MNIST."""

import gzip
import os
import struct

from absl.testing import parameterized
import tensorflow as tf

from train.config import data_sets
from train.data import datasets
from train.data import sources
from train.data.sets import images


def write_tree(root, files):
  for name, text in files.items():
    path = f'{root}/{name}'
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, 'w') as f:
      f.write(text)
  return root


class ImageFolderTest(tf.test.TestCase, parameterized.TestCase):
  def root(self, kind):
    if kind == 'ram':
      return f'ram://images/{self.id()}'
    return self.create_tempdir().full_path

  @parameterized.parameters('local', 'ram')
  def test_tree(self, kind):
    names = [f'{label}/{i}.jpg' for label in ('cat', 'ant') for i in range(50)]
    root = self.root(kind)
    write_tree(root, dict.fromkeys([*names, 'cat/.hidden', 'cat/a.txt'], ''))
    source = images.image_folder_source(root, 0.3)
    self.assertEqual(source.label_names, ('ant', 'cat'))
    regions = source.train + source.valid
    self.assertCountEqual([r.path[len(root) + 1 :] for r in regions], names)
    self.assertBetween(source.num_valid_clips, 15, 45)
    for region in regions:
      self.assertIn(f'/{source.label_names[region.label]}/', region.path)
      self.assertEqual((region.start, region.stop), (0, 1))

  @parameterized.parameters('local', 'ram')
  def test_flat_folder(self, kind):
    names = [f'{i}.png' for i in range(100)]
    root = write_tree(self.root(kind), dict.fromkeys([*names, 'a.csv'], ''))
    source = images.image_folder_source(root, 0.3)
    self.assertEqual(source.label_names, ('all',))
    regions = source.train + source.valid
    self.assertCountEqual([os.path.basename(r.path) for r in regions], names)
    self.assertEqual({r.label for r in regions}, {0})

  @parameterized.parameters(
    ({}, 'found no'),
    ({'a.txt': ''}, 'found only files'),
    ({'cat/a.txt': ''}, 'Expected image files .*cat'),
    ({'cat/a.png': ''}, 'no .* image of the 1'),
  )
  def test_bad_folder(self, files, message):
    root = self.create_tempdir().full_path + '/images'
    write_tree(root, files)
    with self.assertRaisesRegex(sources.DataError, message):
      images.image_folder_source(root)


CELEBA = {
  'img_align_celeba/1.jpg': '',
  'list_eval_partition.txt': '1.jpg 0\n2.jpg 0\n3.jpg 1\n4.jpg 2\n',
  'list_attr_celeba.txt': (
    '4\nBald Smiling \n1.jpg -1  1\n2.jpg -1 -1\n3.jpg  1  1\n4.jpg  1 -1\n'
  ),
}


class CelebaTest(tf.test.TestCase, parameterized.TestCase):
  def celeba(self, attribute=None, **texts):
    root = self.create_tempdir().full_path
    changed = {f'{name}.txt': text for name, text in texts.items()}
    write_tree(root, {**CELEBA, **changed})
    return images.celeba_source(root, attribute), root

  def test_split_and_crop(self):
    source, root = self.celeba(list_attr_celeba='not read')
    faces = f'{root}/img_align_celeba'
    self.assertEqual(source.label_names, ('face',))
    self.assertEqual(
      source.train,
      tuple(sources.Region(f'{faces}/{i}.jpg', 0, 0, 1) for i in (1, 2)),
    )
    self.assertEqual(source.valid, (sources.Region(f'{faces}/3.jpg', 0, 0, 1),))
    self.assertEqual(source.center_crop, 148)

  def test_attribute_is_the_label(self):
    root = write_tree(f'ram://celeba/{self.id()}', CELEBA)
    source = images.celeba_source(root, 'Smiling')
    self.assertEqual(source.label_names, ('not_Smiling', 'Smiling'))
    self.assertEqual([r.label for r in source.train], [1, 0])
    self.assertEqual([r.label for r in source.valid], [1])

  def test_unknown_attribute(self):
    message = "'Smilng': did you mean Smiling"
    with self.assertRaisesRegex(sources.DataError, message):
      self.celeba('Smilng')

  @parameterized.parameters(
    ('list_eval_partition', '1.jpg 0\n2.jpg 3\n', "line 2: .*got '2.jpg 3'"),
    ('list_eval_partition', '1.jpg 0\n', r'validation images \(1\)'),
    ('list_eval_partition', '3.jpg 1\n', r'training images \(0\)'),
    ('list_eval_partition', '5.jpg 1\n', 'line 1: 5.jpg is not in list_attr'),
    ('list_attr_celeba', '', "line 1: .*number of images, got ''"),
    ('list_attr_celeba', '1\nBald\n1.jpg 0', "line 3: .*got '1.jpg 0'"),
    ('list_attr_celeba', '1\nBald\n1.jpg 1 1', "line 3: .*got '1.jpg 1 1'"),
    ('list_attr_celeba', '2\nBald\n1.jpg 1', 'Expected 2 images .*got 1'),
  )
  def test_bad_list(self, name, text, message):
    with self.assertRaisesRegex(sources.DataError, message):
      self.celeba('Bald', **{name: text})

  def test_missing_files(self):
    root = self.create_tempdir().full_path
    with self.assertRaisesRegex(sources.DataError, 'no .*/img_align_celeba'):
      images.celeba_source(root)
    write_tree(root, {'img_align_celeba/1.jpg': ''})
    with self.assertRaisesRegex(sources.DataError, 'list_eval_partition.txt'):
      images.celeba_source(root)


def idx_images(num):
  return struct.pack('>IIII', 0x803, num, 2, 3) + bytes(num * 6)


def idx_labels(labels):
  return struct.pack('>II', 0x801, len(labels)) + bytes(labels)


class FashionMnistTest(tf.test.TestCase, parameterized.TestCase):
  def source(self, change=None, data=None):
    folder = self.create_tempdir().full_path
    files = {
      'train-images-idx3-ubyte': idx_images(3),
      'train-labels-idx1-ubyte': idx_labels([9, 0, 2]),
      't10k-images-idx3-ubyte': idx_images(1),
      't10k-labels-idx1-ubyte': idx_labels([1]),
    }
    files = {name: gzip.compress(text) for name, text in files.items()}
    if change:
      name = next(name for name in files if name.startswith(change))
      files[name] = data
    for name, contents in files.items():
      with open(f'{folder}/{name}.gz', 'wb') as f:
        f.write(contents)
    data = data_sets.FashionMnist(num_frames=1, data_dir=folder)
    return datasets.make_source(data), folder

  def test_regions_are_images(self):
    source, folder = self.source()
    path = f'{folder}/train-images-idx3-ubyte.gz'
    self.assertEqual(
      source.train,
      tuple(
        sources.Region(path, label, i, i + 1)
        for i, label in enumerate([9, 0, 2])
      ),
    )
    path = f'{folder}/t10k-images-idx3-ubyte.gz'
    self.assertEqual(source.valid, (sources.Region(path, 1, 0, 1),))
    self.assertEqual(source.label_names[9], 'Ankle boot')
    self.assertLen(source.label_names, 10)

  @parameterized.parameters(
    ('train-i', gzip.compress(idx_labels([1] * 9)), 'magic 0x803, got 0x801'),
    ('train-i', gzip.compress(idx_images(3)[:-1]), '18 bytes .*got 17'),
    ('train-i', gzip.compress(idx_images(3))[:-9], 'whole gzip .*train-im'),
    ('train-i', idx_images(3), 'whole gzip'),
    ('train-i', gzip.compress(b'123'), 'header of 16 bytes .*got 3'),
    ('train-l', gzip.compress(idx_labels([1])), '3 images .* 1 labels'),
    ('t10k-l', gzip.compress(idx_labels([10])), 'labels 0 to 9, got 10'),
  )
  def test_damaged(self, name, data, message):
    with self.assertRaisesRegex(sources.DataError, message):
      self.source(name, data)

  def test_missing(self):
    with self.assertRaisesRegex(
      sources.DataError,
      'no .*/train-images.* dataset-fashion-mnist.*--data_dir',
    ):
      images.fashion_mnist_source(self.create_tempdir().full_path)


class MakeSourceTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(
    data_sets.MomentsInTime(), data_sets.ImageFolder(), data_sets.Celeba()
  )
  def test_needs_a_folder(self, data):
    message = f'--data_dir=.*--dataset={data.name}'
    with self.assertRaisesRegex(sources.DataError, message):
      datasets.make_source(data)

  def test_attribute_of_celeba(self):
    root = write_tree(self.create_tempdir().full_path, CELEBA)
    source = datasets.make_source(
      data_sets.Celeba(num_frames=1, data_dir=root, attribute='Bald')
    )
    self.assertEqual(source.label_names, ('not_Bald', 'Bald'))


if __name__ == '__main__':
  tf.test.main()
