"""Tests of `objective`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.video import objective

_SHAPE = [4, 4, 1]
_NUM_LABELS = 3


def _model(way='prior', **kwargs):
  glow = {
    'num_glow_blocks': 1,
    'num_steps_per_block': 1,
    'hidden_channels': 4,
    'pyramid_channels': 4,
  }
  arguments = {
    'num_labels': _NUM_LABELS,
    'state_channels': 0,
    'head': {**glow, 'label_conditioning': way},
    'tail': {**glow, 'label_conditioning': way},
    'tail_labels': True,
    'seed': 0,
  }
  model = tfp_cglow.VideoGlow(_SHAPE, **{**arguments, **kwargs})
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return model


def _terms(model, label, **kwargs):
  frames = np.random.default_rng(0).integers(256, size=[4, 3, *_SHAPE])
  frames = tf.constant(frames.astype(np.uint8))
  return frames, objective.loss_terms(
    model, frames, label, 0, tf.range(4), **kwargs
  )


class LossTermsTest(tf.test.TestCase, parameterized.TestCase):
  LABEL = tf.constant([0, 1, 2, 1])

  @parameterized.product(way=['prior', 'image'], weight=[0.0, 2.0])
  def test_values_by_hand(self, way, weight):
    model = _model(way, label_loss_weight=weight)
    model.label_counts.assign([3.0, 1.0, 0.0])
    frames, terms = _terms(model, self.LABEL)
    self.assertCountEqual(terms, objective.metric_names(model))
    parts = model.log_prob(frames, self.LABEL)
    every = [
      model.log_prob(frames, tf.fill([4], k)) for k in range(_NUM_LABELS)
    ]
    expected = 0.0
    for i, name in enumerate(('head', 'tail')):
      bits = tfp_cglow.bits_per_dim(parts[i], _SHAPE, 5)
      self.assertAllClose(
        terms[f'{name}_bits_per_dim'], tf.reduce_mean(bits), 1e-5
      )
      expected += tf.reduce_mean(bits)
      self.assertAllClose(
        terms[f'{name}_log_det'] + terms[f'{name}_base_log_prob'],
        tf.reduce_mean(parts[i]) / np.prod(_SHAPE),
        1e-5,
      )
      if way == 'image' and not weight:
        self.assertNotIn(f'{name}_label_accuracy', terms)
        continue
      log_likelihoods = tf.stack([e[i] for e in every], -1)
      log_prior = np.log([4 / 7, 2 / 7, 1 / 7])
      label = self.LABEL.numpy().reshape([4] + [1] * i)
      chosen = tf.gather(
        tf.nn.log_softmax(log_likelihoods + log_prior),
        np.broadcast_to(label, log_likelihoods.shape[:-1]),
        batch_dims=log_likelihoods.shape.rank - 1,
      )
      cross_entropy = -tf.reduce_mean(chosen)
      self.assertAllClose(
        terms[f'{name}_label_cross_entropy'], cross_entropy, 1e-4, 1e-4
      )
      self.assertAllClose(
        terms[f'{name}_label_accuracy'],
        np.mean(np.argmax(log_likelihoods + log_prior, -1) == label),
      )
      expected += weight * cross_entropy / (16 * np.log(2.0))
    self.assertAllClose(terms['loss'], expected, 1e-5)

  def test_bits_per_dim_do_not_depend_on_the_label_loss(self):
    bits = lambda weight: [
      v.numpy()
      for k, v in _terms(_model(label_loss_weight=weight), self.LABEL)[
        1
      ].items()
      if 'bits' in k
    ]
    self.assertAllEqual(bits(0.0), bits(10.0))

  @parameterized.product(way=['prior', 'image', 'embedding'], weight=[0.0, 2.0])
  def test_label_dropout_gives_the_null_label(self, way, weight):
    model = _model(way, label_loss_weight=weight)
    frames, terms = _terms(model, self.LABEL, label_dropout=1.0)
    head, tail = model.log_prob(frames, tf.zeros([4, _NUM_LABELS]))
    for name, value in (('head', head), ('tail', tail)):
      bits = tf.reduce_mean(tfp_cglow.bits_per_dim(value, _SHAPE, 5))
      self.assertAllClose(terms[f'{name}_bits_per_dim'], bits, 1e-5)

  def test_no_labels(self):
    model = _model(num_labels=None)
    _, terms = _terms(model, None)
    self.assertCountEqual(terms, objective.metric_names(model))
    self.assertEmpty([name for name in terms if 'label' in name])
    self.assertAllClose(
      terms['loss'], terms['head_bits_per_dim'] + terms['tail_bits_per_dim']
    )


if __name__ == '__main__':
  tf.test.main()
