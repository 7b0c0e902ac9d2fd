"""Tests of movement.py: what the videos show, and that bytes never change."""

import hashlib

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from train.data.sets import movement

_UNIT = 368 / 45  # Pixels, see `movement`.


def _scene(**changes):
  scene = {'direction': 'east', 'color': 2, 'shape': 'circle', 'size': 1.0}
  return movement.Scene(**{**scene, **changes})


def _video(**changes):
  return movement.render_scenes([_scene(**changes)])[0]


def _center(frame):
  """The centre of mass of a frame: x and y, pixels."""
  mass = frame.sum(-1).astype(float)
  places = np.arange(len(mass)) + 0.5
  return np.array([mass.sum(0) @ places, mass.sum(1) @ places]) / mass.sum()


class RenderTest(parameterized.TestCase):
  def test_bytes_are_those_of_every_machine(self):
    digest = hashlib.sha256()
    for part in ('train', 'valid'):
      digest.update(movement.render(part, range(40)).tobytes())
    self.assertEqual(digest.hexdigest(), _DIGEST)

  def test_a_video_does_not_depend_on_the_others(self):
    some = movement.render('valid', range(7, 9))
    np.testing.assert_array_equal(
      movement.render('valid', range(10))[7:9], some
    )

  @parameterized.parameters(*movement.DIRECTIONS.items())
  def test_a_unit_a_frame_along_each_axis(self, name, step):
    frames = _video(direction=name, size=0.6)
    np.testing.assert_allclose(_center(frames[0]), [32, 32], atol=0.01)
    for t in range(1, 4):  # Later, part of the shape is outside.
      moved = _center(frames[t]) - 32
      np.testing.assert_allclose(
        moved, t * _UNIT * np.array([step[0], -step[1]]), atol=0.02
      )
    self.assertGreater(frames[4].sum(), 0)
    self.assertLess(frames[4].sum(), 0.75 * frames[0].sum())

  @parameterized.parameters(
    ('circle', np.pi), ('square', 4.0), ('triangle', 3**0.5)
  )
  def test_area(self, shape, area):
    for size in (0.5, 0.8, 1.4):
      frame = _video(shape=shape, size=size)[0]
      expected = area * (size * _UNIT) ** 2
      # A square's edges lie between pixels; a triangle's base on a line.
      within = {'circle': 2e-3, 'triangle': 0.01, 'square': 0.2}[shape]
      self.assertAlmostEqual(frame.sum() / 255 / expected, 1, delta=within)

  def test_squares_have_the_levels_of_ground_and_colour_only(self):
    self.assertEqual(np.unique(_video(shape='square')).tolist(), [0, 255])
    self.assertGreater(len(np.unique(_video(shape='circle'))), 10)

  def test_colours(self):
    for color, levels in enumerate(movement.COLORS):
      frames = _video(color=color)
      self.assertEqual(tuple(frames[0, 32, 32]), levels)
      self.assertFalse(frames[..., np.array(levels) == 0].any())

  def test_scenes_are_drawn_evenly(self):
    scenes = [movement.draw('train', i) for i in range(2000)]
    for name, number in (('direction', 8), ('color', 6), ('shape', 3)):
      counts = np.unique(
        [getattr(scene, name) for scene in scenes], return_counts=True
      )[1]
      self.assertLen(counts, number)
      self.assertLess(np.abs(counts / 2000 * number - 1).max(), 0.25)
    sizes = np.array([scene.size for scene in scenes])
    self.assertBetween(sizes.min(), 0.5, 0.51)
    self.assertBetween(sizes.max(), 1.49, 1.5)


class SourceTest(parameterized.TestCase):
  @parameterized.parameters('direction', 'shape')
  def test_labels_say_what_is_drawn(self, labels):
    source = movement.movement_source(
      labels, 60, 10, self.create_tempdir().full_path
    )
    self.assertEqual(list(source.label_names), sorted(source.label_names))
    self.assertLen(source.label_names, {'direction': 8, 'shape': 3}[labels])
    for i, region in enumerate(source.train):
      self.assertEqual(
        source.label_names[region.label],
        getattr(movement.draw('train', i), labels),
      )


_DIGEST = '7eb0673da7f5f1201483657f4078c18e956d2c80176b43b353d8a61fd9968e51'

if __name__ == '__main__':
  absltest.main()
