"""Whether training moves its parameters: each group's update, per step.

The paper's label images had gradients of 1e-6 and stayed their random start
(its Fig. 3); nobody sees that in a loss.
"""

from absl import logging
import numpy as np

__all__ = ['ParameterWatch', 'sample']

_MAX_ELEMENTS = 10_000  # Of a variable: an even sample of a large one.
_LEAST_UPDATE = 1e-6
_LABEL_ADVICE = (
  ' A higher learning rate, another start (label_init_std) or a loss of their '
  'own (label_loss_weight) may help.'
)


class ParameterWatch:
  """Measures how far parameter groups move, and warns of one that does not."""

  def __init__(self, groups, label_start=None, patience=5):
    """Measures nothing yet.

    Args:
      groups: `dict` of name to list of `tf.Variable`s, such as
        `parameter_groups()` of a model.
      label_start: What `sample` gave of the group 'labels' when training
        started, or None: `labels_movement` is not measured.
      patience: Python `int`: so many measurements in a row below 1e-6 of a
        group's size give one warning.
    """
    self._groups = groups
    self._patience = patience
    self._num_still = dict.fromkeys(groups, 0)
    self._label_start = label_start
    self._before = None

  def begin(self):
    """Takes the values from which the next measurement counts."""
    self._before = self._values()

  def measure(self, num_steps):
    """What moved since `begin` or the last measurement.

    Args:
      num_steps: Python `int`, steps since then.

    Returns:
      `dict`: for each group `..._relative_update`, the norm of its change a
      step over its own norm; and `labels_movement`, the root mean square of
      the label parameters' change since the start of training.
    """
    now = self._values()
    result = {}
    for name, values in now.items():
      change = np.linalg.norm(values - self._before[name]) / num_steps
      size = max(np.linalg.norm(values), np.finfo(np.float32).tiny)
      result[f'{name}_relative_update'] = float(change / size)
      self._warn(name, change / size)
    if self._label_start is not None:
      moved = now['labels'] - self._label_start
      result['labels_movement'] = float(np.sqrt(np.mean(moved**2)))
    self._before = now
    return result

  def _values(self):
    return {name: sample(group) for name, group in self._groups.items()}

  def _warn(self, name, update):
    is_still = update < _LEAST_UPDATE
    self._num_still[name] = self._num_still[name] + 1 if is_still else 0
    if self._num_still[name] == self._patience:
      logging.warning(
        'The parameters of %r hardly move: %.2g of their size a step, less '
        'than %.0g in the last %d measurements. They stay near their start.%s',
        name,
        update,
        _LEAST_UPDATE,
        self._patience,
        _LABEL_ADVICE if name == 'labels' else '',
      )


def sample(variables):
  """Values of variables, of large ones an even sample: float64 `[n]`."""
  flat = [v.numpy().reshape(-1) for v in variables]
  return np.concatenate(
    [v[:: -(-v.size // _MAX_ELEMENTS)].astype(np.float64) for v in flat]
  )
