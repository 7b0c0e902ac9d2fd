"""Real clips pass, spoilt ones do not."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from train.data.sets import moving_shapes
from train.evaluation.judges import shapes

_SETTINGS = ((16, 5), (16, 8), (32, 5), (32, 8))
_PARTS = ('one_object', 'one_colour', 'right_shape', 'nothing_else')


def _clips(size, n_bits=8, variant='shapes', num_frames=12, per_label=2):
  """Clips as a model sees them, rendered at 64x64; and labels."""
  arguments = size, n_bits, variant, num_frames, per_label
  return tuple(values.copy() for values in _rendered(*arguments))


@functools.cache
def _rendered(size, n_bits, variant, num_frames, per_label):
  names = moving_shapes.label_names(variant)
  labels = np.repeat(np.arange(len(names)), per_label)
  videos = np.stack(
    [
      moving_shapes.render(variant, names[y], num_frames, 64, [7, y, number])
      for number, y in enumerate(labels)
    ]
  )
  few = 64 // size
  boxes = videos.reshape([len(labels), -1, size, few, size, few, 3])
  videos = np.rint(boxes.mean(axis=(3, 5))).astype(np.uint8)
  return _quantised(videos, n_bits), labels


def _quantised(videos, n_bits):
  step = 2 ** (8 - n_bits)
  return (videos // step * step + step // 2).astype(np.uint8)


def _painted(videos):
  """Which pixels have the object, by the brightest channel."""
  brightest = videos.max(axis=-1).astype(int)
  background = np.median(brightest, axis=(2, 3), keepdims=True)
  return brightest - background > 30


class RealTest(parameterized.TestCase):
  @parameterized.parameters(*_SETTINGS)
  def test_real_clips_pass(self, size, n_bits):
    videos, labels = _clips(size, n_bits)
    rates = shapes.ShapesJudge().judge(videos, labels)
    self.assertGreaterEqual(rates['frames']['right']['rate'], 0.99)
    self.assertGreaterEqual(rates['videos_right_through']['12']['rate'], 0.98)
    self.assertEqual(rates['right_direction'], {'rate': 1.0, 'judged': 24})

  @parameterized.parameters(12, 64)
  def test_other_sizes_pass(self, size):
    videos, labels = _clips(64, 5, num_frames=6, per_label=1)
    if size < 64:  # A row of 12 is 16 / 3 rows of 64.
      fine = np.repeat(np.repeat(videos, 3, axis=2), 3, axis=3)
      boxes = fine.reshape([12, 6, size, 16, size, 16, 3])
      videos = _quantised(boxes.mean(axis=(3, 5)), 5)
    rates = shapes.ShapesJudge().judge(videos, labels)
    self.assertGreaterEqual(rates['frames']['right']['rate'], 0.98)

  @parameterized.parameters('shapes:motion', 'shapes:appearance')
  def test_other_variants_pass(self, variant):
    videos, labels = _clips(16, 5, variant)
    judge = shapes.ShapesJudge(variant)
    rates = judge.judge(videos, labels)
    self.assertEqual(rates['frames']['right']['rate'], 1.0)
    self.assertEqual(rates['videos_right_through']['12']['rate'], 1.0)
    others = (labels + 1) % (labels[-1] + 1)
    wrong = judge.judge(videos, others)
    if variant == 'shapes:motion':  # Its frames are right with any label.
      self.assertEqual(wrong['frames']['right']['rate'], 1.0)
    self.assertEqual(wrong['videos_right_through']['12']['rate'], 0.0)

  def test_without_labels_any_shape_and_motion_is_right(self):
    videos, _ = _clips(16)
    rates = shapes.ShapesJudge().judge(videos)
    self.assertEqual(rates['videos_right_through']['12']['rate'], 1.0)

  def test_some_labels(self):
    videos, labels = _clips(16, num_frames=4)
    names = moving_shapes.label_names('shapes')
    chosen = labels >= 10
    judge = shapes.ShapesJudge('shapes', names[10:])
    rates = judge.judge(videos[chosen], labels[chosen] - 10)
    self.assertEqual(rates['videos_right_through']['4']['rate'], 1.0)


class SpoiltFramesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self._rng = np.random.default_rng(0)

  def _verdicts(self, videos, labels):
    return shapes.ShapesJudge().verdicts(videos, labels)

  def _assert_only(self, found, name):
    """All frames are wrong, because of `name` alone."""
    self.assertFalse(found.right.any())
    for part in _PARTS:
      self.assertEqual(getattr(found, part).any(), part != name, part)

  @parameterized.parameters(*_SETTINGS)
  def test_erased_object(self, size, n_bits):
    videos, labels = _clips(size, n_bits)
    empty = np.broadcast_to(
      np.median(videos, axis=(2, 3), keepdims=True), videos.shape
    )
    found = self._verdicts(empty.astype(np.uint8), labels)
    self.assertTrue(found.no_object.all())
    self.assertFalse(found.right.any())
    rates = shapes.ShapesJudge().judge(empty.astype(np.uint8), labels)
    for name in ('one_colour', 'right_shape', 'nothing_else'):
      self.assertEqual(rates['frames'][name], {'rate': None, 'judged': 0})
    self.assertEqual(rates['right_direction'], {'rate': None, 'judged': 0})

  @parameterized.parameters(*_SETTINGS)
  def test_second_object(self, size, n_bits):
    videos, labels = _clips(size, n_bits)
    moved = np.roll(videos, size // 2, axis=(2, 3))
    for other in (moved, moved[..., [1, 2, 0]]):
      two = np.where(_painted(moved)[..., None], other, videos)
      found = self._verdicts(two, labels)
      self.assertTrue(found.several_objects.all())
      self.assertFalse(found.right.any())

  @parameterized.parameters(*_SETTINGS)
  def test_confetti(self, size, n_bits):
    videos, labels = _clips(size, n_bits)
    free = ~_painted(videos)
    for axis in (2, 3, 2, 3, 2, 3):  # Three pixels around are not free.
      free &= np.roll(free, 1, axis) & np.roll(free, -1, axis)
    for n, t in np.ndindex(*free.shape[:2]):
      y, x = self._rng.permutation(np.argwhere(free[n, t]))[0]
      videos[n, t, y, x, self._rng.integers(3)] ^= 128
    found = self._verdicts(videos, labels)
    self._assert_only(found, 'nothing_else')

  @parameterized.parameters(*_SETTINGS)
  def test_coloured_background(self, size, n_bits):
    videos, labels = _clips(size, n_bits)
    videos[..., 2] = np.where(_painted(videos), videos[..., 2], 120)
    found = self._verdicts(videos, labels)
    self.assertFalse(found.nothing_else.any())

  @parameterized.parameters(*_SETTINGS)
  def test_mixed_colours(self, size, n_bits):
    videos, labels = _clips(size, n_bits)
    left = np.arange(size) < size // 2
    middle = _centred(videos)
    mixed = np.where(left[:, None], middle, middle[..., [1, 2, 0]])
    found = self._verdicts(mixed, labels)
    self._assert_only(found, 'one_colour')

  @parameterized.parameters(*_SETTINGS)
  def test_hole_and_torn_objects(self, size, n_bits):
    videos, labels = _clips(size, n_bits)
    middle = _centred(videos)
    background = np.median(videos, axis=(2, 3))
    hole = middle.copy()
    side = slice(size // 2, size // 2 + size // 16)
    hole[:, :, side, side] = background[:, :, None, None]
    self.assertFalse(self._verdicts(hole, labels).right.any())
    # Across the edge a part of the object is missing, or elsewhere.
    lost = middle.copy()
    lost[:, :, :, : size // 2] = background[:, :, None, None]
    elsewhere = middle.copy()
    elsewhere[:, :, :, : size // 2] = np.roll(
      middle[:, :, :, : size // 2], size // 4, axis=2
    )
    for torn in (lost, elsewhere):
      torn = np.roll(torn, size // 2, axis=3)
      self.assertFalse(self._verdicts(torn, labels).right.any())
    whole = np.roll(middle, size // 2, axis=3)
    self.assertTrue(self._verdicts(whole, labels).right.all())

  @parameterized.parameters(*_SETTINGS)
  def test_wrong_shape(self, size, n_bits):
    videos, labels = _clips(size, n_bits)
    for others in (labels // 3 * 3 + (labels + k) % 3 for k in (1, 2)):
      self._assert_only(self._verdicts(videos, others), 'right_shape')

  def test_stretched_shape(self):
    videos, labels = _clips(32)
    videos = np.repeat(_centred(videos), 2, axis=2)[:, :, 16:48]
    self.assertLess(self._verdicts(videos, labels).right_shape.mean(), 0.1)


def _centred(videos):
  """Videos whose object is moved into the middle of each frame."""
  videos = videos.copy()
  size = videos.shape[2]
  angles = 2 * np.pi * np.arange(size) / size
  painted = _painted(videos)
  for n, t in np.ndindex(*videos.shape[:2]):
    for axis in (0, 1):
      weights = painted[n, t].sum(axis=1 - axis)
      angle = np.angle((weights * np.exp(1j * angles)).sum())
      shift = size // 2 - int(round(angle * size / (2 * np.pi)))
      videos[n, t] = np.roll(videos[n, t], shift, axis=axis)
  return videos


class SpoiltVideosTest(parameterized.TestCase):
  def _through(self, videos, labels):
    return shapes.ShapesJudge().verdicts(videos, labels).right_through

  @parameterized.parameters(*_SETTINGS)
  def test_frozen_video(self, size, n_bits):
    videos, labels = _clips(size, n_bits)
    videos[:, 6:] = videos[:, 5:6]
    through = self._through(videos, labels)
    self.assertTrue(through[:, :6].all())
    self.assertFalse(through[:, 6:].any())
    videos[:] = videos[:, :1]
    rates = shapes.ShapesJudge().judge(videos, labels)
    self.assertEqual(rates['frames']['right']['rate'], 1.0)
    self.assertEqual(rates['right_direction']['rate'], 0.0)

  @parameterized.parameters(*_SETTINGS)
  def test_reversed_motion(self, size, n_bits):
    videos, labels = _clips(size, n_bits)
    videos[:, 6:] = videos[:, 4::-1][:, :1].repeat(6, axis=1)
    videos[:, 6:11] = videos[:, 4::-1]
    through = self._through(videos, labels)
    self.assertTrue(through[:, :6].all())
    self.assertFalse(through[:, 6:].any())
    backwards = shapes.ShapesJudge().judge(videos[:, 5::-1], labels)
    self.assertEqual(backwards['right_direction']['rate'], 0.0)
    self.assertEqual(backwards['frames']['right']['rate'], 1.0)

  def test_wrong_direction_and_jump(self):
    videos, labels = _clips(16, 5)
    others = (labels + 3) % 12  # The same shape, another motion.
    self.assertFalse(self._through(videos, others)[:, 1:].any())
    videos[:, 7:] = np.roll(videos[:, 7:], 3, axis=(2, 3))
    through = self._through(videos, labels)
    self.assertTrue(through[:, :7].all())
    self.assertFalse(through[:, 7:].any())

  def test_change_of_colour_and_of_shape(self):
    videos, labels = _clips(16, 5)
    other = videos.copy()
    other[:, 5:] = other[:, 5:][..., [1, 2, 0]]
    through = self._through(other, labels)
    self.assertTrue(through[:, :5].all())
    self.assertFalse(through[:, 5:].any())
    judge = shapes.ShapesJudge('shapes:motion')
    videos, labels = _clips(16, 5, 'shapes:motion')
    shapes_ = shapes.shape_fit.fit(videos[:, 0]).shape
    other = videos.copy()
    other[:, 5:] = videos[(np.arange(16) + 1) % 16, 5:]
    found = judge.verdicts(other, labels)
    changed = shapes_ != np.roll(shapes_, -1)
    self.assertTrue(changed.any())
    self.assertFalse(found.right_through[changed, 5:].any())

  def test_given_frames_are_not_counted(self):
    videos, labels = _clips(16, 5)
    videos[:, 2:] = np.median(videos, axis=(2, 3), keepdims=True)[:, 2:]
    rates = shapes.ShapesJudge().judge(videos, labels, num_given=2)
    self.assertEqual(rates['num_given'], 2)
    self.assertEqual(rates['frames']['no_object'], {'rate': 1.0, 'judged': 240})
    self.assertEqual(rates['first_frames']['right']['rate'], 0.0)

  def test_right_until_frame(self):
    videos, labels = _clips(16, 5)
    videos[12:, 8:] = videos[12:, 7:8]
    rates = shapes.ShapesJudge().judge(videos, labels)
    self.assertEqual(
      {h: r['rate'] for h, r in rates['videos_right_through'].items()},
      {'8': 1.0, '12': 0.5},
    )
    self.assertEqual(rates['frames_right_at']['12']['rate'], 1.0)
    videos[:, 11] = 51
    marks = shapes.ShapesJudge().marks(videos, labels)
    np.testing.assert_array_equal(marks[:12, :11], 2)
    np.testing.assert_array_equal(marks[12:, 8:11], 1)
    np.testing.assert_array_equal(marks[:, 11], 0)


class ErrorsTest(absltest.TestCase):
  def test_variants_without_a_judge(self):
    for variant in ('shapes:blink', 'shapes:occluder'):
      with self.assertRaisesRegex(ValueError, 'shapes:motion.*got ' + variant):
        shapes.ShapesJudge(variant)

  def test_frames_that_cannot_be_judged(self):
    judge = shapes.ShapesJudge()
    grey = np.zeros([1, 2, 16, 16, 1], np.uint8)
    small = np.zeros([1, 2, 8, 8, 3], np.uint8)
    for videos in (grey, small, small.astype(np.float32)):
      with self.assertRaisesRegex(ValueError, 'uint8 frames'):
        judge.judge(videos, [0])
    videos = np.zeros([1, 2, 16, 16, 3], np.uint8)
    with self.assertRaisesRegex(ValueError, '1 labels'):
      judge.judge(videos, [0, 1])
    with self.assertRaisesRegex(ValueError, 'num_given'):
      judge.judge(videos, [0], num_given=2)
    with self.assertRaisesRegex(ValueError, 'not a label'):
      shapes.ShapesJudge('shapes', ['north'])

  def test_no_videos_have_no_rates(self):
    rates = shapes.ShapesJudge().judge(np.zeros([0, 4, 16, 16, 3], np.uint8))
    self.assertEqual(rates['frames']['right'], {'rate': None, 'judged': 0})


if __name__ == '__main__':
  absltest.main()
