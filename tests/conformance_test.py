"""The bijectors' contract: a table of bijectors, and a test per property.

By default some expensive properties run on a part of the table. With
`TFP_CGLOW_FULL_CONFORMANCE=1` in the environment every property runs on every
row that it applies to.
"""

import collections
import functools
import os
import pickle
import re

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_cglow
from tfp_cglow.bijectors import coupling as coupling_lib
from tfp_cglow.networks import convolutional

tfd = tfp.distributions

FULL = bool(os.environ.get('TFP_CGLOW_FULL_CONFORMANCE'))

# `build(dtype)` makes the bijector; `event_shape` is the shape of its data;
# `conditions` maps names to callables `draw(rng, leading_shape)`; `tolerance`
# is for float32.
Case = collections.namedtuple(
  'Case', ['name', 'build', 'event_shape', 'conditions', 'tolerance']
)


def _real(*shape):
  return lambda rng, leading: rng.uniform(-0.5, 0.5, [*leading, *shape])


def _label(num_labels):
  return lambda rng, leading: rng.integers(num_labels, size=leading)


def _weights(num_labels):
  return lambda rng, leading: rng.dirichlet(np.ones(num_labels), size=leading)


def _network(context_channels, in_channels, out_channels, dtype):
  init, apply = convolutional.conv_network(4, context_channels)
  values = init(1, in_channels + (context_channels or 0), out_channels)
  return convolutional.BoundNetwork(
    apply, convolutional.to_variables(values, dtype)
  )


def _coupling(kind, context_channels):
  def build(dtype):
    if kind == 'additive':
      return tfp_cglow.AdditiveCoupling(
        _network(context_channels, 2, 2, dtype), context_channels, dtype=dtype
      )
    return tfp_cglow.AffineCoupling(
      _network(context_channels, 2, 4, dtype),
      context_channels,
      log_scale=getattr(coupling_lib, f'{kind}_log_scale'),
      dtype=dtype,
    )

  return build


def _conv_of_tensors(dtype):
  values = tfp_cglow.build_invertible_conv1x1(4, 1, dtype)
  names = ('lower', 'upper', 'log_diag', 'sign', 'permutation')
  return tfp_cglow.InvertibleConv1x1(
    **{k: tf.convert_to_tensor(values.parameters[k]) for k in names},
    inverse_matrix=values.inverse_matrix(),
  )


def _flow_step(**kwargs):
  return lambda dtype: tfp_cglow.build_flow_step(
    4, 4, seed=1, dtype=dtype, **kwargs
  )


_STEPS = {
  'additive': tfp_cglow.AdditiveSteps,
  'affine': tfp_cglow.AffineSteps,
  'affine_sigmoid': functools.partial(tfp_cglow.AffineSteps, scale='sigmoid'),
}


_ONE_STEP = tfp_cglow.AdditiveSteps(1, 4)


def _glow(blocks=2, steps=_ONE_STEP, channels=1, **kwargs):
  return lambda dtype: tfp_cglow.build_glow(
    [4, 4, channels], blocks, steps, seed=1, dtype=dtype, **kwargs
  )


def _scan(kind, gradients, **kwargs):
  steps = _STEPS[kind](2, 4, gradients=gradients)
  return lambda dtype: _glow(1, steps, **kwargs)(dtype).blocks[0][1]


def _step_of_tensors(slices):
  # Not a `FlowStep`, so the reversible gradient uses `_generic_vjp`.
  return tfp_cglow.ActNorm(slices['shift'], slices['log_scale'])


def _scan_of_actnorms(dtype):
  stacks = {k: tf.Variable(tf.zeros([3, 4], dtype)) for k in _ACTNORM}
  return tfp_cglow.Scan(_step_of_tensors, stacks)


_ACTNORM = ('shift', 'log_scale')


_MEANS = {
  'learned': None,
  'residual': tfp_cglow.PreviousFrame(),
  'motion': tfp_cglow.MovedFrame(),
}


def _context_affine(kind):
  return lambda dtype: tfp_cglow.build_context_affine(
    2,
    tfp_cglow.Context(4),
    tfp_cglow.FrameAffine(_MEANS[kind], hidden_channels=4),
    seed=1,
    dtype=dtype,
  )


def _context_mixture(halvings):
  return lambda dtype: tfp_cglow.build_context_mixture(
    [4, 4, 2],
    tfp_cglow.Context(4, frames=2),
    tfp_cglow.LevelMixture(
      3,
      halvings,
      hidden_channels=4,
      strip_pooling=halvings > 0,
      motion_radius=int(halvings > 0),
    ),
    dtype=dtype,
  )


def _mixture_alone(dtype):
  return tfp_cglow.build_context_mixture(
    [4, 4, 2],
    None,
    tfp_cglow.LevelMixture(3, 2, hidden_channels=4),
    dtype=dtype,
  )


