"""The fit finds what was rendered."""

import dataclasses

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from train.data.sets import moving_shapes
from train.evaluation.judges import shape_fit


def _frame(shape, size, x, y, radius, color=(255, 51, 51), background=51):
  """A frame, rendered with 8x8 samples a pixel."""
  places = (np.arange(8 * size) + 0.5) / (8 * size)
  inside = moving_shapes.inside(
    shape,
    ((places - x + 0.5) % 1 - 0.5) / radius,
    ((places - y + 0.5) % 1 - 0.5)[:, None] / radius,
  )
  covered = inside.reshape([size, 8, size, 8]).mean(axis=(1, 3))[..., None]
  frame = background + covered * (np.array(color) - background)
  return np.rint(frame).astype(np.uint8)


class ShapeFitTest(parameterized.TestCase):
  @parameterized.product(shape=moving_shapes.SHAPES, size=(12, 16, 24, 32, 64))
  def test_finds_shape_place_and_radius(self, shape, size):
    rng = np.random.default_rng(size)
    places = rng.uniform(size=[20, 2])
    places[:4] = [[0, 0.5], [0.5, 0], [0, 0], [0.99, 0.01]]
    radii = rng.uniform(*moving_shapes.RADII, size=[20])
    frames = [_frame(shape, size, *p, r) for p, r in zip(places, radii)]
    fits = shape_fit.fit(np.stack(frames))
    self.assertSetEqual({moving_shapes.SHAPES[s] for s in fits.shape}, {shape})
    apart = (fits.place - places + 0.5) % 1 - 0.5
    self.assertLess(np.abs(apart).max() * size, 0.15)  # Pixels.
    self.assertLess(np.abs(fits.radius - radii).max(), 0.007)
    np.testing.assert_array_equal(fits.num_objects, 1)
    self.assertLess(fits.misfit.min(axis=-1).max(), 0.005)
    self.assertLess(fits.stray.max(), 2)

  def test_finds_each_colour(self):
    frames = [
      _frame('circle', 16, 0.2, 0.9, 0.17, 255 * np.array(color), 77)
      for color in moving_shapes.PALETTE
    ]
    fits = shape_fit.fit(np.stack(frames))
    np.testing.assert_array_equal(fits.color, np.arange(6))
    np.testing.assert_allclose(fits.background, 77)
    self.assertLess(fits.color_error.max(), 2)

  def test_parts_across_edges_are_connected(self):
    frame = np.full([16, 16, 3], 51, np.uint8)
    frame[[0, 0, -1, -1], [0, -1, 0, -1], 0] = 255
    frame[6:8, 6:8, 1] = 255
    self.assertEqual(shape_fit.fit(frame[None]).num_objects, [2])

  def test_frames_do_not_depend_on_each_other(self):
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=[300, 16, 16, 3]).astype(np.uint8)
    together, alone = shape_fit.fit(frames), shape_fit.fit(frames[299:])
    for field in dataclasses.fields(shape_fit.Fits):
      np.testing.assert_allclose(
        getattr(together, field.name)[299:],
        getattr(alone, field.name),
        rtol=1e-5,
      )


if __name__ == '__main__':
  absltest.main()
