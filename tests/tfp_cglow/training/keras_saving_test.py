"""Tests of `keras_saving`, through `VideoGlow`."""

import dataclasses
import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as tfk

import tfp_cglow

_STEPS = tfp_cglow.AdditiveSteps(1, 4)
_HEAD = tfp_cglow.GlowSpec(1, _STEPS, labels=tfp_cglow.LabelPriors())
_TAIL = tfp_cglow.TailSpec(
  1, _STEPS, tfp_cglow.FrameAffine(), memory=tfp_cglow.ResidualMemory(2)
)


def _model(seed=0, head=_HEAD, tail=_TAIL):
  flow = tfp_cglow.build_video_flow(
    [4, 4, 1], head, tail, num_labels=head.labels and 2, seed=seed
  )
  return tfp_cglow.VideoGlow(flow, seed=seed)


def _randomise(model):
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(0.1 * rng.standard_normal(variable.shape))
  for glow in (model.flow.head, model.flow.tail):
    glow.adapted.assign(True)
  model.flow.label_counts.assign([3.0, 1.0])
  return model


class KerasSavingTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.get_temp_dir()

  def assert_equal(self, ours, theirs):
    self.assertLen(ours.variables, len(theirs.variables))
    for a, b in zip(ours.variables, theirs.variables):
      self.assertAllEqual(a, b)

  @parameterized.parameters('model.weights.h5', 'model')
  def test_weights(self, name):
    path, model = os.path.join(self.folder, name), _randomise(_model())
    model.save_weights(path)
    other = _model(seed=1)
    other.load_weights(path)
    self.assert_equal(other, model)
    self.assertTrue(other.adapted)

  def test_whole_model(self):
    path, model = os.path.join(self.folder, 'm.keras'), _randomise(_model())
    model.compile(tfk.optimizers.legacy.Adam(1e-3))
    frames = np.random.default_rng(0).integers(
      0, 256, [2, 3, 4, 4, 1], np.uint8
    )
    model.fit(frames, np.array([0, 1], np.int32), verbose=0)
    model.save(path)
    other = _model(seed=1)
    other.load_weights(path)
    for name, variable in model.module_variables().items():
      self.assertAllEqual(other.module_variables()[name], variable)
    label = np.array([0, 1])
    ours, theirs = (m.flow.log_prob(frames, label) for m in (other, model))
    self.assertAllEqual(ours[0], theirs[0])
    self.assertAllEqual(ours[1], theirs[1])
    model.flow.config = None  # As of a flow with networks of the user's own.
    model.save(path)
    with self.assertRaisesRegex(ValueError, r'expected.*load_weights\(path'):
      tfk.models.load_model(path)

  @parameterized.parameters('m.weights.h5', 'm')
  def test_what_fits_in_part_is_refused(self, name):
    path = os.path.join(self.folder, name)
    _randomise(_model()).save_weights(path)
    unrolled = tfp_cglow.AdditiveSteps(1, 4, gradients='unrolled')
    wider = tfp_cglow.AdditiveSteps(1, 5)
    for steps in (unrolled, wider):
      other = _model(seed=1, head=dataclasses.replace(_HEAD, steps=steps))
      before = [v.numpy() for v in other.variables]
      with self.assertRaisesRegex(ValueError, 'expects|Expected'):
        other.load_weights(path)
      for variable, value in zip(other.variables, before):
        self.assertAllEqual(variable, value)
    self.assertFalse(other.adapted)

  def test_of_another_model(self):
    path = os.path.join(self.folder, 'm.weights.h5')
    _model().save_weights(path)
    with self.assertRaisesRegex(ValueError, r"not in both: \['memory_"):
      _model(tail=None).load_weights(path)
    steps = tfp_cglow.AdditiveSteps(1, hidden_channels=5)
    other = _model(tail=dataclasses.replace(_TAIL, steps=steps))
    before = [v.numpy() for v in other.variables]
    with self.assertRaisesRegex(ValueError, 'expects tail_.* of shape'):
      other.load_weights(path)
    for variable, value in zip(other.variables, before):
      self.assertAllEqual(variable, value)  # No variable was changed.

  @parameterized.parameters(
    ('m.h5',),
    ('m.hdf5',),
    ('m.keras',),
    ('m', True, 'h5'),
    ('m', True, ' HDF5'),
    ('m', True, 'keras'),
  )
  def test_layers_format_is_refused(self, name, *others):
    path = os.path.join(self.folder, name)
    with self.assertRaisesRegex(ValueError, f'in .weights.h5 .* Got {path}'):
      _model().save_weights(path, *others)
    self.assertEmpty(os.listdir(self.folder))
    # As a model without these methods, or an earlier version, writes it.
    tfk.Model.save_weights(_model(), path, *others)
    with self.assertRaisesRegex(ValueError, f'in .weights.h5 .* Got {path}'):
      _model().load_weights(path)


_FRAMES = np.random.default_rng(0).integers(
  0, 256, [4, 2, 4, 4, 1], dtype=np.uint8
)


