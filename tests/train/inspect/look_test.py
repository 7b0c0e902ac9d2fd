"""Tests of looking at a data set before training."""

import os
import pathlib
import shutil
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from train.config import overrides
from train.config import presets
from train.data import sources
from train.data.sets import moving_shapes
from train.inspect import examine
from train.inspect import look
from train.inspect import near_equal
from train.storage import files


class LookTest(absltest.TestCase):
  """A folder of two labels, with what real folders have."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(cls.scratch(), 'ann smith')
    moving_shapes.write_shapes(
      str(cls.root / 'all'), 'shapes:motion', 5, 8, size=32, seed=0
    )
    data = cls.root / 'data'
    for label in ('north', 'east'):
      shutil.copytree(cls.root / 'all' / label, data / label)
    cls.config = overrides.override(
      presets.PRESETS['smoke'],
      ['data=folder', f'data.data_dir={data}', 'data.valid_fraction=0.4'],
    )
    (data / 'north' / 'broken.mp4').write_text('no video')
    moving_shapes.write_video(
      str(data / 'east' / 'short.mp4'), np.zeros([2, 32, 32, 3], np.uint8)
    )
    source, _ = look.inputs.listed(cls.config)
    # The copy of a training video that the split holds out.
    train = {r.path for r in source.train}
    first = next(p for p in sorted(train) if p.endswith('0000.mp4'))
    for k in range(99):
      copy = data / 'north' / f'copy_{k}.mp4'
      shutil.copy(first, copy)
      source, _ = look.inputs.listed(cls.config)
      if str(copy) in {r.path for r in source.valid}:
        break
      copy.unlink()
    cls.copy, cls.first, cls.output = copy, first, cls.root / 'a' / 'output'
    # No worker processes, which would import TensorFlow each.
    with mock.patch.object(os, 'cpu_count', return_value=0):
      cls.found, cls.path = look.write(cls.config, cls.output)

  @classmethod
  def scratch(cls):
    folder = absltest.get_default_test_tmpdir()
    path = pathlib.Path(folder, cls.__name__)
    shutil.rmtree(path, ignore_errors=True)
    return path

  def test_labels_and_clips(self):
    rows = {row[0]: row[1:] for row in self.found.labels()}
    self.assertEqual(list(rows), ['east', 'north'])
    for label, (
      train,
      train_clips,
      valid,
      valid_clips,
      skipped,
    ) in rows.items():
      self.assertEqual(skipped, '1', label)
      num_files = int(train) + int(valid)
      self.assertEqual(num_files, {'east': 6, 'north': 7}[label])
      self.assertEqual(int(train_clips) + int(valid_clips), num_files - 1)

  def test_skipped_files_have_reasons(self):
    reasons = {os.path.basename(f.path): f.problem for f in self.found.skipped}
    self.assertEqual(set(reasons), {'broken.mp4', 'short.mp4'})
    self.assertStartsWith(reasons['broken.mp4'], 'cannot be opened')
    self.assertEqual(reasons['short.mp4'], 'too few frames (expected 4, got 2)')

  def test_a_copy_across_the_split_is_found(self):
    ((a, b, is_split),) = self.found.pairs()
    self.assertEqual({a, b}, set(map(self.found.name, (self.first, self.copy))))
    self.assertTrue(is_split)

  def test_says_what_to_do(self):
    advice = '\n'.join(self.found.advice())
    for words in (
      '2 of 13 files will be skipped',
      '--set data.max_skipped=0.16',
      '--set data.num_frames=2',
      '1 pair(s) of nearly equal files are on both sides of the split',
      '--set data.valid_fraction=0.3',
    ):
      self.assertIn(words, advice)
    self.assertNotIn('were looked at', advice)

  def test_facts_of_the_files(self):
    text = look.text(self.found)
    for words in (
      'frames of a file (least, middle, most): 2, 8, 8',
      'sizes (files): 32x32 (12)',
      'codecs (files): h264 (12)',
      'turned by degrees (files): 0 (12)',
    ):
      self.assertIn(words, text)

  def test_the_page_needs_no_other_file_and_names_no_place(self):
    self.assertEqual(self.path, self.output / 'inspect.html')
    html = self.path.read_text('utf-8')
    for words in ('north/broken.mp4', 'one is held out', 'data:image/png'):
      self.assertIn(words, html)
    for words in ('ann smith', '<script', 'http:', 'https:'):
      self.assertNotIn(words, html)
    self.assertEqual(os.listdir(self.output), ['inspect.html'])

  def test_a_large_folder_is_sampled(self):
    paths = [f'{k:06d}' for k in range(100_000)]
    chosen = look._spread(paths)
    self.assertLen(set(chosen), 2000)
    self.assertEqual((chosen[0], chosen[-1]), (paths[0], paths[-1]))
    few = look.inspection.Inspection(
      self.found.source, self.found.files[:3], 0.05, 4
    )
    self.assertIn('3 of 13 files were looked at', few.advice()[0])

  def test_the_time_is_limited(self):
    with (
      mock.patch.object(os, 'cpu_count', return_value=0),
      mock.patch.object(examine, 'examine_file') as look_at,
      mock.patch.object(examine.time, 'monotonic') as clock,
    ):
      clock.side_effect = range(0, 1000, 10)
      look_at.side_effect = lambda path, **_: examine.File(path)
      seen = examine.examine(['a', 'b', 'c', 'd', 'e'], None, 4, 25.0)
    self.assertEqual([f.path for f in seen], ['a', 'b', 'c'])

  def test_bad_input(self):
    for change, words in (
      ('data=tfds', 'that can be looked at'),
      (f'data.data_dir={self.root}/none', 'found no'),
    ):
      config = overrides.override(self.config, [change])
      if change == 'data=tfds':
        config = overrides.override(config, ['data.dataset=x'])
      with self.assertRaisesRegex(sources.DataError, words):
        look.write(config, self.root / 'never')
    self.assertFalse((self.root / 'never').exists())
    with self.assertRaisesRegex(files.RunFolderError, 'Cannot write'):
      look.write(self.config, self.path)  # A file.


class NearEqualTest(parameterized.TestCase):
  def _file(self, path, frames):
    return examine.File(path, len(frames), frames)

  def test_other_brightness_and_noise_do_not_hide_a_copy(self):
    rng = np.random.default_rng(0)
    frames = rng.integers(40, 200, [3, 4, 4, 3]).repeat(8, 1).repeat(8, 2)
    brighter = np.clip(1.1 * frames + rng.normal(0, 4, frames.shape), 0, 255)
    other = rng.integers(40, 200, [3, 4, 4, 3]).repeat(8, 1).repeat(8, 2)
    made = [
      self._file(name, values.astype(np.uint8))
      for name, values in (('a', frames), ('b', other), ('c', brighter))
    ]
    ((first, second),) = near_equal.pairs(made)
    self.assertEqual((first.path, second.path), ('a', 'c'))

  def test_frames_of_one_colour_are_not_compared(self):
    black = np.zeros([3, 32, 32, 3], np.uint8)
    black[:, :, 20:] = 1  # What encoders leave.
    made = [self._file(name, black) for name in 'ab']
    self.assertEmpty(near_equal.pairs(made))
    self.assertEmpty(near_equal.pairs([examine.File('a', problem='x')]))


if __name__ == '__main__':
  absltest.main()
