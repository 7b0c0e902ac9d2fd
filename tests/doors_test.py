"""Every public entrance refuses every bad input by name, and changes nothing.

A new public method or function fails `CompleteTest` until it is in a table.
"""

import functools
import inspect
import re

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as tfk

import tfp_cglow

tfd = tfp.distributions

_ERRORS = (ValueError, TypeError, tf.errors.InvalidArgumentError)


def _refuses(test, call, pattern, module):
  """Asserts that `call` raises an error like `pattern` and changes nothing."""
  before = [v.numpy() for v in module.variables]
  with test.assertRaisesRegex(_ERRORS, pattern):
    call()
  test.assertLen(module.variables, len(before))
  for variable, value in zip(module.variables, before):
    if not np.array_equal(variable.numpy(), value):
      test.fail(f'{variable.name} has changed.')


# Bijectors.


def _build_glow():
  return tfp_cglow.build_glow(
    [4, 4, 1],
    1,
    tfp_cglow.AdditiveSteps(1, 4),
    context=tfp_cglow.Context(2),
    vector_channels=3,
    labels=tfp_cglow.LabelPriors(3),
    seed=0,
  )


def _flow(glow):
  base = tfd.Sample(tfd.Normal(0.0, 1.0), [16])
  return tfd.TransformedDistribution(base, glow)


def _no_label(conditions):
  return {k: v for k, v in conditions.items() if k != 'label'}


_OF_FRAMES = {
  'inverse': lambda g, y, c: g.inverse(y, **c),
  'inverse_log_det_jacobian': lambda g, y, c: g.inverse_log_det_jacobian(
    y, 3, **c
  ),
  'walk_inverse': lambda g, y, c: g.walk_inverse(
    lambda b, y, **kwargs: b.inverse(y, **kwargs), y, **c
  ),
  'adapt': lambda g, y, c: tfp_cglow.adapt(g, y, **c),
  'invertibility_report': lambda g, y, c: tfp_cglow.invertibility_report(
    g, y, **c
  ),
  'round_trip_error': lambda g, y, c: tfp_cglow.round_trip_error(g, y, **c),
  'Conditioned': lambda g, y, c: tfp_cglow.Conditioned(g, **c).inverse(y),
  'distribution.log_prob': lambda g, y, c: _flow(g).log_prob(
    y, bijector_kwargs=c
  ),
}
_WITHOUT_LABEL = {
  'log_prob_by_label': lambda g, y, c: g.log_prob_by_label(
    y, _flow(g).distribution, **_no_label(c)
  ),
}
_OF_LATENTS = {
  'forward': lambda g, z, c: g.forward(z, **c),
  'forward_log_det_jacobian': lambda g, z, c: g.forward_log_det_jacobian(
    z, 1, **c
  ),
  'prepared': lambda g, z, c: g.prepared().forward(z, **c),
  'tempered': lambda g, z, c: g.tempered(0.5).forward(z, **c),
}
_DRAWS = {
  'distribution.sample': lambda g, _, c: _flow(g).sample(2, bijector_kwargs=c)
}

