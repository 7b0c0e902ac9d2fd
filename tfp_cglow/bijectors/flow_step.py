"""One step of the flow: ActNorm, invertible 1x1 convolution, coupling."""

from __future__ import annotations

import functools
from typing import Optional

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_cglow.bijectors import actnorm as actnorm_lib
from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.bijectors import coupling as coupling_lib
from tfp_cglow.bijectors import invertible_conv
from tfp_cglow.internal import one_pass
from tfp_cglow.networks import convolutional

tfb = tfp.bijectors

__all__ = ['FlowStep', 'FlowStepMaker', 'build_flow_step']


class FlowStep(conditional_bijector.ConditionalBijector):
  """A step of Glow: a `tfb.Chain` of its three bijectors (Glow, Fig. 2a).

  ```none
  inverse:  frame side -> ActNorm -> 1x1 convolution -> coupling -> latent side
  ```

  Conditions go to the coupling: `step.inverse(y, context=c)`. Data and latent
  are `[..., H, W, C]`, `C` even. The class holds a `tfb.Chain` instead of
  deriving from it: TFP makes each subclass of `tfb.Chain` a CompositeTensor,
  and `tf.Module` does not find the variables of a list of CompositeTensors.
  """

  def __init__(
    self, actnorm, conv, coupling, validate_args=False, name='flow_step'
  ):
    """Creates the chain.

    Args:
      actnorm: `ActNorm` of C channels.
      conv: `InvertibleConv1x1` of C channels.
      coupling: `AdditiveCoupling` or `AffineCoupling` (or another bijector
        with their `network_output`, `forward_half` and `inverse_half`).
      validate_args: Python `bool`.
      name: Python `str`.
    """
    parameters = dict(locals())
    self._chain = tfb.Chain([actnorm, conv, coupling])
    super().__init__(
      forward_min_event_ndims=3,
      validate_args=validate_args,
      parameters=parameters,
      dtype=actnorm.dtype,
      name=name,
    )

  @property
  def chain(self):
    """`tfb.Chain` of the three bijectors."""
    return self._chain

  @property
  def actnorm(self):
    """`ActNorm`."""
    return self._chain.bijectors[0]

  @property
  def conv(self):
    """`InvertibleConv1x1`."""
    return self._chain.bijectors[1]

  @property
  def coupling(self):
    """`AdditiveCoupling` or `AffineCoupling`."""
    return self._chain.bijectors[2]

  @property
  def conditions(self):
    return self.coupling.conditions

  def _forward_and_ildj(self, x, **conditions):
    x, *fldjs = one_pass.forward_and_ldj(self.coupling, x, 3, conditions)
    for part in (self.conv, self.actnorm):
      x, fldj = one_pass.forward_and_ldj(part, x, 3, {})
      fldjs.append(fldj)
    return x, -sum(fldjs)

  def _inverse_and_ildj(self, y, **conditions):
    y, ildj = self._linear_inverse_and_ildj(y)
    x, of_coupling = one_pass.inverse_and_ldj(self.coupling, y, 3, conditions)
    return x, ildj + of_coupling

  def inverse_vjp(self, x, dx, dildj, sources, **conditions):
    """Backpropagates through `inverse`, given only its *output*.

    The network runs once. The kept half is the same on both sides of the
    coupling, so one output of the network serves to invert the coupling and to
    differentiate it.

    Args:
      x: Latent `[..., H, W, C]`, the result of `inverse`.
      dx: Gradient of a scalar with respect to `x`.
      dildj: Gradient of the scalar with respect to the log-det, `[...]`.
      sources: List of tensors, the parameters and conditions whose gradients
        are computed.
      **conditions: As for `inverse`.

    Returns:
      y: Data `[..., H, W, C]` with `inverse(y) = x`.
      dy: Gradient with respect to `y`.
      dsources: List of the gradients of `sources`; None for a source that
        `inverse` does not depend on.
    """
    kept, moved = tf.split(x, 2, axis=-1)
    dkept, dmoved = tf.split(dx, 2, axis=-1)
    with tf.GradientTape() as network_tape:
      network_tape.watch([kept] + sources)
      output = self.coupling.network_output(kept, **conditions)
    data_half = self.coupling.forward_half(moved, output)
    ddata_half, doutput = _vjp(
      lambda: self.coupling.inverse_half(data_half, output),
      [data_half, output],
      dmoved,
      dildj,
    )
    dkept_network, *dnetwork = network_tape.gradient(
      output, [kept] + sources, output_gradients=doutput
    )
    dkept = dkept if dkept_network is None else dkept + dkept_network

    x = tf.concat([kept, data_half], axis=-1)
    y = self.actnorm.forward(self.conv.forward(x))
    dy, *dlinear = _vjp(
      lambda: self._linear_inverse_and_ildj(y),
      [y] + sources,
      tf.concat([dkept, ddata_half], axis=-1),
      dildj,
    )
    return y, dy, [_sum(a, b) for a, b in zip(dnetwork, dlinear)]

  def _linear_inverse_and_ildj(self, y):
    """ActNorm's and the 1x1 convolution's part of `inverse`."""
    y, ildj = one_pass.inverse_and_ldj(self.actnorm, y, 3, {})
    x, conv_ildj = one_pass.inverse_and_ldj(self.conv, y, 3, {})
    return x, ildj + conv_ildj


