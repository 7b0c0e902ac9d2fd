"""Keras's own formats for a model whose weights lie in `tf.Module`s."""

import tensorflow as tf
import tf_keras as tfk

__all__ = ['SavesModules']


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

  def save_weights(self, filepath, *args, **kwargs):
    # A `.keras` of `save_weights` is of the old format, of `save` it is not.
    _refuse_layers_format(filepath, ('.h5', '.hdf5', '.keras'), kwargs)
    return super().save_weights(filepath, *args, **kwargs)

  def load_weights(self, filepath, *args, **kwargs):
    _refuse_layers_format(filepath, ('.h5', '.hdf5'), kwargs)
    return super().load_weights(filepath, *args, **kwargs)


def _refuse_layers_format(filepath, endings, kwargs):
  path = str(filepath)
  is_old = path.endswith(endings) and not path.endswith('.weights.h5')
  if is_old or kwargs.get('save_format') == 'h5':
    raise ValueError(
      'Expected a path that ends in .weights.h5, or none of an ending '
      "(TensorFlow's format): Keras's old HDF5 format holds layers only, and "
      f'this model has none. Got {path}.'
    )
