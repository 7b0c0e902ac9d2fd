"""Tests of `autoregressive_levels` and `pixel_transformer`."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.networks import pixel_transformer

_LEVELS = 4


def _build(context=None, size=(2, 3), channels=2, **kwargs):
  """A bijector with random weights, so that all allowed dependences exist."""
  bijector = tfp_cglow.build_autoregressive_levels(
    [*size, channels],
    _LEVELS,
    tfp_cglow.AutoregressiveBase(16, 2),
    context=context,
    seed=0,
    dtype=tf.float64,
    **kwargs,
  )
  rng = np.random.default_rng(1)
  for variable in bijector.trainable_variables:
    variable.assign_add(0.5 * rng.standard_normal(variable.shape))
  return bijector


def _uniform(*shape, seed=0):
  rng = np.random.default_rng(seed)
  return tf.constant(rng.uniform(-0.5, 0.5, shape))


_contexts = parameterized.parameters(
  None, tfp_cglow.Context(3, 0), tfp_cglow.Context(3, 1)
)


class AutoregressiveLevelsTest(tf.test.TestCase, parameterized.TestCase):
  @_contexts
  def test_the_loop_undoes_the_pass(self, context):
    bijector = _build(context)
    kwargs = {} if context is None else {'context': _uniform(5, 2, 3, 3)}
    y = _uniform(5, 2, 3, 2, seed=2)
    x = bijector.inverse(y, **kwargs)
    self.assertAllClose(bijector.forward(tf.identity(x), **kwargs), y)

  @parameterized.parameters((None, 7), (1e-4, 6), (1e-3, 4), (0.5, 4))
  def test_very_improbable_levels_are_dropped(self, min_p, last):
    bijector = tfp_cglow.build_autoregressive_levels([4, 4, 1], 8)
    shares = [0.4, 0.4, 0.1968, 2e-3, 5e-4, 3e-4, 8e-5, 2e-5]
    logits = tf.constant(np.log(shares), tf.float32)
    bijector._network.logits = lambda *_: logits[tf.newaxis]
    highest = tf.fill([1, 4, 4, 1], 4.2)  # The quantile 1 - 1.3e-5.
    least = None if min_p is None else tf.constant([min_p])
    _, drawn, _ = bijector.walk('from_normal', highest, min_p=least)
    self.assertAllEqual(drawn, tf.fill([1, 4, 4, 1], float(last)))

  @_contexts
  def test_both_directions_without_improbable_levels(self, context):
    bijector = _build(context)
    known = None if context is None else _uniform(5, 2, 3, 3)
    min_p = tf.constant([0.0, 1e-3, 4e-3, 0.3, 0.9], tf.float64)
    x = 2.0 * _uniform(5, 2, 3, 2, seed=2)
    y, levels, ildj = bijector.walk('from_normal', x, known, min_p)
    z, levels_too, again = bijector.walk('to_normal', y, known, min_p)
    self.assertAllClose(z, x)
    self.assertAllEqual(levels, levels_too)
    self.assertAllClose(ildj, again)

  @_contexts
  def test_what_depends_on_what(self, context):
    """Later pixels and channels depend on earlier levels, not on the noise."""
    bijector = _build(context)
    kwargs = {} if context is None else {'context': _uniform(2, 3, 3)}
    y = _uniform(2, 3, 2).numpy()
    before = np.reshape(bijector.inverse(tf.constant(y), **kwargs), [-1])
    for element in range(12):
      changed = y.reshape([-1]).copy()
      level = np.floor((changed[element] + 0.5) * _LEVELS)
      for value, others_move in (
        ((level + 0.3) / _LEVELS - 0.5, False),
        (((level + 1) % _LEVELS + 0.3) / _LEVELS - 0.5, True),
      ):
        changed[element] = value
        after = bijector.inverse(
          tf.constant(changed.reshape(y.shape)), **kwargs
        )
        moved = np.abs(np.reshape(after, [-1]) - before) > 1e-9
        self.assertFalse(np.any(moved[:element]))
        later = moved[element + 1 :]
        self.assertTrue(np.all(later) if others_move else not np.any(later))

  def test_a_context_with_frames_is_seen_by_every_pixel(self):
    y = _uniform(2, 3, 2)
    for frames in (0, 1):
      bijector = _build(tfp_cglow.Context(3, frames))
      context = _uniform(2, 3, 3, seed=3).numpy()
      before = bijector.inverse(y, context=tf.constant(context))
      context[1, 2] *= -1.0
      after = bijector.inverse(y, context=tf.constant(context))
      moved = np.abs(after - before).max(-1) > 1e-9
      expected = np.ones([2, 3], bool)
      if not frames:
        expected = np.zeros([2, 3], bool)
        expected[1, 2] = True
      self.assertAllEqual(moved, expected)

  def test_starts_with_equal_probabilities(self):
    bijector = tfp_cglow.build_autoregressive_levels([4, 4, 3], 32, seed=0)
    y = tf.random.stateless_uniform([2, 4, 4, 3], [0, 0], -0.5, 0.5)
    x = bijector.inverse(y)
    self.assertAllClose(tf.math.erf(x / 2**0.5) / 2, y, atol=1e-3)

  @parameterized.parameters('zeros', 'wrap')
  def test_neighbours_are_known_pixels(self, padding):
    bijector = _build(networks=tfp_cglow.Networks(padding=padding))
    network = bijector.parameters['network']
    levels = tf.reshape(tf.range(6.0, dtype=tf.float64), [1, 6, 1])
    around = padding == 'wrap'
    expected = [  # The pixel before, and the three above.
      [-1, -1, -1, -1],
      [0, -1, -1, -1],
      [1, -1, -1, -1],
      [2, 2 if around else -1, 0, 1],
      [3, 0, 1, 2],
      [4, 1, 2, 0 if around else -1],
    ]
    neighbours = network.neighbours(levels)
    self.assertAllEqual(neighbours[0, ..., 0], expected)
    for index in range(6):
      one = network.neighbours(levels, tf.constant(index))
      self.assertAllEqual(one, neighbours[:, index])

  def test_the_loop_undoes_the_pass_around_the_edge(self):
    bijector = _build(networks=tfp_cglow.Networks(padding='wrap'))
    y = _uniform(5, 2, 3, 2, seed=2)
    x = bijector.inverse(y)
    self.assertAllClose(bijector.forward(tf.identity(x)), y)

  def test_gates_copy_levels_of_neighbours(self):
    network = pixel_transformer.build_pixel_transformer(
      (2, 2), 2, _LEVELS, hidden_channels=16, num_blocks=1, seed=0
    )
    gates = network.params['heads'][1][1]['bias']
    gates.assign([0.0] * _LEVELS + [0.0, 0.0, 3.0, 0.5])
    neighbours = tf.constant(
      [[[0.0, 1.0], [2.0, -1.0], [3.0, 2.0], [1.0, 2.0]]]
    )
    logits = network.logits(
      1, tf.zeros([1, 16]), neighbours, [tf.constant([0.0])]
    )
    self.assertAllClose(logits, [[0.0, 0.0, 3.5, 0.0]])

  def test_one_graph_whatever_the_size(self):
    def num_nodes(size):
      bijector = _build(size=size)
      function = tf.function(bijector.forward).get_concrete_function(
        tf.TensorSpec([1, *size, 2], tf.float64)
      )
      return len(function.graph.as_graph_def().node)

    self.assertEqual(num_nodes((2, 2)), num_nodes((8, 8)))

  def test_rows_are_independent(self):
    bijector = _build()
    x = tf.random.stateless_normal([3, 2, 3, 2], [0, 0], dtype=tf.float64)
    together = bijector.forward(x)
    for row in range(3):
      self.assertAllClose(bijector.forward(x[row]), together[row])

  def test_wrong_arguments(self):
    build = tfp_cglow.build_autoregressive_levels
    with self.assertRaisesRegex(ValueError, 'at most 64 pixels.*16x16'):
      build([16, 16, 3], 4)
    with self.assertRaisesRegex(ValueError, 'multiple of 16, but got 20'):
      build([4, 4, 1], 4, tfp_cglow.AutoregressiveBase(20))
    with self.assertRaisesRegex(ValueError, 'num_blocks.*got 0'):
      build([4, 4, 1], 4, tfp_cglow.AutoregressiveBase(16, 0))
    with self.assertRaisesRegex(ValueError, 'expects frames of 2x3.*3, 3, 2'):
      _build().inverse(_uniform(3, 3, 2))
    with self.assertRaisesRegex(ValueError, 'needs the condition `context`'):
      _build(tfp_cglow.Context(3)).inverse(_uniform(2, 3, 2))


class BaseOfAMixtureTest(tf.test.TestCase, parameterized.TestCase):
  def _glow(self, context=None, side=8, **options):
    glow = tfp_cglow.build_glow(
      [side, side, 1],
      1,
      None,
      context=context,
      first=tfp_cglow.LevelMixture(
        _LEVELS,
        base=tfp_cglow.AutoregressiveBase(16, 1),
        hidden_channels=4,
        **options,
      ),
      dtype=tf.float64,
      seed=0,
    )
    rng = np.random.default_rng(1)
    for variable in glow.trainable_variables:
      variable.assign_add(0.3 * rng.standard_normal(variable.shape))
    return glow

  @parameterized.parameters(
    (None, {'halvings': 1}),
    (None, {'halvings': 2}),
    (tfp_cglow.Context(2, 1), {'halvings': 1, 'motion_radius': 1}),
  )
  def test_round_trip(self, context, options):
    glow = self._glow(context, **options)
    kwargs = {} if context is None else {'context': _uniform(8, 8, 2, seed=1)}
    y = _uniform(3, 8, 8, 1)
    z = glow.inverse(y, **kwargs)
    self.assertAllClose(glow.forward(tf.identity(z), **kwargs), y)

  def test_finer_pixels_depend_on_the_base(self):
    glow = self._glow(halvings=1)
    y = _uniform(8, 8, 1).numpy()
    before = glow.inverse(tf.constant(y))
    y[0, 0] *= -1.0
    after = glow.first.inverse(tf.constant(y))
    first = glow.first.inverse(_uniform(8, 8, 1))
    moved = np.abs(after - first)[..., 0] > 1e-9
    self.assertTrue(moved[0, 0] and moved[0, 1] and moved[2, 2])
    self.assertTrue(np.all(np.isfinite(before)))

  @parameterized.parameters((8, True), (6, False))
  def test_the_first_finer_group_has_parts_if_its_sides_are_even(
    self, side, divided
  ):
    first = self._glow(halvings=1, side=side).first
    y = _uniform(side, side, 1).numpy()
    before = first.inverse(tf.constant(y))

    def moved(*pixel):
      changed = y.copy()
      changed[pixel] *= -1.0
      return np.abs(first.inverse(tf.constant(changed)) - before) > 1e-9

    self.assertEqual(moved(1, 1)[3, 3, 0], divided)  # Of the next part.
    self.assertFalse(moved(3, 3)[1, 1, 0])
    self.assertTrue(moved(3, 3)[1, 2, 0])  # Of the next group.

  @parameterized.parameters(None, tfp_cglow.Context(2, 1))
  def test_log_prob_of_the_base_alone(self, context):
    glow = self._glow(context, halvings=2)
    kwargs = {} if context is None else {'context': _uniform(8, 8, 2, seed=1)}
    y = _uniform(3, 8, 8, 1).numpy()
    alone = glow.coarsest_log_prob(y, **kwargs)
    changed = -y
    changed[:, ::4, ::4] = y[:, ::4, ::4]
    self.assertAllClose(glow.coarsest_log_prob(changed, **kwargs), alone)
    # All 2x2 pixels of the base: their probabilities sum to one.
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS - 0.5
    every = np.array(list(itertools.product(levels, repeat=4)))
    y = np.repeat(y[:1], len(every), axis=0)
    y[:, ::4, ::4, 0] = every.reshape([-1, 2, 2])
    total = tf.reduce_logsumexp(glow.coarsest_log_prob(y, **kwargs))
    self.assertAllClose(total - 4 * np.log(_LEVELS), 0.0, atol=1e-4)

  def test_log_prob_of_no_base(self):
    for parts in (
      {'steps': tfp_cglow.AdditiveSteps(1, 4)},
      {'labels': tfp_cglow.LabelPriors(2)},
    ):
      glow = tfp_cglow.build_glow(
        [8, 8, 1],
        1,
        first=tfp_cglow.LevelMixture(
          _LEVELS, 1, tfp_cglow.AutoregressiveBase(16, 1)
        ),
        **{'steps': None, **parts},
      )
      self.assertFalse(glow.gives_coarsest_log_prob)
      with self.assertRaisesRegex(ValueError, 'coarsest pixels alone.*`base`'):
        glow.coarsest_log_prob(_uniform(8, 8, 1))

  def test_all_halvings_lead_to_64_pixels(self):
    glow = tfp_cglow.build_glow(
      [32, 16, 1],
      1,
      None,
      first=tfp_cglow.LevelMixture(
        4, 'all', tfp_cglow.AutoregressiveBase(16), hidden_channels=4
      ),
    )
    base = glow.first.parameters['base']
    self.assertEqual(base.parameters['network'].size, (8, 4))

  def test_a_base_that_halvings_do_not_reach(self):
    with self.assertRaisesRegex(ValueError, 'at most 64.*got 16x16.*halvings'):
      tfp_cglow.build_glow(
        [32, 32, 1],
        1,
        None,
        first=tfp_cglow.LevelMixture(4, 1, tfp_cglow.AutoregressiveBase()),
      )
    with self.assertRaisesRegex(ValueError, "AutoregressiveBase.*got 'yes'"):
      tfp_cglow.build_glow(
        [8, 8, 1], 1, None, first=tfp_cglow.LevelMixture(4, 1, 'yes')
      )


if __name__ == '__main__':
  tf.test.main()
