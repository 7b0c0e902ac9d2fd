"""Tests of `keras_saving`, through `VideoGlow`."""

import dataclasses
import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tf_keras as tfk

import tfp_cglow

_STEPS = tfp_cglow.AdditiveSteps(1, 4)
_HEAD = tfp_cglow.GlowSpec(1, _STEPS, labels=tfp_cglow.LabelPriors())
_TAIL = tfp_cglow.TailSpec(
  1, _STEPS, tfp_cglow.FrameAffine(), memory=tfp_cglow.ResidualMemory(2)
)


def _model(seed=0, head=_HEAD, tail=_TAIL):
  flow = tfp_cglow.build_video_flow(
    [4, 4, 1], head, tail, num_labels=2, seed=seed
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
    with self.assertRaisesRegex(ValueError, r'expected.*load_weights\(path'):
      tfk.models.load_model(
        path, custom_objects={'VideoGlow': tfp_cglow.VideoGlow}, compile=False
      )

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


if __name__ == '__main__':
  tf.test.main()