def _vjp(fn, sources, dvalue, dildj):
  """Gradients of <value, dvalue> + <ildj, dildj> for `value, ildj = fn()`."""
  with tf.GradientTape() as tape:
    tape.watch(sources)
    value, ildj = fn()
    # Inner products, because a constant log-det has no batch dimensions.
    inner = tf.reduce_sum(value * dvalue) + tf.reduce_sum(ildj * dildj)
  return tape.gradient(inner, sources)


def _sum(a, b):
  if a is None or b is None:
    return b if a is None else a
  return a + b


_COUPLINGS = {
  'additive': (coupling_lib.AdditiveCoupling, 1),
  'affine': (coupling_lib.AffineCoupling, 2),
  'affine_sigmoid': (
    functools.partial(
      coupling_lib.AffineCoupling, log_scale=coupling_lib.sigmoid_log_scale
    ),
    2,
  ),
}


class FlowStepMaker:
  """Makes a `FlowStep` of a `dict` of parameters; `Scan` calls it every step.

  The `dict` has three entries: 'actnorm' and 'conv' hold the arguments of the
  bijectors' constructors; 'coupling' holds the coupling network's parameters.
  """

  def __init__(self, coupling, apply, context_channels=None, dtype=tf.float32):
    """Creates the maker.

    Args:
      coupling: 'additive', 'affine' or 'affine_sigmoid'.
      apply: Callable `(params, x, context) -> tensor`, the function `apply` of
        a `Network`.
      context_channels: Python `int`; None: steps take no context.
      dtype: `tf.DType` of data and latent.

    Raises:
      ValueError: if `coupling` is unknown.
    """
    if coupling not in _COUPLINGS:
      raise ValueError(
        f'`coupling` must be one of {list(_COUPLINGS)}, but got {coupling!r}.'
      )
    self._coupling, self._outputs_per_channel = _COUPLINGS[coupling]
    self._apply = apply
    self._context_channels = context_channels
    self._dtype = dtype

  @property
  def conditions(self):
    """The property `conditions` of each step."""
    if self._context_channels is None:
      return {}
    return {
      'context': conditional_bijector.context_description(
        self._context_channels
      )
    }

  def network_channels(self, channels):
    """`(in_channels, out_channels)` of the coupling network for C channels."""
    half = channels // 2
    return half + (
      self._context_channels or 0
    ), half * self._outputs_per_channel

  def __call__(self, parameters, name='flow_step'):
    return self.with_network(
      functools.partial(self._apply, parameters['coupling']), parameters, name
    )

  def with_network(self, network, parameters, name='flow_step'):
    """A `FlowStep` with this network, called as `network(kept, context)`."""
    return FlowStep(
      actnorm_lib.ActNorm(**parameters['actnorm']),
      invertible_conv.InvertibleConv1x1(**parameters['conv']),
      self._coupling(
        network, context_channels=self._context_channels, dtype=self._dtype
      ),
      name=name,
    )

  def with_inverses(self, parameters):
    """Adds the inverses of the 1x1 convolutions to (stacked) parameters."""
    conv = parameters['conv']
    if 'inverse_matrix' in conv:
      return parameters
    inverse = invertible_conv.InvertibleConv1x1(**conv).inverse_matrix()
    return {**parameters, 'conv': {**conv, 'inverse_matrix': inverse}}


def init_flow_steps(rng, channels, num_steps=None):
  """Initial values of 'actnorm' and 'conv'; stacks `[K, ...]` of K steps."""
  stack = [] if num_steps is None else [num_steps]
  return {
    'actnorm': {
      'shift': np.zeros(stack + [channels]),
      'log_scale': np.zeros(stack + [channels]),
    },
    'conv': invertible_conv.init_invertible_conv1x1(rng, channels, num_steps),
  }


def make_step_variables(values, dtype):
  """Makes `tf.Variable`s; 'sign' and 'permutation' are not trainable."""
  return {
    group: {
      k: tf.Variable(
        v,
        dtype=dtype,
        name=f'{group}_{k}',
        trainable=k not in ('sign', 'permutation'),
      )
      for k, v in arrays.items()
    }
    for group, arrays in values.items()
  }


def build_flow_step(
  channels: int,
  hidden_channels: int,
  coupling: str = 'additive',
  context_channels: Optional[int] = None,
  seed: Optional[int] = None,
  dtype: tf.DType = tf.float32,
  name: str = 'flow_step',
) -> FlowStep:
  """Creates a `FlowStep` with Glow's coupling network and its variables.

  Args:
    channels: Python `int`, C, even.
    hidden_channels: Python `int`, hidden channels of the coupling network.
    coupling: 'additive', 'affine' or 'affine_sigmoid'.
    context_channels: Python `int`; None: the step takes no context.
    seed: Python `int`; None: from the operating system.
    dtype: `tf.DType` of data, latent and variables.
    name: Python `str`.

  Returns:
    A `FlowStep`.

  Raises:
    ValueError: if `coupling` is unknown.
  """
  network = convolutional.conv_network(hidden_channels, context_channels)
  maker = FlowStepMaker(coupling, network.apply, context_channels, dtype)
  rng = np.random.default_rng(seed)
  values = init_flow_steps(rng, channels)
  values['coupling'] = network.init(
    int(rng.integers(2**31)), *maker.network_channels(channels)
  )
  variables = make_step_variables(values, dtype)
  return maker.with_network(
    convolutional.BoundNetwork(network.apply, variables['coupling']),
    variables,
    name=name,
  )