_GOOD = {
  'context': np.zeros([2, 4, 4, 2], np.float32),
  'vector': np.zeros([2, 3], np.float32),
  'label': np.array([0, 2]),
}
_BAD_CONDITIONS = (
  ('a missing map', {'context': None}, 'context'),
  ('a misspelt map', {'context': None, 'contxt': _GOOD['context']}, 'contxt'),
  ('an unknown condition', {'other': np.zeros([2])}, 'other'),
  ('rows of the map', {'context': np.zeros([3, 4, 4, 2], 'f')}, 'context'),
  ('channels of the map', {'context': np.zeros([2, 4, 4, 5], 'f')}, 'context'),
  ('size of the map', {'context': np.zeros([2, 2, 2, 2], 'f')}, 'context'),
  ('rank of the map', {'context': np.zeros([2, 2], 'f')}, 'context'),
  (
    'dtype of the map',
    {'context': tf.zeros([2, 4, 4, 2], 'double')},
    'context',
  ),
  ('a missing vector', {'vector': None}, 'vector'),
  ('size of the vector', {'vector': np.zeros([2, 4], 'f')}, 'vector'),
  ('rows of the vector', {'vector': np.zeros([3, 3], 'f')}, 'vector'),
  ('dtype of the vector', {'vector': tf.zeros([2, 3], tf.float64)}, 'vector'),
  ('a scalar vector', {'vector': np.float32(1.0)}, 'vector'),
)
_BAD_LABELS = (
  ('a missing label', {'label': None}, 'label'),
  ('a large label', {'label': np.array([0, 3])}, 'label'),
  ('a negative label', {'label': np.array([0, -1])}, 'label'),
  ('a boolean label', {'label': np.array([True, False])}, 'label'),
  ('rows of the label', {'label': np.array([0, 1, 2])}, 'label'),
  ('width of weights', {'label': np.zeros([2, 4], 'f')}, 'label'),
)
_BAD_FRAMES = (
  ('size of frames', np.zeros([2, 4, 2, 1], 'f'), 'frames'),
  ('channels of frames', np.zeros([2, 4, 4, 3], 'f'), 'frames'),
  ('rank of frames', np.zeros([2, 16], 'f'), 'frames|rank|ndims'),
  ('integer frames', tf.zeros([2, 4, 4, 1], tf.int32), 'float32'),
  ('dtype of frames', tf.zeros([2, 4, 4, 1], tf.float64), 'float32'),
)
_BAD_LATENTS = (
  ('size of latents', np.zeros([2, 15], 'f'), 'latents'),
  ('rank of latents', np.float32(0.0), 'latents|rank|ndims'),
  ('integer latents', tf.zeros([2, 16], tf.int32), 'float32'),
)


def _rows_of_glow():
  y, z = np.zeros([2, 4, 4, 1], 'f'), np.zeros([2, 16], 'f')
  every = {**_OF_FRAMES, **_OF_LATENTS, **_DRAWS}
  data = {k: z if k in {**_OF_LATENTS, **_DRAWS} else y for k in every}
  for entrance, call in {**every, **_WITHOUT_LABEL}.items():
    bad = _BAD_CONDITIONS
    bad += () if entrance in _WITHOUT_LABEL else _BAD_LABELS
    for what, changed, pattern in bad:
      yield entrance, call, what, data.get(entrance, y), changed, pattern
  for entrance, call in {**_OF_FRAMES, **_WITHOUT_LABEL}.items():
    for what, value, pattern in _BAD_FRAMES:
      yield entrance, call, what, value, {}, pattern
  for entrance, call in _OF_LATENTS.items():
    for what, value, pattern in _BAD_LATENTS:
      yield entrance, call, what, value, {}, pattern


def _conditions(changed, good=_GOOD):
  """`good` with changes; those that are None are missing."""
  return {k: v for k, v in {**good, **changed}.items() if v is not None}


class MeanLevelsTest(tf.test.TestCase):
  def test_refuses_every_bad_condition(self):
    glow = tfp_cglow.build_glow(
      [4, 4, 1],
      1,
      None,
      context=tfp_cglow.Context(2, 1),
      vector_channels=3,
      first=tfp_cglow.LevelMixture(4),
    )
    good = {k: v for k, v in _GOOD.items() if k != 'label'}
    self.assertEqual(glow.mean_levels(**good).shape, [2, 4, 4, 1])
    for what, changed, pattern in _BAD_CONDITIONS:
      with self.subTest(what):
        bound = functools.partial(
          glow.mean_levels, **_conditions(changed, good)
        )
        # The context says how many rows there are.
        _refuses(self, bound, f'{pattern}|vector', glow)


