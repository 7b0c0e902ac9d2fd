"""A Keras model whose training steps are taken or skipped as a whole."""

import tensorflow as tf
import tf_keras as tfk

from tfp_cglow.internal import replicas
from tfp_cglow.training import step_guard
from tfp_cglow.training import weight_average

__all__ = ['GuardedModel', 'Mean', 'unpack']


def unpack(data):
  """Unpacks a Keras batch.

  Args:
    data: Frames, or a tuple of frames and labels.

  Returns:
    frames: The frames.
    label: The labels, or None.

  Raises:
    ValueError: if the batch has sample weights.
  """
  if not isinstance(data, (tuple, list)):
    return data, None
  frames, label, weight = tfk.utils.unpack_x_y_sample_weight(tuple(data))
  if weight is not None:
    raise ValueError('Sample weights are not supported.')
  return frames, label


class Mean(tfk.metrics.Mean):
  """A weighted mean that is NaN if it has no values.

  `tf_keras.metrics.Mean` is 0 then, which callbacks take for the best loss.
  """

  def result(self):
    nan = tf.constant(float('nan'), self.total.dtype)
    return tf.where(self.count > 0, super().result(), nan)


class GuardedModel(tfk.Model):
  """Trains on clips, on one replica or on several in sync.

  A step that the `StepGuard` does not take, because its loss or gradients are
  not finite on some replica or its loss has exploded, is skipped: it changes
  neither the weights nor the optimiser, the weights' average or the step
  counter. If every step of an epoch is skipped, its means are NaN. A
  subclass defines `submodels` and `parameter_groups`, calls
  `begin_training` at the end of `compile`, and returns `guarded_step(...)` from
  `train_step` and `measured(...)` from `test_step`.

  Attributes:
    step_guard: `StepGuard`, once compiled.
    weight_average: `WeightAverage` or None, once compiled.
  """

  def submodels(self):
    """`dict` of the modules whose gradients are computed, by name."""
    raise NotImplementedError

  def parameter_groups(self):
    """`dict` of lists of trainable variables, by name.

    It has a group for each submodel, and may have groups of some of their
    variables, whose gradient norms are also measured.
    """
    raise NotImplementedError

  def begin_training(self, names, averaged, decay):
    """Creates the step guard, the average of the weights, and the metrics.

    Args:
      names: List of `str`, names of the values that are measured.
      averaged: List of `tf.Variable`s, the weights to average.
      decay: Python `float`, decay of the average; None: no average.
    """
    self.step_guard = step_guard.StepGuard()
    self.weight_average = None
    if decay is not None:
      self.weight_average = weight_average.WeightAverage(averaged, decay)
    # The metrics already cover all replicas; Keras must not sum them over
    # workers again.
    self.distribute_reduction_method = 'first'
    names = [*names, *map(_norm_name, self.parameter_groups())]
    self._means = {k: Mean(k) for k in names}
    self._num_clips = tfk.metrics.Sum('clips')
    self._num_skipped = tfk.metrics.Sum('skipped_steps')
    self._num_spikes = tfk.metrics.Sum('spikes')

  @property
  def metrics(self):
    if not getattr(self, '_means', None):
      return []
    sums = [self._num_clips, self._num_skipped, self._num_spikes]
    return [*self._means.values(), *sums]

  def guarded_step(self, values, gradients, judged, update, num_clips):
    """Takes a step, or skips it; call it in replica context.

    Args:
      values: `dict` of this replica's float scalars, by name of the metric.
      gradients: `dict` from the name of each submodel to this replica's
        gradients with respect to its `parameter_groups`.
      judged: Names of the values whose sum the step guard judges.
      update: Callable `(is_taken, gradients, norms)` that applies the gradients
        by `updates.apply_if`. It gets their means over the replicas, and the
        norms of these means by parameter group.
      num_clips: int scalar, size of this replica's batch.

    Returns:
      `dict` of all metrics' results.
    """
    values, gradients = replicas.mean_over_replicas((values, gradients))
    norms = self._norms(gradients)
    is_taken, is_spike = self.step_guard.judge(
      sum(values[k] for k in judged), list(norms.values())
    )
    update(is_taken, gradients, norms)
    values = {**values, **{_norm_name(k): norm for k, norm in norms.items()}}
    weight = tf.cast(is_taken, tf.float32)
    for name, value in values.items():
      self._means[name].update_state(
        tf.where(is_taken, value, 0.0), sample_weight=weight
      )
    # Each replica adds its share to a sum. All replicas agree on the last two.
    share = 1.0 / replicas.num_replicas()
    self._num_clips.update_state(num_clips)
    self._num_skipped.update_state(share * (1.0 - weight))
    self._num_spikes.update_state(share * tf.cast(is_spike, tf.float32))
    return {m.name: m.result() for m in self.metrics}

  def _norms(self, gradients):
    """`dict` of the norm of each parameter group's gradient."""
    groups = self.parameter_groups()
    by_variable = {
      variable.ref(): gradient
      for name in gradients
      for variable, gradient in zip(groups[name], gradients[name])
    }
    return {
      name: tf.linalg.global_norm([by_variable[v.ref()] for v in variables])
      for name, variables in groups.items()
    }

  def numbered(self, frames, label):
    """A held-out batch with each clip's index in the data.

    The index makes a clip's noise independent of the batch size. A replica's
    part of the last batch may be empty; then it is replaced by one blank clip,
    which `measured` weights by zero.

    Args:
      frames: `[B, T, H, W, C]`.
      label: `[B]` or None.

    Returns:
      frames: `[max(B, 1), T, H, W, C]`.
      label: `[max(B, 1)]` or None.
      places: int32 `[max(B, 1)]`, indices within this replica's part of the
        data.
    """
    first = tf.cast(self._num_clips.result(), tf.int32)
    frames, label = map(replicas.at_least_one_row, (frames, label))
    return frames, label, first + tf.range(tf.shape(frames)[0])

  def measured(self, values, num_clips):
    """Adds a held-out batch's values to the metrics.

    Args:
      values: `dict` of float scalars, by name of the metric.
      num_clips: int scalar, size of the batch.

    Returns:
      `dict` of these metrics' results.
    """
    for name, value in values.items():
      self._means[name].update_state(
        value, sample_weight=tf.cast(num_clips, tf.float32)
      )
    self._num_clips.update_state(num_clips)
    return {k: self._means[k].result() for k in values}


def _norm_name(group):
  return f'{group}_gradient_norm'
