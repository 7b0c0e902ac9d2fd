"""Tests of `objective`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.video import objective

_SHAPE = [4, 4, 1]
_NUM_LABELS = 3


def _flow(labels=tfp_cglow.LabelPriors, **options):
  parts = {
    'num_glow_blocks': 1,
    'steps': tfp_cglow.AdditiveSteps(1, 4),
    'labels': labels and labels(),
    **options,
  }
  flow = tfp_cglow.build_video_flow(
    _SHAPE,
    tfp_cglow.GlowSpec(**parts),
    tfp_cglow.TailSpec(pyramid=tfp_cglow.Pyramid(4), **parts),
    num_labels=labels and _NUM_LABELS,
    seed=0,
  )
  rng = np.random.default_rng(0)
  for variable in flow.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return flow


def _terms(flow, label, **loss):
  frames = np.random.default_rng(0).integers(256, size=[4, 3, *_SHAPE])
  frames = tf.constant(frames.astype(np.uint8))
  return frames, objective.loss_terms(
    flow, tfp_cglow.VideoLoss(**loss), frames, label, 0, tf.range(4)
  )


class LossTermsTest(tf.test.TestCase, parameterized.TestCase):
  LABEL = tf.constant([0, 1, 2, 1])

  @parameterized.product(
    labels=[tfp_cglow.LabelPriors, tfp_cglow.LabelImages], weight=[0.0, 2.0]
  )
  def test_values_by_hand(self, labels, weight):
    flow = _flow(labels)
    flow.label_counts.assign([3.0, 1.0, 0.0])
    frames, terms = _terms(flow, self.LABEL, label_weight=weight)
    self.assertCountEqual(terms, objective.metric_names(flow, weight))
    parts = flow.log_prob(frames, self.LABEL)
    every = [flow.log_prob(frames, tf.fill([4], k)) for k in range(_NUM_LABELS)]
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
      if labels is tfp_cglow.LabelImages and not weight:
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
      for k, v in _terms(_flow(), self.LABEL, label_weight=weight)[1].items()
      if 'bits' in k
    ]
    self.assertAllEqual(bits(0.0), bits(10.0))

  @parameterized.product(
    labels=[
      tfp_cglow.LabelPriors,
      tfp_cglow.LabelImages,
      tfp_cglow.LabelEmbedding,
    ],
    weight=[0.0, 2.0],
  )
  def test_label_dropout_gives_the_null_label(self, labels, weight):
    flow = _flow(labels)
    frames, terms = _terms(
      flow, self.LABEL, label_weight=weight, label_dropout=1.0
    )
    head, tail = flow.log_prob(frames, tf.zeros([4, _NUM_LABELS]))
    for name, value in (('head', head), ('tail', tail)):
      bits = tf.reduce_mean(tfp_cglow.bits_per_dim(value, _SHAPE, 5))
      self.assertAllClose(terms[f'{name}_bits_per_dim'], bits, 1e-5)

  def test_some_clips_and_a_base_on_all(self):
    mixture = tfp_cglow.LevelMixture(
      halvings=1,
      base=tfp_cglow.AutoregressiveBase(16, 1),
      hidden_channels=4,
    )
    flow = _flow(tfp_cglow.LabelEmbedding, steps=None, first=mixture)
    frames, terms = _terms(
      flow,
      self.LABEL,
      label_weight=0.0,
      head_clips_per_step=1,
      tail_clips_per_step=2,
    )
    head, tail = flow.log_prob(frames, self.LABEL)
    bits = lambda x: tf.reduce_mean(tfp_cglow.bits_per_dim(x, _SHAPE, 5))
    self.assertAllClose(terms['tail_bits_per_dim'], bits(tail[:2]), 1e-5)
    clean = tfp_cglow.quantise(frames[:, 0], 5)
    of_base = flow.head.coarsest_log_prob(
      clean, label=tf.one_hot(self.LABEL, _NUM_LABELS)
    )
    expected = bits(head[:1] - of_base[:1] + tf.reduce_mean(of_base))
    self.assertAllClose(terms['head_bits_per_dim'], expected, 1e-5)

  def test_gradients_of_the_base_are_those_of_all_clips(self):
    mixture = tfp_cglow.LevelMixture(
      halvings=1,
      base=tfp_cglow.AutoregressiveBase(16, 1),
      hidden_channels=4,
    )
    flow = _flow(None, steps=None, first=mixture)
    weights = flow.head.first.base.trainable_variables

    def gradients(**loss):
      with tf.GradientTape() as tape:
        _, terms = _terms(flow, None, **loss)
      return tape.gradient(terms['loss'], weights)

    for some, every in zip(gradients(head_clips_per_step=1), gradients()):
      self.assertAllClose(
        tf.convert_to_tensor(some), tf.convert_to_tensor(every), 1e-4, 1e-4
      )

  @parameterized.parameters(
    'head_frames_per_step',
    'tail_frames_per_step',
    'head_clips_per_step',
    'tail_clips_per_step',
  )
  def test_numbers_below_one(self, name):
    with self.assertRaisesRegex(ValueError, f'{name}.*at least 1.*got 0'):
      tfp_cglow.VideoLoss(**{name: 0})

  def test_deformed_contexts(self):
    flow = _flow(None)
    warp = tfp_cglow.ContextWarp(1.0)
    _, plain = _terms(flow, None)
    _, warped = _terms(flow, None, tail_context_warp=warp)
    self.assertAllEqual(plain['head_bits_per_dim'], warped['head_bits_per_dim'])
    self.assertNotEqual(
      float(plain['tail_bits_per_dim']), float(warped['tail_bits_per_dim'])
    )

  def test_a_warp_of_another_kind(self):
    with self.assertRaisesRegex(ValueError, 'tail_context_warp.*got 1.0'):
      tfp_cglow.VideoLoss(tail_context_warp=1.0)

  def test_no_labels(self):
    flow = _flow(labels=None)
    _, terms = _terms(flow, None)
    self.assertCountEqual(terms, objective.metric_names(flow, 1.0))
    self.assertEmpty([name for name in terms if 'label' in name])
    self.assertAllClose(
      terms['loss'], terms['head_bits_per_dim'] + terms['tail_bits_per_dim']
    )


if __name__ == '__main__':
  tf.test.main()
