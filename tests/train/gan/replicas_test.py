"""A GAN on two replicas trains as one."""

import numpy as np
import tensorflow as tf
import tf_keras as tfk

from train.gan import video_gan

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
  values = model.evaluate(data.map(lambda f, y: (f[:3], y[:3])), verbose=0)
  return [*history['discriminator_loss'], *history['generator_loss'], *values]


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
    self.assertAllClose(_fit(one), _fit(two), rtol=1e-3)
    self.assertEqual(two.g_optimizer.iterations.numpy(), 3)
    for a, b in zip(one.trainable_variables, two.trainable_variables):
      self.assertAllClose(a, b, rtol=1e-3, atol=1e-3, msg=a.name)
    for variable in two.trainable_variables:
      first, second = strategy.experimental_local_results(variable)
      self.assertAllEqual(first, second)


if __name__ == '__main__':
  tf.test.main()
