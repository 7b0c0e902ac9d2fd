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

from train.config import configs
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
from train.inspect import training_cost
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
    self.assertEqual(
      reasons['broken.mp4'],
      'cannot be opened (Invalid data found when processing input)',
    )
    self.assertEqual(reasons['short.mp4'], 'too few frames (expected 4, got 2)')

  def test_a_copy_across_the_split_is_found(self):
    ((a, b, problem),) = self.found.pairs()
    self.assertEqual({a, b}, set(map(self.found.name, (self.first, self.copy))))
    self.assertEqual(problem, 'one is held out, other labels')

  def test_says_what_to_do(self):
    advice = '\n'.join(self.found.advice())
    for words in (
      '2 of 13 files will be skipped',
      '--set data.max_skipped=0.16',
      'Nearly equal files on both sides of the split: 1 pair.',
      '30 are the least. Add videos.',
    ):
      self.assertIn(words, advice)
    self.assertNotIn('were looked at', advice)

  def test_facts_of_the_files(self):
    text = look.text(self.found)
    for words in (
      'frames (least, middle, most): 2, 8, 8',
      'sizes (files): 32x32 (12)',
      'codecs (files): h264 (12)',
      'turned by degrees (files): 0 (12)',
      'preset: smoke',
      'a step: not measured.',
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
      self.found.source, self.found.files[:3], self.config
    )
    self.assertIn('3 of 13 files were looked at', few.advice()[0])

  def test_a_sample_says_nothing_of_all_files(self):
    whole = [f for f in self.found.files if not f.problem]
    seen = [*self.found.skipped, whole[0]]
    few = look.inspection.Inspection(self.found.source, seen, self.config)
    text = '\n'.join(few.advice())
    self.assertIn('2 of the 3 files that were looked at give no clip', text)
    self.assertNotIn('max_skipped', text)
    self.assertEqual(
      look._pairs(few).text, 'None among the 3 files that were looked at.'
    )

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
    shown = mock.patch.object(examine.progress, 'Progress')
    with (
      mock.patch.object(examine, '_results', results),
      mock.patch.object(examine.time, 'monotonic') as clock,
      shown as bar,
    ):
      clock.side_effect = range(0, 100000, 10)
      found = examine.examine(paths, None, 4, max_seconds)
    bar.return_value.close.assert_called_once_with()
    self.last_shown = bar.return_value.show.call_args.args
    return found

  def test_all_labels_are_seen_if_the_time_is_short(self):
    paths = [f'{label}/{k:03d}' for label in 'abcd' for k in range(100)]
    seen = self._examine(paths, examine.File, 2595.0)
    names = [f.path for f in seen]
    self.assertLen(names, 260)
    self.assertEqual(names, sorted(names))
    self.assertEqual({name[0] for name in names}, set('abcd'))
    again = self._examine(paths, examine.File, 2595.0)
    self.assertEqual(names, [f.path for f in again])

  def test_some_files_are_seen_however_long_it_takes(self):
    paths = [f'{k:03d}' for k in range(400)]
    self.assertLen(self._examine(paths, examine.File, 5.0), 200)
    self.assertLen(self._examine(paths[:60], examine.File, 5.0), 60)

  def test_an_exception_is_a_problem_of_its_file(self):
    made = {'a': examine.File('a'), 'b': RuntimeError('odd')}
    problems = [f.problem for f in self._examine(['a', 'b'], made.get)]
    self.assertEqual(problems, ['', 'cannot be decoded: odd'])
    self.assertEqual(self.last_shown, (2, ['1 skipped']))

  def test_one_file_on_one_core_has_a_worker(self):
    for cores in (None, 1, 64):
      with (
        mock.patch.object(os, 'cpu_count', return_value=cores),
        mock.patch.object(examine.worker_pool, 'WorkerPool') as pool,
      ):
        pool.return_value.__enter__.return_value.map.return_value = [('a', 1)]
        self.assertEqual(list(examine._results(abs, ['a'])), [('a', 1)])
      pool.assert_called_once_with(abs, 1, 60.0, start=examine._use_one_core)

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
      source,
      [examine.File('all', 3, frames)],
      configs.Config(data=data_sets.FashionMnist()),
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
    config = configs.Config(data=data)
    advice = inspection.Inspection(source, seen, config).advice()
    self.assertLen(advice, 5)
    text = '\n'.join(advice)
    keys = set(re.findall(r'data\.(\w+)', text))
    self.assertIn('only_labels', keys)
    self.assertContainsSubset(keys, {f.name for f in dataclasses.fields(data)})
    own = {'valid_fraction', 'split_seed', 'max_skipped'}
    if name == 'Folder':
      self.assertContainsSubset(own, keys)
      self.assertIn('valid_fraction=0.3', text)
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
    config = configs.Config(data=data)
    text = '\n'.join(inspection.Inspection(source, seen, config).advice())
    found = re.findall(r'data\.num_frames=(\d+)', text)
    self.assertEqual(found, [] if advised is None else [str(advised)])

  def _advice(self, containers=(), labels=(0, 0, 0), cost=None, **data):
    """Of three training files with the same frames, so two pairs."""
    paths = ['x/0', 'x/1', 'x/2']
    frames = np.random.default_rng(0).integers(0, 256, [3, 32, 32, 3])
    regions = tuple(map(sources.Region, paths, labels))
    source = sources.Source('x', ('a', 'b'), regions, ())
    containers = containers or [{}] * 3
    seen = [
      examine.File(path, 9, frames, container)
      for path, container in zip(paths, containers)
    ]
    config = configs.Config(data=data_sets.Folder(frame_size=32, **data))
    found = inspection.Inspection(
      source, seen, config, cost or training_cost.Cost()
    )
    return '\n'.join(found.advice())

  def test_pairs_in_training(self):
    text = self._advice(labels=(0, 0, 1))
    self.assertIn('with different labels: 1 pair.', text)
    self.assertIn('which count twice: 1 pair.', text)
    self.assertNotIn('both sides', text)

  @parameterized.parameters(
    ((30, 29.97, 30), {}, None),
    ((30, 24, 60), {}, '24'),
    ((30, 24, 60), {'fps': 12.0}, None),
    ((30, 24, 60), {'frame_stride': 2}, None),
  )
  def test_rates(self, rates, data, advised):
    text = self._advice([{'rate': str(r)} for r in rates], **data)
    found = re.findall(r'--set data\.fps=([\d.]*\d)', text)
    self.assertEqual(found, [] if advised is None else [advised])

  def test_sizes(self):
    containers = [{'size': s} for s in ('64x60', '64x48', '16x64')]
    text = self._advice(containers)
    self.assertIn('2 of 3 files are not square', text)
    self.assertIn('--set data.crop=letterbox', text)
    self.assertIn('1 of 3 files are smaller than frames of 32 pixels', text)
    self.assertIn('--set data.frame_size=16', text)
    self.assertNotIn('square', self._advice(containers, crop='letterbox'))

  def test_cost(self):
    for cost, words in (
      (
        training_cost.Cost(problem='Steps took more than 60 s.'),
        '--step_seconds=600',
      ),
      (training_cost.Cost(9, 1.0, 0.1, 2**50), '--set run.batch_size=4'),
      (training_cost.Cost(9, 1.0, 864.0), '--set run.steps=100 take one'),
    ):
      self.assertIn(words, self._advice(cost=cost))
    usual = training_cost.Cost(9, 1.0, 0.1, 2**20)
    self.assertEqual(self._advice(cost=usual), self._advice())

  def test_training_in_words(self):
    source = sources.Source(
      'x', ('a',), (sources.Region('a', 0, weight=4),), ()
    )
    cost = training_cost.Cost(12345, 20.0, 4.2, 2**30)
    rows = dict(
      inspection.Inspection(source, [], configs.Config(), cost).training()
    )
    self.assertEqual(rows['parameters'], '12,345')
    self.assertStartsWith(rows['time'], 'about 1 h 10 min for 1,000 steps on')
    self.assertEqual(rows['each training clip is seen'], '2,000 times')
    self.assertStartsWith(rows['memory'], '1,024 MiB')
    self.assertStartsWith(rows['a step'], '4.2 s for 8 clips of')


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

  def test_many_equal_files_are_few_pairs(self):
    frames = np.random.default_rng(0).integers(0, 256, [2, 3, 32, 32, 3])
    made = [self._file(str(k), frames[k % 2]) for k in range(40)]
    found = near_equal.pairs(made)
    self.assertLen(found, 38)
    self.assertEqual({a.path for a, _ in found}, {'0', '1'})

  def test_frames_of_one_colour_are_not_compared(self):
    black = np.zeros([3, 32, 32, 3], np.uint8)
    black[:, :, 20:] = 1  # What encoders leave.
    made = [self._file(name, black) for name in 'ab']
    self.assertEmpty(near_equal.pairs(made))
    self.assertEmpty(near_equal.pairs([examine.File('a', problem='x')]))


if __name__ == '__main__':
  absltest.main()
