"""Tests of `context_mixture`."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow
from tfp_cglow.bijectors.levels import distributions
from tfp_cglow.bijectors.levels import pixel_groups

tfd = tfp.distributions

_kinds = parameterized.parameters(
  (1, True), (4, True), (1, False), (4, False), (7, False)
)


def _mixture(
  num_groups,
  has_context=True,
  channels=1,
  num_levels=4,
  context_frames=1,
  seed=0,
  size=4,
  **options,
):
  """A mixture with random weights, so that all allowed dependences exist."""
  context = tfp_cglow.Context(2 * channels, context_frames)
  mixture = tfp_cglow.build_context_mixture(
    [size, size, channels],
    context if has_context else None,
    tfp_cglow.LevelMixture(
      num_levels,
      num_groups // 3,
      **{
        'hidden_channels': 4,
        'strip_pooling': num_groups > 1,
        'motion_radius': int(has_context),
        **options,
      },
    ),
    dtype=tf.float64,
  )
  rng = np.random.default_rng(seed)
  for variable in mixture.trainable_variables:
    variable.assign(0.3 * rng.standard_normal(variable.shape))
  return mixture


def _uniform(*shape, seed=0):
  rng = np.random.default_rng(seed)
  return tf.constant(rng.uniform(-0.5, 0.5, shape))


def _order(num_groups):
  """The index of the group that each of 4x4 pixels belongs to: `[4, 4, 1]`."""
  spacing = 2 ** (num_groups // 3)
  places = [(0, 0, spacing)]
  while spacing > 1:
    half = spacing // 2
    places += [(half, half, spacing), (0, half, spacing), (half, 0, spacing)]
    spacing = half
  order = np.zeros([4, 4, 1])
  for g, (i, j, step) in enumerate(places):
    order[i::step, j::step] = g
  return order


class ContextMixtureTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_strips_reach_across_the_frame(self, strip_pooling):
    mixture = _mixture(1, strip_pooling=strip_pooling)
    context = _uniform(16, 16, 2, seed=1).numpy()
    changed = context.copy()
    changed[5, 0] *= -1.0
    y = _uniform(16, 16, 1)
    before, after = (mixture.inverse(y, context=c) for c in (context, changed))
    has_moved = np.abs(after - before)[..., 0] > 0
    self.assertTrue(has_moved[5, 0])
    # The last pixel of its row, and the last one of its column.
    self.assertEqual(has_moved[5, 15], strip_pooling)
    self.assertEqual(has_moved[15, 0], strip_pooling)

  @_kinds
  def test_probabilities_of_all_images_sum_to_one(
    self, num_groups, has_context
  ):
    if num_groups > 4:
      self.skipTest('Too many images of 4x4.')
    mixture = _mixture(num_groups, has_context)
    levels = (np.arange(4) + 0.5) / 4 - 0.5
    images = np.array(list(itertools.product(levels, repeat=4)))
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, images.shape) / 4
    flow = tfd.TransformedDistribution(
      tfd.Sample(tfd.Normal(tf.zeros([], tf.float64), 1.0), [2, 2, 1]), mixture
    )
    conditions = {'context': _uniform(2, 2, 2)} if has_context else {}
    log_prob = lambda y: flow.log_prob(
      tf.reshape(y, [-1, 2, 2, 1]), bijector_kwargs=conditions
    )
    bits = tfp_cglow.bits_per_dim(log_prob(images), [2, 2, 1], 2)
    # The rest of the mass lies beyond the grid, on both sides of four pixels.
    self.assertAllClose(tf.reduce_sum(2.0 ** (-4 * bits)), 1.0, atol=1e-4)
    # The density is constant within a level, so the noise costs no bits.
    self.assertAllClose(log_prob(images), log_prob(images + noise))
    chances = 2.0 ** (-4 * bits)
    self.assertGreater(tf.reduce_max(chances), 2 * tf.reduce_min(chances))

  def test_context_with_more_leading_dimensions_than_the_vector(self):
    mixture = tfp_cglow.build_context_mixture(
      [4, 4, 1],
      tfp_cglow.Context(1, 1),
      tfp_cglow.LevelMixture(4, 1),
      vector_channels=2,
    )
    for i, v in enumerate(mixture.trainable_variables):
      v.assign(0.3 * tf.random.stateless_normal(v.shape, [0, i]))
    y, context, vector = (
      tf.cast(_uniform(*shape), tf.float32)
      for shape in ([3, 4, 4, 1], [2, 3, 4, 4, 1], [3, 2])
    )
    x = mixture.inverse(y, context=context, vector=vector)
    rows = [mixture.inverse(y, context=c, vector=vector) for c in context]
    # Far out, the normal quantile magnifies rounding.
    self.assertAllClose(x, rows, 1e-4, 1e-4)

  @parameterized.parameters(tf.float32, tf.float64)
  def test_any_number_of_leading_dimensions(self, dtype):
    mixture = tfp_cglow.build_context_mixture(
      [4, 4, 3],
      tfp_cglow.Context(3, 1),
      tfp_cglow.LevelMixture(4, 1, motion_radius=1),
      dtype=dtype,
    )
    y = tf.cast(_uniform(6, 4, 4, 3), dtype)
    context = tf.cast(_uniform(6, 4, 4, 3, seed=1), dtype)
    x = mixture.inverse(y, context=context)
    nested = [tf.reshape(t, [2, 1, 3, 4, 4, 3]) for t in (x, y, context)]
    of_nested = mixture.inverse(nested[1], context=nested[2])
    self.assertAllClose(of_nested, nested[0], 1e-4, 1e-4)
    again = mixture.forward(tf.identity(of_nested), context=nested[2])
    self.assertAllClose(again, nested[1], 1e-5, 1e-5)

  def test_context_of_coarse_groups(self):
    # The whole context reaches the first pixel, but not in more channels than
    # the second halving has.
    mixture = _mixture(13, context_frames=0, motion_radius=0, size=16)
    sizes = [
      v.shape[-2] for v in mixture.trainable_variables if v.shape[:2] == [3, 3]
    ]
    self.assertLessEqual(max(sizes), 16 * 2 + 2 + 3 * 2)
    y, context = _uniform(16, 16, 1), _uniform(16, 16, 2, seed=1)
    before = mixture.inverse(y, context=context)
    for i, j in ((0, 0), (7, 9), (15, 15)):
      changed = context.numpy()
      changed[i, j] *= -1.0
      self.assertNotEqual(
        mixture.inverse(y, context=changed)[0, 0, 0], before[0, 0, 0]
      )
    x = tf.identity(before)
    self.assertAllClose(mixture.forward(x, context=context), y)

  def test_vector_is_a_context_that_is_equal_everywhere(self):
    """The same function as with copies of it at every place."""
    build = lambda channels, vector: tfp_cglow.build_context_mixture(
      [8, 8, 1],
      tfp_cglow.Context(channels, 1),
      tfp_cglow.LevelMixture(4, 2, hidden_channels=4),
      vector_channels=vector,
      networks=tfp_cglow.Networks(padding='wrap'),
      dtype=tf.float64,
    )
    few, many = build(2, 1), build(3, None)
    rng = np.random.default_rng(0)
    for a, b in zip(few.trainable_variables, many.trainable_variables):
      value = rng.standard_normal(b.shape)
      b.assign(0.3 * value)
      surplus = b.shape[-2] - a.shape[-2] if b.shape.rank == 4 else 0
      if surplus:  # A first layer: each of the copies has its own weights.
        copies = {3: 4, 15: 16}[surplus]
        own = np.arange(3 * copies).reshape([copies, 3])
        known = np.arange(3 * copies, b.shape[-2])
        constant = value[..., own[:, 2], :].sum(-2, keepdims=True)
        parts = [own[:, :2].ravel(), known]
        varying, rest = (value[..., part, :] for part in parts)
        value = np.concatenate([varying, constant, rest], axis=-2)
      a.assign(0.3 * value)
    y, context = _uniform(8, 8, 1), _uniform(8, 8, 2, seed=1)
    vector = tf.constant([0.3], y.dtype)
    whole = tf.concat([context, tf.fill([8, 8, 1], vector[0])], axis=-1)
    self.assertAllClose(
      few.inverse(y, context=context, vector=vector),
      many.inverse(y, context=whole),
    )
    rows = few.inverse(y, context=context, vector=[[0.3], [0.7]])
    self.assertAllClose(rows[0], many.inverse(y, context=whole))
    self.assertNotAllClose(rows[0], rows[1])

  @_kinds
  def test_what_depends_on_what(self, num_groups, has_context):
    """Later groups and channels depend on earlier ones, and on levels only."""
    mixture, y = _mixture(num_groups, has_context, 2), _uniform(4, 4, 2)
    kwargs = {'context': _uniform(4, 4, 4, seed=1)} if has_context else {}
    before = mixture.inverse(y, **kwargs)
    order = _order(num_groups) + np.zeros([4, 4, 2])
    for i, j, c in [(0, 0, 0), (1, 2, 1), (3, 3, 0), (2, 2, 1), (0, 2, 0)]:
      level = np.floor((y.numpy()[i, j, c] + 0.5) * 4)
      other = ((level + 2) % 4 + 0.5) / 4 - 0.5
      changed = y.numpy()
      changed[i, j, c] = other
      after = mixture.inverse(tf.constant(changed), **kwargs)
      moved = np.abs(after - before) > 0
      allowed = order > order[i, j, c]
      allowed[i, j, c:] = True
      self.assertFalse(np.any(moved & ~allowed))
      self.assertTrue(moved[i, j, c])
      if c == 0:
        self.assertTrue(moved[i, j, 1])
      if order[i, j, c] < num_groups - 1:
        self.assertTrue(np.any(moved & (order > order[i, j, c])))
      # A change within a level changes no other element.
      changed[i, j, c] = ((level + 0.5) / 4 - 0.5) * 0.9 + 0.1 * y[i, j, c]
      after = mixture.inverse(tf.constant(changed), **kwargs)
      moved = np.abs(after - before) > 1e-12
      moved[i, j, c] = False
      self.assertFalse(np.any(moved))

  def test_starts_centred_on_the_previous_frame(self):
    mixture = tfp_cglow.build_context_mixture(
      [8, 8, 1],
      tfp_cglow.Context(1),
      tfp_cglow.LevelMixture(32, 1, hidden_channels=4),
    )
    context = tfp_cglow.quantise(tf.random.uniform([8, 8, 1], 0.2, 0.8), 5)
    x = mixture.inverse(context, context=context)
    self.assertAllClose(x, tf.zeros_like(x), atol=0.1)
    y = mixture.forward(tf.random.normal([8, 8, 1]), context=context)
    near = tf.abs(y - context) < 1.5 / 32
    self.assertGreater(tf.reduce_mean(tf.cast(near, tf.float32)), 0.6)

  @parameterized.product(
    context=[None, tfp_cglow.Context(1)], padding=['zeros', 'wrap']
  )
  def test_centred_between_the_nearest_pixels(self, context, padding):
    mixture = tfp_cglow.build_context_mixture(
      [8, 8, 1],
      context,
      tfp_cglow.LevelMixture(
        32, 1, hidden_channels=4, motion_radius=int(context is not None)
      ),
      networks=tfp_cglow.Networks(padding=padding),
    )
    finer = mixture.parameters['mixture_networks'][1:]
    for network in finer:  # The nearest pixels are the last four places.
      bias = network.params['places']['bias']
      bias.assign(50.0 * tf.one_hot(bias.shape[0] - 1, bias.shape[0]))
    levels = np.random.default_rng(0).integers(4, 28, size=[4, 4, 1])
    groups = [tf.constant(levels, tf.float32)]
    for _ in finer:
      groups.append(pixel_groups.nearest_known(groups, padding)[..., -1, :])
    frame = (pixel_groups.join(groups) + 0.5) / 32 - 0.5
    conditions = {} if context is None else {'context': 0.0 * frame}
    for latents in pixel_groups.split(mixture.inverse(frame, **conditions))[1:]:
      self.assertAllClose(latents, tf.zeros_like(latents), atol=0.1)

  @parameterized.parameters(1, 4)
  def test_centred_where_the_network_says_that_pixels_were(self, num_groups):
    mixture = tfp_cglow.build_context_mixture(
      [8, 8, 1],
      tfp_cglow.Context(1),
      tfp_cglow.LevelMixture(
        32, num_groups // 3, hidden_channels=4, motion_radius=1
      ),
    )
    context = tfp_cglow.quantise(tf.random.uniform([8, 8, 1], 0.2, 0.8), 5)
    moved = tf.roll(context, 1, axis=1)
    for network in mixture.parameters['mixture_networks']:
      bias = network.params['places']['bias']
      bias.assign(50.0 * tf.one_hot(3, bias.shape[0]))
    x = mixture.inverse(moved, context=context)[:, 1:]
    self.assertAllClose(x, tf.zeros_like(x), atol=0.1)
    still = mixture.inverse(context, context=context)[:, 1:]
    self.assertGreater(tf.reduce_mean(tf.abs(still)), 0.5)

  def test_wrong_arguments(self):
    def check(channels, context, message, *fields, **options):
      with self.assertRaisesRegex(ValueError, message):
        tfp_cglow.build_context_mixture(
          [4, 4, channels], context, tfp_cglow.LevelMixture(*fields, **options)
        )

    context = tfp_cglow.Context
    check(1, context(1), 'needs `levels`')
    check(1, context(1), 'at least 2, but got 1', 1)
    check(1, context(1), "integer.*'all', but got -1", 4, -1)
    check(3, context(5, 2), '2 frame.*6 channels.*has 5', 32)
    check(1, context(1, 1), 'got -1 and 1 fr', 4, motion_radius=-1)
    check(1, context(1, 0), 'got 1 and 0 fr', 4, motion_radius=1)
    with self.assertRaisesRegex(ValueError, 'must be 1, or 4.*but got 3'):
      tfp_cglow.ContextMixture([None] * 3, 1, 4)
    mixture = _mixture(4)
    with self.assertRaisesRegex(ValueError, 'divisible by 2.*3x4'):
      mixture.inverse(_uniform(3, 4, 1), context=_uniform(3, 4, 2))
    with self.assertRaisesRegex(ValueError, 'divisible by 4 for its 2.*4x6'):
      _mixture(7, has_context=False).inverse(_uniform(4, 6, 1))
    with self.assertRaisesRegex(ValueError, 'unknown condition `context`'):
      _mixture(4, has_context=False).inverse(
        _uniform(4, 4, 1), context=_uniform(4, 4, 2)
      )


class NetworkTest(tf.test.TestCase):
  def test_each_network_runs_once(self):
    mixture = tfp_cglow.build_context_mixture(
      [4, 4, 2],
      tfp_cglow.Context(2),
      tfp_cglow.LevelMixture(4, 1, hidden_channels=4),
    )
    networks, calls = mixture.parameters['mixture_networks'], []
    for i, network in enumerate(networks):
      features, head = network.features, network.head
      network.features = lambda *a, i=i, f=features: (
        calls.append((i, 'features')) or f(*a)
      )
      network.head = lambda c, i=i, f=head, **k: (
        calls.append((i, c)) or f(c, **k)
      )
    once = [(i, part) for i in range(4) for part in ('features', 0, 1)]
    flow = tfd.TransformedDistribution(
      tfd.Sample(tfd.Normal(0.0, 1.0), [4, 4, 2]), mixture
    )
    kwargs = {'context': tf.zeros([4, 4, 2])}
    y = flow.sample(bijector_kwargs=kwargs)
    self.assertEqual(calls, once)
    calls.clear()
    flow.log_prob(tf.identity(y), bijector_kwargs=kwargs)
    self.assertEqual(calls, once)


class MeanLevelsTest(parameterized.TestCase, tf.test.TestCase):
  @parameterized.parameters(True, False)
  def test_is_the_sum_over_all_frames(self, has_context):
    num_levels, size = 3, 2
    mixture = _mixture(1, has_context, num_levels=num_levels, size=size)
    conditions = {}
    if has_context:
      conditions['context'] = _uniform(2, size, size, 2)
    levels = np.array(
      list(itertools.product(range(num_levels), repeat=size**2))
    ).reshape([-1, 1, size, size, 1])
    frames = tf.constant((levels + 0.5) / num_levels - 0.5)
    x, log_det = (
      mixture.inverse(frames, **conditions),
      mixture.inverse_log_det_jacobian(frames, 3, **conditions),
    )
    log_prob = log_det + tf.reduce_sum(
      tfd.Normal(tf.zeros([], tf.float64), 1.0).log_prob(x), [-3, -2, -1]
    )
    masses = np.exp(log_prob) / num_levels ** (size**2)  # [frames, rows]
    # The mass beyond the grid, 1e-5 on each side, is of the outer levels.
    beyond = distributions.LEAST_MASS
    inside = 1.0 - 2.0 * beyond
    self.assertAllClose(masses.sum(0), masses[0] * 0 + inside ** (size**2))
    expected = (masses[..., None, None, None] * levels).sum(0)
    expected = expected / inside ** (size**2 - 1) + beyond * (num_levels - 1)
    like = tf.zeros([size, size, 1], tf.float64)
    means = mixture.mean_levels(like, **conditions)
    self.assertAllClose(
      np.broadcast_to(means, expected.shape), expected, rtol=1e-9, atol=1e-12
    )
    self.assertGreater(np.std(means), 1e-3)

  def test_levels_that_depend_on_others_are_refused(self):
    for num_groups, channels in ((4, 1), (1, 3)):
      mixture = _mixture(num_groups, channels=channels)
      self.assertEqual(mixture.gives_mean_levels, num_groups == 1)
      with self.assertRaisesRegex(ValueError, 'gives the means of levels'):
        mixture.mean_levels(
          tf.zeros([4, 4, channels], tf.float64),
          context=_uniform(4, 4, 2 * channels),
        )


if __name__ == '__main__':
  tf.test.main()
