"""Tests of `context_affine`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.bijectors import context_affine


class ContextAffineTest(tf.test.TestCase, parameterized.TestCase):
  def test_residual_starts_as_the_difference_to_the_context(self):
    affine = tfp_cglow.build_context_affine(2, tfp_cglow.Context(3), seed=0)
    y, context = tf.random.normal([2, 4, 4, 2]), tf.random.normal([2, 4, 4, 3])
    self.assertAllClose(
      affine.inverse(y, context=context), y - context[..., :2]
    )
    self.assertAllClose(
      tf.zeros([2]), affine.inverse_log_det_jacobian(y, 3, context=context)
    )

  def test_learned_starts_as_the_identity(self):
    affine = tfp_cglow.build_context_affine(
      2, tfp_cglow.Context(1), tfp_cglow.FrameAffine(None), seed=0
    )
    y, context = tf.random.normal([2, 4, 4, 2]), tf.random.normal([2, 4, 4, 1])
    self.assertAllClose(affine.inverse(y, context=context), y)

  def test_values_by_hand(self):
    network = lambda context: tf.concat([context, tf.ones_like(context)], -1)
    affine = tfp_cglow.ContextAffine(network, context_channels=1)
    log_scale = 4 * np.tanh(1 / 4)
    y, context = tf.fill([2, 2, 1], 5.0), tf.fill([2, 2, 1], 3.0)
    self.assertAllClose(
      affine.inverse(y, context=context),
      np.full([2, 2, 1], 2 * np.exp(log_scale)),
    )
    self.assertAllClose(
      affine.inverse_log_det_jacobian(y, 3, context=context), 4 * log_scale
    )

  @parameterized.parameters(-1e6, 1e6)
  def test_scale_is_bounded(self, raw):
    network = lambda context: tf.fill([*context.shape[:-1], 2], raw)
    affine = tfp_cglow.ContextAffine(network, context_channels=1)
    y, context = tf.ones([1, 1, 1]), tf.zeros([1, 1, 1])
    ildj = affine.inverse_log_det_jacobian(y, 3, context=context)
    self.assertAllClose(ildj, np.sign(raw) * 4.0)

  def test_own_base_mean(self):
    affine = tfp_cglow.ContextAffine(
      lambda context: tf.zeros([*context.shape[:-1], 2]),
      context_channels=2,
      base_mean=lambda context, channels: context[..., channels:],
    )
    y, context = tf.ones([1, 1, 1]), tf.constant([[[3.0, 5.0]]])
    self.assertAllClose(affine.inverse(y, context=context), [[[-4.0]]])

  def test_motion_mean_by_hand(self):
    rng = np.random.default_rng(0)
    previous = rng.normal(size=[2, 3, 4, 5, 2]).astype(np.float32)
    logits = rng.normal(size=[2, 3, 4, 5, 9]).astype(np.float32)
    weights = np.exp(logits + 6.0 * np.eye(9)[4])
    weights /= weights.sum(axis=-1, keepdims=True)
    edges = [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)]
    padded = np.pad(previous, edges, mode='symmetric')
    expected = np.zeros_like(previous)
    for i in range(4):
      for j in range(5):
        window = padded[:, :, i : i + 3, j : j + 3].reshape([2, 3, 9, 2])
        row = weights[:, :, i, j, :, None]
        expected[:, :, i, j] = (row * window).sum(axis=2)
    context = tf.concat([previous, 7.0 * previous], axis=-1)
    self.assertAllClose(
      context_affine.motion_mean(context, 2, tf.constant(logits)), expected
    )

  def test_starts_near_the_previous_frame(self):
    affine = tfp_cglow.build_context_affine(
      1,
      tfp_cglow.Context(2),
      tfp_cglow.FrameAffine(tfp_cglow.MovedFrame(), 4),
      seed=0,
    )
    previous = np.zeros([5, 5, 1], np.float32)
    previous[2, 2] = 1.0
    context = tf.concat([previous, tf.zeros([5, 5, 1])], axis=-1)
    mean = affine.forward(tf.zeros([5, 5, 1]), context=context)
    self.assertBetween(mean[2, 2, 0].numpy(), 0.94, 1.0)

  def test_motion_that_is_learned_moves_the_frame(self):
    affine = tfp_cglow.build_context_affine(
      1,
      tfp_cglow.Context(1),
      tfp_cglow.FrameAffine(tfp_cglow.MovedFrame(1), 4),
      seed=0,
    )
    bias = next(v for v in affine.trainable_variables if v.shape == [2 + 9])
    bias.assign([0.0, 0.0] + [0.0] * 3 + [100.0] + [0.0] * 5)  # From the left.
    previous = tf.reshape(tf.range(16.0), [4, 4, 1])
    mean = affine.forward(tf.zeros([4, 4, 1]), context=previous)
    self.assertAllClose(mean[:, 1:], previous[:, :-1])

  @parameterized.parameters(
    ('mean', 1, 1, "PreviousFrame.*got 'mean'"),
    (tfp_cglow.PreviousFrame(), 3, 2, 'first 3 channels.*has 2'),
    (tfp_cglow.MovedFrame(0), 3, 3, 'at least 1, but got 0'),
  )
  def test_bad_arguments(self, mean, channels, context_channels, message):
    with self.assertRaisesRegex(ValueError, message):
      tfp_cglow.build_context_affine(
        channels,
        tfp_cglow.Context(context_channels),
        tfp_cglow.FrameAffine(mean, 4),
      )

  def test_motion_farther_than_the_frame_is_large(self):
    affine = tfp_cglow.build_context_affine(
      1,
      tfp_cglow.Context(1),
      tfp_cglow.FrameAffine(tfp_cglow.MovedFrame(5), 4),
    )
    with self.assertRaisesRegex(ValueError, '5 pixels.*4x4'):
      affine.inverse(tf.zeros([4, 4, 1]), context=tf.zeros([4, 4, 1]))


if __name__ == '__main__':
  tf.test.main()
