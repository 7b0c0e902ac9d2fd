"""Tests of `interpolation`."""

import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.video import interpolation
from tfp_cglow.video import rollout

_SHAPE = [4, 4, 1]
_LABELS = tfp_cglow.LabelPriors(2)


def _flow(has_head=True, labels=_LABELS):
  parts = {'num_glow_blocks': 1, 'steps': tfp_cglow.AdditiveSteps(2, 4)}
  flow = tfp_cglow.build_video_flow(
    _SHAPE,
    tfp_cglow.GlowSpec(labels=labels, **parts) if has_head else None,
    tfp_cglow.TailSpec(
      first=tfp_cglow.FrameAffine(),
      labels=None if has_head else labels,
      memory=tfp_cglow.ResidualMemory(2),
      **parts,
    ),
    seed=0,
  )
  rng = np.random.default_rng(0)
  for variable in flow.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return flow


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
    flow, labels = _flow(), [0, 1]
    latents = rollout.encode(flow, _videos(4), [0, 1, 0, 1])
    a, b = latents[:2], latents[2:]
    videos = interpolation.interpolate(flow, a, b, 3, labels)
    self.assertEqual(videos.shape, [2, 3, 3, 4, 4, 1])
    self.assertAllEqual(videos[:, 0], rollout.decode(flow, a, labels))
    self.assertAllEqual(videos[:, 2], rollout.decode(flow, b, labels))
    self.assertNotAllEqual(videos[:, 1], videos[:, 0])
    alone = interpolation.interpolate(flow, a[1:], b[1:], 3, [1])
    self.assertAllEqual(alone[0], videos[1])

  def test_without_head_and_labels(self):
    flow = _flow(has_head=False, labels=None)
    videos = _videos(2)
    latents = rollout.encode(flow, videos)
    between = interpolation.interpolate(
      flow, latents, latents[::-1], 2, first_frames=videos[:, 0]
    )
    self.assertEqual(between.shape, [2, 2, 3, 4, 4, 1])
    self.assertAllEqual(between[:, 0], videos // 8 * 8 + 4)

  def test_bad_arguments(self):
    latents = tf.zeros([1, 2, 16])
    with self.assertRaisesRegex(ValueError, 'Expected `labels`.*got None'):
      interpolation.interpolate(_flow(), latents, latents, 2)
    with self.assertRaisesRegex(ValueError, 'Expected no `labels`'):
      interpolation.interpolate(_flow(labels=None), latents, latents, 2, [0])
    with self.assertRaisesRegex(ValueError, 'without a head.*got none'):
      interpolation.interpolate(_flow(has_head=False), latents, latents, 2, [0])


if __name__ == '__main__':
  tf.test.main()
