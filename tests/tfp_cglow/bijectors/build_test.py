"""Tests of `build`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow


class BuildGlowTest(tf.test.TestCase, parameterized.TestCase):
  def test_equal_seeds_give_equal_values_and_own_variables(self):
    build = lambda seed: tfp_cglow.build_glow(
      [4, 4, 1], 1, 2, 4, context_channels=2, seed=seed
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
    glow = tfp_cglow.build_glow([4, 4, 1], 1, 3, 4, seed=1)
    stacks = glow.blocks[0][1].stacks
    for stack in (stacks['conv']['lower'], stacks['coupling']['kernel_1']):
      self.assertEqual(stack.shape[0], 3)
      self.assertNotAllEqual(stack[0], stack[1])

  def test_number_of_variables_does_not_grow_with_depth(self):
    count = lambda steps: len(
      tfp_cglow.build_glow([4, 4, 1], 2, steps, 4).trainable_variables
    )
    self.assertEqual(count(1), count(5))

  def test_no_steps_leave_the_first_bijector_and_the_prior(self):
    glow = tfp_cglow.build_glow(
      [4, 4, 1],
      2,
      0,
      context_channels=1,
      context_affine='residual',
      num_labels=2,
    )
    kwargs = {'context': tf.ones([4, 4, 1]), 'label': 1}
    y = glow.forward(tf.range(16.0), **kwargs)
    self.assertAllEqual(np.sort(tf.reshape(y - 1.0, [-1])), np.arange(16.0))
    self.assertAllClose(glow.inverse(tf.identity(y), **kwargs), range(16))
    # And no variable that nothing depends on.
    with tf.GradientTape() as tape:
      x = glow.inverse(tf.identity(y), **kwargs)
    self.assertNotIn(None, tape.gradient(x, glow.trainable_variables))

  def test_unroll_has_the_same_parameters(self):
    size = lambda glow: sum(int(np.prod(v.shape)) for v in glow.variables)
    build = lambda **kwargs: tfp_cglow.build_glow(
      [4, 4, 2], 2, 3, 4, 'affine', context_channels=3, **kwargs
    )
    self.assertEqual(size(build()), size(build(unroll=True)))

  def test_context_enters_where_it_is_told(self):
    kernels = lambda injection: (
      tfp_cglow.build_glow(
        [4, 4, 1], 1, 1, 4, context_channels=3, context_injection=injection
      )
      .blocks[0][1]
      .stacks['coupling']
    )
    self.assertEqual(kernels('input')['kernel_1'].shape, [1, 3, 3, 5, 4])
    self.assertEqual(kernels('input')['kernel_3'].shape, [1, 3, 3, 4, 2])
    self.assertEqual(kernels('last')['kernel_1'].shape, [1, 3, 3, 2, 4])
    self.assertEqual(kernels('last')['kernel_3'].shape, [1, 3, 3, 7, 2])

  @parameterized.parameters((None, 0.01), (1.0, 1.0))
  def test_label_maps_start(self, std, expected):
    glow = tfp_cglow.build_glow(
      [8, 8, 3],
      1,
      1,
      4,
      num_labels=20,
      label_conditioning='image',
      label_init_std=std,
      seed=0,
    )
    self.assertEqual(glow.label_maps.shape, [20, 8, 8, 3])
    self.assertIsNone(glow.label_prior)
    std = np.std(glow.label_maps.numpy())
    self.assertAllClose(std, expected, rtol=0.05)

  def test_label_prior_starts_as_the_standard_normal(self):
    glow = tfp_cglow.build_glow([4, 4, 1], 1, 1, 4, num_labels=5)
    self.assertLen(glow.label_prior.variables, 2)
    for table in glow.label_prior.variables:
      self.assertAllEqual(table, tf.zeros([5, 16]))

  def test_network_dtype_stays_inside_the_networks(self):
    build = lambda dtype: tfp_cglow.build_glow(
      [4, 4, 1],
      1,
      1,
      4,
      'affine',
      context_channels=2,
      context_affine='learned',
      network_dtype=dtype,
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
    ([16, 16, 1], 'sixty_fourths'),
    ([4, 4, 1], 'sixteenths'),
    ([12, 4, 1], 'sixteenths'),
    ([6, 4, 1], 'quarters'),
  )
  def test_the_finest_mixture_halves_as_long_as_both_sides_are_even(
    self, shape, other
  ):
    # 16 halves once more than the most that has a name.
    shapes = lambda kind: [
      v.shape
      for v in tfp_cglow.build_glow(
        shape, 1, 0, context_mixture=kind, mixture_hidden_channels=2
      ).trainable_variables
    ]
    expected = shapes(other)
    if shape[0] == 16:
      quarter = shapes('quarters')
      expected += quarter[len(shapes('pixels')) :]
    self.assertCountEqual(shapes('finest'), expected)

  @parameterized.named_parameters(
    ('rank', {'output_shape': [4, 4]}, r'\[H, W, C\].*but got \[4, 4\]'),
    ('size', {'output_shape': [4, 6, 1]}, '4.*4x6. At most 1 fit'),
    ('odd_size', {'output_shape': [5, 6, 1]}, '5x6. Pad or crop'),
    ('batch', {'output_shape': [None, 4, 4, 1]}, 'without a batch.*None, 4'),
    ('no_blocks', {'num_glow_blocks': 0}, 'at least 1, but got 0'),
    ('no_channels', {'context_channels': 0}, 'at least 1, or None.*got 0'),
    (
      'callable_in_a_scan',
      {'coupling_network': lambda num_in, num_out: None},
      'unroll=True',
    ),
    ('coupling', {'coupling': 'afine'}, "additive.*got 'afine'"),
    ('gradients', {'gradients': 'none'}, "reversible.*got 'none'"),
    ('injection', {'context_injection': 'first'}, "input.*got 'first'"),
    (
      'label_conditioning',
      {'num_labels': 2, 'label_conditioning': 'images'},
      "prior.*got 'images'",
    ),
    (
      'context_affine',
      {'context_channels': 2, 'context_affine': 'wrong'},
      "residual.*got 'wrong'",
    ),
    (
      'residual_needs_the_frame',
      {'vector_channels': 2, 'context_affine': 'residual'},
      'first 1 channels.*None',
    ),
    (
      'recall_is_not_of_labels',
      {
        'context_channels': 1,
        'context_affine': 'recall',
        'num_labels': 2,
        'label_conditioning': 'embedding',
      },
      'channels 1 to 1.*has 1',
    ),
    (
      'context_mixture',
      {'context_channels': 1, 'context_mixture': 'all'},
      "quarters.*got 'all'",
    ),
    (
      'mixture_or_affine',
      {
        'context_channels': 1,
        'context_mixture': 'pixels',
        'context_affine': 'residual',
      },
      "one of them, but got 'pixels' and 'residual'",
    ),
    (
      'mixture_needs_the_frame',
      {
        'vector_channels': 2,
        'context_mixture': 'pixels',
        'context_frames': 1,
      },
      'first 1 channels.*is None',
    ),
    (
      'mixture_needs_all_frames',
      {
        'context_channels': 1,
        'context_mixture': 'pixels',
        'context_frames': 2,
      },
      'first 2 channels.*is 1',
    ),
    (
      'motion_needs_the_frame',
      {'context_mixture': 'pixels', 'mixture_motion_radius': 1},
      'got 1 and 0 frame',
    ),
    ('affine_needs_context', {'context_affine': 'learned'}, 'need a context'),
  )
  def test_bad_arguments(self, arguments, message):
    good = {'output_shape': [4, 4, 1], 'num_glow_blocks': 2}
    with self.assertRaisesRegex(ValueError, message):
      tfp_cglow.build_glow(
        **{**good, 'num_steps_per_block': 1, 'hidden_channels': 4, **arguments}
      )

  def test_context_network_of_wrong_sizes(self):
    with self.assertRaisesRegex(ValueError, r'\[\[2, 2\]\], but gave \[\[4, 4'):
      tfp_cglow.build_glow(
        [4, 4, 1], 1, 1, 4, context_channels=2, context_network=lambda c: [c]
      )


if __name__ == '__main__':
  tf.test.main()
