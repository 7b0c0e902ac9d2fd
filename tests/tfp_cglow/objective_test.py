"""Tests of `objective`."""

import functools
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow import objective

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

  @parameterized.product(
    way=['prior', 'image'], weight=[0.0, 2.0], temperature=[1.0, 3.0]
  )
  def test_values_by_hand(self, way, weight, temperature):
    model = _model(
      way, label_loss_weight=weight, label_loss_temperature=temperature
    )
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
        tf.nn.log_softmax(log_likelihoods / temperature + log_prior),
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

  @parameterized.parameters('prior', 'image', 'embedding')
  def test_label_dropout_gives_the_null_label(self, way):
    model = _model(way, label_loss_weight=0.0)
    frames, terms = _terms(model, self.LABEL, label_dropout=1.0)
    head, tail = model.log_prob(frames, tf.zeros([4, _NUM_LABELS]))
    for name, value in (('head', head), ('tail', tail)):
      bits = tf.reduce_mean(tfp_cglow.bits_per_dim(value, _SHAPE, 5))
      self.assertAllClose(terms[f'{name}_bits_per_dim'], bits, 1e-5)

  @parameterized.product(way=['prior', 'image', 'embedding'], dropout=[0, 1])
  def test_all_labels_as_candidates_change_nothing(self, way, dropout):
    # Nor does their order.
    model = _model(way, label_loss_weight=2.0)
    some, every = (
      _terms(model, self.LABEL, label_candidates=n, label_dropout=dropout)[1]
      for n in (_NUM_LABELS, None)
    )
    self.assertCountEqual(some, every)
    for name, value in every.items():
      self.assertAllClose(some[name], value, 1e-5, 1e-5, msg=name)

  @parameterized.parameters('image', 'embedding')
  def test_two_candidates(self, way):
    # A clip's other label is drawn: over seeds each is there, and the cross
    # entropy is one of those between the label and another.
    model = _model(way, label_loss_weight=2.0, tail=None, tail_labels=False)
    model.label_counts.assign([3.0, 1.0, 0.0])
    frames = tf.zeros([1, 1, *_SHAPE], tf.uint8)
    nats_a_bit_per_dim = model.num_dims * np.log(2.0)

    @tf.function
    def terms_of(seed, label, label_candidates=None):
      return objective.loss_terms(
        model, frames, label, seed, tf.range(1), None, 0.0, label_candidates
      )

    seen = set()
    for seed in range(8):
      seed = tf.constant([0, seed])
      labels = [tf.constant([k]) for k in range(_NUM_LABELS)]
      bits = [terms_of(seed, k)['head_bits_per_dim'] for k in labels]
      scores = np.log([4 / 7, 2 / 7, 1 / 7]) - nats_a_bit_per_dim * tf.stack(
        bits
      )
      expected = [
        tf.reduce_logsumexp([scores[0], scores[k]]) - scores[0] for k in (1, 2)
      ]
      terms = terms_of(seed, labels[0], label_candidates=2)
      cross_entropy = terms['head_label_cross_entropy']
      (k,) = np.flatnonzero(np.isclose(cross_entropy, expected, 1e-4))
      seen.add(k)
      self.assertAllClose(
        terms['loss'],
        terms['head_bits_per_dim'] + 2.0 * cross_entropy / nats_a_bit_per_dim,
      )
    self.assertLen(seen, 2)

  @parameterized.parameters(0.0, 0.5)
  def test_a_pass_a_candidate(self, dropout):
    # And one for what was given, where that may be the null label.
    model = _model('embedding', label_loss_weight=2.0)
    for glow in (model.head, model.tail):
      self.enter_context(
        mock.patch.object(
          glow,
          'log_prob_terms_by_label',
          side_effect=glow.log_prob_terms_by_label,
        )
      )
    _terms(model, self.LABEL, label_candidates=2, label_dropout=dropout)
    for glow in (model.head, model.tail):
      ((_, kwargs),) = glow.log_prob_terms_by_label.call_args_list
      self.assertLen(kwargs['weights'], 2 + (dropout > 0))

  def test_candidates_of_training_and_of_evaluation(self):
    model = _model('embedding', tail=None, tail_labels=False)
    model.label_loss_candidates = 2
    model.compile('adam')
    frames = np.zeros([2, 1, *_SHAPE], np.uint8)
    dataset = tf.data.Dataset.from_tensor_slices((frames, [0, 1])).batch(2)
    for call in (model.fit, model.evaluate):
      with mock.patch.object(
        objective, 'loss_terms', side_effect=objective.loss_terms
      ) as loss_terms:
        call(dataset, verbose=0)
      for of_call in loss_terms.call_args_list:
        self.assertEqual(of_call.kwargs['label_candidates'], 2)
      self.assertNotEmpty(loss_terms.call_args_list)

  @parameterized.parameters('prior', 'embedding')
  def test_temperature(self, way):
    # Of the likelihoods, not of the labels' frequencies; the rest is as it is.
    model = _model(way, label_loss_weight=2.0, tail=None, tail_labels=False)
    model.label_counts.assign([0.0, 89.0, 5.0])
    frames = tf.zeros([1, 1, *_SHAPE], tf.uint8)
    terms_of = functools.partial(
      objective.loss_terms, model, frames, seed=0, clips=tf.range(1)
    )
    warm = [terms_of(tf.constant([k])) for k in range(_NUM_LABELS)]
    model.label_loss_temperature = 1e-4  # Only the likelihoods count.
    cold = terms_of(tf.constant([1]))
    nats_a_bit_per_dim = model.num_dims * np.log(2.0)
    bits = tf.stack([t['head_bits_per_dim'] for t in warm])
    scores = np.log([1, 90, 6]) - nats_a_bit_per_dim * bits / 1e-4
    cross_entropy = tf.reduce_logsumexp(scores) - scores[1]
    self.assertGreater(cross_entropy, 10.0)
    self.assertAllClose(cold['head_label_cross_entropy'], cross_entropy, 0.05)
    self.assertAllClose(
      cold['loss'],
      cold['head_bits_per_dim']
      + 2.0 * cold['head_label_cross_entropy'] / nats_a_bit_per_dim,
    )
    self.assertAllClose(cold['head_bits_per_dim'], warm[1]['head_bits_per_dim'])
    for terms in (warm[1], cold):
      self.assertEqual(terms['head_label_accuracy'], 1.0)

  @parameterized.parameters(0.0, -1.0, float('nan'), float('inf'))
  def test_temperature_is_checked(self, temperature):
    with self.assertRaisesRegex(ValueError, 'temperature.* above 0, but got'):
      _model(label_loss_temperature=temperature)

  @parameterized.parameters(1, 4)
  def test_number_of_candidates(self, number):
    with self.assertRaisesRegex(ValueError, 'between 2 and .* got'):
      _model(label_loss_candidates=number)

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
