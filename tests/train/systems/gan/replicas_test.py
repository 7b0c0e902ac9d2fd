"""A GAN on two replicas trains as one."""

import numpy as np
import tensorflow as tf
import tf_keras as tfk

from train.systems.gan import video_gan

_FRAMES = np.random.default_rng(0).integers(0, 256, [4, 3, 8, 8, 3], np.uint8)
_LABELS = np.array([0, 1, 2, 1], np.int32)


def _model():
  model = video_gan.VideoGan(
    [8, 8, 3],
    num_labels=3,
    widths=(4,),
    num_first_view_nets=1,
    continued_fraction=0.5,
    seed=0,
  )
  model.compile(
    *(tfk.optimizers.legacy.Adam(1e-2, epsilon=1e-3) for _ in range(2)), ema=0.5
  )
  return model


def _fit(model):
  data = tf.data.Dataset.from_tensor_slices((_FRAMES, _LABELS)).batch(4)
  history = model.fit(data, epochs=3, verbose=0).history
  losses = [*history['discriminator_loss'], *history['generator_loss']]
  # The second part of the last batch is empty.
  data = data.unbatch().take(3).batch(2)
  return losses, model.evaluate(data, verbose=0, return_dict=True)


class ReplicasTest(tf.test.TestCase):
  def test_trains_as_one(self):
    # The logical devices are the tests' own, see conftest.py.
    cpu = tf.config.list_physical_devices('CPU')[0]
    tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = tf.distribute.MirroredStrategy(
      ['CPU:0', 'CPU:1'],
      cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    one = _model()
    with strategy.scope():
      two = _model()
    (losses_one, values_one), (losses_two, values_two) = _fit(one), _fit(two)
    self.assertAllClose(losses_one, losses_two, rtol=1e-3)
    # Of the same clips, with other noise.
    self.assertAllClose(
      values_one['real_deviation'], values_two['real_deviation'], rtol=1e-5
    )
    self.assertAllClose(
      values_one['discriminator_loss'],
      values_two['discriminator_loss'],
      rtol=0.05,
    )
    self.assertEqual(two.g_optimizer.iterations.numpy(), 3)
    for a, b in zip(one.trainable_variables, two.trainable_variables):
      self.assertAllClose(a, b, rtol=1e-3, atol=1e-3, msg=a.name)
    for variable in two.trainable_variables:
      first, second = strategy.experimental_local_results(variable)
      self.assertAllEqual(first, second)


if __name__ == '__main__':
  tf.test.main()
