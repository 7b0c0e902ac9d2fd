"""Creates the blocks of a `Glow`: squeezes, steps and splits."""

import numpy as np

from tfp_cglow.bijectors import flow_step
from tfp_cglow.bijectors import scan
from tfp_cglow.bijectors import specs
from tfp_cglow.bijectors import split
from tfp_cglow.bijectors import squeeze
from tfp_cglow.internal import checks
from tfp_cglow.networks import convolutional

__all__ = ['build_blocks', 'draw_seed']

_AFFINE_COUPLINGS = {'tanh': 'affine', 'sigmoid': 'affine_sigmoid'}


def draw_seed(rng):
  """Draws a seed, a Python `int`, from a `np.random.Generator`."""
  return int(rng.integers(2**31))


def build_blocks(rng, steps, channels, level_channels, networks, dtype):
  """Creates the blocks; each halves the map and doubles its channels.

  Args:
    rng: `np.random.Generator`.
    steps: `AdditiveSteps`, `AffineSteps` or None.
    channels: Python `int`, C of the frame.
    level_channels: List of a Python `int` for each block, channels of its
      context; None for a block without a context.
    networks: `Networks`, dtype and padding of the networks.
    dtype: `tf.DType` of data, latents and variables.

  Returns:
    List of lists of bijectors, fine to coarse, see `Glow`.
  """
  blocks = []
  for level in level_channels:
    if blocks:  # The block before is not the last.
      blocks[-1].append(
        split.build_split(channels * 2, dtype, networks.padding)
      )
    block = [squeeze.Squeeze()]
    if steps is not None:
      network = steps.network or convolutional.conv_network(
        steps.hidden_channels,
        level,
        steps.context_injection,
        networks.dtype,
        networks.padding,
      )
      is_unrolled = steps.gradients == 'unrolled'
      build = _build_unrolled if is_unrolled else _build_scan
      block += build(rng, steps, network, channels * 4, level, dtype)
    blocks.append(block)
    channels *= 2
  return blocks


def check_steps(steps):
  """Raises ValueError for steps of a wrong kind, or wrong numbers."""
  checks.check_kind('steps', steps, specs.AdditiveSteps, specs.AffineSteps)
  if steps is None:
    return
  if steps.num_steps < 1:
    raise ValueError(
      '`steps.num_steps` must be at least 1, but got '
      f'{steps.num_steps}. `steps=None` means no steps.'
    )
  checks.check_at_least('steps.hidden_channels', steps.hidden_channels, 1)
  checks.check_choice(
    'steps.gradients', steps.gradients, ('reversible', 'stored', 'unrolled')
  )
  if isinstance(steps, specs.AffineSteps):
    checks.check_choice('steps.scale', steps.scale, tuple(_AFFINE_COUPLINGS))
  if steps.network is not None:
    _check_network(steps)


def _check_network(steps):
  is_pair = isinstance(steps.network, (tuple, list))
  if not is_pair and steps.gradients != 'unrolled':
    raise ValueError(
      '`steps.network` must be a pair (init, apply), or a callable with '
      f"gradients='unrolled', but got {steps.network!r} with "
      f'{steps.gradients!r}.'
    )
  default = type(steps)()
  for field in ('hidden_channels', 'context_injection'):
    value = getattr(steps, field)
    if value != getattr(default, field):
      raise ValueError(
        f'Expected `steps.network` or `steps.{field}`, not both, because '
        f'`steps.{field}` belongs to the default network, but got '
        f'{steps.network!r} and {value!r}.'
      )


def _make_maker(steps, apply, context_channels, dtype):
  coupling = 'additive'
  if isinstance(steps, specs.AffineSteps):
    coupling = _AFFINE_COUPLINGS[steps.scale]
  return flow_step.FlowStepMaker(coupling, apply, context_channels, dtype)


def _build_scan(rng, steps, network, channels, context_channels, dtype):
  """A list of one `Scan`, with variables stacked over the steps."""
  init, apply = network
  maker = _make_maker(steps, apply, context_channels, dtype)
  values = flow_step.init_flow_steps(rng, channels, steps.num_steps)
  per_step = [
    init(draw_seed(rng), *maker.network_channels(channels))
    for _ in range(steps.num_steps)
  ]
  values['coupling'] = {
    k: np.stack([params[k] for params in per_step]) for k in per_step[0]
  }
  variables = flow_step.make_step_variables(values, dtype)
  return [
    scan.Scan(
      maker,
      variables,
      conditions=maker.conditions,
      gradients=steps.gradients,
    )
  ]


def _build_unrolled(rng, steps, network, channels, context_channels, dtype):
  """Separate `FlowStep`s, each with its own variables."""
  maker = _make_maker(steps, None, context_channels, dtype)
  in_channels, out_channels = maker.network_channels(channels)
  built = []
  for i in range(steps.num_steps):
    if callable(network):
      bound = network(in_channels, out_channels)
    else:
      values = network[0](draw_seed(rng), in_channels, out_channels)
      bound = convolutional.BoundNetwork(
        network[1], convolutional.to_variables(values, dtype)
      )
    variables = flow_step.make_step_variables(
      flow_step.init_flow_steps(rng, channels), dtype
    )
    built.append(maker.with_network(bound, variables, name=f'flow_step_{i}'))
  return built
