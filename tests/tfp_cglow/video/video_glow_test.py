"""Tests of `video_glow`."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as tfk

import tfp_cglow

tfd = tfp.distributions

_SHAPE = [4, 4, 3]
_GLOW = {'num_glow_blocks': 1, 'num_steps_per_block': 1, 'hidden_channels': 4}


def _model(randomised=True, **kwargs):
  """A small model, its variables away from their zeros."""
  arguments = {
    'num_labels': 3,
    'state_channels': 2,
    'head': _GLOW,
    'tail': {**_GLOW, 'context_affine': 'residual'},
    'seed': 0,
    **kwargs,
  }
  model = tfp_cglow.VideoGlow(_SHAPE, **arguments)
  rng = np.random.default_rng(1)
  if randomised:
    for variable in model.trainable_variables:
      variable.assign(0.15 * rng.standard_normal(variable.shape))
  return model


def _frames(batch=2, time=4, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(256, size=[batch, time, *_SHAPE]).astype(np.uint8)


def _dataset(frames, label, batch_size=2):
  return tf.data.Dataset.from_tensor_slices((frames, label)).batch(batch_size)


def _values(variables):
  return [v.numpy() for v in variables]


class LogProbTest(tf.test.TestCase, parameterized.TestCase):
  def test_shapes_and_dtypes(self):
    head, tail = _model().log_prob(_frames(2, 4), [0, 2])
    self.assertEqual((head.shape, tail.shape), ([2], [2, 3]))
    self.assertEqual((head.dtype, tail.dtype), (tf.float32, tf.float32))

  def test_is_that_of_head_and_tail(self):
    model, frames, label = _model(), _frames(2, 3), tf.constant([0, 2])
    head, tail = model.log_prob(frames, label, seed=3)
    clean = tfp_cglow.quantise(frames, 5)
    noise = tfp_cglow.video.likelihood.frame_noise(3, [0, 1], [0, 1, 2], _SHAPE)
    noisy = tfp_cglow.dequantise(clean, 5, noise)
    base = tfd.Sample(tfd.Normal(0.0, 1.0), [48])
    flow = tfd.TransformedDistribution(base, model.head)
    expected = flow.log_prob(noisy[:, 0], bijector_kwargs={'label': label})
    self.assertAllClose(head, expected, 1e-5, 1e-4)
    flow = tfd.TransformedDistribution(base, model.tail)
    state = model.processor.initial_state(clean[:, 0])
    for t in (1, 2):
      state = model.processor(state, clean[:, t - 1])
      context = tf.concat([clean[:, t - 1], state], -1)
      expected = flow.log_prob(
        noisy[:, t], bijector_kwargs={'context': context}
      )
      self.assertAllClose(tail[:, t - 1], expected, 1e-5, 1e-4)

  def test_processor_is_a_choice(self):
    frames, label = _frames(2, 3), tf.constant([0, 2])
    model = _model(state_channels=1, processor='gru')
    self.assertIsInstance(model.processor, tfp_cglow.ConvGRU)
    self.assertEqual(model.log_prob(frames, label)[1].shape, [2, 2])
    with self.assertRaisesRegex(ValueError, "residual.*gru.*got 'lstm'"):
      _model(processor='lstm')

  def test_recall_reads_the_state(self):
    tail = {**_GLOW, 'context_affine': 'recall'}
    for previous_frames in (1, 2):
      model = _model(
        state_channels=3,
        processor='gru',
        tail=tail,
        previous_frames=previous_frames,
      )
      affine = model.tail.context_affine
      self.assertEqual(
        affine._base_mean.keywords, {'offset': 3 * previous_frames}
      )
      head, later = model.log_prob(_frames(2, 3), [0, 1])
      self.assertEqual((head.shape, later.shape), ([2], [2, 2]))

  def test_a_tails_label_embedding(self):
    tail = {**_GLOW, 'context_affine': 'motion', 'motion_radius': 1}
    tail['label_conditioning'] = 'embedding'
    model, frames = _model(tail=tail, tail_labels=True), _frames(2, 3)
    for variable in model.trainable_variables:
      variable.assign_add(0.1 * tf.ones_like(variable))
    _, right = model.log_prob(frames, [0, 1])
    _, wrong = model.log_prob(frames, [1, 0])
    self.assertNotAllClose(right, wrong)
    self.assertAllClose(
      tf.reduce_sum(tf.exp(model.classify(frames)), axis=-1), [1.0, 1.0]
    )
    video = model.sample([0, 1], num_frames=3, seed=0)
    self.assertEqual(video.shape[:2], [2, 3])

  def test_label_variables_are_a_group(self):
    groups = _model().parameter_groups()
    self.assertEqual(list(groups), ['head', 'tail', 'processor', 'labels'])
    in_head = {v.ref() for v in groups['head']}
    self.assertTrue({v.ref() for v in groups['labels']} <= in_head)
    self.assertNotIn('labels', _model(num_labels=None).parameter_groups())

  def test_bytes_and_floats_agree(self):
    model, frames = _model(), _frames()
    for a, b in zip(
      model.log_prob(frames, [0, 1]),
      model.log_prob((frames / 256).astype(np.float32), [0, 1]),
    ):
      self.assertAllEqual(a, b)

  def test_noise_depends_on_the_seed(self):
    model, frames = _model(), _frames()
    first, _ = model.log_prob(frames, [0, 1], seed=1)
    self.assertAllEqual(first, model.log_prob(frames, [0, 1], seed=1)[0])
    self.assertNotAllClose(first, model.log_prob(frames, [0, 1], seed=2)[0])

  def test_sees_a_change_of_weights(self):
    model, frames = _model(), tf.constant(_frames())
    before = model.log_prob(frames, [0, 1])
    for variable in model.trainable_variables:
      variable.assign_add(tf.ones_like(variable) * 0.05)
    for a, b in zip(before, model.log_prob(frames, [0, 1])):
      self.assertNotAllClose(a, b)

  def test_head_alone(self):
    model = _model(tail=None)
    head, tail = model.log_prob(_frames(2, 1), [0, 1])
    self.assertEqual(head.shape, [2])
    self.assertIsNone(tail)
    self.assertIsNone(model.processor)

  def test_tail_alone(self):
    model = _model(head=None, num_labels=None)
    head, tail = model.log_prob(_frames(2, 3))
    self.assertIsNone(head)
    self.assertEqual(tail.shape, [2, 2])

  def test_mixture_of_labels(self):
    model = _model(tail_labels=True)
    one_hot = model.log_prob(_frames(), tf.one_hot([0, 2], 3))
    for a, b in zip(one_hot, model.log_prob(_frames(), [0, 2])):
      self.assertAllClose(a, b, 1e-5, 1e-4)

  def test_classify_is_bayes_rule(self):
    model, frames = _model(tail_labels=True), _frames(2, 3)
    model.label_counts.assign([7.0, 1.0, 3.0])
    joint = []
    for label in range(3):
      head, tail = model.log_prob(frames, [label, label])
      prior = np.log(np.array([8, 2, 4])[label] / 14)
      joint.append(prior + head + tf.reduce_sum(tail, 1))
    expected = tf.nn.log_softmax(tf.stack(joint, -1))
    self.assertAllClose(model.classify(frames), expected, 1e-4, 1e-3)


class MixedPrecisionTest(tf.test.TestCase):
  def test_bits_per_dim_as_in_float32(self):
    frames, label = _frames(4, 3), tf.constant([0, 2, 1, 0])
    bits = {}
    for dtype in (None, 'bfloat16'):
      glow = {**_GLOW, 'coupling': 'affine', 'network_dtype': dtype}
      model = _model(head=glow, tail={**glow, 'context_affine': 'residual'})
      head, tail = model.log_prob(frames, label, seed=0)
      self.assertEqual((head.dtype, tail.dtype), (tf.float32, tf.float32))
      bits[dtype] = [
        float(tf.reduce_mean(tfp_cglow.bits_per_dim(x, 48, 5)))
        for x in (head, tail)
      ]
    difference = np.subtract(bits['bfloat16'], bits[None])
    self.assertAllGreater(np.abs(difference), 0.0)
    self.assertAllLess(np.abs(difference), 0.01)


class CausalityTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters('context_affine', 'context_mixture')
  def test_a_frame_changes_its_own_and_later_likelihoods_only(self, first):
    tail = {'context_affine': 'residual', 'context_mixture': 'quarters'}
    model = _model(
      previous_frames=2, tail_labels=True, tail={**_GLOW, first: tail[first]}
    )
    frames, label = _frames(2, 5), tf.constant([0, 2])
    log_prob = lambda f: np.concatenate(
      [
        t if t.ndim == 2 else t[:, np.newaxis]
        for t in _as_numpy(model, f, label)
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
    model = _model(previous_frames=2, state_channels=0)
    frames = _frames(1, 5)
    changed = frames.copy()
    changed[:, 1] = 255 - changed[:, 1]
    _, before = _as_numpy(model, frames, [0])
    _, after = _as_numpy(model, changed, [0])
    self.assertAllEqual(before != after, [[True, True, True, False]])

  def test_changes_inside_a_bin_of_the_context_are_not_seen(self):
    model = _model(n_bits=2)
    frames = _frames(1, 3) // 64 * 64
    for a, b in zip(
      _as_numpy(model, frames, [0]), _as_numpy(model, frames + 63, [0])
    ):
      self.assertAllEqual(a, b)


def _as_numpy(model, frames, label):
  return [t.numpy() for t in model.log_prob(frames, label)]


class SampleTest(tf.test.TestCase, parameterized.TestCase):
  def test_shape_dtype_and_seeds(self):
    model = _model(previous_frames=2, tail_labels=True)
    sample = lambda seed: model.sample([0, 2], num_frames=4, seed=seed)
    video = sample(1)
    self.assertEqual(video.shape, [2, 4, *_SHAPE])
    self.assertEqual(video.dtype, tf.uint8)
    self.assertAllEqual(video, sample(1))
    self.assertNotAllEqual(video, sample(2))
    self.assertNotAllEqual(sample(None), sample(None))

  def test_values_are_bin_centres(self):
    video = _model(n_bits=2).sample([0], num_frames=3, temperature=2.0, seed=0)
    self.assertContainsSubset(np.unique(video), [32, 96, 160, 224])

  def test_temperature_zero_depends_on_the_label_only(self):
    model = _model(tail_labels=True)
    video = model.sample([1, 1, 2], num_frames=3, temperature=0.0, seed=5)
    self.assertAllEqual(video[0], video[1])
    self.assertNotAllEqual(video[0], video[2])
    other = model.sample([1], num_frames=3, temperature=0.0, seed=6)
    self.assertAllEqual(video[:1], other)

  def test_a_row_does_not_depend_on_the_rest_of_the_batch(self):
    model = _model(tail_labels=True)
    video = model.sample([0, 1, 2], num_frames=3, seed=5)
    self.assertAllEqual(video[:2], model.sample([0, 1], num_frames=3, seed=5))
    seeds = tf.constant([[1, 2], [3, 4], [1, 2]])
    rows = model.sample([0, 1, 0], num_frames=3, seed=seeds)
    self.assertAllEqual(rows[0], rows[2])
    alone = model.sample([1], num_frames=3, seed=seeds[1:2])
    self.assertAllEqual(rows[1:2], alone)

  def test_more_frames_continue_the_same_video(self):
    model = _model()
    long = model.sample([0, 1], num_frames=4, seed=5)
    short = model.sample([0, 1], num_frames=2, seed=5)
    self.assertAllEqual(long[:, :2], short)

  @parameterized.parameters(1, 2, 3)
  def test_continuation(self, num_given):
    model = _model(previous_frames=2)
    given = _frames(2, num_given)
    video = model.sample([0, 1], num_frames=4, first_frames=given, seed=1)
    self.assertEqual(video.shape, [2, 4, *_SHAPE])
    self.assertAllEqual(video[:, :num_given], given // 8 * 8 + 4)

  def test_continuation_of_a_sample_is_that_sample(self):
    model = _model(previous_frames=2)
    video = model.sample([0, 1], num_frames=5, seed=1)
    for num_given in (1, 3):
      continued = model.sample(
        [0, 1], num_frames=5, first_frames=video[:, :num_given], seed=1
      )
      self.assertAllEqual(video, continued)

  def test_head_alone_makes_images(self):
    video = _model(tail=None).sample([0, 1], seed=0)
    self.assertEqual(video.shape, [2, 1, *_SHAPE])

  def test_tail_alone_continues(self):
    model = _model(head=None, num_labels=None)
    video = model.sample(num_frames=3, first_frames=_frames(2, 1), seed=0)
    self.assertEqual(video.shape, [2, 3, *_SHAPE])

  def test_no_labels(self):
    video = _model(num_labels=None).sample(num_frames=2, num_videos=3, seed=0)
    self.assertEqual(video.shape, [3, 2, *_SHAPE])


class BadInputTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.named_parameters(
    ('nothing', {'head': None, 'tail': None}, 'both None'),
    ('previous', {'previous_frames': 3}, '1 or 2, but got 3'),
    ('dequantisation', {'dequantisation': 'none'}, "legacy.*'none'"),
    (
      'legacy_mixture',
      {'dequantisation': 'legacy', 'tail': {'context_mixture': 'pixels'}},
      "'matched', but got 'legacy'",
    ),
  )
  def test_constructor(self, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      _model(**arguments)

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
      _model().log_prob(frames, label)

  def test_log_prob_of_a_model_without_labels(self):
    with self.assertRaisesRegex(ValueError, 'takes no label'):
      _model(num_labels=None).log_prob(_frames(1), [0])
    with self.assertRaisesRegex(ValueError, 'cannot classify'):
      _model(num_labels=None).classify(_frames(1))

  def test_tail_alone_needs_two_frames(self):
    with self.assertRaisesRegex(ValueError, 'two frames'):
      _model(head=None, num_labels=None).log_prob(_frames(1, 1))

  @parameterized.named_parameters(
    ('no_label', {}, {'labels': None}, 'needs `labels`'),
    ('label_range', {}, {'labels': [7]}, r'\[0, 3\), but got'),
    ('no_frame', {}, {'num_frames': 0}, 'at least 1, but got 0'),
    ('temperature', {}, {'temperature': -1.0}, '>= 0, but got -1'),
    ('nan', {}, {'temperature': np.nan}, 'finite'),
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
      {'head': None, 'tail_labels': True},
      {},
      'needs `first_frames`',
    ),
    ('takes_no_label', {'num_labels': None}, {}, 'takes no label'),
  )
  def test_sample(self, model, arguments, message):
    with self.assertRaisesRegex(ValueError, message):
      _model(**model).sample(**{'labels': [0], 'num_frames': 2, **arguments})

  @parameterized.parameters('clipnorm', 'clipvalue', 'global_clipnorm')
  def test_clipping_optimisers_are_refused(self, name):
    for optimizers in (tfk.optimizers, tfk.optimizers.legacy):
      with self.assertRaisesRegex(ValueError, f'`{name}`.*clip_norms'):
        _model().compile(optimizers.Adam(1e-3, **{name: 1.0}))

  def test_unknown_clip_norm(self):
    with self.assertRaisesRegex(ValueError, "'heads'.*mean 'head'"):
      _model().compile(tfk.optimizers.legacy.Adam(), clip_norms={'heads': 1.0})


class FitTest(tf.test.TestCase, parameterized.TestCase):
  def _compiled(
    self, optimizer=None, clip_norms=None, adapted=False, eager=True, **kwargs
  ):
    """A compiled model; one eager step costs less than a trace."""
    model = _model(**kwargs)
    model.compile(
      optimizer or tfk.optimizers.legacy.Adam(1e-2, epsilon=1e-8),
      clip_norms,
      run_eagerly=eager,
    )
    for glow in (model.head, model.tail):
      if adapted and glow is not None:
        glow.adapted.assign(True)
    return model

  def test_adapts_once_and_learns(self):
    model = self._compiled(randomised=False, eager=False)
    frames, label = _frames(4, 3) // 4, tf.constant([0, 1, 2, 0])
    dataset = _dataset(frames, label)
    self.assertFalse(model.adapted)
    before = model.evaluate(dataset, verbose=0, return_dict=True)
    history = model.fit(dataset, epochs=2, verbose=0).history
    self.assertTrue(model.adapted)
    after = model.evaluate(dataset, verbose=0, return_dict=True)
    for name in ('head_bits_per_dim', 'tail_bits_per_dim'):
      self.assertLess(after[name], before[name] - 0.1)
      self.assertIn(name, history)
    self.assertAllEqual(model.label_counts, [4.0, 2.0, 2.0])
    adapted = []
    model.adapt = lambda *args: adapted.append(args)
    model.fit(dataset, verbose=0)
    self.assertEmpty(adapted)

  def test_evaluate_does_not_depend_on_the_batch_size(self):
    model = self._compiled(tail_labels=True)
    frames, label = _frames(5, 3), tf.constant([0, 1, 2, 0, 1])
    evaluate = lambda size: model.evaluate(
      _dataset(frames, label, size), verbose=0, return_dict=True
    )
    results = evaluate(2)
    self.assertEqual(results, evaluate(2))
    for size in (1, 3, 5):
      self.assertAllClose(results, evaluate(size), 1e-5, 1e-5)
    head, tail = model.log_prob(frames, label)
    for name, value in (('head', head), ('tail', tail)):
      bits = tf.reduce_mean(tfp_cglow.bits_per_dim(value, _SHAPE, 5))
      self.assertAllClose(results[f'{name}_bits_per_dim'], bits, 1e-5)

  def test_numpy_arrays(self):
    model = self._compiled()
    model.fit(
      _frames(3, 2), np.array([0, 1, 2], np.int32), batch_size=3, verbose=0
    )
    self.assertEqual(model.optimizer.iterations, 1)

  @parameterized.named_parameters(
    ('legacy', tfk.optimizers.legacy.Adam, False),
    ('new', tfk.optimizers.Adam, True),
  )
  def test_a_step_that_is_not_finite_changes_nothing(self, adam, eager):
    model = self._compiled(adam(1e-2, epsilon=1e-8), eager=eager)
    dataset = _dataset(_frames(2, 3), tf.constant([0, 1]))
    model.fit(dataset, verbose=0)
    broken = model.tail.trainable_variables[0]
    healthy = broken.numpy()
    broken.assign(np.full_like(healthy, np.nan))

    def slots():
      variables = model.optimizer.variables  # A method of legacy optimisers.
      return _values(variables() if callable(variables) else variables)

    weights, before = _values(model.trainable_variables), slots()
    logs = model.fit(dataset, verbose=0).history
    self.assertEqual(logs['skipped_steps'], [1.0])
    for a, b in zip(weights, _values(model.trainable_variables)):
      self.assertAllEqual(a, b)
    self.assertNotEmpty(before)
    for a, b in zip(before, slots()):
      self.assertAllEqual(a, b)
    broken.assign(healthy)
    logs = model.fit(dataset, verbose=0).history
    self.assertEqual(logs['skipped_steps'], [0.0])
    self.assertTrue(np.isfinite(logs['loss'][0]))
    self.assertNotAllEqual(model.trainable_variables[0], weights[0])

  def test_frames_that_are_not_finite_skip_the_step(self):
    model = self._compiled(tfk.optimizers.legacy.Adam(1e-2), adapted=True)
    frames = tf.cast(_frames(2, 3), tf.float32) / 255.0
    for place in (0, 2):  # A target of the head; one of the tail.
      spoiled = frames.numpy()
      spoiled[1, place, 3, 3, 0] = np.nan
      weights = _values(model.trainable_variables)
      dataset = _dataset(spoiled, tf.constant([0, 1]))
      logs = model.fit(dataset, verbose=0).history
      self.assertEqual(logs['skipped_steps'], [1.0])
      for a, b in zip(weights, _values(model.trainable_variables)):
        self.assertAllEqual(a, b)

  def test_gradients_are_clipped_by_submodel(self):
    norms = {'head': 1e-1, 'tail': 1e-2, 'processor': 1e-4}
    model = self._compiled(tfk.optimizers.legacy.SGD(1.0), norms, adapted=True)
    before = {
      k: _values(m.trainable_variables) for k, m in model.submodels().items()
    }
    model.fit(_dataset(_frames(2, 3), [0, 1]), verbose=0)
    for name, part in model.submodels().items():
      moves = [
        tf.norm(v - b) for v, b in zip(part.trainable_variables, before[name])
      ]
      self.assertAllClose(tf.norm(moves), norms[name], rtol=1e-2)

  def test_label_dropout_trains_the_null_label(self):
    frames, label = _frames(2, 1), tf.constant([0, 1])

    def moves_of_table(dropout):
      model = self._compiled(
        tfk.optimizers.legacy.SGD(1.0),
        adapted=True,
        tail=None,
        label_dropout=dropout,
        label_loss_weight=0.0,
      )
      table = model.head.label_prior.trainable_variables[0]
      before = table.numpy()
      model.fit(_dataset(frames, label), verbose=0)
      return np.abs(table.numpy() - before).max(axis=1)

    self.assertAllEqual(moves_of_table(1.0), [0.0, 0.0, 0.0])
    used = moves_of_table(0.0)
    self.assertAllGreater(used[:2], 0.0)
    self.assertEqual(used[2], 0.0)

  def test_a_subset_of_frames_a_step(self):
    model = self._compiled(tail_frames_per_step=1)
    dataset = _dataset(_frames(2, 4), tf.constant([0, 1]))
    history = model.fit(dataset, verbose=0).history
    self.assertTrue(np.isfinite(history['loss'][0]))

  @parameterized.named_parameters(
    ('head', {'tail': None}), ('tail', {'head': None, 'num_labels': None})
  )
  def test_one_part_alone(self, arguments):
    model = self._compiled(**arguments)
    frames, label = _frames(2, 2), tf.constant([0, 1])
    dataset = tf.data.Dataset.from_tensor_slices((frames, label)).batch(2)
    model.fit(dataset, verbose=0)
    results = model.evaluate(dataset, verbose=0, return_dict=True)
    self.assertTrue(np.isfinite(results['loss']))
    self.assertTrue(model.adapted)


class SavingTest(tf.test.TestCase):
  def test_checkpoint(self):
    saved, restored = _model(), _model(seed=9, randomised=False)
    frames = _frames()
    saved.adapt(frames, [0, 1])
    saved.label_counts.assign([1.0, 2.0, 3.0])
    path = tf.train.Checkpoint(model=saved).save(
      self.create_tempdir().full_path + '/checkpoint'
    )
    tf.train.Checkpoint(model=restored).restore(path).assert_consumed()
    self._assert_equal(saved, restored)

  def test_save_weights(self):
    saved, restored = _model(), _model(seed=9, randomised=False)
    saved.adapt(_frames(), [0, 1])
    path = self.create_tempdir().full_path + '/weights'
    saved.save_weights(path)
    restored.load_weights(path).assert_consumed()
    self._assert_equal(saved, restored)

  def _assert_equal(self, saved, restored):
    self.assertTrue(restored.adapted)
    self.assertAllEqual(saved.label_counts, restored.label_counts)
    self.assertEqual(len(saved.variables), len(restored.variables))
    for a, b in zip(
      saved.log_prob(_frames(), [0, 1]), restored.log_prob(_frames(), [0, 1])
    ):
      self.assertAllEqual(a, b)

  def test_all_variables_are_tracked(self):
    model = _model()
    parts = sum(len(m.variables) for m in model.submodels().values())
    self.assertLen(model.variables, parts + 1)  # And `label_counts`.


class LegacyDequantisationTest(tf.test.TestCase):
  def test_samples_keep_eight_bits(self):
    model = _model(dequantisation='legacy')
    video = model.sample([0, 1], num_frames=2, temperature=1.0, seed=0)
    self.assertGreater(len(np.unique(video.numpy() % 8)), 4)


if __name__ == '__main__':
  tf.test.main()
