"""Tests of `glow`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow

tfd = tfp.distributions


def _randomised(*args, **kwargs):
  glow = tfp_cglow.build_glow(*args, seed=0, **kwargs)
  rng = np.random.default_rng(0)
  for variable in glow.trainable_variables:
    variable.assign(0.2 * rng.standard_normal(variable.shape))
  return glow


def _base(num_dims):
  return tfd.Sample(tfd.Normal(0.0, 1.0), [num_dims])


class GlowTest(tf.test.TestCase, parameterized.TestCase):
  def test_an_untrained_glow_is_an_isometry(self):
    glow = tfp_cglow.build_glow(
      [8, 8, 3], 3, tfp_cglow.AffineSteps(2, 4), seed=0
    )
    y = tf.random.normal([2, 8, 8, 3])
    x = glow.inverse(y)
    self.assertEqual(x.shape, [2, 192])
    self.assertAllClose(
      tf.norm(x, axis=-1), tf.norm(tf.reshape(y, [2, -1]), axis=-1), 1e-5
    )
    self.assertAllClose(
      glow.inverse_log_det_jacobian(y, 3), [0.0, 0.0], atol=1e-4
    )
    self.assertNotAllClose(x, tf.reshape(y, [2, 192]))

  def test_split_latent_cuts_fine_to_coarse(self):
    glow = tfp_cglow.build_glow(
      [8, 8, 3], 3, tfp_cglow.AdditiveSteps(1, 4), seed=0
    )
    z = tf.reshape(tf.range(2 * 192, dtype=tf.float32), [2, 192])
    levels = glow.split_latent(z)
    self.assertEqual(
      [t.shape.as_list() for t in levels],
      [[2, 4, 4, 6], [2, 2, 2, 12], [2, 1, 1, 48]],
    )
    flat = tf.concat([tf.reshape(t, [2, -1]) for t in levels], -1)
    self.assertAllEqual(flat, z)

  def test_coarsest_latent_moves_the_whole_frame(self):
    glow = _randomised([4, 4, 1], 2, tfp_cglow.AdditiveSteps(1, 4))
    x = tf.zeros([16])
    moved = lambda i: glow.forward(tf.tensor_scatter_nd_add(x, [[i]], [1.0]))
    fine = tf.abs(moved(0) - glow.forward(x)) > 1e-7
    coarse = tf.abs(moved(15) - glow.forward(x)) > 1e-7
    self.assertLess(np.sum(fine), np.sum(coarse))
    self.assertAllEqual(coarse, tf.ones_like(coarse))

  def test_blocks_are_squeeze_steps_split(self):
    kinds = lambda glow: [[type(b).__name__ for b in k] for k in glow.blocks]
    self.assertEqual(
      kinds(tfp_cglow.build_glow([4, 4, 1], 2, tfp_cglow.AdditiveSteps(2, 4))),
      [['Squeeze', 'Scan', 'Split'], ['Squeeze', 'Scan']],
    )
    self.assertEqual(
      kinds(
        tfp_cglow.build_glow(
          [4, 4, 1], 1, tfp_cglow.AdditiveSteps(2, 4, gradients='unrolled')
        )
      ),
      [['Squeeze', 'FlowStep', 'FlowStep']],
    )

  @parameterized.named_parameters(
    ('prior', tfp_cglow.LabelPriors(3)),
    ('image', tfp_cglow.LabelImages(3)),
    ('embedding', tfp_cglow.LabelEmbedding(3, channels=2)),
  )
  def test_log_prob_by_label(self, labels):
    glow = _randomised(
      [4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4), labels=labels
    )
    frames = tf.random.normal([2, 5, 4, 4, 1])
    flow = tfd.TransformedDistribution(_base(16), glow)
    by_label = glow.log_prob_by_label(frames, _base(16))
    self.assertEqual(by_label.shape, [2, 5, 3])
    for label in range(3):
      expected = flow.log_prob(
        tf.identity(frames), bijector_kwargs={'label': label}
      )
      self.assertAllClose(by_label[..., label], expected, 1e-4, 1e-4)

  def test_log_prob_by_label_of_mixtures_and_context(self):
    glow = _randomised(
      [4, 4, 1],
      1,
      tfp_cglow.AdditiveSteps(1, 4),
      labels=tfp_cglow.LabelPriors(3),
      context=tfp_cglow.Context(2),
    )
    frames, context = tf.random.normal([2, 4, 4, 1]), tf.ones([2, 4, 4, 2])
    weights = tf.constant([[0.2, 0.3, 0.5], [0.0, 0.0, 0.0]])
    rows = glow.log_prob_by_label(frames, _base(16), weights, context=context)
    flow = tfd.TransformedDistribution(_base(16), glow)
    for i in range(2):
      expected = flow.log_prob(
        tf.identity(frames),
        bijector_kwargs={'label': weights[i], 'context': context},
      )
      self.assertAllClose(rows[:, i], expected, 1e-4, 1e-4)

  def test_log_prob_by_label_needs_labels(self):
    glow = tfp_cglow.build_glow([4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4))
    with self.assertRaisesRegex(ValueError, 'with `labels`'):
      glow.log_prob_by_label(tf.zeros([4, 4, 1]), _base(16))

  @parameterized.named_parameters(
    ('prior', tfp_cglow.LabelPriors(2)),
    ('image', tfp_cglow.LabelImages(2)),
    ('embedding', tfp_cglow.LabelEmbedding(2)),
  )
  def test_log_prob_by_label_checks_the_other_conditions(self, labels):
    glow = tfp_cglow.build_glow(
      [4, 4, 1],
      1,
      tfp_cglow.AdditiveSteps(1, 4),
      labels=labels,
      context=tfp_cglow.Context(1),
    )
    frames, context = tf.zeros([4, 4, 1]), tf.zeros([4, 4, 1])
    with self.assertRaisesRegex(ValueError, '`context`'):
      glow.log_prob_by_label(frames, _base(16))
    with self.assertRaisesRegex(ValueError, '`vector`'):
      glow.log_prob_by_label(
        frames, _base(16), context=context, vector=tf.zeros([3])
      )

  @parameterized.parameters(
    (tfp_cglow.LabelPriors(3), 2, [3, 16]),
    (tfp_cglow.LabelImages(3), 1, [3, 4, 4, 1]),
    (tfp_cglow.LabelEmbedding(3, channels=5), 1, [3, 1, 1, 5]),
  )
  def test_label_variables(self, labels, number, shape):
    glow = tfp_cglow.build_glow(
      [4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4), labels=labels
    )
    self.assertEqual([v.shape for v in glow.label_variables], [shape] * number)
    self.assertEmpty(
      tfp_cglow.build_glow(
        [4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4)
      ).label_variables
    )

  def test_null_label_is_the_standard_normal_prior(self):
    glow = _randomised(
      [4, 4, 1],
      1,
      tfp_cglow.AdditiveSteps(1, 4),
      labels=tfp_cglow.LabelPriors(3),
    )
    y = tf.random.normal([2, 4, 4, 1])
    null = glow.inverse(y, label=tf.zeros([3]))
    steps = glow.copy(label_prior=None)
    self.assertAllClose(null, steps.inverse(tf.identity(y)))

  def test_prepared_is_equal_and_solves_nothing(self):
    glow = _randomised(
      [4, 4, 1],
      2,
      tfp_cglow.AdditiveSteps(2, 4),
      labels=tfp_cglow.LabelPriors(3),
    )
    x = tf.random.normal([2, 16])
    prepared = glow.prepared()
    self.assertAllClose(
      prepared.forward(x, label=1), glow.forward(tf.identity(x), label=1)
    )
    graph = tf.function(lambda z: prepared.forward(z, label=1))
    operations = graph.get_concrete_function(x).graph.as_graph_def()
    self.assertNotIn('TriangularSolve', str(operations))

  def test_vector_is_spread_over_the_frame(self):
    glow = _randomised(
      [4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4), vector_channels=2
    )
    other = glow.copy(vector_channels=None, context_channels=2)
    y = tf.random.stateless_normal([3, 4, 4, 1], [0, 1])
    vector = tf.random.stateless_normal([3, 2], [0, 2])
    context = tf.tile(vector[:, tf.newaxis, tf.newaxis], [1, 4, 4, 1])
    self.assertAllClose(
      glow.inverse(y, vector=vector),
      other.inverse(tf.identity(y), context=context),
    )
    self.assertNotAllClose(
      glow.inverse(y, vector=vector), glow.inverse(y, vector=-vector)
    )

  def test_wrong_frames_and_latents(self):
    glow = tfp_cglow.build_glow([4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4))
    for shape in ([2, 8, 8, 1], [2, 4, 4, 3], [4, 4]):
      with self.assertRaisesRegex(ValueError, r'\[..., 4, 4, 1\], but got'):
        glow.inverse(tf.zeros(shape))
    for call in (glow.forward, glow.split_latent):
      with self.assertRaisesRegex(ValueError, r'\[..., 16\], but got \(2, 15'):
        call(tf.zeros([2, 15]))


class TemperedTest(tf.test.TestCase, parameterized.TestCase):
  def _glow(self, **options):
    glow = tfp_cglow.build_glow([4, 4, 1], 2, seed=0, **options)
    rng = np.random.default_rng(0)
    for variable in glow.trainable_variables:
      variable.assign_add(0.1 * rng.standard_normal(variable.shape))
    return glow

  @parameterized.parameters(
    {'labels': tfp_cglow.LabelPriors(2)},
    {'steps': tfp_cglow.AffineSteps(1, 4)},
    {
      'steps': None,
      'labels': tfp_cglow.LabelPriors(2),
      'first': tfp_cglow.LevelMixture(4, 1, hidden_channels=4),
    },
  )
  def test_one_and_zero_change_no_bit(self, **options):
    glow = self._glow(**options)
    kwargs = {'label': [0, 1]} if 'labels' in options else {}
    z = tf.random.stateless_normal([2, 16], [0, 0])
    tempered = glow.tempered(tf.ones([2]), tf.zeros([2]))
    y = tempered.forward(z, **kwargs)
    self.assertAllEqual(y, glow.forward(z, **kwargs))
    self.assertAllEqual(
      tempered.inverse(tf.identity(y), **kwargs),
      glow.inverse(tf.identity(y), **kwargs),
    )

  def test_couplings_get_scaled_latents(self):
    glow = self._glow(
      steps=tfp_cglow.AffineSteps(1, 4), labels=tfp_cglow.LabelPriors(2)
    )
    z = tf.random.stateless_normal([2, 16], [0, 0])
    kwargs, scale = {'label': 1}, tf.constant([0.5, 2.0])
    tempered = glow.tempered(scale)
    y = tempered.forward(z, **kwargs)
    self.assertAllEqual(y, glow.forward(z * scale[:, None], **kwargs))
    self.assertAllClose(
      tempered.inverse(tf.identity(y), **kwargs), z, atol=1e-4
    )
    base = tfd.Sample(tfd.Normal(0.0, 1.0), [16])
    density = tempered.log_prob_by_label(tf.identity(y), base)[:, 1]
    flow = tfd.TransformedDistribution(base, tempered)
    self.assertAllClose(flow.log_prob(y, bijector_kwargs=kwargs), density)
    wide = tfd.Sample(tfd.Normal(0.0, 2.0), [16])
    self.assertAllClose(
      density[1],
      tfd.TransformedDistribution(wide, glow).log_prob(
        y[1], bijector_kwargs=kwargs
      ),
    )

  def test_a_mixture_alone_keeps_its_latents(self):
    glow = tfp_cglow.build_glow(
      [4, 4, 1], 1, None, first=tfp_cglow.LevelMixture(4, 1, hidden_channels=4)
    )
    cold = glow.tempered(0.0)
    z = tf.random.stateless_normal([16], [0, 0])
    level = lambda g, z: np.floor((g.forward(z).numpy() + 0.5) * 4)
    self.assertAllEqual(level(cold, z), level(cold, -2 * z))
    # Within a level, the noise is that of the latent.
    self.assertNotAllEqual(cold.forward(z), cold.forward(-2 * z))
    self.assertAllEqual(glow.tempered(1.0, 0.0).forward(z), glow.forward(z))

  def test_a_base_has_no_temperature(self):
    mixture = tfp_cglow.LevelMixture(
      4, 1, tfp_cglow.AutoregressiveBase(16, 1), hidden_channels=4
    )
    glow = tfp_cglow.build_glow([8, 8, 1], 1, None, first=mixture)
    z = tf.random.stateless_normal([3, 64], [0, 0])
    cold = glow.tempered([0.0, 0.5, 1.0], [0.0, 0.0, 0.0]).forward(z)
    own = glow.forward(z)
    coarsest = lambda y: y[:, ::2, ::2]
    self.assertAllEqual(coarsest(cold), coarsest(own))
    for row in range(2):
      self.assertNotAllEqual(cold[row], own[row])

  def test_a_base_without_improbable_levels(self):
    mixture = tfp_cglow.LevelMixture(
      16, 1, tfp_cglow.AutoregressiveBase(16, 1), hidden_channels=4
    )
    glow = tfp_cglow.build_glow([8, 8, 1], 1, None, first=mixture)
    for variable in glow.first.base.trainable_variables:
      # The last layers have small weights, so that all levels are as likely.
      variable.assign(20.0 * variable)
    z = tf.random.stateless_normal([3, 64], [0, 0])
    coarsest = lambda y: y[..., ::2, ::2, :]
    own = coarsest(glow.forward(z))
    cut = coarsest(glow.tempered(1.0, [0.0, 0.001, 0.5]).forward(z))
    self.assertAllEqual(cut[0], own[0])
    self.assertNotAllEqual(cut[1], own[1])
    self.assertAllEqual(
      cut[2], coarsest(glow.tempered(1.0, 0.001).forward(z))[2]
    )
    one = glow.tempered(1.0, 0.5).forward(z[2])
    self.assertAllClose(coarsest(one), cut[2], 1e-4, 1e-4)

  def test_conditions_and_functions(self):
    glow = self._glow(
      context=tfp_cglow.Context(1), first=tfp_cglow.FrameAffine()
    )
    z, context = tf.ones([2, 16]), tf.zeros([2, 4, 4, 1])
    sample = tf.function(
      lambda t, p: glow.tempered(t, p).forward(z, context=context)
    )
    self.assertAllClose(
      sample(tf.constant(0.5), tf.constant(0.1)),
      glow.forward(0.5 * z, context=context),
    )

  def test_wrong_values(self):
    glow = self._glow()
    for arguments, message in (
      ((-1.0,), '`temperature` must be finite and >= 0, but got -1'),
      ((float('nan'),), '`temperature`.*nan'),
      ((1.0, 1.0), r'`min_p` must be in \[0, 1\), but got 1'),
      ((1.0, [0.5, -0.1]), '`min_p`.*-0.1'),
    ):
      with self.assertRaisesRegex(ValueError, message):
        glow.tempered(*arguments)


if __name__ == '__main__':
  tf.test.main()
