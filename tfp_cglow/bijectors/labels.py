"""Labels as conditions: integers, or weights of several labels."""

from __future__ import annotations

import tensorflow as tf

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.networks import convolutional

__all__ = [
  'LabelPrior',
  'build_label_prior',
  'check_label',
  'check_label_rows',
  'lookup',
]


def check_label(owner, label, num_labels, dtype=tf.float32):
  """Converts a label to a tensor and checks its dtype, shape and range.

  Args:
    owner: Python `str`, name of the bijector in messages.
    label: int `[...]` in `[0, num_labels)`; or float weights
      `[..., num_labels]`, where a row of zeros is the null label.
    num_labels: Python `int`.
    dtype: `tf.DType` of weights.

  Returns:
    The label as a `Tensor` of dtype int32, int64 or, if float, `dtype`.

  Raises:
    ValueError: if the dtype, the shape or a static value does not fit.
    InvalidArgumentError: when it runs, if a value in a graph is out of range.
  """
  label = tf.convert_to_tensor(label, name='label')
  if label.dtype.is_floating:
    if label.shape.rank == 0 or not label.shape[-1:].is_compatible_with(
      [num_labels]
    ):
      raise ValueError(
        f'`{owner}` expects float labels of shape [..., {num_labels}], '
        f'but got {label.shape}.'
      )
    return tf.cast(label, dtype)
  if not label.dtype.is_integer:
    raise ValueError(
      f'`{owner}` expects `label` as integers or float weights, '
      f'but got dtype {label.dtype.name}.'
    )
  if label.dtype not in (tf.int32, tf.int64):  # tf.gather takes these only.
    label = tf.cast(label, tf.int64)
  value = tf.get_static_value(label)
  if value is not None and value.size:
    if value.min() < 0 or value.max() >= num_labels:
      raise ValueError(
        f'`{owner}` expects labels in [0, {num_labels}), but got values from '
        f'{value.min()} to {value.max()}.'
      )
  elif value is None:
    # For an index out of range, tf.gather on a GPU gives zeros: the null label.
    inside = tf.reduce_all((label >= 0) & (label < num_labels))
    check = tf.debugging.Assert(
      inside,
      [f'{owner}: labels must be in [0, {num_labels}), but got', label],
    )
    if check is not None:
      with tf.control_dependencies([check]):
        label = tf.identity(label)
  return label


def check_label_rows(owner, label, num_labels, num_rows):
  """`check_label` for one label a row.

  Args:
    owner: See `check_label`.
    label: int `[B]`, or float weights `[B, num_labels]`.
    num_labels: See `check_label`.
    num_rows: int scalar B; a Python `int` if it is known.

  Returns:
    See `check_label`.

  Raises:
    ValueError: See `check_label`; and if the label has another number of
      dimensions or of rows.
    InvalidArgumentError: See `check_label`; and if a number of rows that is
      known in the graph only is another one.
  """
  label = check_label(owner, label, num_labels)
  rows = tf.get_static_value(num_rows)
  rank = 2 if label.dtype.is_floating else 1
  if label.shape.rank != rank or not label.shape[:1].is_compatible_with([rows]):
    size = 'B' if rows is None else rows
    raise ValueError(
      f'`{owner}` expects one label a row, int [{size}] or float [{size}, '
      f'{num_labels}], but got {label.dtype.name} {label.shape}.'
    )
  if rows is None or label.shape[0] is None:
    check = tf.debugging.assert_equal(
      tf.shape(label)[0], num_rows, f'`{owner}` expects one label a row.'
    )
    with tf.control_dependencies([] if check is None else [check]):
      label = tf.identity(label)
  return label


def label_description(num_labels):
  """Describes a label in messages and in `conditions`."""
  return f'int [...] in [0, {num_labels}) or float [..., {num_labels}]'


def lookup(table, label):
  """Looks up rows of `table`, or weighted sums of rows.

  Args:
    table: Float tensor or variable `[num_labels, *event]`.
    label: The result of `check_label`.

  Returns:
    `[..., *event]`.
  """
  if label.dtype.is_floating:
    return tf.tensordot(label, table, 1)
  return tf.gather(table, label)


class LabelPrior(conditional_bijector.ConditionalBijector):
  """A class-conditional diagonal Gaussian prior, as an affine map.

  ```none
  m, s = mean[label], 4 tanh(raw_log_scale[label] / 4)
  forward:  y = m + x * exp(s)
  inverse:  x = (y - m) * exp(-s)
  inverse log-det:  -sum(s)
  ```

  Data `y` and latent `x` are vectors `[..., N]`. With a standard normal base
  distribution this is the prior N(m, exp(s)^2) of each label over the latents
  of all levels. A row of zero weights, the null label, gives N(0, 1). The rest
  of the flow does not depend on the label, so one pass of it gives the
  likelihood of every label.
  """

  def __init__(
    self, mean, raw_log_scale, validate_args=False, name='label_prior'
  ):
    """Creates the bijector.

    Args:
      mean: Float `Tensor` or `tf.Variable` `[num_labels, N]`.
      raw_log_scale: Float `Tensor` or `tf.Variable` `[num_labels, N]`.
      validate_args: Python `bool`.
      name: Python `str`.
    """
    parameters = dict(locals())
    with tf.name_scope(name) as name:
      convert = conditional_bijector.convert_parameter
      self._mean = convert(mean, name='mean')
      self._raw_log_scale = convert(raw_log_scale, name='raw_log_scale')
      super().__init__(
        forward_min_event_ndims=1,
        validate_args=validate_args,
        parameters=parameters,
        dtype=self._mean.dtype,
        name=name,
      )

  @property
  def num_labels(self):
    """Python `int`."""
    return self._mean.shape[0]

  @property
  def conditions(self):
    return {'label': label_description(self.num_labels)}

  def _row(self, label):
    label = check_label(self.name, label, self.num_labels, self.dtype)
    raw = lookup(self._raw_log_scale, label)
    return lookup(self._mean, label), convolutional.bounded(raw, 4.0)

  def _forward_and_ildj(self, x, label):
    mean, log_scale = self._row(label)
    return mean + x * tf.exp(log_scale), -tf.reduce_sum(log_scale, -1)

  def _inverse_and_ildj(self, y, label):
    mean, log_scale = self._row(label)
    return (y - mean) * tf.exp(-log_scale), -tf.reduce_sum(log_scale, -1)


def build_label_prior(
  num_labels: int,
  num_dims: int,
  dtype: tf.DType = tf.float32,
  name: str = 'label_prior',
) -> LabelPrior:
  """Creates a `LabelPrior` with zero tables: N(0, 1) for every label."""
  zeros = tf.zeros([num_labels, num_dims], dtype)
  return LabelPrior(
    mean=tf.Variable(zeros, name='mean'),
    raw_log_scale=tf.Variable(zeros, name='raw_log_scale'),
    name=name,
  )
