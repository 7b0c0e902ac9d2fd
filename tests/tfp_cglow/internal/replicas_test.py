"""Tests that two replicas train as one: equal losses, weights, statistics."""

import numpy as np
import tensorflow as tf
import tf_keras as tfk

import tfp_cglow
from tfp_cglow.internal import replicas
from tfp_cglow.video import objective

_SIZES = dict(num_glow_blocks=1, steps=tfp_cglow.AdditiveSteps(2, 8))
_FRAMES = np.random.default_rng(0).integers(0, 256, [4, 3, 8, 8, 3], np.uint8)
_LABELS = np.array([0, 1, 2, 1], np.int32)


def _model():
  flow = tfp_cglow.build_video_flow(
    [8, 8, 3],
    tfp_cglow.GlowSpec(labels=tfp_cglow.LabelPriors(), **_SIZES),
    tfp_cglow.TailSpec(
      first=tfp_cglow.FrameAffine(),
      memory=tfp_cglow.ResidualMemory(2),
      **_SIZES,
    ),
    num_labels=3,
    seed=0,
  )
  model = tfp_cglow.VideoGlow(flow, seed=0)
  adam = tfk.optimizers.legacy.Adam(1e-2, epsilon=1e-8)
  loss = tfp_cglow.VideoLoss(
    label_dropout=0.3,
    tail_frames_per_step=1,
    tail_context_warp=tfp_cglow.ContextWarp(1.0),
  )
  model.compile(adam, loss, ema=0.5)
  return model


def _dataset(frames=_FRAMES, batch_size=4):
  data = tf.data.Dataset.from_tensor_slices((frames, _LABELS[: len(frames)]))
  return data.batch(batch_size).repeat()


def _fit(model, steps=6):
  losses = []
  log = tfk.callbacks.LambdaCallback(
    on_batch_end=lambda batch, logs: losses.append(logs['loss'])
  )
  model.fit(_dataset(), steps_per_epoch=steps, verbose=0, callbacks=[log])
  return losses


class ReplicasTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cpu = tf.config.list_physical_devices('CPU')[0]
    tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    cls.strategy = tf.distribute.MirroredStrategy(
      ['CPU:0', 'CPU:1'],
      # Another strategy in this process may have used the collectives' keys.
      cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    with cls.strategy.scope():
      cls.model = _model()

  def test_clips_of_a_step_are_shared(self):
    own = self.strategy.run(lambda: objective.first_clips(4, tf.range(3))[0])
    for rows in self.strategy.experimental_local_results(own):
      self.assertAllEqual(rows, [0, 1])

  def test_trains_as_one(self):
    one, two = _model(), self.model
    losses_one, losses_two = _fit(one), _fit(two)
    self.assertAllClose(losses_one, losses_two, rtol=1e-5)
    self.assertAllClose(one.flow.label_counts, two.flow.label_counts)
    self.assertAllEqual(one.flow.label_counts, [6.0, 12.0, 6.0])
    for a, b in zip(one.trainable_variables, two.trainable_variables):
      self.assertAllClose(a, b, rtol=1e-3, atol=5e-4, msg=a.name)
    averages = zip(one.weight_average.averages, two.weight_average.averages)
    for a, b in averages:
      self.assertAllClose(a, b, rtol=1e-3, atol=5e-4)
    self.assertEqual(two.optimizer.iterations.numpy(), 6)
    # Every replica has the same weights.
    for variable in two.trainable_variables:
      first, second = self.strategy.experimental_local_results(variable)
      self.assertAllEqual(first, second)
    # Inference outside of the strategy.
    self.assertEqual(two.flow.sample([0], num_frames=2).shape, [1, 2, 8, 8, 3])
    # The second replica's part of the last batch is empty.
    values = two.evaluate(
      _dataset(_FRAMES[:3], 2).take(2), verbose=0, return_dict=True
    )
    self.assertAllInRange(values['tail_bits_per_dim'], 0.1, 20.0)
    # If one replica has values that are not finite, all skip the step.
    before = [v.numpy() for v in two.trainable_variables]
    tail = two.flow.tail.trainable_variables[0]
    good = tail.numpy()
    tail.assign(np.full_like(good, np.nan))
    two.fit(_dataset(), steps_per_epoch=1, verbose=0)
    self.assertEqual(two.optimizer.iterations.numpy(), 6)
    self.assertEqual(two.step_guard.num_skipped_in_a_row.numpy(), 1)
    tail.assign(good)
    for a, b in zip(before, two.trainable_variables):
      self.assertAllEqual(a, b)

  def test_counts_of_replicas_do_not_meet(self):
    count = lambda: replicas.interleaved(tf.range(3))
    first, second = self.strategy.run(count).values
    self.assertAllEqual(first, [0, 2, 4])
    self.assertAllEqual(second, [1, 3, 5])
    self.assertAllEqual(count(), [0, 1, 2])


if __name__ == '__main__':
  tf.test.main()
