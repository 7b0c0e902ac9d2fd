"""Tests of clip_batches.py: batches are a function of (seed, step)."""

import json
import os
import time
from unittest import mock

import numpy as np
import tensorflow as tf

from train.data import clip_batches
from train.data import clips as clips_lib
from train.data import skip_log
from train.data import sources
from train.data.decoding import decode
from train.data.decoding import readers
from train.data.sets import moving_shapes

SIZE = 16


def write_ramp(path, first, num_frames):
  """Grey frames; frame t has the value first + 4 t."""
  values = (first + 4 * np.arange(num_frames)).astype(np.uint8)
  frames = np.tile(values[:, None, None, None], [1, SIZE, SIZE, 3])
  # A pattern whose mean is 0: a clip of single colours is taken for damaged.
  frames[:, :, : SIZE // 2] += 8
  frames[:, :, SIZE // 2 :] -= 8
  os.makedirs(os.path.dirname(path), exist_ok=True)
  moving_shapes.write_video(path, frames)


def write_text(path):
  os.makedirs(os.path.dirname(path), exist_ok=True)
  with open(path, 'w', encoding='utf-8') as f:
    f.write('no video')


def take(dataset, num):
  return [
    (frames.numpy(), label.numpy()) for frames, label in dataset.take(num)
  ]


def first_values(batches):
  """The value of each clip's frame 0, over all batches."""
  values = [frames[:, 0].mean(axis=(1, 2, 3)) for frames, _ in batches]
  return np.rint(np.concatenate(values)).astype(int)


class TreeTest(tf.test.TestCase):
  """Five dark and five light videos of 8 frames, 8 to train on."""

  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path
    train, valid = [], []
    for label, name in enumerate(('dark', 'light')):
      for k in range(5):
        path = os.path.join(self.root, name, f'{k}.mp4')
        write_ramp(path, 100 * label + 4 * k + 20, 8)
        (train if k < 4 else valid).append(sources.Region(path, label))
    self.source = sources.Source(
      'ramps', ('dark', 'light'), tuple(train), tuple(valid)
    )

  def clips(
    self, num_frames=4, max_skipped=0.05, path=None, channels=3, **kwargs
  ):
    skips = skip_log.SkipLog(self.source, path, max_skipped)
    decoder = decode.Decoder(SIZE, channels)
    return clips_lib.Clips(
      self.source, num_frames, decoder, skips=skips, **kwargs
    )

  def train(self, seed=0, batch_size=3, step=0, num=8, **kwargs):
    clips = self.clips(**kwargs)
    return take(clip_batches.train_dataset(clips, batch_size, seed, step), num)

  def break_file(self, label, number):
    write_text(os.path.join(self.root, label, f'{number}.mp4'))


class TrainDatasetTest(TreeTest):
  def test_shapes_and_dtypes_are_static(self):
    frames, label = clip_batches.train_dataset(self.clips(), 3, 0).element_spec
    self.assertEqual(frames, tf.TensorSpec([3, 4, SIZE, SIZE, 3], tf.uint8))
    self.assertEqual(label, tf.TensorSpec([3], tf.int32))
    frames, _ = clip_batches.train_dataset(
      self.clips(channels=1), 3, 0
    ).element_spec
    self.assertEqual(frames.shape, [3, 4, SIZE, SIZE, 1])

  def test_equal_seeds_give_equal_batches_and_others_do_not(self):
    first, again = self.train(seed=1), self.train(seed=1)
    self.assertAllEqual(first_values(first), first_values(again))
    for (frames, label), (frames2, label2) in zip(first, again):
      self.assertAllEqual(frames, frames2)
      self.assertAllEqual(label, label2)
    other = self.train(seed=2)
    self.assertNotAllEqual(first_values(first), first_values(other))

  def test_resume_jumps_to_its_step(self):
    whole = self.train(num=12)
    for step in (1, 5, 9):
      resumed = self.train(step=step, num=3)
      self.assertAllEqual(
        first_values(whole[step : step + 3]), first_values(resumed)
      )

  def test_batches_do_not_depend_on_the_cache(self):
    cached = first_values(self.train())
    self.assertAllEqual(cached, first_values(self.train(cache_bytes=0)))
    self.assertAllEqual(cached, first_values(self.train(max_file_bytes=0)))

  def test_slow_files_do_not_change_the_order(self):
    expected = first_values(self.train())
    read = clips_lib.Clips.read

    def slow_read(clips, region, position=0.0):
      time.sleep(0.1 * region.path.endswith('0.mp4'))
      return read(clips, region, position)

    with mock.patch.object(clips_lib.Clips, 'read', slow_read):
      self.assertAllEqual(first_values(self.train()), expected)

  def test_labels_and_frames_agree(self):
    for frames, label in self.train():
      self.assertAllEqual(frames[:, 0].mean(axis=(1, 2, 3)) > 100, label == 1)
      steps = np.diff(frames.astype(np.float32).mean(axis=(2, 3, 4)), axis=1)
      self.assertAllClose(steps, np.full_like(steps, 4), atol=2)

  def test_an_epoch_visits_every_video_once(self):
    # num_frames is all: the window is the video, whose first value names it.
    values = first_values(self.train(num_frames=8, batch_size=8, num=2))
    expected = [100 * label + 4 * k + 20 for label in (0, 1) for k in range(4)]
    self.assertAllClose(np.sort(values[:8]), expected, atol=1)
    self.assertAllClose(np.sort(values[8:]), expected, atol=1)
    self.assertNotAllEqual(values[:8], values[8:])

  def test_windows_cover_the_video(self):
    path = self.source.train[0].path
    self.source = sources.Source(
      'one', ('dark',), (sources.Region(path, 0, 1, 7),), ()
    )
    values = first_values(self.train(batch_size=60, num=1))
    self.assertEqual(set((values - 20 + 1) // 4), {1, 2, 3})

  def test_weights_are_draws_an_epoch(self):
    dark, light = self.source.train[0].path, self.source.train[4].path
    regions = (
      sources.Region(dark, 0, 0, 8, weight=5),
      sources.Region(light, 1, 0, 4, weight=1),
    )
    self.source = sources.Source('two', ('dark', 'light'), regions, regions)
    self.assertEqual(self.source.num_train_clips, 6)
    for _, label in self.train(batch_size=6, num=3):
      self.assertEqual(label.sum(), 1)


class FixedDatasetTest(TreeTest):
  def test_valid_clips_are_the_first_frames_in_order(self):
    for _ in range(2):
      batches = take(clip_batches.valid_dataset(self.clips(), 8), -1)
      self.assertAllClose(first_values(batches), [36, 136], atol=1)
      self.assertAllEqual(batches[0][1], [0, 1])

  def test_last_batch_is_partial(self):
    regions = self.source.valid + self.source.train[:1]
    self.source = sources.Source('x', ('dark', 'light'), regions, regions)
    batches = take(clip_batches.valid_dataset(self.clips(), 2), -1)
    self.assertEqual([len(label) for _, label in batches], [2, 1])

  def test_train_clips_are_half_a_clip_apart(self):
    region = sources.Region(self.source.train[0].path, 0, 1, 8, weight=2)
    self.source = sources.Source('x', ('dark',), (region,), ())
    batches = take(clip_batches.train_clips_dataset(self.clips(), 8), -1)
    self.assertAllClose(first_values(batches), [24, 32], atol=1)


class BadFilesTest(TreeTest):
  def test_a_broken_file_is_logged_once_and_replaced(self):
    self.break_file('dark', 1)
    self.break_file('light', 4)
    path = os.path.join(self.root, 'skipped_files.jsonl')
    first = self.train(num=8, max_skipped=0.5, path=path)
    self.assertLen(first_values(first), 24)
    again = self.train(num=8, max_skipped=0.5, path=path)
    self.assertAllEqual(first_values(first), first_values(again))
    self.assertGreater(first_values(first).min(), 15)  # No blank clips.
    clips = self.clips(max_skipped=0.5, path=path)
    valid = take(clip_batches.valid_dataset(clips, 8), -1)
    self.assertAllEqual(valid[0][1], [0])
    with open(path, encoding='utf-8') as f:
      lines = [json.loads(line) for line in f]
    self.assertEqual(
      [os.path.relpath(line['path'], self.root) for line in lines],
      ['dark/1.mp4', 'light/4.mp4'],
    )
    self.assertEqual(lines[0]['reason'], 'cannot be opened')

  def test_regions_that_give_no_clip_are_not_usable(self):
    self.break_file('dark', 1)
    self.break_file('light', 4)
    path = os.path.join(self.root, 'skipped_files.jsonl')
    clips = self.clips(max_skipped=0.5, path=path)
    regions = self.source.train + self.source.valid
    self.assertTrue(all(map(clips.is_usable, regions)))  # Nothing is read yet.
    for _ in range(2):
      take(clip_batches.train_dataset(clips, 8, 0), 1)
      take(clip_batches.valid_dataset(clips, 8), -1)
      names = {r.path for r in regions if not clips.is_usable(r)}
      self.assertEqual(
        {os.path.relpath(name, self.root) for name in names},
        {'dark/1.mp4', 'light/4.mp4'},
      )
    # A later session knows them from the log, until they can be read.
    clips = self.clips(path=path)
    self.assertEqual({r.path for r in regions if not clips.is_usable(r)}, names)
    write_ramp(os.path.join(self.root, 'dark/1.mp4'), 24, 8)
    self.assertIsNotNone(clips.read_or_skip(self.source.train[1]))
    self.assertTrue(clips.is_usable(self.source.train[1]))

  def test_a_blank_window_does_not_make_a_file_unusable(self):
    path = os.path.join(self.root, 'skipped_files.jsonl')
    region = self.source.train[0]
    for reason in (readers.BLANK, readers.ENDS_EARLY):
      error = readers.DecodeError(region.path, reason)
      self.clips(path=path).skips.record(error)
    self.assertTrue(self.clips(path=path).is_usable(region))
    blank = readers.DecodeError(region.path, readers.BLANK)
    for is_first in (False, True):
      clips = self.clips()
      if not is_first:
        self.assertIsNotNone(clips.read_or_skip(region))
      with mock.patch.object(clips, 'read', side_effect=blank):
        self.assertIsNone(clips.read_or_skip(region, 0.5))
        self.assertIsNone(clips.read_or_skip(self.source.valid[0]))
      self.assertTrue(clips.is_usable(region))
      self.assertFalse(clips.is_usable(self.source.valid[0]))  # One window.

  def test_replacement_leaves_the_other_draws_alone(self):
    whole = first_values(self.train(num_frames=8, batch_size=8, num=3))
    self.break_file('dark', 1)
    broken = first_values(
      self.train(num_frames=8, batch_size=8, num=3, max_skipped=0.5)
    )
    self.assertAllEqual(whole != broken, abs(whole - 24) <= 1)

  def test_too_many_skips_end_training_with_a_summary(self):
    for number in range(3):
      self.break_file('dark', number)
    clips = self.clips(max_skipped=0.2)
    message = (
      r'Skipped 3 of 10 files, expected .* 0.2: .*max_skipped=0.3.*'
      r'dark/\d.mp4: cannot'
    )
    dataset = clip_batches.train_dataset(clips, 4, 0)
    error = self.assertRaisesRegex(sources.DataError, message)
    with error, clips.skips.raising():
      take(dataset, 20)
    with self.assertRaisesRegex(sources.DataError, message):
      clips.skips.check()

  def test_other_errors_pass_through(self):
    skips = self.clips().skips
    with self.assertRaises(tf.errors.AbortedError), skips.raising():
      raise tf.errors.AbortedError(None, None, 'x')

  def test_check_labels_names_the_label(self):
    clip_batches.check_labels(self.clips())
    for number in range(5):
      self.break_file('light', number)
    with self.assertRaisesRegex(
      sources.DataError, 'none for light; .*cannot be opened'
    ):
      clip_batches.check_labels(self.clips())

  def test_check_labels_allows_few_bad_files(self):
    self.break_file('light', 0)
    clip_batches.check_labels(self.clips(max_skipped=0.1))
    with self.assertRaisesRegex(sources.DataError, 'Skipped 1 of 10'):
      clip_batches.check_labels(self.clips(max_skipped=0.05))

  def test_num_frames_longer_than_every_clip(self):
    with self.assertRaisesRegex(
      sources.DataError, 'num_frames=9 is longer than every clip of ramps'
    ):
      clip_batches.check_labels(self.clips(num_frames=9))
    clips = self.clips(num_frames=9, max_skipped=1.0)
    error = self.assertRaisesRegex(sources.DataError, 'no file of ramps')
    with error, clips.skips.raising():
      take(clip_batches.train_dataset(clips, 4, 0), 1)

  def test_no_validation_clip(self):
    for label in ('dark', 'light'):
      self.break_file(label, 4)
    with self.assertRaisesRegex(
      sources.DataError, 'validation video, got none'
    ):
      clip_batches.check_labels(self.clips(max_skipped=1.0))

  def test_the_first_failure_of_a_file_counts(self):
    skips = skip_log.SkipLog(self.source)
    for reason in ('first', 'second'):
      skips.record(readers.DecodeError('a', reason))
    self.assertLen(skips, 1)
    self.assertEqual(skips.skipped['a'].reason, 'first')

  def test_foreign_skip_log(self):
    path = os.path.join(self.root, 'log')
    write_text(path)
    with self.assertRaisesRegex(sources.DataError, 'Expected a log of skips'):
      skip_log.SkipLog(self.source, path)


class BlankTest(TreeTest):
  def test_a_clip_of_single_colours_is_skipped(self):
    path = self.source.train[0].path
    moving_shapes.write_video(path, np.full([8, SIZE, SIZE, 3], 60, np.uint8))
    clips = self.clips()
    self.assertIsNone(clips.read_or_skip(self.source.train[0]))
    self.assertEqual(clips.skips.skipped[path].reason, 'blank frames')
    self.assertIsNotNone(clips.read_or_skip(self.source.train[1]))


class FlipTest(TreeTest):
  def test_half_of_the_draws_are_mirrored(self):
    clips = self.clips(num_frames=8)
    plain = take(clip_batches.train_dataset(clips, 4, 0), 10)
    flipped = take(
      clip_batches.train_dataset(clips, 4, 0, symmetry='mirror'), 10
    )
    num = 0
    for (a, _), (b, _) in zip(plain, flipped):
      for x, y in zip(a, b):
        is_flipped = not (x == y).all()
        num += is_flipped
        self.assertAllEqual(x[:, :, ::-1] if is_flipped else x, y)
    self.assertBetween(num, 10, 30)


class ContactSheetTest(TreeTest):
  def test_rows_are_clips(self):
    dataset = clip_batches.valid_dataset(self.clips(), 2)
    sheet = tf.io.decode_png(clip_batches.contact_sheet(dataset)).numpy()
    self.assertAllEqual(sheet.shape, [2 * SIZE, 4 * SIZE, 3])
    values = sheet[..., 0].reshape([2, SIZE, 4, SIZE]).mean(axis=(1, 3))
    expected = np.add.outer([36, 136], [0, 4, 8, 12])
    self.assertAllClose(values, expected, atol=2)
    sheet = tf.io.decode_png(clip_batches.contact_sheet(dataset, max_clips=1))
    self.assertEqual(sheet.shape, [SIZE, 4 * SIZE, 3])

  def test_names_stand_beside_the_clips(self):
    dataset = clip_batches.valid_dataset(self.clips(), 2)
    plain = tf.io.decode_png(clip_batches.contact_sheet(dataset)).numpy()
    sheet = clip_batches.contact_sheet(dataset, self.source.label_names)
    sheet = tf.io.decode_png(sheet).numpy()
    width = plain.shape[1]
    self.assertAllEqual(sheet[:, -width:], plain)
    names = np.split(sheet[:, :-width], 2)
    for name in names:
      self.assertBetween((name < 128).mean(), 0.005, 0.3)
    self.assertGreater(np.abs(names[0].astype(int) - names[1]).max(), 100)


if __name__ == '__main__':
  tf.test.main()