class CoarsestLogProbTest(tf.test.TestCase):
  def test_refuses_every_bad_input(self):
    glow = tfp_cglow.build_glow(
      [4, 4, 1],
      1,
      None,
      context=tfp_cglow.Context(2, 1),
      vector_channels=3,
      labels=tfp_cglow.LabelEmbedding(3),
      first=tfp_cglow.LevelMixture(
        4, 1, tfp_cglow.AutoregressiveBase(16, 1), hidden_channels=4
      ),
    )
    frames = np.zeros([2, 4, 4, 1], 'f')
    self.assertEqual(glow.coarsest_log_prob(frames, **_GOOD).shape, [2])
    rows = [(w, frames, c, p) for w, c, p in (*_BAD_CONDITIONS, *_BAD_LABELS)]
    rows += [(w, value, {}, p) for w, value, p in _BAD_FRAMES]
    for what, data, changed, pattern in rows:
      with self.subTest(what):
        bound = functools.partial(
          glow.coarsest_log_prob, data, **_conditions(changed)
        )
        _refuses(self, bound, pattern, glow)


class GlowTest(tf.test.TestCase, parameterized.TestCase):
  def test_every_entrance_refuses_every_bad_input(self):
    glow = _build_glow()
    for entrance, call, what, data, changed, pattern in _rows_of_glow():
      with self.subTest(f'{entrance}: {what}'):
        bound = functools.partial(call, glow, data, _conditions(changed))
        _refuses(self, bound, pattern, glow)

  def test_bytes_of_numpy(self):
    glow = _build_glow()
    for entrance, call in {**_OF_FRAMES, **_WITHOUT_LABEL}.items():
      # TFP converts the data of a distribution before a bijector sees them.
      if entrance.startswith('distribution'):
        continue
      with self.subTest(entrance):
        data = np.zeros([2, 4, 4, 1], np.uint8)
        bound = functools.partial(call, glow, data, dict(_GOOD))
        _refuses(self, bound, 'float32, but got uint8', glow)

  def test_every_entrance_takes_the_good_input(self):
    y, z = np.zeros([2, 4, 4, 1], 'f'), np.zeros([2, 16], 'f')
    for calls, data in (
      ({**_OF_FRAMES, **_WITHOUT_LABEL}, y),
      ({**_OF_LATENTS, **_DRAWS}, z),
    ):
      for call in calls.values():
        call(_build_glow(), data, dict(_GOOD))

  @parameterized.parameters('context', 'vector', 'label')
  def test_unknown_rank(self, name):
    glow = _build_glow()
    dtype = tf.int64 if name == 'label' else tf.float32

    @tf.function(input_signature=[tf.TensorSpec(None, dtype)])
    def inverse(value):
      return glow.inverse(tf.zeros([2, 4, 4, 1]), **{**_GOOD, name: value})

    @tf.function(input_signature=[tf.TensorSpec(None, dtype)])
    def bound(value):
      tfp_cglow.Conditioned(glow, **{**_GOOD, name: value})
      return value

    for function in (inverse, bound):
      call = function.get_concrete_function
      _refuses(self, call, f'`{name}` of a known rank', glow)

  def test_data_of_unknown_rank(self):
    glow = _build_glow()
    for method in (glow.inverse, glow.forward):
      function = tf.function(
        lambda x, method=method: method(x, **_GOOD),
        input_signature=[tf.TensorSpec(None)],
      )
      call = function.get_concrete_function
      _refuses(self, call, 'input of glow` of a known rank', glow)

  def test_weights_of_labels(self):
    base = tfd.Sample(tfd.Normal(0.0, 1.0), [16])
    glow = _build_glow()
    for weights in (np.zeros([3], 'f'), np.zeros([2, 4], 'f'), [0, 1]):
      call = lambda weights=weights: glow.log_prob_by_label(
        np.zeros([2, 4, 4, 1], 'f'), base, weights, **_no_label(_GOOD)
      )
      _refuses(self, call, 'weights|labels', glow)

  @parameterized.parameters('float16', 'bfloat16', 'int32')
  def test_dtypes(self, dtype):
    dtype = tf.as_dtype(dtype)
    steps = tfp_cglow.AdditiveSteps(1, 4)
    context = tfp_cglow.Context(2)
    for build in (
      lambda: tfp_cglow.build_glow([4, 4, 1], 1, steps, dtype=dtype),
      lambda: tfp_cglow.build_actnorm(4, dtype),
      lambda: tfp_cglow.build_invertible_conv1x1(4, dtype=dtype),
      lambda: tfp_cglow.build_split(4, dtype),
      lambda: tfp_cglow.build_flow_step(4, 4, dtype=dtype),
      lambda: tfp_cglow.build_label_prior(3, 4, dtype),
      lambda: tfp_cglow.build_context_affine(2, context, dtype=dtype),
      lambda: tfp_cglow.build_context_mixture(
        [4, 4, 1], context, tfp_cglow.LevelMixture(4), dtype=dtype
      ),
      lambda: tfp_cglow.build_autoregressive_levels([2, 2, 1], 4, dtype=dtype),
      lambda: tfp_cglow.build_context_pyramid(2, 1, dtype=dtype),
      lambda: tfp_cglow.build_context_processor(2, 1, dtype=dtype),
      lambda: tfp_cglow.build_conv_gru(2, 1, dtype=dtype),
      lambda: tfp_cglow.AdditiveCoupling(lambda x: x, dtype=dtype),
    ):
      with self.assertRaisesRegex(ValueError, f'`dtype`.* got {dtype.name}'):
        build()