def _autoregressive(context_frames):
  """Pixel by pixel; with a frame in the context, all of it is a prefix."""

  def build(dtype):
    bijector = tfp_cglow.build_autoregressive_levels(
      [2, 2, 2],
      3,
      tfp_cglow.AutoregressiveBase(16, 1),
      context=tfp_cglow.Context(2, context_frames),
      dtype=dtype,
    )
    return _spread(bijector)

  return build


def _tempered(dtype):
  glow = _glow(
    steps=tfp_cglow.AffineSteps(1, 4),
    first=tfp_cglow.LevelMixture(
      4, 1, tfp_cglow.AutoregressiveBase(16, 1), hidden_channels=4
    ),
  )(dtype)
  return _spread(glow).tempered(0.7, 0.01)


def _spread(bijector):
  """The bijector with random weights; new ones give equal masses."""
  rng = np.random.default_rng(7)
  for variable in bijector.trainable_variables:
    variable.assign_add(0.1 * rng.standard_normal(variable.shape))
  return bijector


def _conditioned(dtype):
  rng = np.random.default_rng(3)
  return tfp_cglow.Conditioned(
    _context_affine('residual')(dtype),
    context=tf.constant(rng.uniform(-0.5, 0.5, [4, 4, 4]), dtype),
  )


_CONTEXT = {'context': _real(4, 4, 2)}
_SMALL_CONTEXT = {'context': _real(2, 2, 2)}


def _table():
  leaf, plain = (2, 2, 4), {}
  yield 'actnorm', lambda d: tfp_cglow.build_actnorm(4, d), leaf, plain
  yield (
    'invertible_conv',
    lambda d: tfp_cglow.build_invertible_conv1x1(4, 1, d),
    leaf,
    plain,
  )
  yield 'invertible_conv_of_tensors', _conv_of_tensors, leaf, plain
  yield 'squeeze', lambda d: tfp_cglow.Squeeze(), (4, 4, 1), plain
  yield 'split', lambda d: tfp_cglow.build_split(4, d), leaf, plain
  for kind in ('additive', 'bounded', 'sigmoid'):
    yield f'coupling_{kind}', _coupling(kind, None), leaf, plain
    yield f'coupling_{kind}_context', _coupling(kind, 2), leaf, _SMALL_CONTEXT
  for kind in _STEPS:
    step = _flow_step(coupling=kind)
    yield f'flow_step_{kind}', step, leaf, plain
    step = _flow_step(coupling=kind, context_channels=2)
    yield f'flow_step_{kind}_context', step, leaf, _SMALL_CONTEXT
  for gradients in ('reversible', 'stored'):
    for kind in ('additive', 'affine'):
      name = f'scan_{gradients}_{kind}'
      yield name, _scan(kind, gradients), leaf, plain
      scan = _scan(kind, gradients, context=tfp_cglow.Context(2))
      yield f'{name}_context', scan, leaf, _SMALL_CONTEXT
  yield 'scan_generic', _scan_of_actnorms, leaf, plain
  prior = lambda d: tfp_cglow.build_label_prior(3, 8, d)
  yield 'label_prior', prior, (8,), {'label': _label(3)}
  yield 'label_prior_weights', prior, (8,), {'label': _weights(3)}
  for kind in _MEANS:
    affine, context = _context_affine(kind), {'context': _real(4, 4, 4)}
    yield f'context_affine_{kind}', affine, (4, 4, 2), context
  for halvings in (0, 1):
    mixture, context = _context_mixture(halvings), {'context': _real(4, 4, 4)}
    yield f'context_mixture_{halvings}', mixture, (4, 4, 2), context
  yield 'context_mixture_alone', _mixture_alone, (4, 4, 2), plain
  for frames in (0, 1):
    build = _autoregressive(frames)
    yield f'autoregressive_levels_{frames}', build, (2, 2, 2), _SMALL_CONTEXT
  yield 'conditioned', _conditioned, (4, 4, 2), plain
  yield from _glows()