@tfk.utils.register_keras_serializable('tests')
class Density(tfp_cglow.SavesModules, tfk.layers.Layer):
  """Log-densities of images given vectors, and a weight of the layer itself."""

  def __init__(self, **kwargs):
    super().__init__(**kwargs)
    self.glow = tfp_cglow.build_glow(
      [4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4), vector_channels=2
    )
    self.offset = self.add_weight('offset', shape=[])

  def call(self, inputs):
    frames, vector = inputs
    base = tfp.distributions.Sample(tfp.distributions.Normal(0.0, 1.0), [16])
    flow = tfp.distributions.TransformedDistribution(base, self.glow)
    nats = flow.log_prob(frames, bijector_kwargs={'vector': vector})
    return (nats + self.offset)[:, tf.newaxis]


@tfk.utils.register_keras_serializable('tests')
class Subclass(tfp_cglow.SavesModules, tfk.Model):
  """A model that holds a bijector itself."""

  def __init__(self, **kwargs):
    super().__init__(**kwargs)
    self.glow = tfp_cglow.build_glow(
      [4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4), vector_channels=2
    )
    self.last = tfk.layers.Dense(1)

  def call(self, inputs):
    frames, vector = inputs
    return self.last(self.glow.inverse(frames, vector=vector))

  def get_config(self):
    return {'name': self.name}


def _functional():
  inputs = [tfk.Input([4, 4, 1]), tfk.Input([2])]
  return tfk.Model(inputs, Density(name='density')(inputs))


def _subclass():
  model = Subclass()
  model([tf.zeros([1, 4, 4, 1]), tf.zeros([1, 2])])
  return model


_IMAGES = [
  np.random.default_rng(0).uniform(-0.5, 0.5, [4, 4, 4, 1]).astype('f'),
  np.random.default_rng(1).uniform(-0.5, 0.5, [4, 2]).astype('f'),
]


class RoundTripTest(tf.test.TestCase, parameterized.TestCase):
  """Formats by models: weights, and the optimiser three steps later."""

  def _built(self, kind, optimizer):
    if kind == 'video':
      model = _model(head=dataclasses.replace(_HEAD, labels=None))
      loss = tfp_cglow.VideoLoss(
        label_weight=0.5, tail_context_warp=tfp_cglow.ContextWarp(0.5)
      )
      model.compile(optimizer(1e-2), loss, ema=0.9)
      return model, (_FRAMES,)
    model = _functional() if kind == 'functional' else _subclass()
    model.compile(optimizer(1e-2), 'mse', run_eagerly=True)
    if hasattr(model.optimizer, 'build'):  # Keras loads what it has.
      model.optimizer.build(model.trainable_variables)
    return model, (_IMAGES, np.ones([4, 1], 'f'))

  def _fit(self, model, data):
    model.fit(*data, epochs=3, shuffle=False, verbose=0)

  def _assert_equal(self, ours, theirs):
    self.assertLen(ours.variables, len(theirs.variables))
    for a, b in zip(ours.weights, theirs.weights):
      self.assertAllEqual(a, b, a.name)

  @parameterized.product(
    kind=['video', 'functional', 'subclass'],
    file_format=['m.keras', 'm.weights.h5', 'm'],
    optimizer=[tfk.optimizers.Adam, tfk.optimizers.legacy.Adam],
  )
  def test_training_goes_on(self, kind, file_format, optimizer):
    path = os.path.join(self.create_tempdir().full_path, file_format)
    model, data = self._built(kind, optimizer)
    self._fit(model, data)
    if file_format == 'm.keras':
      model.save(path)
      loaded = tfk.models.load_model(path)
    else:
      model.save_weights(path)
      loaded, _ = self._built(kind, optimizer)
      loaded.load_weights(path)
    self._assert_equal(loaded, model)
    is_legacy = optimizer is tfk.optimizers.legacy.Adam
    if kind != 'video' and is_legacy and file_format != 'm':
      return  # Keras itself leaves these optimisers out.
    for each in (loaded, model):
      if kind != 'video':
        each.run_eagerly = True
      self._fit(each, data)
    self._assert_equal(loaded, model)

  @parameterized.parameters('functional', 'subclass')
  def test_conditions_of_a_loaded_model_are_checked(self, kind):
    path = os.path.join(self.create_tempdir().full_path, 'm.keras')
    model, _ = self._built(kind, tfk.optimizers.Adam)
    model.save(path)
    loaded = tfk.models.load_model(path)
    glow = loaded.glow if kind == 'subclass' else loaded.layers[-1].glow
    with self.assertRaisesRegex(ValueError, 'needs the condition `vector`'):
      glow.inverse(_IMAGES[0])

  @parameterized.parameters('functional', 'subclass')
  def test_saved_model(self, kind):
    path = self.create_tempdir().full_path
    model, data = self._built(kind, tfk.optimizers.Adam)
    self._fit(model, data)
    tf.saved_model.save(model, path)
    loaded = tf.saved_model.load(path)
    served = loaded.signatures['serving_default']
    names = sorted(served.structured_input_signature[1])
    result = served(**dict(zip(names, map(tf.constant, _IMAGES))))
    self.assertAllClose(*result.values(), model(_IMAGES))

  def test_symbolic_inputs_are_refused(self):
    glow = tfp_cglow.build_glow([4, 4, 1], 1, tfp_cglow.AdditiveSteps(1, 4))
    for method, shape in ((glow.inverse, [4, 4, 1]), (glow.forward, [16])):
      with self.assertRaisesRegex(ValueError, 'symbolic input.*SavesModules'):
        method(tfk.Input(shape))


if __name__ == '__main__':
  tf.test.main()