# Videos.

_SHAPE = [4, 4, 1]


def _build_model(labels=True):
  steps = tfp_cglow.AdditiveSteps(1, 4)
  kind = tfp_cglow.LabelPriors(3) if labels else None
  flow = tfp_cglow.build_video_flow(
    _SHAPE,
    tfp_cglow.GlowSpec(1, steps, labels=kind),
    tfp_cglow.TailSpec(1, steps, memory=tfp_cglow.ResidualMemory(2)),
    seed=0,
  )
  model = tfp_cglow.VideoGlow(flow, seed=0)
  adam = tfk.optimizers.legacy.Adam(1e-3)
  model.compile(adam, ema=0.9, run_eagerly=True)
  return model


def _batches(frames, label):
  yield frames, label


_VIDEO_ENTRANCES = {
  'VideoFlow.log_prob': lambda m, x, label: m.flow.log_prob(x, label),
  'VideoFlow.encode': lambda m, x, label: m.flow.encode(x, label),
  'VideoFlow.check': lambda m, x, label: m.flow.check(x, label),
  'VideoFlow.adapt': lambda m, x, label: m.flow.adapt(x, label),
  'VideoFlow.invertibility_report': lambda m, x, label: (
    m.flow.invertibility_report(x, label)
  ),
  'VideoFlow.round_trip_errors': lambda m, x, label: m.flow.round_trip_errors(
    x, label
  ),
  'VideoFlow.predictive_mean': lambda m, x, label: m.flow.predictive_mean(
    x, label, num_samples=1
  ),
  'VideoGlow.adapt': lambda m, x, label: m.adapt(x, label),
  'VideoGlow.fit': lambda m, x, label: m.fit(x, label, verbose=0),
  'VideoGlow.fit of a generator': lambda m, x, label: m.fit(
    _batches(x, label), verbose=0
  ),
  'VideoGlow.evaluate': lambda m, x, label: m.evaluate(x, label, verbose=0),
  'VideoGlow.train_on_batch': lambda m, x, label: m.train_on_batch(x, label),
  'VideoGlow.test_on_batch': lambda m, x, label: m.test_on_batch(x, label),
}
_FRAMES_ONLY = {
  'VideoFlow.classify': lambda m, x, _: m.flow.classify(x),
  'VideoFlow.sample on': lambda m, x, _: m.flow.sample([0, 1], 4, x),
}
_LABELS_ONLY = {
  'VideoFlow.sample': lambda m, _, label: (
    m.flow.sample(label, 2, _CLIPS[:, :1])
    if label is not None
    else m.flow.sample(None, 2)
  ),
  'VideoFlow.decode': lambda m, _, label: m.flow.decode(
    np.zeros([2, 3, 16], 'f'), label
  ),
  'interpolate': lambda m, _, label: tfp_cglow.interpolate(
    m.flow, *np.zeros([2, 2, 3, 16], 'f'), 2, label
  ),
}
_CLIPS = np.zeros([2, 3, 4, 4, 1], np.uint8)
_LABELS = np.array([0, 2])
_BAD_CLIPS = (
  ('rank of clips', _CLIPS[:, 0], 'frames of shape'),
  ('size of clips', np.zeros([2, 3, 2, 2, 1], np.uint8), 'frames of shape'),
  ('channels of clips', np.zeros([2, 3, 4, 4, 3], 'f'), 'frames of shape'),
  ('dtype of clips', _CLIPS.astype(np.int32), 'uint8'),
  ('range of clips', np.full(_CLIPS.shape, 7.0, 'f'), r'\[0, 1\]'),
)
_BAD_CLIP_LABELS = (
  ('a missing label', None, 'label'),
  ('labels [B, 1]', _LABELS[:, np.newaxis], 'label'),
  ('a scalar label', np.array(1), 'label|shape|dimensions'),
  ('rows of labels', np.array([0, 1, 2]), 'label|cardinality|sizes|asked for'),
  ('integer one-hot labels', np.eye(3, dtype=np.int32)[:2], 'label'),
  ('width of weights', np.zeros([2, 4], 'f'), 'label'),
  ('a large label', np.array([0, 3]), 'label'),
  ('a negative label', np.array([0, -1]), 'label'),
  ('boolean labels', np.array([True, False]), 'label'),
)
# `sample` then draws one video, and Keras says that it is no batch.
_TAKE_SCALARS = ('VideoFlow.sample', 'VideoGlow')
# Weights of labels are for densities and samples, not for training.
_INTEGERS_ONLY = ('VideoGlow.fit', 'VideoGlow.evaluate', 'VideoGlow.t')


