"""Tests of moving_shapes.py: what the videos show, and how they are written."""

import glob
import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train.data import sources
from train.data.decoding import decode
from train.data.sets import moving_shapes


def centre(frame):
  """The object's centre of mass, x and y, on the torus `[0, 1)`^2."""
  mass = np.ptp(frame.astype(np.float64), axis=-1)  # The background is grey.
  size = len(mass)
  turns = np.exp(2j * np.pi * (np.arange(size) + 0.5) / size)
  angles = np.angle([mass.sum(0) @ turns, mass.sum(1) @ turns])
  return angles / (2 * np.pi) % 1.0


def moved(frames):
  """Mean motion a frame, x and y."""
  centres = np.array([centre(frame) for frame in frames])
  steps = (np.diff(centres, axis=0) + 0.5) % 1.0 - 0.5
  return steps.mean(axis=0)


def area(frame):
  return np.mean(np.ptp(frame.astype(np.float64), axis=-1)) / 255


class RenderTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(
    ('east', 1, 0),
    ('southeast', 1, 1),
    ('south', 0, 1),
    ('southwest', -1, 1),
    ('west', -1, 0),
    ('northwest', -1, -1),
    ('north', 0, -1),
    ('northeast', 1, -1),
  )
  def test_label_is_the_motion(self, label, x, y):
    for seed in range(3):
      frames = moving_shapes.render('shapes:motion', label, 6, 32, [seed])
      direction = np.sign(np.round(moved(frames), 2))
      self.assertAllEqual(direction, [x, y])

  def test_frame_0_knows_no_motion(self):
    for seed in range(3):
      first = [
        moving_shapes.render('shapes:motion', label, 2, 32, [seed])[0]
        for label in moving_shapes.label_names('shapes:motion')
      ]
      for frame in first[1:]:
        self.assertAllEqual(frame, first[0])

  def test_appearance_is_the_label_and_motion_is_not(self):
    videos = {
      (label, seed): moving_shapes.render(
        'shapes:appearance', label, 3, 32, [seed]
      )
      for label in ('circle', 'square', 'triangle')
      for seed in range(8)
    }
    for seed in range(8):  # Areas pi, 2.56, 1.62 times radius**2.
      areas = [
        area(videos[label, seed][0])
        for label in ('circle', 'square', 'triangle')
      ]
      self.assertAllClose(areas[1] / areas[0], 2.56 / np.pi, rtol=0.1)
      self.assertAllClose(areas[2] / areas[0], 1.62 / np.pi, rtol=0.1)
    motions = [moved(videos['circle', seed]) for seed in range(8)]
    self.assertGreater(len(np.unique(np.sign(np.round(motions, 2)), axis=0)), 2)

  def test_motion_and_shape(self):
    self.assertLen(moving_shapes.label_names('shapes'), 12)
    square = moving_shapes.render('shapes', 'west_square', 4, 32, [5])
    circle = moving_shapes.render('shapes', 'west_circle', 4, 32, [5])
    self.assertLess(moved(square)[0], -0.03)
    self.assertGreater(area(circle[0]), 1.1 * area(square[0]))

  def test_blinking_scene_returns_after_two_frames_of_noise(self):
    first, second = (
      moving_shapes.render('shapes:blink', 'east', 8, 32, [0, seed]).astype(
        float
      )
      for seed in (0, 1)
    )
    distance = lambda a, b: np.abs(a - b).mean()
    for t in (4, 5):  # The background is that of frame 0, but for the object.
      self.assertLess(distance(first[t], first[0]), 20)
      self.assertGreater(distance(first[t], second[t]), 30)
    for t in (2, 3, 6, 7):
      self.assertLess(first[t].max(), 52)
      self.assertGreater(first[t].std(), 5)
    self.assertGreater(distance(first[2], first[3]), 10)

  @parameterized.parameters(*moving_shapes.label_names('shapes:occluder'))
  def test_occluder_hides_the_object_for_a_while(self, label):
    for seed in range(4):
      for num_frames in (8, 9):
        frames = moving_shapes.render(
          'shapes:occluder', label, num_frames, 32, [seed]
        )
        areas = np.array([area(frame) for frame in frames])
        self.assertEqual(areas[num_frames // 2], 0)
        self.assertGreater(min(areas[0], areas[-1]), 0.01)
        delta = centre(frames[-1]) - centre(frames[0])
        axis = 0 if label in ('east', 'west') else 1
        sign = 1 if label in ('east', 'south') else -1
        self.assertGreater(sign * delta[axis], 0.4)

  def test_unknown_variant(self):
    with self.assertRaisesRegex(ValueError, 'mean shapes:motion'):
      moving_shapes.label_names('shapes:motoin')


class WriteTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.root = os.path.join(self.create_tempdir().full_path, 'set')

  def write(self, root, variant='shapes:appearance', seed=0):
    moving_shapes.write_shapes(root, variant, 2, 4, size=32, seed=seed)

  def read(self, root):
    files = {}
    for path in glob.glob(os.path.join(root, '*', '*.mp4')):
      with open(path, 'rb') as f:
        files[os.path.relpath(path, root)] = f.read()
    return files

  def test_files_are_the_frames(self):
    self.write(self.root)
    names = moving_shapes.label_names('shapes:appearance')
    self.assertCountEqual(
      self.read(self.root),
      [os.path.join(n, f'000{k}.mp4') for n in names for k in range(2)],
    )
    path = os.path.join(self.root, 'square', '0001.mp4')
    decoded = decode.Decoder(32).frames(path).astype(np.float32)
    rendered = moving_shapes.render(
      'shapes:appearance', 'square', 4, 32, [0, 1, 1]
    )
    self.assertAllEqual(decoded.shape, rendered.shape)
    self.assertLess(np.abs(decoded - rendered).mean(), 2)

  def test_same_seed_same_bytes(self):
    other = self.root + '-other'
    self.write(self.root)
    self.write(other)
    self.assertEqual(self.read(self.root), self.read(other))
    self.write(self.root + '-seed', seed=1)
    self.assertNotEqual(self.read(self.root), self.read(self.root + '-seed'))

  def test_coded_frame_0_knows_no_motion(self):
    first = []
    for label in moving_shapes.label_names('shapes:motion'):
      path = f'{self.root}-{label}.mp4'
      moving_shapes.write_video(
        path, moving_shapes.render('shapes:motion', label, 6, 32, [3])
      )
      first.append(decode.Decoder(32).clip(path, 0, 1))
    for frame in first[1:]:
      self.assertAllEqual(frame, first[0])

  def test_second_call_writes_nothing_and_other_parameters_are_refused(self):
    self.write(self.root)
    path = os.path.join(self.root, 'circle', '0000.mp4')
    os.utime(path, (1, 1))
    self.write(self.root)
    self.assertEqual(os.path.getmtime(path), 1)
    with self.assertRaisesRegex(sources.DataError, "'seed': 1.*'seed': 0"):
      self.write(self.root, seed=1)

  def test_foreign_folder_is_left_alone(self):
    os.makedirs(os.path.join(self.root, 'holiday'))
    with self.assertRaisesRegex(sources.DataError, 'something else'):
      self.write(self.root)
    self.assertEqual(os.listdir(self.root), ['holiday'])

  def test_source(self):
    source = moving_shapes.shapes_source(
      'shapes:occluder', 4, self.root, videos_per_label=5, size=32
    )
    self.assertEqual(source.name, 'shapes:occluder')
    self.assertEqual(source.num_train_clips + source.num_valid_clips, 20)
    self.assertNotEmpty(source.valid)
    self.assertLen(decode.Decoder(32).frames(source.train[0].path), 4)


if __name__ == '__main__':
  tf.test.main()
