"""The likelihood is a probability: over all small images it sums to one."""

import itertools

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as tfk

import tfp_cglow

tfd = tfp.distributions

_SHAPE = [2, 2, 1]
_NUM_NOISE = 256


def _all_images(n_bits):
  """Every image, at its bins' centres: `[2**(4 n_bits), 2, 2, 1]`."""
  levels = np.arange(2**n_bits)
  centres = (levels + 0.5) / 2**n_bits - 0.5
  images = np.array(list(itertools.product(centres, repeat=4)))
  return tf.constant(images.reshape([-1, *_SHAPE]), tf.float32)


class NormalisationTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.product(
    n_bits=[1, 2], part=['head', 'tail'], coupling=['additive', 'affine']
  )
  def test_sum_over_all_images(self, n_bits, part, coupling):
    context = {'context_channels': 1, 'context_affine': 'residual'}
    glow = tfp_cglow.build_glow(
      _SHAPE,
      1,
      4,
      16,
      coupling,
      seed=0,
      **(context if part == 'tail' else {}),
    )
    flow = tfd.TransformedDistribution(
      tfd.Sample(tfd.Normal(0.0, 1.0), [4]), glow
    )
    images = _all_images(n_bits)
    self.assertLen(images, 16**n_bits)
    previous = tf.constant([[-0.25, 0.25], [0.25, -0.25]])[..., tf.newaxis]
    conditions = {'context': previous} if part == 'tail' else {}
    draw = lambda shape, seed: tf.random.stateless_uniform(
      shape, [seed, n_bits]
    )
    log_prob = tf.function(
      lambda y: flow.log_prob(y, bijector_kwargs=conditions)
    )

    # Training: images near the checkerboard are likelier than others.
    scores = 4.0 * tf.reduce_sum(images * (previous + 0.1), [1, 2, 3])
    rows = tf.random.stateless_categorical(scores[tf.newaxis], 64 * 100, [0, 7])
    batches = tf.reshape(tf.gather(images, rows[0]), [100, 64, *_SHAPE])
    noisy = lambda t, seed: tfp_cglow.dequantise(
      t, n_bits, draw(tf.shape(t), seed)
    )
    tfp_cglow.adapt(glow, noisy(batches[0], 1), **conditions)
    self._train(flow, conditions, noisy(batches, 2))

    noise = draw([_NUM_NOISE, *_SHAPE], 3)
    y = tfp_cglow.dequantise(images[:, tf.newaxis], n_bits, noise)
    density = tf.concat([log_prob(rows) for rows in tf.split(y, 16)], axis=0)
    log_width = -4 * n_bits * np.log(2.0)
    weighted = tf.reduce_logsumexp(density, 1) - np.log(_NUM_NOISE) + log_width
    bound = tf.reduce_mean(density, 1) + log_width
    self.assertAllClose(tf.reduce_sum(tf.exp(weighted)), 1.0, atol=0.02)
    self.assertLessEqual(tf.reduce_sum(tf.exp(bound)), 1.02)
    # Trained: better than the uniform distribution, in bits an image.
    bits = -tf.reduce_mean(tf.gather(bound, rows[0])) / np.log(2.0)
    self.assertLess(bits, 4 * n_bits + 0.1)

  def _train(self, flow, conditions, batches):
    variables = list(flow.trainable_variables)
    optimizer = tfk.optimizers.legacy.Adam(1e-2)

    @tf.function
    def gradients_of(y):
      with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(flow.log_prob(y, bijector_kwargs=conditions))
      return tape.gradient(loss, variables)

    for y in batches:
      optimizer.apply_gradients(zip(gradients_of(y), variables))


if __name__ == '__main__':
  tf.test.main()
