"""What the tests of one process share."""

import contextlib
import ctypes
import functools
import gc
import os
import sys
import typing

# One thread: the processes of the tests are as many as the cores.
os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')
os.environ.setdefault('TF_NUM_INTEROP_THREADS', '1')

from absl import flags  # noqa: E402
import tensorflow as tf  # noqa: E402
import tensorflow_probability as tfp  # noqa: E402
import tf_keras as tfk  # noqa: E402

# Half of the time goes into these: begun first, or one of the processes would
# be left alone with them.
_LONG_FILES = (
  'conformance_test.py',
  'session_test.py',
  'signatures_test.py',
  'main_test.py',
  'examples_test.py',
  'normalisation_test.py',
  'replicas_test.py',
  'measuring_test.py',
  'export_test.py',
  'system_test.py',
)

# pytest parses no absl flags; absl's test classes need them parsed.
flags.FLAGS.mark_as_parsed()

# Tests of replicas need two devices, which only a fresh TensorFlow can make.
tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0],
  [tf.config.LogicalDeviceConfiguration()] * 2,
)

# Most of a test's time goes into making graphs that run a few times. The
# programs that tests start, and Bazel's run of the fast tests, have
# TensorFlow's usual passes.
tf.config.optimizer.set_experimental_options({'disable_meta_optimizer': True})
# A graph in the making is many objects, none of them garbage.
gc.set_threshold(100_000, 20, 50)
if sys.version_info < (3, 12):
  # It lists a protocol's attributes at each isinstance, of which TFP's cache
  # has many: a tenth of the time of a bijector's test.
  typing._get_protocol_attrs = functools.lru_cache(typing._get_protocol_attrs)
_file = [None]  # Whose tests run.


def pytest_collection_finish():
  gc.freeze()  # What the imports made is not looked at again.


def pytest_runtest_protocol(item):
  """Frees what a file's tests left, in the process that runs them."""
  if item.path != _file[0]:
    _file[0] = item.path
    _free()


def _free():
  """Drops caches that keep models and graphs alive, then the garbage.

  TFP's cache holds every bijector of TFP that was ever used, with its variables
  and the graphs in which it was.
  """
  vars(tfp.bijectors.Bijector)['_cache'].clear()
  tfk.backend.clear_session()
  gc.collect()
  if sys.platform == 'linux':  # Else glibc keeps what was freed.
    with contextlib.suppress(OSError, AttributeError):
      ctypes.CDLL('libc.so.6').malloc_trim(0)


def pytest_collection_modifyitems(items):
  ranks = {name: rank for rank, name in enumerate(_LONG_FILES)}
  items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))
