"""Tests of `video_flow` and of `build`."""

import dataclasses

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow

tfd = tfp.distributions

_SHAPE = [4, 4, 3]
_STEPS = tfp_cglow.AdditiveSteps(1, 4)
_LABELS = tfp_cglow.LabelPriors(3)
_HEAD = tfp_cglow.GlowSpec(1, _STEPS, labels=_LABELS)
_TAIL = tfp_cglow.TailSpec(
  1, _STEPS, tfp_cglow.FrameAffine(), memory=tfp_cglow.ResidualMemory(2)
)


_UNLABELLED = dataclasses.replace(_HEAD, labels=None)
_MIXTURE = tfp_cglow.LevelMixture()


def _flow(head=_HEAD, tail=_TAIL, **kwargs):
  """A small flow whose variables are not zero."""
  flow = tfp_cglow.build_video_flow(_SHAPE, head, tail, seed=0, **kwargs)
  rng = np.random.default_rng(1)
  for variable in flow.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return flow


def _tail(**fields):
  return dataclasses.replace(_TAIL, **fields)


def _frames(batch=2, time=4, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(256, size=[batch, time, *_SHAPE]).astype(np.uint8)


class LogProbTest(tf.test.TestCase, parameterized.TestCase):
  def test_shapes_and_dtypes(self):
    head, tail = _flow().log_prob(_frames(2, 4), [0, 2])
    self.assertEqual((head.shape, tail.shape), ([2], [2, 3]))
    self.assertEqual((head.dtype, tail.dtype), (tf.float32, tf.float32))

  def test_is_that_of_head_and_tail(self):
    flow, frames, label = _flow(), _frames(2, 3), tf.constant([0, 2])
    head, tail = flow.log_prob(frames, label, seed=3)
    clean = tfp_cglow.quantise(frames, 5)
    noise = tfp_cglow.video.likelihood.frame_noise(3, [0, 1], [0, 1, 2], _SHAPE)
    noisy = tfp_cglow.dequantise(clean, 5, noise)
    base = tfd.Sample(tfd.Normal(0.0, 1.0), [48])
    first = tfd.TransformedDistribution(base, flow.head)
    expected = first.log_prob(noisy[:, 0], bijector_kwargs={'label': label})
    self.assertAllClose(head, expected, 1e-5, 1e-4)
    later = tfd.TransformedDistribution(base, flow.tail)
    state = flow.memory.initial_state(clean[:, 0])
    for t in (1, 2):
      state = flow.memory(state, clean[:, t - 1])
      context = tf.concat([clean[:, t - 1], state], -1)
      expected = later.log_prob(
        noisy[:, t], bijector_kwargs={'context': context}
      )
      self.assertAllClose(tail[:, t - 1], expected, 1e-5, 1e-4)

  def test_memory_is_a_choice(self):
    frames, label = _frames(2, 3), tf.constant([0, 2])
    flow = _flow(tail=_tail(memory=tfp_cglow.GruMemory(1)))
    self.assertIsInstance(flow.memory, tfp_cglow.ConvGRU)
    self.assertEqual(flow.log_prob(frames, label)[1].shape, [2, 2])
    self.assertIsNone(_flow(tail=_tail(memory=None)).memory)

  def test_a_tails_label_embedding(self):
    first = tfp_cglow.FrameAffine(tfp_cglow.MovedFrame(1))
    tail = _tail(first=first, labels=tfp_cglow.LabelEmbedding())
    flow, frames = _flow(tail=tail), _frames(2, 3)
    for variable in flow.trainable_variables:
      variable.assign_add(0.1 * tf.ones_like(variable))
    _, right = flow.log_prob(frames, [0, 1])
    _, wrong = flow.log_prob(frames, [1, 0])
    self.assertNotAllClose(right, wrong)
    self.assertAllClose(
      tf.reduce_sum(tf.exp(flow.classify(frames)), axis=-1), [1.0, 1.0]
    )
    video = flow.sample([0, 1], num_frames=3, seed=0)
    self.assertEqual(video.shape[:2], [2, 3])

  def test_label_variables_are_a_group(self):
    groups = _flow().parameter_groups()
    self.assertEqual(list(groups), ['head', 'tail', 'memory', 'labels'])
    in_head = {v.ref() for v in groups['head']}
    self.assertTrue({v.ref() for v in groups['labels']} <= in_head)
    self.assertNotIn('labels', _flow(_UNLABELLED).parameter_groups())

  def test_bytes_and_floats_agree(self):
    flow, frames = _flow(), _frames()
    for a, b in zip(
      flow.log_prob(frames, [0, 1]),
      flow.log_prob((frames / 256).astype(np.float32), [0, 1]),
    ):
      self.assertAllEqual(a, b)

  def test_noise_depends_on_the_seed(self):
    flow, frames = _flow(), _frames()
    first, _ = flow.log_prob(frames, [0, 1], seed=1)
    self.assertAllEqual(first, flow.log_prob(frames, [0, 1], seed=1)[0])
    self.assertNotAllClose(first, flow.log_prob(frames, [0, 1], seed=2)[0])

  def test_sees_a_change_of_weights(self):
    flow, frames = _flow(), tf.constant(_frames())
    before = flow.log_prob(frames, [0, 1])
    for variable in flow.trainable_variables:
      variable.assign_add(tf.ones_like(variable) * 0.05)
    for a, b in zip(before, flow.log_prob(frames, [0, 1])):
      self.assertNotAllClose(a, b)

  def test_head_alone(self):
    flow = _flow(tail=None)
    head, tail = flow.log_prob(_frames(2, 1), [0, 1])
    self.assertEqual(head.shape, [2])
    self.assertIsNone(tail)
    self.assertIsNone(flow.memory)

  def test_tail_alone(self):
    flow = _flow(head=None)
    head, tail = flow.log_prob(_frames(2, 3))
    self.assertIsNone(head)
    self.assertEqual(tail.shape, [2, 2])

  def test_mixture_of_labels(self):
    flow = _flow(tail=_tail(labels=_LABELS))
    one_hot = flow.log_prob(_frames(), tf.one_hot([0, 2], 3))
    for a, b in zip(one_hot, flow.log_prob(_frames(), [0, 2])):
      self.assertAllClose(a, b, 1e-5, 1e-4)

  def test_classify_is_bayes_rule(self):
    flow, frames = _flow(tail=_tail(labels=_LABELS)), _frames(2, 3)
    flow.label_counts.assign([7.0, 1.0, 3.0])
    joint = []
    for label in range(3):
      head, tail = flow.log_prob(frames, [label, label])
      prior = np.log(np.array([8, 2, 4])[label] / 14)
      joint.append(prior + head + tf.reduce_sum(tail, 1))
    expected = tf.nn.log_softmax(tf.stack(joint, -1))
    self.assertAllClose(flow.classify(frames), expected, 1e-4, 1e-3)


class MixedPrecisionTest(tf.test.TestCase):
  def test_bits_per_dim_as_in_float32(self):
    frames, label = _frames(4, 3), tf.constant([0, 2, 1, 0])
    bits = {}
    for dtype in (None, 'bfloat16'):
      parts = {
        'steps': tfp_cglow.AffineSteps(1, 4),
        'networks': tfp_cglow.Networks(dtype),
      }
      flow = _flow(dataclasses.replace(_HEAD, **parts), _tail(**parts))
      head, tail = flow.log_prob(frames, label, seed=0)
      self.assertEqual((head.dtype, tail.dtype), (tf.float32, tf.float32))
      bits[dtype] = [
        float(tf.reduce_mean(tfp_cglow.bits_per_dim(x, 48, 5)))
        for x in (head, tail)
      ]
    difference = np.subtract(bits['bfloat16'], bits[None])
    self.assertAllGreater(np.abs(difference), 0.0)
    self.assertAllLess(np.abs(difference), 0.01)


class CausalityTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(
    tfp_cglow.FrameAffine(), tfp_cglow.LevelMixture(halvings=1)
  )
  def test_a_frame_changes_its_own_and_later_likelihoods_only(self, first):
    flow = _flow(tail=_tail(first=first, labels=_LABELS, previous_frames=2))
    frames, label = _frames(2, 5), tf.constant([0, 2])
    log_prob = lambda f: np.concatenate(
      [
        t if t.ndim == 2 else t[:, np.newaxis]
        for t in _as_numpy(flow, f, label)
      ],
      axis=1,
    )
    before = log_prob(frames)
    self.assertEqual(before.shape, (2, 5))
    for t in range(5):
      changed = frames.copy()
      changed[:, t] = 255 - changed[:, t]
      after = log_prob(changed)
      self.assertAllEqual(before[:, :t], after[:, :t])
      for s in range(t, min(t + 2, 5)):
        self.assertTrue(np.all(before[:, s] != after[:, s]), (t, s))

  def test_two_previous_frames_are_seen_without_a_state(self):
    flow = _flow(tail=_tail(memory=None, previous_frames=2))
    frames = _frames(1, 5)
    changed = frames.copy()
    changed[:, 1] = 255 - changed[:, 1]
    _, before = _as_numpy(flow, frames, [0])
    _, after = _as_numpy(flow, changed, [0])
    self.assertAllEqual(before != after, [[True, True, True, False]])

  def test_changes_inside_a_bin_of_the_context_are_not_seen(self):
    flow = _flow(n_bits=2)
    frames = _frames(1, 3) // 64 * 64
    for a, b in zip(
      _as_numpy(flow, frames, [0]), _as_numpy(flow, frames + 63, [0])
    ):
      self.assertAllEqual(a, b)


def _as_numpy(flow, frames, label):
  return [t.numpy() for t in flow.log_prob(frames, label)]


class SampleTest(tf.test.TestCase, parameterized.TestCase):
  def test_shape_dtype_and_seeds(self):
    flow = _flow(tail=_tail(labels=_LABELS, previous_frames=2))
    sample = lambda seed: flow.sample([0, 2], num_frames=4, seed=seed)
    video = sample(1)
    self.assertEqual(video.shape, [2, 4, *_SHAPE])
    self.assertEqual(video.dtype, tf.uint8)
    self.assertAllEqual(video, sample(1))
    self.assertNotAllEqual(video, sample(2))
    self.assertNotAllEqual(sample(None), sample(None))

  def test_values_are_bin_centres(self):
    video = _flow(n_bits=2).sample([0], num_frames=3, temperature=2.0, seed=0)
    self.assertContainsSubset(np.unique(video), [32, 96, 160, 224])

  def test_temperature_zero_depends_on_the_label_only(self):
    flow = _flow(tail=_tail(labels=_LABELS))
    video = flow.sample([1, 1, 2], num_frames=3, temperature=0.0, seed=5)
    self.assertAllEqual(video[0], video[1])
    self.assertNotAllEqual(video[0], video[2])
    other = flow.sample([1], num_frames=3, temperature=0.0, seed=6)
    self.assertAllEqual(video[:1], other)

  def test_a_row_does_not_depend_on_the_rest_of_the_batch(self):
    flow = _flow(tail=_tail(labels=_LABELS))
    video = flow.sample([0, 1, 2], num_frames=3, seed=5)
    self.assertAllEqual(video[:2], flow.sample([0, 1], num_frames=3, seed=5))
    seeds = tf.constant([[1, 2], [3, 4], [1, 2]])
    rows = flow.sample([0, 1, 0], num_frames=3, seed=seeds)
    self.assertAllEqual(rows[0], rows[2])
    alone = flow.sample([1], num_frames=3, seed=seeds[1:2])
    self.assertAllEqual(rows[1:2], alone)

  def test_more_frames_continue_the_same_video(self):
    flow = _flow()
    long = flow.sample([0, 1], num_frames=4, seed=5)
    short = flow.sample([0, 1], num_frames=2, seed=5)
    self.assertAllEqual(long[:, :2], short)

  @parameterized.parameters(1, 2, 3)
  def test_continuation(self, num_given):
    flow = _flow(tail=_tail(previous_frames=2))
    given = _frames(2, num_given)
    video = flow.sample([0, 1], num_frames=4, first_frames=given, seed=1)
    self.assertEqual(video.shape, [2, 4, *_SHAPE])
    self.assertAllEqual(video[:, :num_given], given // 8 * 8 + 4)

  def test_continuation_of_a_sample_is_that_sample(self):
    flow = _flow(tail=_tail(previous_frames=2))
    video = flow.sample([0, 1], num_frames=5, seed=1)
    for num_given in (1, 3):
      continued = flow.sample(
        [0, 1], num_frames=5, first_frames=video[:, :num_given], seed=1
      )
      self.assertAllEqual(video, continued)

  def test_head_alone_makes_images(self):
    video = _flow(tail=None).sample([0, 1], seed=0)
    self.assertEqual(video.shape, [2, 1, *_SHAPE])

  def test_tail_alone_continues(self):
    flow = _flow(head=None)
    video = flow.sample(num_frames=3, first_frames=_frames(2, 1), seed=0)
    self.assertEqual(video.shape, [2, 3, *_SHAPE])

  def test_no_labels(self):
    video = _flow(_UNLABELLED).sample(num_frames=2, num_videos=3, seed=0)
    self.assertEqual(video.shape, [3, 2, *_SHAPE])


class BadInputTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.named_parameters(
    ('nothing', {'head': None, 'tail': None}, 'both None'),
    ('previous', {'tail': _tail(previous_frames=3)}, r'\(1, 2\), but got 3'),
    ('dequantisation', {'dequantisation': 'none'}, "legacy.*'none'"),
    (
      'legacy_mixture',
      {'dequantisation': 'legacy', 'tail': _tail(first=_MIXTURE)},
      "'matched', but got 'legacy'",
    ),
    ('n_bits', {'n_bits': 9}, '1..8, but got 9'),
    (
      'levels',
      {'n_bits': 4, 'tail': _tail(first=tfp_cglow.LevelMixture(32))},
      'have 16 levels, but got .*levels=32',
    ),
    ('head', {'head': {}}, 'must be GlowSpec or None, but got {}'),
    ('head_is_a_tail', {'head': _TAIL}, 'must be a GlowSpec, but got TailSpec'),
    (
      'tail_is_a_head',
      {'tail': _HEAD},
      'must be TailSpec or None, but got GlowSpec',
    ),
    ('memory', {'tail': _tail(memory=8)}, 'GruMemory or None, but got 8'),
    (
      'labels',
      {'tail': _tail(labels='embedding')},
      "`tail.labels`.*LabelEmbedding.*got 'embedding'",
    ),
    (
      'nobody_takes_labels',
      {'head': None, 'num_labels': 3},
      'is 3, but neither `head` nor `tail`',
    ),
    (
      'labels_without_a_number',
      {'head': None, 'tail': _tail(labels=tfp_cglow.LabelPriors())},
      'one number of labels.*num_labels=None',
    ),
    ('two_numbers', {'num_labels': 4}, 'one number of labels.*num_labels=4'),
  )
  def test_build(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      _flow(**arguments)

  def test_constructor(self):
    flow, counts = _flow(), tf.zeros([3])
    for arguments, message in (
      ({'head': flow.head}, 'needs `label_counts`.*None'),
      ({'head': flow.head, 'label_counts': tf.zeros([4])}, "'label_counts': 4"),
      ({'tail': flow.tail, 'label_counts': counts}, "got {'label_counts': 3}"),
      (
        {'head': flow.head, 'memory': flow.memory, 'label_counts': counts},
        '`tail` is None',
      ),
    ):
      with self.assertRaisesRegex(ValueError, message):
        tfp_cglow.VideoFlow(_SHAPE, **arguments)

  @parameterized.named_parameters(
    ('rank', np.zeros([4, *_SHAPE], np.uint8), [0], r'\[B, T, 4, 4, 3\]'),
    ('size', np.zeros([1, 2, 8, 8, 3], np.uint8), [0], r'4, 4, 3\], but got'),
    ('dtype', np.zeros([1, 2, *_SHAPE], np.int64), [0], 'uint8.*int64'),
    ('no_label', _frames(1), None, 'needs labels'),
    ('label_range', _frames(1), [3], r'\[0, 3\), but got'),
    ('label_weights', _frames(1), [[0.5, 0.5]], r'3\], but got \(1, 2\)'),
  )
  def test_log_prob(self, frames, label, message):
    with self.assertRaisesRegex(ValueError, message):
      _flow().log_prob(frames, label)

  def test_log_prob_of_a_model_without_labels(self):
    with self.assertRaisesRegex(ValueError, 'takes no label'):
      _flow(_UNLABELLED).log_prob(_frames(1), [0])
    with self.assertRaisesRegex(ValueError, 'cannot classify'):
      _flow(_UNLABELLED).classify(_frames(1))

  def test_tail_alone_needs_two_frames(self):
    with self.assertRaisesRegex(ValueError, 'two frames'):
      _flow(head=None).log_prob(_frames(1, 1))

  @parameterized.named_parameters(
    ('no_label', {}, {'labels': None}, 'needs `labels`'),
    ('label_range', {}, {'labels': [7]}, r'\[0, 3\), but got'),
    ('no_frame', {}, {'num_frames': 0}, 'at least 1, but got 0'),
    ('temperature', {}, {'temperature': -1.0}, '>= 0, but got -1'),
    ('nan', {}, {'temperature': np.nan}, 'finite'),
    ('min_p', {}, {'min_p': 1.0}, r'`min_p` must be in \[0, 1\), but got 1.0'),
    ('nan_min_p', {}, {'min_p': np.nan}, '`min_p`.*nan'),
    ('no_tail', {'tail': None}, {'num_frames': 2}, 'without a tail'),
    (
      'fewer_than_given',
      {},
      {'first_frames': _frames(1, 3)},
      'at least 3, but got 2',
    ),
    (
      'batch',
      {},
      {'first_frames': _frames(2, 1)},
      'holds 2 videos, but 1',
    ),
    (
      'no_head',
      {'head': None, 'tail': _tail(labels=_LABELS)},
      {},
      'needs `first_frames`',
    ),
    ('takes_no_label', {'head': _UNLABELLED}, {}, 'takes no label'),
  )
  def test_sample(self, flow, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      _flow(**flow).sample(**{'labels': [0], 'num_frames': 2, **arguments})


class LegacyDequantisationTest(tf.test.TestCase):
  def test_samples_keep_eight_bits(self):
    flow = _flow(dequantisation='legacy')
    video = flow.sample([0, 1], num_frames=2, temperature=1.0, seed=0)
    self.assertGreater(len(np.unique(video.numpy() % 8)), 4)


if __name__ == '__main__':
  tf.test.main()