def _glows():
  frame, plain, label = (4, 4, 1), {}, {'label': _label(3)}
  context = tfp_cglow.Context(2)
  for kind, make_steps in _STEPS.items():
    steps = make_steps(1, 4)
    yield f'glow_{kind}', _glow(steps=steps), frame, plain
    glow = _glow(steps=steps, context=context)
    yield f'glow_{kind}_context', glow, frame, _CONTEXT
  steps = tfp_cglow.AdditiveSteps(1, 4, gradients='stored')
  glow = _glow(steps=steps, context=context)
  yield 'glow_stored_context', glow, frame, _CONTEXT
  steps = tfp_cglow.AffineSteps(1, 4, gradients='unrolled')
  glow = _glow(steps=steps, context=context)
  yield 'glow_unrolled_context', glow, frame, _CONTEXT
  steps = tfp_cglow.AdditiveSteps(1, 4, context_injection='last')
  glow = _glow(steps=steps, context=context)
  yield 'glow_last_context', glow, frame, _CONTEXT
  glow = _glow(context=context, pyramid=tfp_cglow.Pyramid(3))
  yield 'glow_pyramid_channels_context', glow, frame, _CONTEXT
  glow = _glow(labels=tfp_cglow.LabelPriors(3))
  yield 'glow_label_prior', glow, frame, label
  yield 'glow_label_prior_weights', glow, frame, {'label': _weights(3)}
  glow = _glow(labels=tfp_cglow.LabelImages(3))
  yield 'glow_label_image', glow, frame, label
  yield 'glow_label_image_weights', glow, frame, {'label': _weights(3)}
  embedding = tfp_cglow.LabelEmbedding(3)
  yield 'glow_label_embedding', _glow(labels=embedding), frame, label
  glow = _glow(vector_channels=3)
  yield 'glow_vector', glow, frame, {'vector': _real(3)}
  for kind in ('learned', 'residual'):
    first = tfp_cglow.FrameAffine(_MEANS[kind])
    glow = _glow(context=context, first=first, channels=2)
    yield f'glow_{kind}_context', glow, (4, 4, 2), _CONTEXT
  for name, halvings in (('pixels', 0), ('quarters', 1)):
    first = tfp_cglow.LevelMixture(32, halvings, hidden_channels=4)
    glow = _glow(context=context, first=first, channels=2)
    yield f'glow_{name}_context', glow, (4, 4, 2), _CONTEXT
  glow = _glow(labels=embedding, first=first, channels=2)
  yield 'glow_quarters_label', glow, (4, 4, 2), label
  yield 'glow_tempered', _tempered, frame, plain
  glow = _glow(
    steps=tfp_cglow.AffineSteps(2, 4),
    context=context,
    vector_channels=3,
    first=tfp_cglow.FrameAffine(),
    labels=tfp_cglow.LabelPriors(3),
  )
  every = {'vector': _real(3), **_CONTEXT, **label}
  yield 'glow_everything', glow, frame, every
  glow = _glow(
    context=context, vector_channels=3, labels=tfp_cglow.LabelImages(3)
  )
  yield 'glow_everything_image', glow, frame, every


CASES = [Case(*row, tolerance=2e-4) for row in _table()]

# The rows of Scan and Glow that `_rows` has by default. (It has all rows of
# other bijectors.) Each row left out differs from one of these by an option
# that another row covers.
_ROWS = (
  'scan_reversible_additive',
  'scan_reversible_affine_context',
  'scan_stored_additive_context',
  'scan_generic',
  'glow_unrolled_context',
  'glow_label_image',
  'glow_vector',
  'glow_residual_context',
  'glow_quarters_context',
  'glow_everything',
)

# The rows that `_some_rows` yields by default: one or two of each kind.
_SOME = (
  'actnorm',
  'invertible_conv',
  'squeeze',
  'split',
  'coupling_additive_context',
  'coupling_bounded_context',
  'flow_step_affine_context',
  'scan_reversible_affine_context',
  'scan_stored_additive_context',
  'scan_generic',
  'label_prior',
  'context_affine_residual',
  'context_mixture_1',
  'conditioned',
  'glow_everything',
)

# The rows that `_large_rows` yields by default.
_LARGE = (
  'scan_reversible_affine_context',
  'context_affine_residual',
  'context_mixture_0',
  'glow_residual_context',
)


def _named(cases):
  return parameterized.named_parameters(*((case.name, case) for case in cases))


def _rows(where=lambda case: True):
  """The rows for properties that define a bijector."""
  default = lambda n: not n.startswith(('scan_', 'glow_')) or n in _ROWS
  return _named(c for c in CASES if where(c) and (FULL or default(c.name)))


def _some_rows(where=lambda case: True):
  """The rows for properties that hardly depend on a bijector's options."""
  return _named(c for c in CASES if where(c) and (FULL or c.name in _SOME))


def _large_rows():
  """Rows of large bijectors, for properties that take seconds."""
  large = ('scan_', 'glow_', 'context_affine_', 'context_mixture_')
  return _named(
    c for c in CASES if (c.name.startswith(large) if FULL else c.name in _LARGE)
  )


_has_conditions = lambda case: bool(case.conditions)
_has_variables = lambda case: (
  case.name not in ('squeeze', 'invertible_conv_of_tensors')
)


def randomise(module, seed=0):
  """Assigns random values to all variables."""
  rng = np.random.default_rng(seed)
  for variable in module.trainable_variables:
    variable.assign(0.2 * rng.standard_normal(variable.shape))
  return module


def make(case, dtype=tf.float64, seed=0):
  return randomise(case.build(dtype), seed)


def draw(case, leading, dtype=tf.float64, seed=0):
  """Data of the case, a tensor `[*leading, *event_shape]`."""
  rng = np.random.default_rng([seed, 1])
  return tf.constant(
    rng.uniform(-0.5, 0.5, [*leading, *case.event_shape]), dtype
  )


