"""Tests of `build`."""

from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf
import tf_keras

import tfp_cglow


class BuildGlowTest(tf.test.TestCase, parameterized.TestCase):
  def test_equal_seeds_give_equal_values_and_own_variables(self):
    build = lambda seed: tfp_cglow.build_glow(
      [4, 4, 1],
      1,
      tfp_cglow.AdditiveSteps(2, 4),
      context=tfp_cglow.Context(2),
      seed=seed,
    )
    first, second, third = build(1), build(1), build(2)
    for a, b in zip(first.variables, second.variables):
      self.assertIsNot(a, b)
      self.assertAllEqual(a, b)
    self.assertTrue(
      any(
        np.any(a.numpy() != b.numpy())
        for a, b in zip(first.trainable_variables, third.trainable_variables)
      )
    )

  def test_steps_start_with_different_values(self):
    glow = tfp_cglow.build_glow(
      [4, 4, 1], 1, tfp_cglow.AdditiveSteps(3, 4), seed=1
    )
    stacks = glow.blocks[0][1].stacks
    for stack in (stacks['conv']['lower'], stacks['coupling']['kernel_1']):
      self.assertEqual(stack.shape[0], 3)
      self.assertNotAllEqual(stack[0], stack[1])

  def test_number_of_variables_does_not_grow_with_depth(self):
    count = lambda steps: len(
      tfp_cglow.build_glow(
        [4, 4, 1], 2, tfp_cglow.AdditiveSteps(steps, 4)
      ).trainable_variables
    )
    self.assertEqual(count(1), count(5))

  def test_no_steps_leave_the_first_bijector_and_the_prior(self):
    glow = tfp_cglow.build_glow(
      [4, 4, 1],
      2,
      None,
      context=tfp_cglow.Context(1),
      first=tfp_cglow.FrameAffine(),
      labels=tfp_cglow.LabelPriors(2),
    )
    kwargs = {'context': tf.ones([4, 4, 1]), 'label': 1}
    y = glow.forward(tf.range(16.0), **kwargs)
    self.assertAllEqual(np.sort(tf.reshape(y - 1.0, [-1])), np.arange(16.0))
    self.assertAllClose(glow.inverse(tf.identity(y), **kwargs), range(16))
    # And there is no unused variable.
    with tf.GradientTape() as tape:
      x = glow.inverse(tf.identity(y), **kwargs)
    self.assertNotIn(None, tape.gradient(x, glow.trainable_variables))

  def test_unrolled_steps_have_the_same_parameters(self):
    size = lambda glow: sum(int(np.prod(v.shape)) for v in glow.variables)
    build = lambda gradients: tfp_cglow.build_glow(
      [4, 4, 2],
      2,
      tfp_cglow.AffineSteps(3, 4, gradients=gradients),
      context=tfp_cglow.Context(3),
    )
    self.assertEqual(size(build('stored')), size(build('unrolled')))

  def test_context_enters_where_it_is_told(self):
    kernels = lambda injection: (
      tfp_cglow.build_glow(
        [4, 4, 1],
        1,
        tfp_cglow.AdditiveSteps(1, 4, injection),
        context=tfp_cglow.Context(3),
      )
      .blocks[0][1]
      .stacks['coupling']
    )
    self.assertEqual(kernels('input')['kernel_1'].shape, [1, 3, 3, 5, 4])
    self.assertEqual(kernels('input')['kernel_3'].shape, [1, 3, 3, 4, 2])
    self.assertEqual(kernels('last')['kernel_1'].shape, [1, 3, 3, 2, 4])
    self.assertEqual(kernels('last')['kernel_3'].shape, [1, 3, 3, 7, 2])

  @parameterized.parameters(
    (tfp_cglow.LabelImages(20), [8, 8, 3], 0.01),
    (tfp_cglow.LabelImages(20, init_std=1.0), [8, 8, 3], 1.0),
    (tfp_cglow.LabelEmbedding(20, channels=50), [1, 1, 50], 1.0),
    (tfp_cglow.LabelEmbedding(20, 50, init_std=0.1), [1, 1, 50], 0.1),
  )
  def test_label_maps_start(self, labels, shape, expected):
    glow = tfp_cglow.build_glow(
      [8, 8, 3],
      1,
      tfp_cglow.AdditiveSteps(1, 4),
      labels=labels,
      seed=0,
    )
    self.assertEqual(glow.label_maps.shape, [20, *shape])
    self.assertIsNone(glow.label_prior)
    std = np.std(glow.label_maps.numpy())
    self.assertAllClose(std, expected, rtol=0.05)

  def test_label_prior_starts_as_the_standard_normal(self):
    glow = tfp_cglow.build_glow(
      [4, 4, 1],
      1,
      tfp_cglow.AdditiveSteps(1, 4),
      labels=tfp_cglow.LabelPriors(5),
    )
    self.assertLen(glow.label_prior.variables, 2)
    for table in glow.label_prior.variables:
      self.assertAllEqual(table, tf.zeros([5, 16]))

  @parameterized.parameters(
    tfp_cglow.FrameAffine(tfp_cglow.MovedFrame(1)),
    tfp_cglow.LevelMixture(4, 1, strip_pooling=True, motion_radius=1),
  )
  def test_wrap_makes_every_part_periodic(self, first):
    def differences(padding):
      glow = tfp_cglow.build_glow(
        [8, 8, 2],
        2,
        tfp_cglow.AffineSteps(2, 4),
        context=tfp_cglow.Context(3),
        first=first,
        networks=tfp_cglow.Networks(padding=padding),
        seed=0,
      )
      rng = np.random.default_rng(0)
      for v in glow.trainable_variables:
        v.assign_add(0.1 * rng.standard_normal(v.shape))
      y, context = (rng.uniform(-0.5, 0.5, [8, 8, c]) for c in (2, 3))

      def parts(shift):
        roll = lambda x: tf.constant(np.roll(x, shift, [0, 1]), tf.float32)
        kwargs = {'context': roll(context)}
        z = glow.inverse(roll(y), **kwargs)
        ildj = glow.inverse_log_det_jacobian(roll(y), 3, **kwargs)
        by_level = [np.sort(tf.reshape(p, [-1])) for p in glow.split_latent(z)]
        return np.concatenate([*by_level, [ildj]])

      return np.abs(parts([0, 0]) - parts([4, 4])).max()

    self.assertLess(differences('wrap'), 1e-3)
    self.assertGreater(differences('zeros'), 1e-2)

  def test_networks_are_checked(self):
    for networks, message in (
      ('wrap', "must be Networks, but got 'wrap'"),
      (tfp_cglow.Networks(padding='mirror'), "padding.*got 'mirror'"),
    ):
      with self.assertRaisesRegex(ValueError, message):
        tfp_cglow.build_glow([4, 4, 1], 1, networks=networks)

  def test_network_dtype_stays_inside_the_networks(self):
    build = lambda dtype: tfp_cglow.build_glow(
      [4, 4, 1],
      1,
      tfp_cglow.AffineSteps(1, 4),
      context=tfp_cglow.Context(2),
      first=tfp_cglow.FrameAffine(None),
      networks=tfp_cglow.Networks(dtype),
      seed=0,
    )
    half, exact = build(tf.bfloat16), build(None)
    rng = np.random.default_rng(0)
    for a, b in zip(half.trainable_variables, exact.trainable_variables):
      self.assertEqual(a.dtype, tf.float32)
      value = 0.2 * rng.standard_normal(a.shape)
      a.assign(value)
      b.assign(value)
    y, context = tf.random.normal([2, 4, 4, 1]), tf.random.normal([2, 4, 4, 2])
    x = half.inverse(y, context=context)
    self.assertEqual(x.dtype, tf.float32)
    expected = exact.inverse(y, context=context)
    self.assertAllClose(x, expected, rtol=0.1, atol=0.1)
    self.assertNotAllEqual(x, expected)
    self.assertAllClose(
      half.forward(tf.identity(x), context=context), y, 1e-5, 1e-5
    )

  @parameterized.parameters(
    ([16, 16, 1], 4),
    ([4, 4, 1], 2),
    ([12, 4, 1], 2),
    ([6, 4, 1], 1),
  )
  def test_all_halvings_end_where_a_side_is_odd(self, shape, expected):
    shapes = lambda halvings: [
      v.shape
      for v in tfp_cglow.build_glow(
        shape,
        1,
        None,
        first=tfp_cglow.LevelMixture(4, halvings, hidden_channels=2),
      ).trainable_variables
    ]
    self.assertEqual(shapes('all'), shapes(expected))
    self.assertNotEqual(shapes('all'), shapes(expected - 1))

  @parameterized.named_parameters(
    ('rank', {'output_shape': [4, 4]}, r'\[H, W, C\].*but got \[4, 4\]'),
    ('size', {'output_shape': [4, 6, 1]}, '4.*4x6.* at most 1 block'),
    (
      'odd_size',
      {'output_shape': [5, 6, 1]},
      '5x6. Pad or crop them to an even',
    ),
    ('batch', {'output_shape': [None, 4, 4, 1]}, 'without a batch.*None, 4'),
    ('no_blocks', {'num_glow_blocks': 0}, 'at least 1, but got 0'),
    ('no_channels', {'context': tfp_cglow.Context(0)}, 'at least 1.*got 0'),
    ('no_vector', {'vector_channels': 0}, 'at least 1.*got 0'),
    ('a_list', {'vector_channels': [5]}, 'at least 1, but got .5.'),
    ('no_labels', {'labels': tfp_cglow.LabelPriors(0)}, 'at least 1.*got 0'),
    (
      'no_embedding',
      {'labels': tfp_cglow.LabelEmbedding(2, channels=0)},
      'labels.channels.*at least 1.*got 0',
    ),
    ('context', {'context': 6}, 'must be Context or None, but got 6'),
    ('steps', {'steps': 4}, 'AdditiveSteps, AffineSteps or None, but got 4'),
    (
      'no_hidden_channels',
      {'steps': tfp_cglow.AffineSteps(1, hidden_channels=0)},
      'steps.hidden_channels` must be at least 1, but got 0',
    ),
    (
      'no_channels_of_the_pyramid',
      {'context': tfp_cglow.Context(1), 'pyramid': tfp_cglow.Pyramid(0)},
      'pyramid.channels` must be at least 1, but got 0',
    ),
    (
      'no_hidden_channels_of_the_mixture',
      {'first': tfp_cglow.LevelMixture(8, hidden_channels=0)},
      'first.hidden_channels` must be at least 1, but got 0',
    ),
    (
      'no_steps',
      {'steps': tfp_cglow.AffineSteps(0)},
      'at least 1, but got 0. `steps=None`',
    ),
    (
      'scale',
      {'steps': tfp_cglow.AffineSteps(1, scale='exp')},
      "tanh.*got 'exp'",
    ),
    (
      'gradients',
      {'steps': tfp_cglow.AffineSteps(1, gradients='none')},
      "reversible.*got 'none'",
    ),
    (
      'injection',
      {'steps': tfp_cglow.AffineSteps(1, context_injection='first')},
      "input.*got 'first'",
    ),
    (
      'callable_in_a_scan',
      {'steps': tfp_cglow.AffineSteps(1, network=lambda num_in, num_out: None)},
      "gradients='unrolled'.*with 'reversible'",
    ),
    (
      'network_of_hidden_channels',
      {'steps': tfp_cglow.AffineSteps(1, 8, network=(None, None))},
      'steps.hidden_channels.*got .None, None. and 8',
    ),
    (
      'network_of_an_injection',
      {
        'steps': tfp_cglow.AdditiveSteps(
          1, context_injection='last', network=(None, None)
        )
      },
      "steps.context_injection.*got .None, None. and 'last'",
    ),
    ('labels', {'labels': 'prior'}, "LabelPriors.*but got 'prior'"),
    (
      'labels_without_a_number',
      {'labels': tfp_cglow.LabelPriors()},
      'number of labels.*num_labels=None',
    ),
    ('first', {'first': 'residual'}, "FrameAffine.*but got 'residual'"),
    (
      'mean',
      {
        'context': tfp_cglow.Context(2),
        'first': tfp_cglow.FrameAffine(tfp_cglow.LevelMixture),
      },
      'PreviousFrame.*but got .*LevelMixture',
    ),
    (
      'affine_needs_the_frame',
      {'vector_channels': 2, 'first': tfp_cglow.FrameAffine()},
      'first 1 channels.*has 0',
    ),
    (
      'levels',
      {'first': tfp_cglow.LevelMixture()},
      'needs `levels`.*levels=None',
    ),
    (
      'halvings',
      {'first': tfp_cglow.LevelMixture(4, 'quarters')},
      "integer of at least 0, or 'all', but got 'quarters'",
    ),
    (
      'mixture_needs_the_frame',
      {'context': tfp_cglow.Context(1, 2), 'first': tfp_cglow.LevelMixture(4)},
      'first 2 channels.*has 1',
    ),
    (
      'motion_needs_the_frame',
      {'first': tfp_cglow.LevelMixture(4, motion_radius=1)},
      'got 1 and 0 frame',
    ),
    (
      'affine_needs_a_context',
      {'first': tfp_cglow.FrameAffine(None)},
      'needs a context, but got none',
    ),
    (
      'pyramid_needs_a_context',
      {'labels': tfp_cglow.LabelPriors(2), 'pyramid': tfp_cglow.Pyramid(3)},
      'pyramid.*needs a context, but got none',
    ),
    ('pyramid', {'pyramid': 16}, 'must be a Pyramid or a callable, but got 16'),
  )
  def test_bad_arguments(self, arguments, message):
    good = {
      'output_shape': [4, 4, 1],
      'num_glow_blocks': 2,
      'steps': tfp_cglow.AdditiveSteps(1, 4),
    }
    with self.assertRaisesRegex(ValueError, message):
      tfp_cglow.build_glow(**{**good, **arguments})

  def test_pyramid_of_wrong_sizes(self):
    with self.assertRaisesRegex(ValueError, r'\[\[2, 2\]\], but gave \[\[4, 4'):
      tfp_cglow.build_glow(
        [4, 4, 1],
        1,
        tfp_cglow.AdditiveSteps(1, 4),
        context=tfp_cglow.Context(2),
        pyramid=lambda c: [c],
      )


class Keras3Test(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters('keras', 'tf.keras', 'tf_keras')
  def test_networks_of_keras_3_are_refused(self, name):
    modules = {'keras': keras, 'tf.keras': tf.keras, 'tf_keras': tf_keras}
    layers = modules[name].layers

    class Net(tf.Module):
      def __init__(self, in_channels, out_channels):
        super().__init__()
        self.convs = [layers.Conv2D(out_channels, 3, padding='same')]
        self(tf.zeros([1, 2, 2, in_channels]))

      def __call__(self, kept):
        return self.convs[0](kept)

    build = lambda network: tfp_cglow.build_glow(
      [4, 4, 1],
      1,
      tfp_cglow.AdditiveSteps(1, gradients='unrolled', network=network),
    )
    if name == 'tf_keras':
      num_others = len(build(lambda i, o: tf.zeros_like).trainable_variables)
      self.assertLen(build(Net).trainable_variables, num_others + 2)
      return
    for network in (Net, lambda i, o: Net(i, o).__call__):
      with self.assertRaisesRegex(ValueError, '`network`.*Conv2D of Keras 3'):
        build(network)


if __name__ == '__main__':
  tf.test.main()
