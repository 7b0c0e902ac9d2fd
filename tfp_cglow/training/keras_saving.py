"""Keras's own formats for a model whose weights lie in `tf.Module`s."""

import tensorflow as tf
import tf_keras as tfk

__all__ = ['SavesModules']

_OLD_FORMATS = ('h5', 'hdf5', 'keras')  # Names of one.
_HDF5_SIGNATURE = b'\x89HDF\r\n\x1a\n'


class SavesModules(tfk.Model):
  """Saves `module_variables()` in `.keras` and `.weights.h5`.

  Keras looks for weights in layers only, and would leave out all others without
  a word. Its TensorFlow format (a path without an ending) and
  `tf.train.Checkpoint` need none of this.
  """

  def module_variables(self) -> dict[str, tf.Variable]:
    """`dict` of a name without slashes to each variable."""
    raise NotImplementedError

  def save_own_variables(self, store):
    for name, variable in self.module_variables().items():
      store[name] = variable.numpy()

  def load_own_variables(self, store):
    variables = self.module_variables()
    if set(store.keys()) != set(variables):
      raise ValueError(
        f'`{self.name}` expects {len(variables)} variables that were saved by '
        f'the same class and arguments, but {len(store.keys())} came; not in '
        f'both: {sorted(set(store.keys()) ^ set(variables))[:5]}.'
      )
    values = {name: store[name][()] for name in variables}
    for name, variable in variables.items():
      if values[name].shape != variable.shape:
        raise ValueError(
          f'`{self.name}` expects {name} of shape {variable.shape}, but '
          f'{values[name].shape} came.'
        )
    for name, variable in variables.items():
      variable.assign(values[name])

  def save_weights(
    self, filepath, overwrite=True, save_format=None, options=None
  ):
    is_old = (save_format or '').lower().strip() in _OLD_FORMATS
    # A `.keras` of `save_weights` is of the old format, of `save` it is not.
    _refuse(filepath, is_old or _ends_in(filepath, '.h5', '.hdf5', '.keras'))
    return super().save_weights(filepath, overwrite, save_format, options)

  def load_weights(
    self, filepath, skip_mismatch=False, by_name=False, options=None
  ):
    _refuse(filepath, _ends_in(filepath, '.h5', '.hdf5') or _is_hdf5(filepath))
    return super().load_weights(filepath, skip_mismatch, by_name, options)


def _ends_in(path, *endings):
  return str(path).endswith(endings)


def _is_hdf5(path):
  path = str(path)
  if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
    return False  # TensorFlow's format is a prefix of files' names.
  with tf.io.gfile.GFile(path, 'rb') as f:
    return f.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE


def _refuse(path, is_old):
  """Raises for Keras's old format, which has no place for these variables."""
  if is_old and not _ends_in(path, '.weights.h5'):
    raise ValueError(
      'Expected weights in a file whose name ends in .weights.h5 or, of '
      "TensorFlow's format, has no ending, or a whole model in a .keras file "
      "of `save`: Keras's old HDF5 format holds layers only, and this model "
      f'has none. Got {path}.'
    )
