"""Tests of `video_glow`."""

import dataclasses

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tf_keras as tfk

import tfp_cglow

_SHAPE = [4, 4, 3]
_STEPS = tfp_cglow.AdditiveSteps(1, 4)
_HEAD = tfp_cglow.GlowSpec(1, _STEPS, labels=tfp_cglow.LabelPriors(3))
_TAIL = tfp_cglow.TailSpec(
  1, _STEPS, tfp_cglow.FrameAffine(), memory=tfp_cglow.ResidualMemory(2)
)


def _model(randomised=True, head=_HEAD, tail=_TAIL, seed=0):
  """A small model whose variables are not zero."""
  flow = tfp_cglow.build_video_flow(_SHAPE, head, tail, seed=seed)
  model = tfp_cglow.VideoGlow(flow, seed=seed)
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


class BadInputTest(tf.test.TestCase, parameterized.TestCase):
  def test_constructor(self):
    with self.assertRaisesRegex(ValueError, r'VideoFlow, but got \[4, 4, 3\]'):
      tfp_cglow.VideoGlow(_SHAPE)

  def test_loss(self):
    with self.assertRaisesRegex(ValueError, "VideoLoss, but got 'mse'"):
      _model().compile(tfk.optimizers.legacy.Adam(), 'mse')

  def test_sample_weights(self):
    model = _model()
    model.compile(tfk.optimizers.legacy.Adam(), run_eagerly=True)
    batch = _frames(), np.array([0, 1]), np.ones([2])
    with self.assertRaisesRegex(ValueError, 'weights are not supported'):
      model.train_step(batch)

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
    self,
    optimizer=None,
    loss=None,
    clip_norms=None,
    adapted=False,
    eager=True,
    **kwargs,
  ):
    """A compiled model that runs eagerly: one step takes less than a trace."""
    model = _model(**kwargs)
    model.compile(
      optimizer or tfk.optimizers.legacy.Adam(1e-2, epsilon=1e-8),
      loss,
      clip_norms,
      run_eagerly=eager,
    )
    for glow in (model.flow.head, model.flow.tail):
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
    self.assertAllEqual(model.flow.label_counts, [4.0, 2.0, 2.0])
    adapted = []
    model.adapt = lambda *args: adapted.append(args)
    model.fit(dataset, verbose=0)
    self.assertEmpty(adapted)

  def test_evaluate_does_not_depend_on_the_batch_size(self):
    tail = dataclasses.replace(_TAIL, labels=tfp_cglow.LabelPriors())
    model = self._compiled(tail=tail)
    frames, label = _frames(5, 3), tf.constant([0, 1, 2, 0, 1])
    evaluate = lambda size: model.evaluate(
      _dataset(frames, label, size), verbose=0, return_dict=True
    )
    results = evaluate(2)
    self.assertEqual(results, evaluate(2))
    for size in (1, 3, 5):
      self.assertAllClose(results, evaluate(size), 1e-5, 1e-5)
    head, tail = model.flow.log_prob(frames, label)
    for name, value in (('head', head), ('tail', tail)):
      bits = tf.reduce_mean(tfp_cglow.bits_per_dim(value, _SHAPE, 5))
      self.assertAllClose(results[f'{name}_bits_per_dim'], bits, 1e-5)

  def test_evaluate_is_of_first_frames_and_of_all_later_ones(self):
    frames, label = _frames(6), np.arange(6) % 3
    every = tfp_cglow.VideoLoss()
    some = tfp_cglow.VideoLoss(
      tail_frames_per_step=1,
      head_frames_per_step=1,
      tail_clips_per_step=1,
      head_clips_per_step=1,
      tail_context_warp=tfp_cglow.ContextWarp(1.0),
    )
    results = [
      self._compiled(loss=loss).evaluate(
        _dataset(frames, label), verbose=0, return_dict=True
      )
      for loss in (every, some)
    ]
    self.assertAllClose(*results)

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
    broken = model.flow.tail.trainable_variables[0]
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

  def test_an_epoch_of_skipped_steps_has_no_loss(self):
    model = self._compiled(adapted=True)
    frames = np.full([2, 3, *_SHAPE], np.nan, np.float32)
    stopping = tfk.callbacks.EarlyStopping('loss', patience=9)
    history = model.fit(
      _dataset(frames, tf.constant([0, 1])),
      epochs=3,
      verbose=0,
      callbacks=[tfk.callbacks.TerminateOnNaN(), stopping],
    ).history
    self.assertEqual(history['skipped_steps'], [1.0])  # Stopped at once.
    means = {k for k in history if k not in ('clips', 'spikes')}
    for name in means - {'skipped_steps'}:
      self.assertAllEqual(history[name], [np.nan])
    self.assertEqual(stopping.best, np.inf)

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
    norms = {'head': 1e-1, 'tail': 1e-2, 'memory': 1e-4}
    model = self._compiled(
      tfk.optimizers.legacy.SGD(1.0), clip_norms=norms, adapted=True
    )
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
        tfp_cglow.VideoLoss(label_weight=0.0, label_dropout=dropout),
        adapted=True,
        tail=None,
      )
      table = model.flow.head.label_prior.trainable_variables[0]
      before = table.numpy()
      model.fit(_dataset(frames, label), verbose=0)
      return np.abs(table.numpy() - before).max(axis=1)

    self.assertAllEqual(moves_of_table(1.0), [0.0, 0.0, 0.0])
    used = moves_of_table(0.0)
    self.assertAllGreater(used[:2], 0.0)
    self.assertEqual(used[2], 0.0)

  def test_a_subset_of_frames_a_step(self):
    model = self._compiled(loss=tfp_cglow.VideoLoss(tail_frames_per_step=1))
    dataset = _dataset(_frames(2, 4), tf.constant([0, 1]))
    history = model.fit(dataset, verbose=0).history
    self.assertTrue(np.isfinite(history['loss'][0]))

  @parameterized.named_parameters(
    ('head', {'tail': None}), ('tail', {'head': None})
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
    saved.flow.label_counts.assign([1.0, 2.0, 3.0])
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
    self.assertAllEqual(saved.flow.label_counts, restored.flow.label_counts)
    self.assertEqual(len(saved.variables), len(restored.variables))
    for a, b in zip(
      saved.flow.log_prob(_frames(), [0, 1]),
      restored.flow.log_prob(_frames(), [0, 1]),
    ):
      self.assertAllEqual(a, b)

  def test_all_variables_are_tracked(self):
    model = _model()
    parts = sum(len(m.variables) for m in model.submodels().values())
    self.assertLen(model.variables, parts + 1)  # And `label_counts`.


if __name__ == '__main__':
  tf.test.main()