def draw_latent(bijector, case, leading, seed=0):
  shape = bijector.inverse_event_shape(case.event_shape)
  rng = np.random.default_rng([seed, 2])
  dtype = bijector.dtype or tf.float64
  return tf.constant(rng.standard_normal([*leading, *shape]), dtype)


def draw_conditions(case, leading, dtype=tf.float64, seed=0):
  rng = np.random.default_rng([seed, 3])
  drawn = {k: np.array(fn(rng, leading)) for k, fn in case.conditions.items()}
  return {
    k: tf.constant(v, tf.int32 if v.dtype.kind == 'i' else dtype)
    for k, v in drawn.items()
  }


def fresh(conditions):
  """Copies: the same values as new objects, which are in no cache."""
  return tf.nest.map_structure(tf.identity, conditions)


def inverse(bijector, case, y, conditions):
  """`x` and the log-det, of new tensor objects."""
  y, conditions = tf.identity(y), fresh(conditions)
  x = bijector.inverse(y, **conditions)
  ndims = len(case.event_shape)
  return x, bijector.inverse_log_det_jacobian(y, ndims, **conditions)


def forward(bijector, case, x, conditions):
  """`y` and the log-det, of new tensor objects."""
  x, conditions = tf.identity(x), fresh(conditions)
  y = bijector.forward(x, **conditions)
  ndims = bijector.inverse_event_ndims(len(case.event_shape))
  return y, bijector.forward_log_det_jacobian(x, ndims, **conditions)


def both_ways(bijector, case, y, x, conditions):
  return (
    *inverse(bijector, case, y, conditions),
    *forward(bijector, case, x, conditions),
  )


def jacobian(fn, x):
  """The Jacobian `[N, N]` of `fn` at `x`, and the log-dets that `fn` returns.

  In one backward pass: row i of a batch of equal inputs differentiates output
  i.
  """
  size = int(np.prod(x.shape))
  rows = tf.tile(x[tf.newaxis], [size] + [1] * x.shape.rank)
  with tf.GradientTape() as tape:
    tape.watch(rows)
    values, log_dets = fn(rows)
    diagonal = tf.linalg.trace(tf.reshape(values, [size, size]))
  return tf.reshape(tape.gradient(diagonal, rows), [size, size]), log_dets


