"""Tests of looking at a data set before training."""

import dataclasses
import os
import pathlib
import re
import shutil
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from train.config import data_sets
from train.config import overrides
from train.config import presets
from train.data import sources
from train.data.decoding import decode
from train.data.decoding import readers
from train.data.sets import moving_shapes
from train.inspect import examine
from train.inspect import inspection
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
    # One worker process: each imports TensorFlow.
    with mock.patch.object(os, 'cpu_count', return_value=1):
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
      '--set data.valid_fraction=..., more than the present 0.4',
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
      self.found.source, self.found.files[:3], self.config.data
    )
    self.assertIn('3 of 13 files were looked at', few.advice()[0])

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


class ExamineTest(absltest.TestCase):
  """The looking, here without worker processes, which import TensorFlow."""

  def _examine(self, paths, look, max_seconds=1000.0):
    """Looks at paths; each takes ten seconds."""
    results = lambda _, paths: ((path, look(path)) for path in paths)
    with (
      mock.patch.object(examine, '_results', results),
      mock.patch.object(examine.time, 'monotonic') as clock,
    ):
      clock.side_effect = range(0, 10000, 10)
      return examine.examine(paths, None, 4, max_seconds)

  def test_all_labels_are_seen_if_the_time_is_short(self):
    paths = [f'{label}/{k:02d}' for label in 'abcd' for k in range(50)]
    seen = self._examine(paths, examine.File, 395.0)
    names = [f.path for f in seen]
    self.assertLen(names, 40)
    self.assertEqual(names, sorted(names))
    self.assertEqual({name[0] for name in names}, set('abcd'))
    again = self._examine(paths, examine.File, 395.0)
    self.assertEqual(names, [f.path for f in again])

  def test_an_exception_is_a_problem_of_its_file(self):
    made = {'a': examine.File('a'), 'b': RuntimeError('odd')}
    problems = [f.problem for f in self._examine(['a', 'b'], made.get)]
    self.assertEqual(problems, ['', 'cannot be decoded: odd'])

  def test_one_file_on_one_core_has_a_worker(self):
    for cores in (None, 1, 64):
      with (
        mock.patch.object(os, 'cpu_count', return_value=cores),
        mock.patch.object(examine.worker_pool, 'WorkerPool') as pool,
      ):
        pool.return_value.__enter__.return_value.map.return_value = [('a', 1)]
        self.assertEqual(list(examine._results(abs, ['a'])), [('a', 1)])
      pool.assert_called_once_with(abs, 1, 60.0)

  def test_files_of_a_single_colour_are_skipped_as_in_training(self):
    folder = self.create_tempdir().full_path
    frames = np.full([8, 16, 16, 3], 90, np.uint8)
    for is_blank in (True, False):
      frames[4, :8, :8] += 0 if is_blank else 50
      path = os.path.join(folder, f'{is_blank}.frames.npy')
      np.save(path, frames)
      found = examine.examine_file(path, decode.Decoder(16), 4)
      self.assertEqual(found.problem.startswith(readers.BLANK), is_blank)


class SharedFilesTest(absltest.TestCase):
  def _pictures(self, labels):
    regions = tuple(
      sources.Region('all', label, k, k + 1) for k, label in enumerate(labels)
    )
    source = sources.Source('x', ('a', 'b'), regions[:2], regions[2:])
    frames = np.zeros([3, 4, 4, 3], np.uint8)
    found = inspection.Inspection(
      source, [examine.File('all', 3, frames)], data_sets.FashionMnist()
    )
    return look._pictures(found)

  def test_no_pictures_of_labels_that_share_a_file(self):
    self.assertIn('clips of several labels', self._pictures([0, 1, 0]).text)
    self.assertEqual(self._pictures([1, 1, 1]).kind, 'figure')


class AdviceTest(parameterized.TestCase):
  @parameterized.parameters(
    *('Balls', 'Celeba', 'FashionMnist', 'Folder', 'ImageFolder'),
    *('MomentsInTime', 'Movement', 'MovingMnist', 'Natvid', 'OrlFaces'),
    'Shapes',
  )
  def test_names_keys_that_the_data_set_has(self, name):
    data = getattr(data_sets, name)()
    frames = np.random.default_rng(0).integers(0, 256, [3, 32, 32, 3])
    paths = [f'x/{k}' for k in range(4)]
    source = sources.Source(
      'x',
      ('a', 'b'),
      tuple(sources.Region(path, 0) for path in paths[:2]),
      tuple(sources.Region(path, 0) for path in paths[2:]),
    )
    seen = [examine.File(path, 9, frames) for path in paths[1:3]]
    seen += [examine.File(paths[0], 1, problem='too few frames')]
    seen += [examine.File(paths[3], problem='no frames')]
    advice = inspection.Inspection(source, seen, data).advice()
    self.assertLen(advice, 5)
    text = '\n'.join(advice)
    keys = set(re.findall(r'data\.(\w+)', text))
    self.assertIn('only_labels', keys)
    self.assertContainsSubset(keys, {f.name for f in dataclasses.fields(data)})
    own = {'valid_fraction', 'split_seed', 'max_skipped'}
    if name == 'Folder':
      self.assertContainsSubset(own, keys)
      self.assertIn('valid_fraction=..., more than the present 0.1', text)
    is_video = isinstance(data, data_sets.Videos)
    self.assertEqual('moments_in_time' in text, is_video)

  @parameterized.parameters(
    (8, [1, 8], None), (8, [1, 3, 8], 3), (1, [1, 1], None)
  )
  def test_a_clip_of_videos_has_two_frames(self, num_frames, lengths, advised):
    data = data_sets.Folder(num_frames=num_frames)
    region = sources.Region('a', 0)
    source = sources.Source('x', ('a',), (region,), (region,))
    seen = [examine.File('a', n, problem='x') for n in lengths]
    text = '\n'.join(inspection.Inspection(source, seen, data).advice())
    found = re.findall(r'data\.num_frames=(\d+)', text)
    self.assertEqual(found, [] if advised is None else [str(advised)])


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
