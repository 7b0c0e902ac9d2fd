"""Watches whether training changes each group of parameters.

The paper's label images had gradients of 1e-6 and stayed at their random
initial values (its Fig. 3), which the loss does not show.
"""

from absl import logging
import numpy as np

__all__ = ['ParameterWatch', 'sample']

_MAX_ELEMENTS = 10_000  # Elements of a variable that are compared.
_LEAST_UPDATE = 1e-6
_LABEL_ADVICE = (
  ' A higher learning rate, another initialisation (labels.init_std) or a loss '
  'for the label (model.label_weight) may help.'
)


class ParameterWatch:
  """Measures how far parameter groups move, and warns of one that does not."""

  def __init__(self, groups, label_start=None, patience=5):
    """Measures nothing yet.

    Args:
      groups: `dict` from names to lists of `tf.Variable`s, such as
        `parameter_groups()` of a model.
      label_start: The result of `sample` for the group 'labels' when training
        started, or None: `labels_movement` is not measured.
      patience: Python `int`, number of measurements in a row below 1e-6 of a
        group's norm that give a warning.
    """
    self._groups = groups
    self._patience = patience
    self._num_still = dict.fromkeys(groups, 0)
    self._label_start = label_start
    self._before = None

  def begin(self):
    """Notes the values with which the next measurement compares."""
    self._before = self._values()

  def measure(self, num_steps):
    """Measures the changes since `begin` or the last measurement.

    Args:
      num_steps: Python `int`, steps since then.

    Returns:
      `dict` with `..._relative_update` for each group, the norm of its change
      per step divided by its own norm; and `labels_movement`, the root mean
      square of the label parameters' change since the start of training.
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
        'The parameters of %r hardly move: a step changes them by %.2g of '
        'their norm, less than %.0g in each of the last %d measurements.%s',
        name,
        update,
        _LEAST_UPDATE,
        self._patience,
        _LABEL_ADVICE if name == 'labels' else '',
      )


def sample(variables):
  """Values of variables, sampled evenly from large ones: float64 `[n]`."""
  flat = [v.numpy().reshape(-1) for v in variables]
  return np.concatenate(
    [v[:: -(-v.size // _MAX_ELEMENTS)].astype(np.float64) for v in flat]
  )