class ConformanceTest(tf.test.TestCase, parameterized.TestCase):
  def assert_all_close(self, expected, actual, tolerance=1e-10):
    for e, a in zip(tf.nest.flatten(expected), tf.nest.flatten(actual)):
      shape = np.broadcast_shapes(np.shape(e), np.shape(a))
      self.assertAllClose(
        np.broadcast_to(e, shape),
        np.broadcast_to(a, shape),
        rtol=tolerance,
        atol=tolerance,
      )

  @_rows()
  def test_round_trip(self, case):
    bijector = make(case)
    conditions = draw_conditions(case, [3])
    y = draw(case, [3])
    x, ildj = inverse(bijector, case, y, conditions)
    back, fldj = forward(bijector, case, x, conditions)
    self.assert_all_close((y, -ildj), (back, fldj))
    x = draw_latent(bijector, case, [3])
    y, fldj = forward(bijector, case, x, conditions)
    back, ildj = inverse(bijector, case, y, conditions)
    self.assert_all_close((x, -fldj), (back, ildj))

  @_rows()
  def test_log_det_is_that_of_the_jacobian(self, case):
    bijector = make(case)
    conditions = draw_conditions(case, [])
    for call, point in (
      (inverse, draw(case, [])),
      (forward, draw_latent(bijector, case, [])),
    ):
      matrix, log_dets = jacobian(
        lambda t, call=call: call(bijector, case, t, conditions), point
      )
      self.assert_all_close(np.linalg.slogdet(matrix)[1], log_dets, 1e-8)

  @_some_rows()
  def test_event_shapes(self, case):
    bijector = make(case)
    y = draw(case, [3])
    x = bijector.inverse(y, **draw_conditions(case, [3]))
    for tensor, other, static, dynamic in (
      (y, x, 'inverse_event_shape', 'inverse_event_shape_tensor'),
      (x, y, 'forward_event_shape', 'forward_event_shape_tensor'),
    ):
      shape = tensor.shape[1:]
      self.assertEqual(getattr(bijector, static)(shape), other.shape[1:])
      self.assertAllEqual(
        getattr(bijector, dynamic)(shape.as_list()), other.shape[1:]
      )

  @_some_rows()
  def test_event_ndims_above_the_minimum(self, case):
    bijector = make(case)
    conditions = draw_conditions(case, [2, 3])
    y, x = draw(case, [2, 3]), draw_latent(bijector, case, [2, 3])
    ndims = len(case.event_shape)
    latent_ndims = bijector.inverse_event_ndims(ndims)
    for method, tensor, event_ndims in (
      (bijector.inverse_log_det_jacobian, y, ndims),
      (bijector.forward_log_det_jacobian, x, latent_ndims),
    ):
      single = method(tensor, event_ndims, **conditions)
      total = method(tensor, event_ndims + 1, **conditions)
      expected = tf.reduce_sum(tf.broadcast_to(single, [2, 3]), axis=1)
      self.assert_all_close(expected, tf.broadcast_to(total, [2]))

  @_some_rows()
  def test_leading_dimensions(self, case):
    bijector = make(case)
    y, x = draw(case, [2, 3]), draw_latent(bijector, case, [2, 3])
    flatten = lambda t: tf.reshape(t, [-1, *t.shape[2:]])
    actual, flat = [], []
    for leading in ([2, 3], [2, 1], [3], []) if case.conditions else ([],):
      conditions = draw_conditions(case, leading)
      everywhere = {
        k: tf.broadcast_to(v, [2, 3, *v.shape[len(leading) :]])
        for k, v in conditions.items()
      }
      actual.append(both_ways(bijector, case, y, x, conditions))
      flat.append(tf.nest.map_structure(flatten, (y, x, everywhere)))
    expected = both_ways(
      bijector,
      case,
      *tf.nest.map_structure(lambda *t: tf.concat(t, axis=0), *flat),
    )
    for *as_drawn, e in zip(*actual, expected):
      e = tf.broadcast_to(e, [6 * len(flat), *e.shape[1:]])
      a = [tf.broadcast_to(a, [2, 3, *e.shape[1:]]) for a in as_drawn]
      self.assert_all_close(e, tf.concat([flatten(t) for t in a], axis=0))
    one = both_ways(
      bijector,
      case,
      y[1, 2],
      x[1, 2],
      {k: v[1, 2] for k, v in everywhere.items()},
    )
    self.assert_all_close(one, [t[-1] if t.shape.rank else t for t in expected])

  @_some_rows(_has_conditions)
  def test_conditions_with_more_dimensions_than_the_frame(self, case):
    bijector = make(case)
    conditions = draw_conditions(case, [3])
    y, x = draw(case, []), draw_latent(bijector, case, [])
    tile = lambda t: tf.tile(t[tf.newaxis], [3] + [1] * t.shape.rank)
    self.assert_all_close(
      both_ways(bijector, case, tile(y), tile(x), conditions),
      both_ways(bijector, case, y, x, conditions),
    )

  @_some_rows()
  def test_unknown_batch_size_and_name_scopes(self, case):
    outside = make(case)
    with tf.name_scope('outer'), tf.name_scope('inner'):
      inside = make(case)
    unknown = lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype)
    inputs = lambda size: (
      draw(case, [size]),
      draw_latent(outside, case, [size]),
      draw_conditions(case, [size]),
    )
    signature = tf.nest.map_structure(unknown, inputs(1))

    @tf.function(input_signature=signature, autograph=False)
    def scoped(y, x, conditions):
      with tf.name_scope('other'):
        return both_ways(inside, case, y, x, conditions)

    for size in (1, 3):
      self.assert_all_close(
        both_ways(outside, case, *inputs(size)), scoped(*inputs(size))
      )

  @_rows()
  def test_float32_matches_float64(self, case):
    results = []
    for dtype in (tf.float32, tf.float64):
      bijector = make(case, dtype)
      x = tf.cast(draw_latent(bijector, case, [3]), dtype)
      conditions = draw_conditions(case, [3], dtype)
      y = draw(case, [3], dtype)
      result = both_ways(bijector, case, y, x, conditions)
      self.assertEqual({t.dtype for t in result}, {dtype})
      results.append(result)
    self.assert_all_close(*results, case.tolerance)

  @_large_rows()
  def test_function_matches_eager(self, case):
    bijector = make(case)
    inputs = draw(case, [2]), draw_latent(bijector, case, [2])
    conditions = draw_conditions(case, [2])
    compiled = tf.function(
      lambda y, x: both_ways(bijector, case, y, x, conditions)
    )
    self.assert_all_close(
      both_ways(bijector, case, *inputs, conditions), compiled(*inputs)
    )

  @_large_rows()
  def test_xla(self, case):
    bijector = make(case)
    inputs = draw(case, [2]), draw_latent(bijector, case, [2])
    conditions = draw_conditions(case, [2])

    def values_and_gradient(y, x):
      with tf.GradientTape() as tape:
        tape.watch(y)
        results = both_ways(bijector, case, y, x, conditions)
        total = tf.reduce_sum(results[0] ** 2) + tf.reduce_sum(results[1])
      return results, tape.gradient(total, y)

    self.assert_all_close(
      values_and_gradient(*inputs),
      tf.function(values_and_gradient, jit_compile=True, autograph=False)(
        *inputs
      ),
      1e-8,
    )

  @_rows()
  def test_gradients_of_inverse(self, case):
    bijector = make(case)
    self._check_gradients(inverse, bijector, case, draw(case, [2]))

  @_rows()
  def test_gradients_of_forward(self, case):
    bijector = make(case)
    x = draw_latent(bijector, case, [2])
    self._check_gradients(forward, bijector, case, x)

  def _check_gradients(self, call, bijector, case, point):
    """Compares gradients with finite differences along random directions.

    By default along one direction of all inputs and variables together; with
    `FULL` along one direction of each of them.
    """
    rng = np.random.default_rng(5)
    conditions = draw_conditions(case, [2])
    floats = {k: v for k, v in conditions.items() if v.dtype.is_floating}
    value, _ = call(bijector, case, point, conditions)
    value_weight = rng.standard_normal(value.shape)
    ildj_weight = rng.standard_normal([2])

    def scalar(point, *maps):
      maps = dict(zip(floats, maps))
      value, ildj = call(bijector, case, point, {**conditions, **maps})
      return tf.reduce_sum(value * value_weight) + tf.reduce_sum(
        ildj * ildj_weight
      )

    inputs = [point, *floats.values()]
    variables = list(bijector.trainable_variables)
    sources = inputs + variables
    with tf.GradientTape() as tape:
      tape.watch(inputs)
      result = scalar(*inputs)
    gradients = tape.gradient(result, sources)
    for source, gradient in zip(sources, gradients):
      self.assertIsNotNone(gradient, source)
    starts = [tf.identity(v) for v in variables]
    directions = [rng.standard_normal(s.shape) for s in sources]

    def shifted(step, chosen):
      moved = [step * d * (i in chosen) for i, d in enumerate(directions)]
      for variable, start, move in zip(variables, starts, moved[len(inputs) :]):
        variable.assign(start + move)
      return scalar(*(t + move for t, move in zip(inputs, moved)))

    groups = [range(len(sources))]
    for chosen in [*groups, *([[i] for i in groups[0]] if FULL else [])]:
      finite = (shifted(3e-7, chosen) - shifted(-3e-7, chosen)) / 6e-7
      exact = sum(
        tf.reduce_sum(tf.convert_to_tensor(gradients[i]) * directions[i])
        for i in chosen
      )
      self.assertAllClose(finite, exact, rtol=1e-6, atol=1e-6)

  @_rows(_has_conditions)
  def test_conditions_change_the_output(self, case):
    bijector = make(case)
    y, x = draw(case, []), draw_latent(bijector, case, [])
    conditions = draw_conditions(case, [])
    values = both_ways(bijector, case, y, x, conditions)
    for name, value in conditions.items():
      other = (value + 1) % 3 if value.dtype.is_integer else value + 0.5
      changed = both_ways(bijector, case, y, x, {**conditions, name: other})
      for before, after in zip(values[::2], changed[::2]):
        self.assertNotAllClose(before, after, msg=name)

  @_rows()
  def test_wrong_conditions(self, case):
    bijector = make(case)
    conditions = draw_conditions(case, [2])
    y, x = draw(case, [2]), draw_latent(bijector, case, [2])
    ndims = len(case.event_shape)
    latent_ndims = bijector.inverse_event_ndims(ndims)

    def assert_raises(pattern, wrong):
      for call in (
        lambda: bijector.inverse(y, **wrong),
        lambda: bijector.forward(x, **wrong),
        lambda: bijector.inverse_log_det_jacobian(y, ndims, **wrong),
        lambda: bijector.forward_log_det_jacobian(x, latent_ndims, **wrong),
      ):
        with self.assertRaisesRegex(ValueError, pattern):
          call()

    assert_raises('unknown.*`wrong`.*expected', {**conditions, 'wrong': x})
    for name, value in conditions.items():
      others = {k: v for k, v in conditions.items() if k != name}
      assert_raises(f'needs.*`{name}`.*got', others)
      assert_raises(f'needs.*`{name}`.*got', {**others, name: None})
      assert_raises(
        f'`{name}s`.*expected.*{name}.*mean `{name}`',
        {**others, f'{name}s': value},
      )
      if value.dtype.is_integer:
        bad = [value + 100, value - 100, value > 0]
      else:
        bad = [value[..., :-1], tf.concat([value, value], -1)]
      if value.shape.rank == 4:
        bad += [value[..., :-1, :], value[..., :-1, :, :], value[0, ..., 0]]
      for wrong in bad:
        assert_raises('expects.*got', {**others, name: wrong})

  @_some_rows(_has_variables)
  def test_two_builds_do_not_share_results(self, case):
    first, second = make(case, seed=1), make(case, seed=2)
    self.assertNotEqual(first, second)
    conditions = draw_conditions(case, [2])
    y, x = draw(case, [2]), draw_latent(first, case, [2])
    # The same objects for both: a shared cache would return wrong results.
    self.assertNotAllClose(
      first.inverse(y, **conditions), second.inverse(y, **conditions)
    )
    self.assertNotAllClose(
      first.forward(x, **conditions), second.forward(x, **conditions)
    )
    self.assert_all_close(
      inverse(first, case, y, conditions), (first.inverse(y, **conditions),)
    )

  @_some_rows(_has_conditions)
  def test_conditions_do_not_share_results(self, case):
    bijector = make(case)
    y = draw(case, [2])
    for seed in (1, 2):
      conditions = draw_conditions(case, [2], seed=seed)
      self.assert_all_close(
        inverse(bijector, case, y, conditions),
        (
          bijector.inverse(y, **conditions),
          bijector.inverse_log_det_jacobian(
            y, len(case.event_shape), **conditions
          ),
        ),
      )

  @_some_rows(_has_variables)
  def test_checkpoint(self, case):
    saved, restored = make(case, seed=1), make(case, seed=2)
    path = tf.train.Checkpoint(bijector=saved).save(
      os.path.join(self.create_tempdir().full_path, 'checkpoint')
    )
    status = tf.train.Checkpoint(bijector=restored).restore(path)
    status.assert_consumed()
    self.assertNotEmpty(saved.variables)
    for a, b in zip(saved.variables, restored.variables):
      self.assertIsNot(a, b)
      self.assertAllEqual(a, b)
    conditions = draw_conditions(case, [2])
    y = draw(case, [2])
    self.assert_all_close(
      inverse(saved, case, y, conditions),
      inverse(restored, case, y, conditions),
      1e-15,
    )

  @_large_rows()
  def test_saved_model(self, case):
    module = tf.Module()
    module.bijector = make(case)
    unknown = lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype)
    inputs = (
      draw(case, [3]),
      draw_latent(module.bijector, case, [3]),
      draw_conditions(case, [3]),
    )
    module.both_ways = tf.function(
      lambda y, x, conditions: both_ways(
        module.bijector, case, y, x, conditions
      ),
      input_signature=tf.nest.map_structure(unknown, inputs),
      autograph=False,
    )
    path = self.create_tempdir().full_path
    tf.saved_model.save(module, path)
    loaded = tf.saved_model.load(path)
    self.assert_all_close(
      both_ways(module.bijector, case, *inputs), loaded.both_ways(*inputs)
    )

  @_large_rows()
  def test_vectorized_map(self, case):
    bijector = make(case)
    inputs = (
      draw(case, [3]),
      draw_latent(bijector, case, [3]),
      draw_conditions(case, [3]),
    )
    self.assert_all_close(
      both_ways(bijector, case, *inputs),
      tf.vectorized_map(lambda args: both_ways(bijector, case, *args), inputs),
    )

  @_some_rows()
  def test_copy(self, case):
    bijector = make(case)
    copy = bijector.copy(name='copy')
    self.assertEqual(copy.name, 'copy')
    self.assertIsNot(copy, bijector)
    for a, b in zip(bijector.variables, copy.variables):
      self.assertIs(a, b)
    inputs = draw(case, [2]), draw_latent(bijector, case, [2])
    conditions = draw_conditions(case, [2])
    self.assert_all_close(
      both_ways(bijector, case, *inputs, conditions),
      both_ways(copy, case, *inputs, conditions),
      1e-15,
    )

  @_some_rows()
  def test_pickle(self, case):
    bijector = make(case)
    loaded = pickle.loads(pickle.dumps(bijector))
    for a, b in zip(bijector.variables, loaded.variables):
      self.assertIsNot(a, b)
    y, conditions = draw(case, [2]), draw_conditions(case, [2])
    self.assert_all_close(
      inverse(bijector, case, y, conditions),
      inverse(loaded, case, y, conditions),
      1e-15,
    )


