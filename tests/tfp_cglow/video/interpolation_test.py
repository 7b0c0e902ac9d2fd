"""Tests of `interpolation`."""

import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.video import interpolation
from tfp_cglow.video import rollout

_SHAPE = [4, 4, 1]


def _model(**kwargs):
  glow = {'num_glow_blocks': 1, 'num_steps_per_block': 2, 'hidden_channels': 4}
  model = tfp_cglow.VideoGlow(
    _SHAPE,
    **{
      'num_labels': 2,
      'state_channels': 2,
      'head': glow,
      'tail': {**glow, 'context_affine': 'residual'},
      'seed': 0,
      **kwargs,
    },
  )
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return model


def _videos(num_rows, num_frames=3):
  values = np.random.default_rng(1).integers(
    0, 256, [num_rows, num_frames, *_SHAPE]
  )
  return values.astype(np.uint8)


class InterpolateLatentsTest(tf.test.TestCase):
  def test_is_an_arc(self):
    result = interpolation.interpolate_latents([[3.0, 0.0]], [[0.0, 3.0]], 4)
    angles = np.linspace(0.0, np.pi / 2, 4)
    self.assertAllClose(
      result[:, 0], 3 * np.stack([np.cos(angles), np.sin(angles)], 1)
    )

  def test_ends_are_exact(self):
    a, b = tf.random.stateless_normal([2, 3, 5, 16], [0, 0])
    result = interpolation.interpolate_latents(a, b, 3)
    self.assertAllEqual(result[0], a)
    self.assertAllEqual(result[2], b)

  def test_lines_where_there_is_no_arc(self):
    for a, b in (([2.0, 0.0], [2.0, 0.0]), ([0.0, 0.0], [2.0, 0.0])):
      result = interpolation.interpolate_latents(a, b, 3)
      self.assertAllClose(result[1], (np.array(a) + b) / 2)
    opposite = interpolation.interpolate_latents([1.0, 0.0], [-1.0, 0.0], 3)
    self.assertAllClose(opposite[1], [0.0, 0.0])

  def test_bad_arguments(self):
    with self.assertRaisesRegex(ValueError, 'at least 2, but got 1'):
      interpolation.interpolate_latents([1.0], [1.0], 1)
    with self.assertRaisesRegex(ValueError, r'got \(1,\) and \(2,\)'):
      interpolation.interpolate_latents([1.0], [1.0, 2.0], 2)


class InterpolateTest(tf.test.TestCase):
  def test_rows_lie_between_their_ends(self):
    model, labels = _model(), [0, 1]
    latents = rollout.encode(model, _videos(4), [0, 1, 0, 1])
    a, b = latents[:2], latents[2:]
    videos = interpolation.interpolate(model, a, b, 3, labels)
    self.assertEqual(videos.shape, [2, 3, 3, 4, 4, 1])
    self.assertAllEqual(videos[:, 0], rollout.decode(model, a, labels))
    self.assertAllEqual(videos[:, 2], rollout.decode(model, b, labels))
    self.assertNotAllEqual(videos[:, 1], videos[:, 0])
    alone = interpolation.interpolate(model, a[1:], b[1:], 3, [1])
    self.assertAllEqual(alone[0], videos[1])

  def test_without_head_and_labels(self):
    model = _model(head=None, num_labels=None)
    videos = _videos(2)
    latents = rollout.encode(model, videos)
    between = interpolation.interpolate(
      model, latents, latents[::-1], 2, first_frames=videos[:, 0]
    )
    self.assertEqual(between.shape, [2, 2, 3, 4, 4, 1])
    self.assertAllEqual(between[:, 0], videos // 8 * 8 + 4)

  def test_bad_arguments(self):
    latents = tf.zeros([1, 2, 16])
    with self.assertRaisesRegex(ValueError, 'Expected `labels`.*got None'):
      interpolation.interpolate(_model(), latents, latents, 2)
    with self.assertRaisesRegex(ValueError, 'Expected no `labels`'):
      interpolation.interpolate(
        _model(num_labels=None), latents, latents, 2, [0]
      )
    with self.assertRaisesRegex(ValueError, 'without a head.*got none'):
      interpolation.interpolate(_model(head=None), latents, latents, 2, [0])


if __name__ == '__main__':
  tf.test.main()