def _rows_of_videos():
  for entrance, call in {**_VIDEO_ENTRANCES, **_FRAMES_ONLY}.items():
    for what, frames, pattern in _BAD_CLIPS:
      if (entrance, what) == ('VideoFlow.check', 'range of clips'):
        continue  # `quantise` checks values, when they are used.
      yield entrance, call, what, frames, _LABELS, pattern
  for entrance, call in {**_VIDEO_ENTRANCES, **_LABELS_ONLY}.items():
    for what, label, pattern in _BAD_CLIP_LABELS:
      if what == 'a scalar label' and entrance.startswith(_TAKE_SCALARS):
        continue
      yield entrance, call, what, _CLIPS, label, pattern
    if entrance.startswith(_INTEGERS_ONLY):
      one_hot = np.eye(3, dtype='f')[:2]
      yield entrance, call, 'one-hot labels', _CLIPS, one_hot, 'integer labels'
  for entrance in ('VideoFlow.adapt', 'VideoGlow.adapt', 'VideoGlow.fit'):
    nan = np.full(_CLIPS.shape, np.nan, 'f')
    call = _VIDEO_ENTRANCES[entrance]
    yield entrance, call, 'NaN', nan, _LABELS, 'finite frames'


class VideoTest(tf.test.TestCase):
  def test_every_entrance_refuses_every_bad_input(self):
    model = _build_model()
    for entrance, call, what, frames, label, pattern in _rows_of_videos():
      with self.subTest(f'{entrance}: {what}'):
        bound = functools.partial(call, model, frames, label)
        _refuses(self, bound, pattern, model)
        self.assertFalse(model.adapted)
        self.assertEqual(model.optimizer.iterations, 0)

  def test_every_entrance_takes_the_good_input(self):
    model = _build_model()
    for call in {**_VIDEO_ENTRANCES, **_FRAMES_ONLY, **_LABELS_ONLY}.values():
      call(model, _CLIPS, _LABELS)

  def test_a_model_without_labels_refuses_them(self):
    flow = _build_model(labels=False).flow
    for call in (
      lambda: flow.log_prob(_CLIPS, _LABELS),
      lambda: flow.encode(_CLIPS, _LABELS),
      lambda: flow.sample(_LABELS),
      lambda: flow.decode(np.zeros([2, 3, 16], 'f'), _LABELS),
      lambda: flow.adapt(_CLIPS, _LABELS),
      lambda: tfp_cglow.interpolate(
        flow, *np.zeros([2, 2, 3, 16], 'f'), 2, _LABELS
      ),
    ):
      _refuses(self, call, '[Ll]abel', flow)
    with self.assertRaisesRegex(ValueError, 'takes no label'):
      flow.classify(_CLIPS)

  def test_a_failed_first_step_takes_adapt_back(self):
    model = _build_model()

    class Stop(tfk.callbacks.Callback):
      def on_train_begin(self, logs=None):
        raise KeyboardInterrupt('before the first step')

    with self.assertRaisesRegex(KeyboardInterrupt, 'before'):
      model.fit(_CLIPS, _LABELS, callbacks=[Stop()], verbose=0)
    self.assertFalse(model.adapted)
    fresh = _build_model()
    for ours, theirs in zip(model.variables, fresh.variables):
      self.assertAllEqual(ours, theirs)

  def test_generators_and_sequences_are_read_from_their_first_batch(self):
    class Batches(tfk.utils.Sequence):
      def __len__(self):
        return 2

      def __getitem__(self, index):
        return _CLIPS + np.uint8(9 * index), _LABELS

    expected = _build_model()
    clips = np.concatenate([Batches()[i][0] for i in range(2)])
    expected.fit(
      clips, np.tile(_LABELS, 2), batch_size=2, shuffle=False, verbose=0
    )
    for data in (Batches(), (Batches()[i] for i in range(2))):
      model = _build_model()
      history = model.fit(data, shuffle=False, verbose=0).history
      self.assertEqual(history['clips'], [4.0])
      for ours, theirs in zip(model.variables, expected.variables):
        self.assertAllEqual(ours, theirs)
    with self.assertRaisesRegex(ValueError, 'a Sequence, but got dict'):
      _build_model().fit({'frames': _CLIPS}, verbose=0)