class _Counter:
  """Networks that count their calls."""

  def __init__(self):
    self.calls = collections.Counter()

  def coupling_network(self, hidden_channels=4):
    init, apply = convolutional.conv_network(hidden_channels)

    def counted(params, x, context=None):
      self.calls['coupling'] += 1
      return apply(params, x, context)

    return init, counted

  def pyramid(self, context_channels, num_blocks, dtype):
    pyramid = tfp_cglow.build_context_pyramid(
      context_channels, num_blocks, seed=1, dtype=dtype
    )

    def counted(context):
      self.calls['pyramid'] += 1
      return pyramid(context)

    return counted


class NetworksRunOnceTest(tf.test.TestCase, parameterized.TestCase):
  NUM_BLOCKS, NUM_STEPS = 2, 3

  def _flow(self, kind, gradients):
    counter = _Counter()
    glow = tfp_cglow.build_glow(
      [4, 4, 1],
      self.NUM_BLOCKS,
      _STEPS[kind](
        self.NUM_STEPS,
        gradients=gradients,
        network=counter.coupling_network(),
      ),
      context=tfp_cglow.Context(2),
      pyramid=counter.pyramid(2, self.NUM_BLOCKS, tf.float32),
      seed=1,
    )
    counter.calls.clear()  # `build_glow` asks the pyramid for its channels.
    base = tfd.Sample(tfd.Normal(0.0, 1.0), [16])
    return tfd.TransformedDistribution(base, glow), counter.calls

  _variants = parameterized.named_parameters(
    ('scan_reversible', 'additive', 'reversible'),
    ('scan_stored', 'additive', 'stored'),
    ('scan_affine', 'affine', 'reversible'),
    ('unrolled', 'additive', 'unrolled'),
    ('unrolled_affine', 'affine', 'unrolled'),
  )

  @_variants
  def test_eager(self, kind, gradients):
    flow, calls = self._flow(kind, gradients)
    once = {'coupling': self.NUM_BLOCKS * self.NUM_STEPS, 'pyramid': 1}
    kwargs = {'context': tf.ones([2, 4, 4, 2])}
    sample = flow.sample(2, bijector_kwargs=kwargs)
    self.assertEqual(calls, once)
    calls.clear()
    flow.log_prob(tf.identity(sample), bijector_kwargs=kwargs)
    self.assertEqual(calls, once)

  @_variants
  def test_pairs(self, kind, gradients):
    flow, calls = self._flow(kind, gradients)
    glow = flow.bijector
    once = {'coupling': self.NUM_BLOCKS * self.NUM_STEPS, 'pyramid': 1}
    context = tf.ones([2, 4, 4, 2])
    sample, log_prob = flow.experimental_sample_and_log_prob(
      2, bijector_kwargs={'context': context}
    )
    self.assertEqual(calls, once)
    for call, data in (
      (glow.inverse_and_log_det, sample),
      (glow.forward_and_log_det, tf.zeros([2, 16])),
    ):
      calls.clear()
      call(data, context=context)
      self.assertEqual(calls, once)
    calls.clear()
    # Not from a cache: the variables may have changed since.
    again = flow.log_prob(sample, bijector_kwargs={'context': context})
    self.assertEqual(calls, once)
    self.assertAllClose(again, log_prob, 1e-4)

  def test_a_chain(self):
    flow, calls = self._flow('additive', 'reversible')
    chain = tfp.bijectors.Chain([tfp.bijectors.Shift(1.0), flow.bijector])
    flow = tfd.TransformedDistribution(flow.distribution, chain)
    kwargs = {'glow': {'context': tf.ones([2, 4, 4, 2])}}
    once = {'coupling': self.NUM_BLOCKS * self.NUM_STEPS, 'pyramid': 1}
    flow.log_prob(tf.zeros([2, 4, 4, 1]), bijector_kwargs=kwargs)
    self.assertEqual(calls, once)

  @_variants
  def test_traced(self, kind, gradients):
    flow, calls = self._flow(kind, gradients)
    steps = self.NUM_STEPS if gradients == 'unrolled' else 1
    once = {'coupling': self.NUM_BLOCKS * steps, 'pyramid': 1}
    context = tf.TensorSpec([2, 4, 4, 2])
    tf.function(
      lambda c: flow.sample(2, bijector_kwargs={'context': c})
    ).get_concrete_function(context)
    self.assertEqual(calls, once)
    calls.clear()
    tf.function(
      lambda y, c: flow.log_prob(y, bijector_kwargs={'context': c})
    ).get_concrete_function(tf.TensorSpec([2, 4, 4, 1]), context)
    self.assertEqual(calls, once)

  def test_reversible_gradient_runs_each_network_once_more(self):
    flow, calls = self._flow('additive', 'reversible')
    y, context = tf.zeros([2, 4, 4, 1]), tf.ones([2, 4, 4, 2])
    with tf.GradientTape() as tape:
      tape.watch(y)
      log_prob = flow.log_prob(y, bijector_kwargs={'context': context})
    calls.clear()
    tape.gradient(log_prob, y)
    self.assertEqual(calls, {'coupling': self.NUM_BLOCKS * self.NUM_STEPS})


class TableTest(tf.test.TestCase):
  def test_every_exported_bijector_is_in_the_table(self):
    seen = set()
    for case in CASES:
      bijector = case.build(tf.float32)
      seen |= {type(m).__name__ for m in [bijector, *bijector.submodules]}
    exported = {
      name
      for name, value in vars(tfp_cglow).items()
      if isinstance(value, type) and issubclass(value, tfp.bijectors.Bijector)
    }
    self.assertEmpty(exported - seen - {'ConditionalBijector'})

  def test_names_are_unique_and_say_what_they_take(self):
    names = [case.name for case in CASES]
    self.assertLen(set(names), len(names))
    for case in CASES:
      if re.search('context$', case.name):
        self.assertIn('context', case.conditions)


if __name__ == '__main__':
  tf.test.main()
