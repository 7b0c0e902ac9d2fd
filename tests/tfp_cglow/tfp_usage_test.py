"""Tests of the library inside TensorFlow Probability code of its users."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as tfk

import tfp_cglow

tfb, tfd = tfp.bijectors, tfp.distributions


def _randomised(module):
  rng = np.random.default_rng(0)
  for variable in module.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return module


def _glow(**kwargs):
  arguments = {
    'output_shape': [4, 4, 1],
    'num_glow_blocks': 2,
    'steps': tfp_cglow.AffineSteps(1, 4),
    'context': tfp_cglow.Context(2),
    'labels': tfp_cglow.LabelPriors(3),
    'seed': 0,
    **kwargs,
  }
  return _randomised(tfp_cglow.build_glow(**arguments))


def _conditions():
  return {
    'context': tf.random.stateless_normal([5, 4, 4, 2], [0, 1]),
    'label': tf.constant([0, 1, 2, 0, 1]),
  }


_BASES = {
  'normal': lambda: tfd.Sample(tfd.Normal(0.0, 1.0), [16]),
  'student_t': lambda: tfd.Sample(tfd.StudentT(5.0, 0.0, 1.0), [16]),
  'diagonal': lambda: tfd.MultivariateNormalDiag(
    tf.linspace(-1.0, 1.0, 16), tf.linspace(0.5, 2.0, 16)
  ),
  'independent': lambda: tfd.Independent(tfd.Laplace(tf.zeros([16]), 1.0), 1),
}


class TransformedDistributionTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.named_parameters(*_BASES.items())
  def test_bases(self, make_base):
    base, glow, conditions = make_base(), _glow(), _conditions()
    flow = tfd.TransformedDistribution(base, glow)
    self.assertEqual(flow.event_shape, [4, 4, 1])
    self.assertAllEqual(flow.event_shape_tensor(), [4, 4, 1])
    y = flow.sample(5, seed=[0, 1], bijector_kwargs=conditions)
    self.assertEqual(y.shape, [5, 4, 4, 1])
    y = tf.identity(y)
    log_prob = flow.log_prob(y, bijector_kwargs=conditions)
    self.assertEqual(log_prob.shape, [5])
    x = glow.inverse(y, **conditions)
    expected = base.log_prob(x)
    expected += glow.inverse_log_det_jacobian(y, 3, **conditions)
    self.assertAllClose(log_prob, expected, 1e-4, 1e-4)
    # The sample came from this base, through this flow.
    self.assertAllClose(x, base.sample(5, seed=[0, 1]), 1e-3, 1e-3)

  def test_prob_and_samples_of_a_batch_of_conditions(self):
    flow = tfd.TransformedDistribution(_BASES['normal'](), _glow())
    y = flow.sample([3, 5], seed=[0, 1], bijector_kwargs=_conditions())
    self.assertEqual(y.shape, [3, 5, 4, 4, 1])
    log_prob = flow.log_prob(tf.identity(y), bijector_kwargs=_conditions())
    self.assertEqual(log_prob.shape, [3, 5])

  def test_variables_are_tracked(self):
    glow = _glow()
    flow = tfd.TransformedDistribution(_BASES['normal'](), glow)
    self.assertLen(flow.trainable_variables, len(glow.trainable_variables))


class CompositionTest(tf.test.TestCase):
  def test_logit_dequantisation_in_a_chain(self):
    glow, conditions = _glow(), _conditions()
    sides = [tfb.Shift(0.25), tfb.Scale(0.5), tfb.Sigmoid()]
    chain = tfb.Chain([*sides, glow])
    kwargs = {glow.name: conditions}
    x = tf.random.stateless_normal([5, 16], [0, 2])
    y = chain.forward(x, **kwargs)
    self.assertAllInRange(y, 0.25, 0.75)
    side = tfb.Chain(sides)
    latent = side.inverse(tf.identity(y))
    self.assertAllClose(
      y, side.forward(glow.forward(tf.identity(x), **conditions))
    )
    y = tf.identity(y)
    self.assertAllClose(chain.inverse(y, **kwargs), x, 1e-3, 1e-3)
    self.assertAllClose(
      chain.inverse_log_det_jacobian(y, 3, **kwargs),
      side.inverse_log_det_jacobian(y, 3)
      + glow.inverse_log_det_jacobian(latent, 3, **conditions),
      1e-4,
      1e-3,
    )
    flow = tfd.TransformedDistribution(_BASES['normal'](), chain)
    log_prob = flow.log_prob(y, bijector_kwargs=kwargs)
    self.assertEqual(log_prob.shape, [5])
    with self.assertRaisesRegex(ValueError, 'needs the condition'):
      flow.log_prob(tf.identity(y), bijector_kwargs={'gow': conditions})

  def test_invert(self):
    glow, conditions = _glow(), _conditions()
    inverted = tfb.Invert(glow)
    y = tf.random.stateless_normal([5, 4, 4, 1], [0, 2])
    self.assertAllClose(
      inverted.forward(y, **conditions),
      glow.inverse(tf.identity(y), **conditions),
    )
    self.assertAllClose(
      inverted.forward_log_det_jacobian(y, 3, **conditions),
      glow.inverse_log_det_jacobian(tf.identity(y), 3, **conditions),
    )
    chain = tfb.Chain([inverted])
    self.assertAllClose(
      chain.forward(tf.identity(y), **{inverted.name: conditions}),
      inverted.forward(tf.identity(y), **conditions),
    )

  def test_leaves_in_a_chain(self):
    chain = tfb.Chain(
      [
        tfp_cglow.Squeeze(),
        _randomised(tfp_cglow.build_actnorm(4)),
        _randomised(tfp_cglow.build_invertible_conv1x1(4, seed=0)),
        _randomised(tfp_cglow.build_flow_step(4, 4, context_channels=2)),
      ]
    )
    y = tf.random.stateless_normal([5, 4, 4, 1], [0, 2])
    kwargs = {'flow_step': {'context': tf.ones([5, 2, 2, 2])}}
    x = chain.inverse(y, **kwargs)
    self.assertEqual(x.shape, [5, 2, 2, 4])
    self.assertAllClose(chain.forward(tf.identity(x), **kwargs), y, 1e-4, 1e-4)
    self.assertEqual(chain.inverse_log_det_jacobian(y, 3, **kwargs).shape, [])


class ConditionedTest(tf.test.TestCase):
  def test_joint_distribution(self):
    glow, base = _glow(labels=None), _BASES['normal']()
    previous = lambda frame: tf.concat([frame, frame], -1)
    joint = tfd.JointDistributionNamed(
      {
        'first': tfd.Sample(tfd.Normal(0.0, 1.0), [4, 4, 1]),
        'second': lambda first: tfd.TransformedDistribution(
          base, tfp_cglow.Conditioned(glow, context=previous(first))
        ),
      }
    )
    sample = joint.sample(seed=[0, 1])
    self.assertEqual(sample['second'].shape, [4, 4, 1])
    sample = tf.nest.map_structure(tf.identity, sample)
    flow = tfd.TransformedDistribution(base, glow)
    expected = joint.model['first'].log_prob(sample['first'])
    expected += flow.log_prob(
      tf.identity(sample['second']),
      bijector_kwargs={'context': previous(sample['first'])},
    )
    self.assertAllClose(joint.log_prob(sample), expected, 1e-4, 1e-4)

  def test_distribution_lambda(self):
    glow, base = _glow(labels=None), _BASES['normal']()
    layer = tfp.layers.DistributionLambda(
      lambda context: tfd.TransformedDistribution(
        base, tfp_cglow.Conditioned(glow, context=context)
      )
    )
    inputs = tfk.Input([4, 4, 2])
    model = tfk.Model(inputs, layer(inputs))
    model.glow = glow
    context = _conditions()['context']
    y = tf.random.stateless_normal([5, 4, 4, 1], [0, 2])
    flow = tfd.TransformedDistribution(base, glow)
    self.assertAllClose(
      model(context).log_prob(y),
      flow.log_prob(tf.identity(y), bijector_kwargs={'context': context}),
      1e-4,
      1e-4,
    )
    negative_log_likelihood = lambda y, flow: -flow.log_prob(y)
    model.compile(
      tfk.optimizers.legacy.Adam(1e-2),
      negative_log_likelihood,
      run_eagerly=True,
    )
    losses = model.fit(context, y, epochs=3, verbose=0).history['loss']
    self.assertLess(losses[-1], losses[0])


class OwnNetworksTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters('reversible', 'unrolled')
  def test_functions(self, gradients):
    def init(seed, in_channels, out_channels):
      rng = np.random.default_rng(seed)
      return {'w': rng.standard_normal([in_channels, out_channels]) / 10}

    def apply(params, x, context=None):
      return tf.tanh(tf.matmul(tf.concat([x, context], -1), params['w']))

    glow = tfp_cglow.build_glow(
      [4, 4, 1],
      2,
      tfp_cglow.AdditiveSteps(2, network=(init, apply), gradients=gradients),
      context=tfp_cglow.Context(2),
      seed=0,
    )
    context = _conditions()['context']
    y = tf.random.stateless_normal([5, 4, 4, 1], [0, 2])
    with tf.GradientTape() as tape:
      x = glow.inverse(y, context=context)
    self.assertAllClose(
      glow.forward(tf.identity(x), context=context), y, 1e-4, 1e-4
    )
    for gradient in tape.gradient(x, glow.trainable_variables):
      self.assertIsNotNone(gradient)

  def test_keras_layers(self):
    built = []

    class Network(tfk.layers.Layer):
      def __init__(self, out_channels):
        super().__init__()
        self.hidden = tfk.layers.Conv2D(4, 3, padding='same', activation='relu')
        self.last = tfk.layers.Conv2D(out_channels, 3, padding='same')

      def call(self, kept, context=None):
        inputs = kept if context is None else tf.concat([kept, context], -1)
        return self.last(self.hidden(inputs))

    def network(in_channels, out_channels):
      built.append((in_channels, out_channels))
      layer = Network(out_channels)
      layer(tf.zeros([1, 2, 2, in_channels]))
      return layer

    glow = tfp_cglow.build_glow(
      [4, 4, 1],
      1,
      tfp_cglow.AffineSteps(2, network=network, gradients='unrolled'),
      context=tfp_cglow.Context(2),
      seed=0,
    )
    self.assertEqual(built, [(4, 4)] * 2)
    context = _conditions()['context']
    y = tf.random.stateless_normal([5, 4, 4, 1], [0, 2])
    x = glow.inverse(y, context=context)
    self.assertAllClose(
      glow.forward(tf.identity(x), context=context), y, 1e-4, 1e-4
    )
    names = [v.name for v in glow.trainable_variables]
    self.assertLen([n for n in names if 'conv2d' in n], 8)

  def test_context_network(self):
    weights = tf.Variable(tf.random.stateless_normal([2, 3], [0, 3]))

    class Pool(tf.Module):
      def __init__(self):
        super().__init__()
        self.weights = weights

      def __call__(self, context):
        fine = tf.nn.avg_pool2d(tf.matmul(context, self.weights), 2, 2, 'SAME')
        return [fine, tf.nn.avg_pool2d(fine, 2, 2, 'SAME')]

    glow = _glow(labels=None, pyramid=Pool())
    self.assertIn(id(weights), [id(v) for v in glow.trainable_variables])
    context = _conditions()['context']
    y = tf.random.stateless_normal([5, 4, 4, 1], [0, 2])
    with tf.GradientTape() as tape:
      x = glow.inverse(y, context=context)
    self.assertIsNotNone(tape.gradient(x, weights))
    self.assertAllClose(
      glow.forward(tf.identity(x), context=context), y, 1e-3, 1e-3
    )


class DesignExamplesTest(tf.test.TestCase):
  """The examples of the library's contract, at a small size."""

  def test_build_glow(self):
    glow = tfp_cglow.build_glow(
      output_shape=[8, 8, 3],
      num_glow_blocks=2,
      steps=tfp_cglow.AdditiveSteps(num_steps=2, hidden_channels=4),
      context=tfp_cglow.Context(channels=5, frames=1),
      vector_channels=None,
      labels=tfp_cglow.LabelPriors(num_labels=10),
      first=tfp_cglow.FrameAffine(tfp_cglow.PreviousFrame()),
      pyramid=tfp_cglow.Pyramid(channels=3),
      networks=tfp_cglow.Networks(dtype=None, padding='zeros'),
      dtype=tf.float32,
      seed=None,
      name='glow',
    )
    base = tfd.Sample(tfd.Normal(0.0, 1.0), [8 * 8 * 3])
    flow = tfd.TransformedDistribution(base, glow)
    frames, c = tf.random.normal([8, 8, 8, 3]), tf.random.normal([8, 8, 8, 5])
    y = tf.range(8)
    tfp_cglow.adapt(glow, frames, context=c, label=y)
    kwargs = {'context': c, 'label': y}
    self.assertEqual(flow.log_prob(frames, bijector_kwargs=kwargs).shape, [8])
    sample = flow.sample(8, bijector_kwargs=kwargs)
    self.assertEqual(sample.shape, [8, 8, 8, 3])
    z = glow.inverse(frames, **kwargs)
    levels = glow.split_latent(z)
    self.assertEqual(
      [t.shape.as_list() for t in levels], [[8, 4, 4, 6], [8, 2, 2, 24]]
    )
    by_label = glow.log_prob_by_label(frames, base, context=c)
    self.assertEqual(by_label.shape, [8, 10])
    bound = tfp_cglow.Conditioned(glow, context=c, label=y)
    self.assertAllClose(bound.inverse(tf.identity(frames)), z, 1e-5, 1e-5)

  def test_video_glow(self):
    steps = tfp_cglow.AdditiveSteps(num_steps=1, hidden_channels=4)
    flow = tfp_cglow.build_video_flow(
      frame_shape=[8, 8, 3],
      head=tfp_cglow.GlowSpec(1, steps, labels=tfp_cglow.LabelPriors()),
      tail=tfp_cglow.TailSpec(
        1, steps, previous_frames=1, memory=tfp_cglow.ResidualMemory(16)
      ),
      num_labels=200,
      n_bits=5,
      dequantisation='matched',
      seed=None,
    )
    model = tfp_cglow.VideoGlow(flow, seed=None)
    model.compile(
      optimizer=tfk.optimizers.legacy.Adam(1e-4, epsilon=1e-8),
      loss=tfp_cglow.VideoLoss(
        label_weight=1.0, label_dropout=0.0, tail_frames_per_step=None
      ),
      clip_norms={'head': 50.0, 'tail': 5.0, 'memory': 5.0},
    )
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=[2, 2, 8, 8, 3]).astype(np.uint8)
    label = np.array([0, 199], np.int32)
    dataset = tf.data.Dataset.from_tensor_slices((frames, label)).batch(2)
    model.fit(dataset, validation_data=dataset, verbose=0)
    head, tail = flow.log_prob(frames, label)
    self.assertEqual((head.shape, tail.shape), ([2], [2, 1]))
    results = model.evaluate(dataset, return_dict=True, verbose=0)
    self.assertContainsSubset(
      ['head_bits_per_dim', 'tail_bits_per_dim'], results
    )
    video = flow.sample(
      label, 3, first_frames=None, temperature=1.0, min_p=0.0, seed=None
    )
    self.assertEqual((video.shape, video.dtype), ([2, 3, 8, 8, 3], tf.uint8))
    self.assertEqual(flow.classify(frames).shape, [2, 200])


if __name__ == '__main__':
  tf.test.main()