# What takes no data, and what the tables above call by another name.
_NO_DATA = {
  'Glow': 'copy level_shapes split_latent checked mean_levels '
  'coarsest_log_prob',
  'VideoFlow': 'submodels parameter_groups label_log_prior label_kwargs',
  'VideoGlow': (
    'submodels parameter_groups module_variables saved_modules get_config '
    'from_config compile get_compile_config compile_from_config '
    'training_variables train_step test_step guarded_step numbered measured '
    'begin_training save_own_variables load_own_variables save_weights '
    'load_weights'
  ),
  # Tested in their own files, or called by the entrances above.
  'tfp_cglow': (
    'build_video_flow bits_per_dim dequantise quantise conv_network '
    'interpolate_latents build_squeeze'
  ),
}


class CompleteTest(tf.test.TestCase):
  def _missing(self, owner, names, tables):
    known = ' '.join([*tables, _NO_DATA[owner]])
    known = set(re.findall(r'\w+', known))
    self.assertEmpty(set(names) - known, f'{owner}: not in a table')

  def test_methods(self):
    tables = [*_OF_FRAMES, *_WITHOUT_LABEL, *_OF_LATENTS]
    tables += [*_VIDEO_ENTRANCES, *_FRAMES_ONLY, *_LABELS_ONLY]
    for name in ('Glow', 'VideoFlow', 'VideoGlow'):
      ours = [
        c
        for c in getattr(tfp_cglow, name).__mro__
        if c.__module__.startswith('tfp_cglow')
        and c is not tfp_cglow.ConditionalBijector
      ]
      methods = {
        k
        for c in ours
        for k, v in vars(c).items()
        if not k.startswith('_')
        and (inspect.isfunction(v) or k == 'from_config')
      }
      self._missing(name, methods, tables)

  def test_functions(self):
    functions = {
      k
      for k, v in vars(tfp_cglow).items()
      if inspect.isfunction(v) and not k.startswith('build_')
    }
    self._missing('tfp_cglow', functions, [*_OF_FRAMES, *_LABELS_ONLY])


if __name__ == '__main__':
  tf.test.main()
