"""What a model paints: pictures, and the figures of its inverse."""

import io

import numpy as np
from PIL import Image
import tensorflow as tf

from train.config import overrides
from train.config import presets
from train.report import inverse
from train.report import pictures
from train.report import subject
from train.systems import systems

_SIZE = 8
_SMALL = [
  f'data.frame_size={_SIZE}',
  'data.num_frames=3',
  'model.head.num_glow_blocks=1',
  'model.tail.num_glow_blocks=1',
  'model.head.steps.hidden_channels=4',
  'model.tail.steps.hidden_channels=4',
]
_SMALL_GAN = [
  f'data.frame_size={_SIZE}',
  'data.num_frames=3',
  'model=gan',
  'model.num_levels=2',
  'model.base_channels=4',
  'model.num_first_view_nets=1',
]


def _subject(*assignments, small=_SMALL, with_clips=True):
  config = overrides.override(presets.PRESETS['smoke'], [*small, *assignments])
  system = systems.of(config)
  model = system.build_model(num_labels=3)
  sampler = system.sampler(model)
  names = ('cat', 'dog', 'eel')
  if not with_clips:
    return subject.Subject(sampler, system, 1, names, why_no_clips='it is gone')
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, [6, 3, _SIZE, _SIZE, 3], np.uint8)
  label = np.array([0, 0, 1, 1, 2, 2])
  if not model.adapted:
    model.adapt(frames, label)
  return subject.Subject(sampler, system, 1, names, frames, label)


def _pixels(image):
  return np.asarray(Image.open(io.BytesIO(image.data)).convert('RGB'))


class PicturesTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.video = _subject()

  def test_first_frames_are_beside_real_ones(self):
    figure = pictures.first_frames(self.video)
    self.assertEqual([row.title for row in figure.rows], ['cat', 'dog', 'eel'])
    self.assertEqual(figure.columns, ('generated', 'real'))
    generated, real = figure.rows[1].images
    self.assertEqual(_pixels(generated).shape, (_SIZE, 4 * _SIZE, 3))
    expected = np.concatenate(list(self.video.frames[2:4, 0]), axis=1)
    self.assertAllEqual(_pixels(real), expected)

  def test_strips(self):
    figure = pictures.strips(self.video)
    self.assertEqual(
      [row.title for row in figure.rows],
      [
        *('cat: real', 'cat: from 1 frame', 'cat: from the label'),
        *('eel: real', 'eel: from 1 frame', 'eel: from the label'),
      ],
    )
    real, continued = (_pixels(row.images[0]) for row in figure.rows[:2])
    expected = np.concatenate(list(self.video.frames[0]), axis=1)
    self.assertAllEqual(real, expected)
    # A given frame is the real one, at the model's levels.
    difference = real[:, :_SIZE].astype(int) - continued[:, :_SIZE]
    self.assertLess(np.abs(difference).max(), 2 ** (8 - 5))

  def test_overfitting_is_named_so(self):
    figure = pictures.strips(
      _subject('data.overfit_clips=1', 'model.head=none')
    )
    self.assertEqual(figure.title, 'Overfitting strips')
    self.assertEqual(len(figure.rows), 2)

  def test_temperatures(self):
    figure = pictures.temperatures(self.video)
    self.assertEqual(figure.columns[0], '0')
    self.assertEqual([len(row.images) for row in figure.rows], [5, 5, 5])
    image = Image.open(io.BytesIO(figure.rows[0].images[4].data))
    self.assertGreater(image.n_frames, 1)
    cold, hot = (_pixels(figure.rows[0].images[k]) for k in (0, 4))
    self.assertNotAllEqual(cold, hot)

  def test_interpolation(self):
    figure = pictures.interpolation(self.video)
    self.assertEqual([len(row.images) for row in figure.rows], [7, 7])

  def test_round_trip(self):
    figure = inverse.error_map(self.video)
    self.assertEqual([row.title for row in figure.rows], ['head', 'tail'])
    frames, errors = (_pixels(image) for image in figure.rows[0].images)
    self.assertAllEqual(
      frames, np.concatenate(list(self.video.frames[:4, 0]), axis=1)
    )
    self.assertEqual(errors.shape, frames.shape)
    self.assertGreater(errors.max(), 200)  # The largest error is the brightest.
    by_step = inverse.by_step(self.video)
    self.assertEqual(len(by_step.images), 3)

  def test_without_a_tail(self):
    head = _subject('model.tail=none', 'data.num_frames=1')
    self.assertIn('no tail', pictures.strips(head).missing)
    row = pictures.temperatures(head).rows[0]
    self.assertEqual({image.kind for image in row.images}, {'png'})
    self.assertEqual(len(pictures.first_frames(head).rows), 3)
    figure = inverse.error_map(head)
    self.assertEqual([row.title for row in figure.rows], ['head'])

  def test_without_a_head(self):
    tail = _subject('model.head=none', 'model.tail.previous_frames=2')
    self.assertIn('no head', pictures.first_frames(tail).missing)
    self.assertIn('without a head', pictures.interpolation(tail).missing)
    self.assertEqual(len(pictures.temperatures(tail).rows), 2)
    self.assertIn('from 2', pictures.strips(tail).rows[1].title)

  def test_without_labels(self):
    unlabelled = _subject(
      'model.head.labels=none', 'model.tail=none', 'data.num_frames=1'
    )
    figure = pictures.first_frames(unlabelled)
    self.assertEqual([row.title for row in figure.rows], ['any'])
    self.assertEqual(len(pictures.temperatures(unlabelled).rows), 1)

  def test_without_clips(self):
    shown = _subject('model.tail=none', 'data.num_frames=1', with_clips=False)
    figure = pictures.first_frames(shown)
    self.assertEqual(figure.columns, ('generated',))
    self.assertIn('it is gone', figure.caption)
    for draw in (inverse.error_map, inverse.by_step):
      self.assertEqual(draw(shown).missing, 'it is gone')

  def test_a_gan(self):
    gan = _subject(small=_SMALL_GAN)
    self.assertEqual(len(pictures.first_frames(gan).rows), 3)
    self.assertEqual(len(pictures.strips(gan).rows), 6)
    for draw in (pictures.interpolation, inverse.error_map, inverse.by_step):
      self.assertIn('a GAN', draw(gan).missing)

  def test_inverse_over_training(self):
    health = {
      'round_trip_error_levels': 0.01,
      'min_scale': 0.5,
      'max_scale': 2.0,
      'max_condition_number': 3.0,
    }
    rows = [
      {'kind': 'train', 'step': 1},
      {'kind': 'eval', 'step': 2, 'invertibility': {'head': health}},
      {'kind': 'invertibility', 'step': 3, 'tail': health},
    ]
    _, first, second = inverse.over_training(rows)
    self.assertEqual(first, ('2', 'head', '0.01', '0.5 to 2', '3'))
    self.assertEqual(second[:2], ('3', 'tail'))
    self.assertEmpty(inverse.over_training(rows[:1]))


if __name__ == '__main__':
  tf.test.main()
