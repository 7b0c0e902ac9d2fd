"""Tests of U-Net, View-Net, generator and discriminator."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train.systems.gan import discriminator as discriminator_lib
from train.systems.gan import generator as generator_lib
from train.systems.gan import unet
from train.systems.gan import view_net

_WIDTHS = (4, 6)
_LABELS = tf.constant([0, 2])


def _kernels():
  return unet.Kernels(itertools.count())


def _images(*shape, seed=0):
  return tf.random.stateless_normal(shape, [seed, 1])


def _generator(num_labels=3):
  return generator_lib.Generator(
    (8, 8, 3), _WIDTHS, 2, num_labels, 5, _kernels()
  )


def _discriminator(num_labels=3):
  return discriminator_lib.Discriminator(
    (8, 8, 3), _WIDTHS, num_labels, 5, _kernels()
  )


def _num_parameters(layer):
  return sum(int(np.prod(v.shape)) for v in layer.trainable_variables)


def _conv(size, in_channels, out_channels):
  return size**2 * in_channels * out_channels + out_channels


def _view_net_size(image, out, a, b):
  """Parameters of a `ViewNet` of two levels, from section V."""
  down = _conv(4, image + out, a) + _conv(4, a + a, b)
  up = _conv(4, b + b, a) + _conv(4, a + a, out)
  return down + _conv(3, b + b, b) + up


def _unet_size(image, out, a, b):
  """Of a `UNet`: nothing is joined to the coarsest map on the way up."""
  down = _conv(4, image, a) + _conv(4, a, b)
  return down + _conv(4, b, a) + _conv(4, a + a, out)


class PyramidsTest(tf.test.TestCase):
  def test_shapes(self):
    shapes = [[2, 8, 8, 3], [2, 4, 4, 4], [2, 2, 2, 6]]
    pyramid = unet.UNet(3, _WIDTHS, _kernels())(_images(2, 8, 8, 7))
    self.assertEqual([p.shape.as_list() for p in pyramid], shapes)
    net = view_net.ViewNet(3, _WIDTHS, _kernels())
    changed = net(_images(2, 8, 8, 7), pyramid)
    self.assertEqual([p.shape.as_list() for p in changed], shapes)

  def test_view_net_adds_to_the_pyramid(self):
    pyramid = unet.UNet(3, _WIDTHS, _kernels())(_images(2, 8, 8, 3))
    net = view_net.ViewNet(3, _WIDTHS, _kernels())
    net(_images(2, 8, 8, 3), pyramid)
    for variable in net.trainable_variables:
      variable.assign(tf.zeros_like(variable))
    self.assertAllEqual(
      net(_images(2, 8, 8, 3), pyramid)[0], pyramid[0], 'skip connection'
    )

  def test_zero_start_changes_nothing(self):
    pyramid = unet.UNet(3, _WIDTHS, _kernels())(_images(2, 8, 8, 3))
    kernels = unet.Kernels(itertools.count(), zero_start=True)
    changed = view_net.ViewNet(3, _WIDTHS, kernels)(
      _images(2, 8, 8, 3), pyramid
    )
    for a, b in zip(pyramid, changed):
      self.assertAllEqual(a, b)

  def test_each_level_of_the_previous_pyramid_counts(self):
    pyramid = unet.UNet(3, _WIDTHS, _kernels())(_images(2, 8, 8, 3))
    net = view_net.ViewNet(3, _WIDTHS, _kernels())
    with tf.GradientTape() as tape:
      tape.watch(pyramid)
      bottom = net(_images(2, 8, 8, 3), pyramid)[0] ** 2
    for gradient in tape.gradient(bottom, pyramid):
      self.assertGreater(tf.norm(gradient), 0.0)


class GeneratorTest(tf.test.TestCase, parameterized.TestCase):
  def test_shape_range_and_label(self):
    generator = _generator()
    noise = _images(2, 8, 8, 3)
    frames = generator(noise, _LABELS, 4)
    self.assertEqual(frames.shape, [2, 4, 8, 8, 3])
    self.assertAllInRange(frames, -1.0, 1.0)
    other = generator(noise, tf.constant([1, 2]), 4)
    self.assertNotAllClose(frames[0], other[0])
    self.assertAllClose(frames[1], other[1])

  def test_parameters(self):
    generator = _generator()
    first = _unet_size(8, 3, *_WIDTHS) + 2 * _view_net_size(8, 3, *_WIDTHS)
    tail = _view_net_size(8, 3, *_WIDTHS)
    self.assertEqual(_num_parameters(generator), first + tail + 3 * 5)

  def test_later_frames_share_their_view_net(self):
    # Longer videos have no more variables, and all of them begin the same.
    generator = _generator()
    noise = _images(2, 8, 8, 3)
    num = len(generator.trainable_variables)
    long = generator(noise, _LABELS, 7)
    self.assertLen(generator.trainable_variables, num)
    self.assertAllClose(generator(noise, _LABELS, 3), long[:, :3])

  def test_every_parameter_has_a_gradient(self):
    generator = _generator()
    variables = generator.trainable_variables
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(generator(_images(2, 8, 8, 3), _LABELS, 3) ** 2)
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
      self.assertGreater(tf.norm(gradient), 0.0, variable.name)

  def test_given_frames(self):
    generator = _generator()
    noise = _images(2, 8, 8, 3)
    given = tf.tanh(_images(2, 2, 8, 8, 3, seed=3)) * 0.9
    frames = generator(
      noise, _LABELS, 4, tf.unstack(given, axis=1), tf.constant([True, False])
    )
    self.assertAllClose(frames[0, :2], given[0], atol=1e-5)
    self.assertAllClose(frames[1], generator(noise, _LABELS, 4)[1])
    self.assertNotAllClose(frames[0, 2], generator(noise, _LABELS, 4)[0, 2])

  def test_saturated_given_frames_are_finite(self):
    given = tf.ones([2, 1, 8, 8, 3])
    frames = _generator()(_images(2, 8, 8, 3), _LABELS, 3, [given[:, 0]])
    self.assertAllInRange(frames, -1.0, 1.0)
    self.assertAllClose(frames[:, :1], given, atol=2e-3)

  def test_without_labels(self):
    frames = _generator(None)(_images(2, 8, 8, 3), None, 2)
    self.assertEqual(frames.shape, [2, 2, 8, 8, 3])


class DiscriminatorTest(tf.test.TestCase):
  def test_shape_label_and_time(self):
    discriminator = _discriminator()
    frames = _images(2, 4, 8, 8, 3)
    scores = discriminator(frames, _LABELS)
    self.assertEqual(scores.shape, [2, 4])
    other = discriminator(frames, tf.constant([1, 2]))
    self.assertNotAllClose(scores[0], other[0])
    self.assertAllClose(scores[1], other[1])
    # A frame's score is of it and those before.
    changed = tf.concat([frames[:, :2], -frames[:, 2:]], axis=1)
    self.assertAllClose(discriminator(changed, _LABELS)[:, :2], scores[:, :2])
    reordered = tf.gather(frames, [1, 0, 2, 3], axis=1)
    self.assertNotAllClose(
      discriminator(reordered, _LABELS)[:, 2:], scores[:, 2:]
    )

  def test_parameters(self):
    a, b = _WIDTHS
    size = _unet_size(8, a, a, b) + _view_net_size(8, a, a, b)
    size += 2 * (a + a + b + 1) + 3 * 5
    self.assertEqual(_num_parameters(_discriminator()), size)

  def test_every_parameter_has_a_gradient(self):
    discriminator = _discriminator()
    variables = discriminator.trainable_variables
    with tf.GradientTape() as tape:
      scores = discriminator(_images(2, 3, 8, 8, 3), _LABELS)
      loss = tf.reduce_sum(scores**2)
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
      self.assertGreater(tf.norm(gradient), 0.0, variable.name)


if __name__ == '__main__':
  tf.test.main()
