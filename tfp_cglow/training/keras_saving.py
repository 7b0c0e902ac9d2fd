"""Keras's file formats for models whose weights are in `tf.Module`s."""

import tensorflow as tf
import tf_keras as tfk

from tfp_cglow.training import checkpoint_check

__all__ = ['SavesModules']

_OLD_FORMATS = ('h5', 'hdf5', 'keras')  # Keras's names of the HDF5 format.
_HDF5_SIGNATURE = b'\x89HDF\r\n\x1a\n'


class SavesModules(tfk.Model):
  """Saves `module_variables()` in `.keras` and `.weights.h5`.

  Keras looks for weights in layers only and silently omits all others. Its
  TensorFlow format (a path without an ending) and `tf.train.Checkpoint` save
  modules without this class.
  """

  def module_variables(self) -> dict[str, tf.Variable]:
    """`dict` of the variables to save, by names without slashes."""
    raise NotImplementedError

  def saved_modules(self) -> tuple[str, ...]:
    """Names of the attributes whose variables TensorFlow's format must have."""
    return ()

  def save_own_variables(self, store):
    for name, variable in self.module_variables().items():
      store[name] = variable.numpy()

  def load_own_variables(self, store):
    variables = self.module_variables()
    if set(store.keys()) != set(variables):
      raise ValueError(
        f'`{self.name}` expects the {len(variables)} variables of a model of '
        f'the same class and arguments, but the file has {len(store.keys())}; '
        f'not in both: {sorted(set(store.keys()) ^ set(variables))[:5]}.'
      )
    values = {name: store[name][()] for name in variables}
    for name, variable in variables.items():
      if values[name].shape != variable.shape:
        raise ValueError(
          f'`{self.name}` expects {name} of shape {variable.shape}, but got '
          f'{values[name].shape}.'
        )
    for name, variable in variables.items():
      variable.assign(values[name])

  def save_weights(
    self, filepath, overwrite=True, save_format=None, options=None
  ):
    is_old = (save_format or '').lower().strip() in _OLD_FORMATS
    # `save_weights` writes the old format to a `.keras` file; `save` does not.
    _refuse(filepath, is_old or _ends_in(filepath, '.h5', '.hdf5', '.keras'))
    return super().save_weights(filepath, overwrite, save_format, options)

  def load_weights(
    self, filepath, skip_mismatch=False, by_name=False, options=None
  ):
    _refuse(filepath, _ends_in(filepath, '.h5', '.hdf5') or _is_hdf5(filepath))
    if tf.io.gfile.exists(f'{filepath}.index'):
      for name in self.saved_modules():
        checkpoint_check.check_matches(filepath, self, name)
    return super().load_weights(filepath, skip_mismatch, by_name, options)


def _ends_in(path, *endings):
  return str(path).endswith(endings)


def _is_hdf5(path):
  path = str(path)
  if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
    return False  # In TensorFlow's format, the path is a prefix of file names.
  with tf.io.gfile.GFile(path, 'rb') as f:
    return f.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE


def _refuse(path, is_old):
  """Raises for Keras's old format, which cannot hold these variables."""
  if is_old and not _ends_in(path, '.weights.h5'):
    raise ValueError(
      'Expected weights in .weights.h5 or in a file without an ending (the '
      'format of TensorFlow), or a model that `save` wrote to a .keras file: '
      "Keras's old HDF5 format holds layers only, and this model has none. "
      f'Got {path}.'
    )
