"""Coupling layers: half of the channels transform the other half."""

import tensorflow as tf

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.internal import shapes
from tfp_cglow.networks import convolutional

__all__ = [
  'AdditiveCoupling',
  'AffineCoupling',
  'bounded_log_scale',
  'sigmoid_log_scale',
]


class _Coupling(conditional_bijector.ConditionalBijector):
  """Base class: the network sees the kept half, and moves the other half.

  Subclasses define `forward_half` and `inverse_half`.
  """

  _NUM_OUTPUTS = 1  # Outputs of the network for each channel that it moves.

  def __init__(
    self, network, context_channels, dtype, parameters, name, validate_args
  ):
    self._network = network
    self._context_channels = context_channels
    super().__init__(
      forward_min_event_ndims=3,
      validate_args=validate_args,
      parameters=parameters,
      dtype=dtype,
      name=name,
    )

  @property
  def conditions(self):
    if self._context_channels is None:
      return {}
    return {
      'context': conditional_bijector.context_description(
        self._context_channels
      )
    }

  def network_output(self, kept, context=None):
    """The network's output for the kept half `[..., H, W, C / 2]`."""
    arguments = (kept,) if context is None else (kept, context)
    output = self._network(*arguments)
    *size, channels = kept.shape[-3:]
    expected = [*size, self._NUM_OUTPUTS * channels]
    if not output.shape[-3:].is_compatible_with(expected):
      # It might broadcast; then the log-determinant would be wrong.
      raise ValueError(
        f'`{self.name}` expects its network to give '
        f'[..., {", ".join(map(str, expected))}] for {kept.shape}, but got '
        f'{output.shape}.'
      )
    return output

  def forward_half(self, moved, output):
    """Maps the moved half to the data side, given the network's output."""
    raise NotImplementedError

  def inverse_half(self, moved, output):
    """The moved half on the latent side, and the log-det `[...]` in nats."""
    raise NotImplementedError

  def _forward_and_ildj(self, x, **conditions):
    kept, moved, conditions = self._halves(x, conditions)
    output = self.network_output(kept, **conditions)
    y_moved = self.forward_half(moved, output)
    _, ildj = self.inverse_half(y_moved, output)
    return tf.concat([kept, y_moved], -1), ildj

  def _inverse_and_ildj(self, y, **conditions):
    kept, moved, conditions = self._halves(y, conditions)
    x_moved, ildj = self.inverse_half(
      moved, self.network_output(kept, **conditions)
    )
    return tf.concat([kept, x_moved], -1), ildj

  def _halves(self, x, conditions):
    if x.shape[-1] is None or x.shape[-1] % 2:
      raise ValueError(
        f'`{self.name}` expects an even, static number of channels, '
        f'but got shape {x.shape}.'
      )
    if conditions:
      context = conditional_bijector.check_context(
        self.name,
        conditions['context'],
        self._context_channels,
        like=x.shape[-3:-1].as_list(),
        dtype=x.dtype,
      )
      x, context = shapes.align_leading(x, context)
      conditions = {'context': context}
    kept, moved = tf.split(x, 2, axis=-1)
    return kept, moved, conditions


class AdditiveCoupling(_Coupling):
  """Adds a function of half of the channels to the other half (NICE).

  ```none
  forward:  kept, b = split(x);  y = [kept, b - network(kept, context)]
  inverse:  kept, b = split(y);  x = [kept, b + network(kept, context)]
  log-det:  0
  ```

  Data `y` and latent `x` are `[..., H, W, C]`, `C` even. The log-det is
  constant; the Jacobian is not.
  """

  def __init__(
    self,
    network,
    context_channels=None,
    dtype=tf.float32,
    validate_args=False,
    name='additive_coupling',
  ):
    """Creates the bijector.

    Args:
      network: Callable `(kept [..., H, W, C / 2], context) -> [..., H, W,
        C / 2]`; called without `context` where `context_channels` is None.
      context_channels: Python `int`, channels of the condition `context`
        `[..., H, W, context_channels]`, or None: takes no condition.
      dtype: `tf.DType` of data and latent.
      validate_args: Python `bool`.
      name: Python `str`.
    """
    parameters = dict(locals())
    super().__init__(
      network, context_channels, dtype, parameters, name, validate_args
    )

  def forward_half(self, moved, output):
    return moved - output

  def inverse_half(self, moved, output):
    return moved + output, tf.zeros([], moved.dtype)


def bounded_log_scale(raw):
  """`2 tanh(raw / 2)`: scales between 0.14 and 7.4, 1 at the start."""
  return convolutional.bounded(raw, 2.0)


def sigmoid_log_scale(raw):
  """Glow's `log sigmoid(raw + 2)`: scales below 1, 0.88 at the start."""
  return tf.math.log_sigmoid(raw + 2.0)


class AffineCoupling(_Coupling):
  """Shifts and scales half of the channels given the other half (RealNVP).

  ```none
  t, raw = split(network(kept, context));  s = log_scale(raw)
  forward:  kept, b = split(x);  y = [kept, b * exp(-s) - t]
  inverse:  kept, b = split(y);  x = [kept, (b + t) * exp(s)]
  inverse log-det:  sum(s)
  ```

  Data `y` and latent `x` are `[..., H, W, C]`, `C` even.
  """

  _NUM_OUTPUTS = 2

  def __init__(
    self,
    network,
    context_channels=None,
    log_scale=bounded_log_scale,
    dtype=tf.float32,
    validate_args=False,
    parameters=None,
    name='affine_coupling',
  ):
    """Creates the bijector.

    Args:
      network: Callable `(kept [..., H, W, C / 2], context) -> [..., H, W, C]`;
        called without `context` where `context_channels` is None.
      context_channels: Python `int`, channels of the condition `context`
        `[..., H, W, context_channels]`, or None: takes no condition.
      log_scale: Callable that maps the network's raw output to the natural
        logarithm of the scale. Its range should be bounded, because unbounded
        scales lead to NaN samples.
      dtype: `tf.DType` of data and latent.
      validate_args: Python `bool`.
      parameters: `dict` of a subclass's constructor arguments; None: those of
        this constructor.
      name: Python `str`.
    """
    parameters = dict(locals()) if parameters is None else parameters
    self._log_scale = log_scale
    super().__init__(
      network, context_channels, dtype, parameters, name, validate_args
    )

  def log_scale(self, output):
    """The natural logarithm of the scale, given the network's output."""
    return self._log_scale(tf.split(output, 2, axis=-1)[1])

  def forward_half(self, moved, output):
    shift, _ = tf.split(output, 2, axis=-1)
    return moved * tf.exp(-self.log_scale(output)) - shift

  def inverse_half(self, moved, output):
    shift, _ = tf.split(output, 2, axis=-1)
    log_scale = self.log_scale(output)
    ildj = tf.reduce_sum(log_scale, axis=[-3, -2, -1])
    return (moved + shift) * tf.exp(log_scale), ildj
