"""`Scan`: a composition of equal bijectors, as one loop over parameters."""

import tensorflow as tf

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.bijectors import reversible
from tfp_cglow.internal import one_pass
from tfp_cglow.internal import shapes

__all__ = ['Scan']


class Scan(conditional_bijector.ConditionalBijector):
  """Composes `K` bijectors of equal shapes in one loop.

  Every parameter is stacked along a leading axis `[K, ...]`.
  `make_step(slices)` makes the bijector of step k from the k-th slices.

  ```none
  inverse:  for k in 0 .. K-1:  y = make_step(parameters[k]).inverse(y)
  forward:  for k in K-1 .. 0:  x = make_step(parameters[k]).forward(x)
  log-det:  the sum of the steps' log-dets
  ```

  The graph holds one step, whatever K is. Data and latent are `[..., H, W, C]`,
  and every step keeps the shape.

  With `gradients='reversible'`, the gradient of `inverse` recomputes each
  step's input from its output, so memory does not grow with K. With 'stored',
  it is ordinary backpropagation. Both give the same numbers. The gradient of
  `forward` is always ordinary backpropagation.
  """

  def __init__(
    self,
    make_step,
    parameters,
    conditions=None,
    gradients='reversible',
    validate_args=False,
    name='scan',
  ):
    """Creates the bijector.

    Args:
      make_step: Callable from a structure of tensors, like `parameters` but
        without the leading axis, to a `tfb.Bijector` on `[..., H, W, C]`. Pass
        everything that is learned through `parameters`: with 'reversible'
        gradients, tensors in the callable's closure get no gradient, and a
        `tf.Variable` there raises an error. If the callable has a method
        `with_inverses(parameters) -> parameters`, that method runs once in
        each `forward`, for all steps together.
      parameters: Nested structure of float `Tensor`s or `tf.Variable`s, each
        `[K, ...]` with the same static K.
      conditions: `dict` from the name of each condition that the steps take to
        a description of its value. A float condition must be a map
        `[..., H, W, D]`.
      gradients: 'reversible' or 'stored'.
      validate_args: Python `bool`.
      name: Python `str`.

    Raises:
      ValueError: if `gradients` is unknown or the stacks' lengths differ.
    """
    constructor_arguments = dict(locals())
    if gradients not in ('reversible', 'stored'):
      raise ValueError(
        f"`gradients` must be 'reversible' or 'stored', but got {gradients!r}."
      )
    flat = tf.nest.flatten(parameters)
    lengths = {p.shape[0] for p in flat}
    if len(lengths) != 1 or None in lengths:
      raise ValueError(
        '`parameters` must be stacks [K, ...] of one static length K, '
        f'but got leading dimensions {sorted(map(str, lengths))}.'
      )
    self._make_step = make_step
    self._stacks = parameters
    self._conditions = dict(conditions or {})
    self._gradients = gradients
    super().__init__(
      forward_min_event_ndims=3,
      validate_args=validate_args,
      parameters=constructor_arguments,
      dtype=flat[0].dtype,
      name=name,
    )

  @property
  def conditions(self):
    return self._conditions

  @property
  def make_step(self):
    """The callable that makes a step's bijector of its parameters."""
    return self._make_step

  @property
  def stacks(self):
    """The stacked parameters that the constructor got."""
    return self._stacks

  @property
  def num_steps(self):
    """Python `int`, K."""
    return tf.nest.flatten(self._stacks)[0].shape[0]

  def prepared(self):
    """A copy that holds the values of its parameters and their inverses.

    Use it for loops over `forward`: variables are then read, and inverses
    computed, once, outside the loop.
    """
    return Scan(
      self._make_step,
      self._with_inverses(self._values()),
      conditions=self._conditions,
      gradients=self._gradients,
      name=self.name,
    )

  def _values(self):
    return tf.nest.map_structure(tf.convert_to_tensor, self._stacks)

  def _with_inverses(self, values):
    prepare = getattr(self._make_step, 'with_inverses', None)
    return values if prepare is None else prepare(values)

  def _forward_and_ildj(self, x, **conditions):
    x, conditions = _align(x, conditions)
    values = self._with_inverses(self._values())
    read = reversible.stack_reader(values)
    num_steps = self.num_steps

    def body(i, x, ildj):
      step = self._make_step(read(num_steps - 1 - i))
      y, fldj = one_pass.forward_and_ldj(step, x, 3, conditions)
      return i + 1, tf.ensure_shape(y, x.shape), ildj - fldj

    return reversible.loop(num_steps, body, x, reversible.zero_ildj(x))

  def _inverse_and_ildj(self, y, **conditions):
    y, conditions = _align(y, conditions)
    values = self._values()
    if self._gradients == 'stored':
      return reversible.scan_inverse(self._make_step, values, y, conditions)
    return reversible.reversible_scan_inverse(
      self._make_step,
      values,
      y,
      conditions,
      self._with_inverses,
    )


def _align(x, conditions):
  maps = {
    k: tf.convert_to_tensor(v, dtype_hint=x.dtype)
    for k, v in conditions.items()
  }
  floating = [k for k, v in maps.items() if v.dtype.is_floating]
  x, *aligned = shapes.align_leading(x, *(maps[k] for k in floating))
  return x, {**maps, **dict(zip(floating, aligned))}
