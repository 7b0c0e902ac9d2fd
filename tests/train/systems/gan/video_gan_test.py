"""Tests of the GAN as a Keras model."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf
import tf_keras as tfk

from train.systems.gan import losses
from train.systems.gan import video_gan

_EAGER = {'run_eagerly': True}  # A few steps take less than a trace.


def _model(loss='least_squares', rate=1e-3, compiled=None, **kwargs):
  kwargs = {'num_labels': 3, 'widths': (4, 6), 'seed': 0, **kwargs}
  model = video_gan.VideoGan([8, 8, 3], **kwargs)
  optimizers = [tfk.optimizers.legacy.Adam(rate) for _ in range(2)]
  model.compile(*optimizers, loss=loss, **(compiled or {}))
  return model


def _data(num=4, num_frames=3):
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, [num, num_frames, 8, 8, 3], dtype=np.uint8)
  return frames, np.arange(num, dtype=np.int32) % 3


def _dataset(**kwargs):
  return tf.data.Dataset.from_tensor_slices(_data(**kwargs)).batch(4)


class TrainingTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(*losses.LOSSES)
  def test_both_networks_learn(self, loss):
    weights = {f'{k}_weight': 1.0 for k in ('diversity', 'saturation')}
    model = _model(loss, compiled=weights, continued_fraction=0.5)
    before = [v.numpy() for v in model.trainable_variables]
    logs = model.fit(_dataset(), epochs=2, verbose=0).history
    for variable, value in zip(model.trainable_variables, before):
      if 'bias' not in variable.name:  # A hinge's cancel within the margin.
        self.assertNotAllEqual(variable, value)
    self.assertEqual(logs['clips'], [4.0, 4.0])
    self.assertEqual(logs['skipped_steps'], [0.0, 0.0])
    self.assertGreater(logs['diversity_shortfall'][0], 0.0)
    self.assertAllInRange(logs['saturation'], 0.0, 1.0)

  def test_gradients_are_those_of_each_network_s_own_loss(self):
    model = _model(rate=0.0)
    frames, label = _data()
    history = model.fit(_dataset(), verbose=0).history
    again = model.fit(_dataset(), verbose=0).history
    seed = video_gan.likelihood.fold_in(
      video_gan.likelihood.as_seed(model._noise_seed), 1
    )
    with tf.GradientTape(persistent=True) as tape:
      real, label = model._to_signed(frames), tf.constant(label)
      generated = model._generate(real, label, seed, tf.range(4))
      values = model._judge(real, tf.tanh(generated), label)
    for name in ('generator', 'discriminator'):
      gradients = tape.gradient(
        values[f'{name}_loss'], model.parameter_groups()[name]
      )
      self.assertAllClose(
        tf.linalg.global_norm(gradients),
        again[f'{name}_gradient_norm'][0],
        rtol=1e-4,
      )
    self.assertNotEqual(
      history['generator_loss'], again['generator_loss'], 'new noise each step'
    )

  def test_a_step_that_is_not_finite_changes_nothing(self):
    model = _model(compiled={'ema': 0.9})
    bottom = model.generator.trainable_variables[0]
    bottom.assign(tf.fill(bottom.shape, np.nan))
    state = [
      *model.trainable_variables[1:],
      *model.d_optimizer.variables(),
      *model.g_optimizer.variables(),
      *model.weight_average.averages[1:],
    ]
    before = [v.numpy() for v in state]
    logs = model.fit(_dataset(), verbose=0).history
    self.assertEqual(logs['skipped_steps'], [1.0])
    for variable, value in zip(state, before):
      self.assertAllEqual(variable, value)
    self.assertEqual(model.step_guard.num_skipped_in_a_row.numpy(), 1)

  def test_spectral_norms_are_bounded(self):
    model = _model(spectral_normalisation=True, rate=0.1, compiled=_EAGER)
    model.fit(_dataset(), epochs=3, verbose=0)
    for variable in model.discriminator.trainable_variables:
      if 'kernel' in variable.name:
        matrix = variable.numpy().reshape(-1, variable.shape[-1])
        self.assertLess(np.linalg.norm(matrix, 2), 1.0 + 1e-3)

  def test_half_of_the_clips_begin_with_a_real_frame(self):
    model = _model(continued_fraction=0.5)
    frames, label = _data()
    real = model._to_signed(frames)
    videos = tf.tanh(
      model._generate(
        real, tf.constant(label), tf.constant([0, 1]), tf.range(4)
      )
    )
    is_real = np.isclose(videos[:, 0], real[:, 0], atol=1e-4).all((1, 2, 3))
    self.assertAllEqual(is_real, [False, True, False, True])

  def test_average_follows_the_generator(self):
    model = _model(compiled={'ema': 0.9, **_EAGER})
    weights = model.generator.trainable_variables
    starts = [w.numpy() for w in weights]
    averages = model.weight_average.averages
    self.assertLen(averages, len(weights))
    model.fit(_dataset(), verbose=0)
    # The first update of the average: its rate is 1 - 1 / 10.
    for start, weight, average in zip(starts, weights, averages):
      self.assertAllClose(average, start + 0.9 * (weight - start), atol=1e-6)

  def test_weights_are_of_the_generator_s_loss(self):
    def norms(**weights):
      model = _model(rate=0.0, compiled=weights)
      for variable in model.generator.trainable_variables:
        variable.assign(4.0 * variable)  # Some values are in excess.
      logs = model.train_step(next(iter(_dataset())))
      return {k: logs[f'{k}_gradient_norm'] for k in networks}

    networks = 'generator', 'discriminator'
    before = norms()
    for name in ('diversity_weight', 'saturation_weight'):
      after = norms(**{name: 1e3})
      change = {k: abs(after[k] / before[k] - 1.0) for k in networks}
      self.assertGreater(change['generator'], 1e-3)
      self.assertLess(change['discriminator'], 1e-5)

  def test_evaluation_does_not_depend_on_the_batch_size(self):
    model = _model(continued_fraction=0.5)
    dataset = tf.data.Dataset.from_tensor_slices(_data(5))
    values = [
      model.evaluate(dataset.batch(n), verbose=0, return_dict=True)
      for n in (2, 5)
    ]
    self.assertAllClose(*values, rtol=1e-4)

  @parameterized.parameters(
    ({'loss': 'wasserstein'}, "one of.*hinge.*got 'wasserstein'"),
    ({'widths': (4, 4, 4, 4)}, 'divisible by 16, but got frames of 8x8'),
    ({'widths': ()}, '`widths` must be at least 1'),
    ({'n_bits': 9}, r'in 1\.\.8, but got 9'),
    ({'label_channels': 0}, '`label_channels` must be at least 1'),
    (
      {'compiled': {'saturation_weight': -1.0}},
      '`saturation_weight` must be at least 0',
    ),
    ({'continued_fraction': 1.5}, r'in \[0, 1\], but got 1.5'),
  )
  def test_bad_arguments(self, kwargs, message):
    with self.assertRaisesRegex(ValueError, message):
      _model(**kwargs)


class SampleTest(tf.test.TestCase, parameterized.TestCase):
  def test_is_what_the_generator_makes(self):
    model = _model()
    seeds = tf.constant([[1, 2], [3, 4]])
    labels = tf.constant([0, 2])
    frames = model.generator(model._noise(seeds), labels, 5)
    self.assertAllEqual(
      model.sample(labels, 5, seed=seeds), model._to_uint8(frames)
    )

  def test_rows_are_independent_and_lengths_agree(self):
    model = _model()
    labels = tf.constant([0, 2])
    videos = model.sample(labels, 5, seed=7)
    self.assertEqual(videos.shape, [2, 5, 8, 8, 3])
    self.assertAllEqual(model.sample(labels[:1], 3, seed=7)[0], videos[0, :3])
    self.assertNotAllEqual(model.sample(labels, 5, seed=8), videos)

  def test_continues_given_frames(self):
    model = _model(continued_fraction=0.5)
    frames, label = _data()
    given = frames[:, :2]
    for num, rows in ((1, 4), (2, 3), (3, 2)):  # One graph must not do for all.
      begun = model.sample(label[:rows], 3, first_frames=frames[:rows, :num])
      self.assertAllEqual(begun[:, :num], frames[:rows, :num] // 8 * 8 + 4)
    videos = model.sample(label, 4, first_frames=given, seed=0)
    self.assertAllEqual(videos[:, :2], given // 8 * 8 + 4)
    other = model.sample(label, 4, first_frames=255 - given, seed=0)
    self.assertNotAllEqual(videos[:, 2:], other[:, 2:])

  def test_without_labels(self):
    model = _model(num_labels=None)
    videos = model.sample(num_videos=2, num_frames=2, seed=0, temperature=0.0)
    self.assertAllEqual(videos[0], videos[1])

  @parameterized.parameters(
    ({'labels': None}, 'Expected `labels`'),
    ({'labels': [3]}, r'labels in \[0, 3\)'),
    ({'num_frames': 0}, '`num_frames` must be at least 1'),
    ({'temperature': float('nan')}, '`temperature` must be finite'),
    ({'first_frames': np.zeros([2, 1, 8, 8, 3])}, 'holds 2 videos'),
    ({'first_frames': np.zeros([1, 1, 9, 8, 3])}, r'Expected frames of shape'),
  )
  def test_bad_requests(self, kwargs, message):
    with self.assertRaisesRegex(ValueError, message):
      _model().sample(**{'labels': [0], 'num_frames': 2, 'seed': 0, **kwargs})


if __name__ == '__main__':
  tf.test.main()
