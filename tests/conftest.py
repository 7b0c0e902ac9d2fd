"""What the tests of one process share."""

from absl import flags
import tensorflow as tf

# pytest parses no absl flags; absl's test classes need them parsed.
flags.FLAGS.mark_as_parsed()

# Tests of replicas need two devices, which only a fresh TensorFlow can make.
tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0],
  [tf.config.LogicalDeviceConfiguration()] * 2,
)
