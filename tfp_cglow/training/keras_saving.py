"""Keras's file formats for models whose weights are in `tf.Module`s."""

from absl import logging
import tensorflow as tf
import tf_keras as tfk

from tfp_cglow.internal import plain_paths
from tfp_cglow.training import checkpoint_check

__all__ = ['SavesModel', 'SavesModules']

_OLD_FORMATS = ('h5', 'hdf5', 'keras')  # Keras's names of the HDF5 format.
_TRAINING = 'training_'  # Begins the names of `training_variables` in a file.
_HDF5_SIGNATURE = b'\x89HDF\r\n\x1a\n'


class SavesModules:
  """Saves the bijectors of a layer or model in `.keras` and `.weights.h5`.

  Keras trains the variables of bijectors, and of every other `tf.Module`, that
  are attributes of a layer. But in these files it looks for layers only, and
  silently omits all others. Derive the layer, or the subclassed model, from
  this class first:

  ```python
  class Flow(tfp_cglow.SavesModules, tf_keras.layers.Layer):

    def __init__(self, **kwargs):
      super().__init__(**kwargs)
      self.glow = tfp_cglow.build_glow([8, 8, 3], 2)

    def call(self, frames):
      return self.glow.inverse(frames)
  ```

  Keras's TensorFlow format (a path without an ending), SavedModels and
  `tf.train.Checkpoint` save modules without this class.
  """

  def module_variables(self) -> dict[str, tf.Variable]:
    """`dict` of the variables to save, by names without slashes.

    By default, all variables of the `tf.Module`s that are attributes, but no
    layers. Keras itself saves layers and their weights.
    """
    modules = {
      name: [v for v in tf.nest.flatten(value) if _is_plain_module(v)]
      for name, value in sorted(vars(self).items())
      if isinstance(value, (tf.Module, list, tuple, dict))
      and not name.startswith('_')
    }
    found = {
      variable.ref(): f'module_{name}_{i}_{j}'
      for name, values in modules.items()
      for i, module in enumerate(values)
      for j, variable in enumerate(module.variables)
    }
    return {name: ref.deref() for ref, name in found.items()}

  def training_variables(self) -> dict[str, tf.Variable]:
    """As `module_variables`: training's state, loaded if the file has all."""
    return {}

  def save_own_variables(self, store):
    super().save_own_variables(store)
    for name, variable in self.module_variables().items():
      store[name] = variable.numpy()
    for name, variable in self.training_variables().items():
      store[_TRAINING + name] = variable.numpy()

  def load_own_variables(self, store):
    of_training = {k for k in store if k.startswith(_TRAINING)}
    of_keras = {k for k in store if k.isdigit()}
    names = set(store) - of_training - of_keras
    variables = self.module_variables()
    if names != set(variables):
      raise ValueError(
        f'`{self.name}` expects the {len(variables)} variables of a model of '
        f'the same class and arguments, but the file has {len(names)}; '
        f'not in both: {sorted(names ^ set(variables))[:5]}.'
      )
    training = {_TRAINING + k: v for k, v in self.training_variables().items()}
    for name, variable in variables.items():
      if store[name].shape != tuple(variable.shape):
        raise ValueError(
          f'`{self.name}` expects {name} of shape {variable.shape}, but got '
          f'{store[name].shape}.'
        )
    if training and of_training:
      if set(training) == of_training and all(
        store[k].shape == tuple(v.shape) for k, v in training.items()
      ):
        variables = {**variables, **training}
      else:
        logging.warning(
          '%s: the file has the state of another optimiser or average; only '
          'the weights are loaded.',
          self.name,
        )
    super().load_own_variables({k: store[k] for k in of_keras})
    for name, variable in variables.items():
      variable.assign(store[name][()])


class SavesModel(SavesModules, tfk.Model):
  """A model with `SavesModules` that refuses what would lose its variables."""

  def saved_modules(self) -> tuple[str, ...]:
    """Names of the attributes whose variables TensorFlow's format must have."""
    return ()

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
    filepath = plain_paths.plain(filepath)
    if tf.io.gfile.exists(f'{filepath}.index'):
      for name in self.saved_modules():
        checkpoint_check.check_matches(filepath, self, name)
    return super().load_weights(filepath, skip_mismatch, by_name, options)


def _is_plain_module(value):
  return isinstance(value, tf.Module) and not isinstance(
    value, tfk.layers.Layer
  )


def _ends_in(path, *endings):
  return str(path).endswith(endings)


def _is_hdf5(path):
  path = plain_paths.plain(path)
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
