"""What the tests of one process share."""

from absl import flags
import pytest
import tensorflow as tf

# pytest parses no absl flags; absl's test classes need them parsed.
flags.FLAGS.mark_as_parsed()

# Tests of replicas need two devices, which only a fresh TensorFlow can make.
tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0],
  [tf.config.LogicalDeviceConfiguration()] * 2,
)


@pytest.hookimpl(tryfirst=True)  # Before xdist reads the marks.
def pytest_collection_modifyitems(items):
  """What a class sets up once is used by all its tests: in one process."""
  for item in items:
    if item.cls is not None and 'setUpClass' in vars(item.cls):
      item.add_marker(pytest.mark.xdist_group(item.cls.__qualname__))
