"""`build_glow`: creates the variables and networks of a `Glow`."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import math
from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow import context_affine as context_affine_lib
from tfp_cglow import context_mixture as context_mixture_lib
from tfp_cglow import context_pyramid
from tfp_cglow import flow_step
from tfp_cglow import glow
from tfp_cglow import labels
from tfp_cglow import networks
from tfp_cglow import scan
from tfp_cglow import split
from tfp_cglow import squeeze

__all__ = ['build_glow']

_MIXTURE_HALVINGS = {
  'pixels': 0,
  'quarters': 1,
  'sixteenths': 2,
  'sixty_fourths': 3,
  'finest': None,  # As many as the frame's size allows.
}


def build_glow(
  output_shape: Sequence[int],
  num_glow_blocks: int = 4,
  num_steps_per_block: int = 32,
  hidden_channels: int = 512,
  coupling: str = 'additive',
  context_channels: Optional[int] = None,
  vector_channels: Optional[int] = None,
  context_affine: Optional[str] = None,
  context_mixture: Optional[str] = None,
  num_labels: Optional[int] = None,
  label_conditioning: str = 'prior',
  label_init_std: Optional[float] = None,
  label_channels: int = 16,
  context_injection: str = 'input',
  pyramid_channels: Optional[int] = None,
  affine_hidden_channels: int = 32,
  motion_radius: int = 2,
  recall_offset: Optional[int] = None,
  context_frames: Optional[int] = None,
  mixture_levels: int = 32,
  mixture_components: int = 5,
  mixture_hidden_channels: int = 64,
  mixture_blocks: int = 2,
  mixture_strip_pooling: bool = False,
  mixture_motion_radius: int = 0,
  coupling_network: Optional[Callable] = None,
  context_network: Optional[Callable] = None,
  unroll: bool = False,
  gradients: str = 'reversible',
  network_dtype: Optional[tf.DType] = None,
  dtype: tf.DType = tf.float32,
  seed: Optional[int] = None,
  name: str = 'glow',
) -> glow.Glow:
  """Creates a conditional Glow with its variables.

  The result is an isometry until trained or adapted: log-dets are zero and
  `forward` keeps norms. Exceptions are 'affine_sigmoid', whose scales start at
  0.88, a `context_affine` other than 'learned', which starts as the difference
  to (about) the previous frame, and a `context_mixture`.

  ```python
  glow = tfp_cglow.build_glow([32, 32, 3], num_glow_blocks=3,
                              num_steps_per_block=4, hidden_channels=64,
                              num_labels=10)
  flow = tfd.TransformedDistribution(
      tfd.Sample(tfd.Normal(0., 1.), [32 * 32 * 3]), glow)
  flow.log_prob(frames, bijector_kwargs={'label': y})  # [...], nats
  ```

  Args:
    output_shape: `[H, W, C]`; H and W divisible by `2**num_glow_blocks`.
    num_glow_blocks: Python `int`, levels of the multi-scale architecture.
    num_steps_per_block: Python `int`; 0: nothing but the bijectors before the
      blocks and the prior.
    hidden_channels: Python `int`, of the coupling networks.
    coupling: 'additive' (the paper's), 'affine' (scale exp(2 tanh(s / 2))) or
      'affine_sigmoid' (Glow's sigmoid(s + 2)).
    context_channels: Python `int`, channels of the condition `context`, or
      None: takes no context.
    vector_channels: Python `int`, size of the condition `vector`, or None.
    context_affine: 'residual' (the context's first C channels are the previous
      frame), 'motion' (the same, moved), 'recall' (the same, or a remembered
      frame), 'learned', or None: no `ContextAffine`.
    context_mixture: 'pixels' (each pixel given the context alone), 'quarters'
      (the four places of every 2x2 pixels one after another), 'sixteenths' and
      'sixty_fourths' (the first of these cut in four again, once or twice: for
      frames without a context), 'finest' (again and again, until a side of the
      first is odd), or None: no `ContextMixture`. Frames are then of
      `mixture_levels` levels, and there is no `context_affine`.
    num_labels: Python `int`, or None: takes no label.
    label_conditioning: 'prior' (`LabelPrior`), 'image' (the paper's: a learned
      image a label, joined to the context) or 'embedding' (a learned vector a
      label, joined to the context everywhere: for motions, which are the same
      at every place).
    label_init_std: Float, standard deviation of the start of label images and
      embeddings; None: 0.01 and 1.0. The paper's images start with 1.0, from
      which 200 labels do not train.
    label_channels: Python `int`, of an 'embedding'.
    context_injection: 'input' or 'last', see `conv_network`.
    pyramid_channels: Python `int`, channels of the context pyramid; None: as
      many as the context has, the paper's way.
    affine_hidden_channels: Python `int`, of `ContextAffine`'s network.
    motion_radius: Python `int`, pixels that 'motion' reaches.
    recall_offset: Python `int`, the context's channel at which the frame begins
      that 'recall' remembers; None: the one after the previous frame.
    context_frames: Python `int`: the context begins with so many frames, for
      `ContextMixture`; None: one, or without `context_channels` none.
    mixture_levels: Python `int`, `2**n_bits` of quantised frames.
    mixture_components: Python `int`, of each mixture.
    mixture_hidden_channels: Python `int`, of `ContextMixture`'s networks.
    mixture_blocks: Python `int`, gated residual blocks of each of them.
    mixture_strip_pooling: Python `bool`: they also see means of whole rows and
      columns, so that what leaves the frame on one side can enter on another.
    mixture_motion_radius: Python `int`: they centre mixtures on the previous
      frame moved by so many pixels at most; 0: not moved.
    coupling_network: `(init, apply)`, see `networks.Network`; or with
      `unroll=True` also a callable `(in_channels, out_channels) -> network`
      whose result is called as `network(kept, context)` (Keras layers, say).
      `in_channels` counts the context's channels of that block. None: Glow's.
    context_network: Callable from the context map `[..., H, W, C_all]` to a
      list of maps `[..., H / 2^i, W / 2^i, C_i]`, one a block; it is called
      once here to learn their channels. None: `build_context_pyramid`.
    unroll: Python `bool`: separate steps instead of a `Scan`.
    gradients: 'reversible' or 'stored', see `Scan`; no effect with `unroll`.
    network_dtype: `tf.DType` of the networks' computation, or None: `dtype`.
    dtype: `tf.DType` of frames, latents and variables.
    seed: Python `int`, or None: from the operating system.
    name: Python `str`.

  Returns:
    A `Glow`.

  Raises:
    ValueError: if an argument's value is unknown, or sizes do not fit.
  """
  height, width, channels = _check_shape(output_shape, num_glow_blocks)
  _check_coupling_network(coupling_network, unroll)
  _check_conditions(
    context_channels=context_channels,
    vector_channels=vector_channels,
    num_labels=num_labels,
  )
  _check_choice(
    'label_conditioning', label_conditioning, ('prior', 'image', 'embedding')
  )
  label_map = None
  if num_labels is not None:
    label_map = _label_map_shape(
      label_conditioning, output_shape, label_channels
    )
  _check_context_affine(
    context_affine, context_channels, channels, recall_offset
  )
  if context_frames is None:
    context_frames = 0 if context_channels is None else 1
  _check_context_mixture(
    context_mixture, context_affine, context_frames * channels, context_channels
  )
  parts = (context_channels, vector_channels, label_map and label_map[-1])
  total_context = sum(c or 0 for c in parts) or None
  if total_context is None and (context_affine or context_network):
    raise ValueError(
      '`context_affine` and `context_network` need a context: give '
      '`context_channels`, `vector_channels` or `num_labels` with '
      "`label_conditioning` 'image' or 'embedding'."
    )
  rng = np.random.default_rng(seed)
  dtypes = {'network_dtype': network_dtype, 'dtype': dtype}
  affine = None
  if context_affine is not None:
    affine = context_affine_lib.build_context_affine(
      context_affine,
      channels,
      total_context,
      affine_hidden_channels,
      motion_radius=motion_radius,
      recall_offset=recall_offset,
      seed=_draw(rng),
      **dtypes,
    )
  mixture = None
  if context_mixture is not None:
    mixture = context_mixture_lib.build_context_mixture(
      channels,
      total_context,
      mixture_levels,
      num_groups=1 + 3 * _num_halvings(context_mixture, height, width),
      context_frames=context_frames,
      num_components=mixture_components,
      hidden_channels=mixture_hidden_channels,
      num_blocks=mixture_blocks,
      strip_pooling=mixture_strip_pooling,
      motion_radius=mixture_motion_radius,
      seed=_draw(rng),
      **dtypes,
    )
  has_steps = num_steps_per_block > 0  # Else a pyramid would be for nobody.
  if total_context is not None and context_network is None and has_steps:
    context_network = context_pyramid.build_context_pyramid(
      total_context,
      num_glow_blocks,
      pyramid_channels,
      seed=_draw(rng),
      **dtypes,
    )
  level_channels = _channels_of_levels(
    context_network, [height, width, total_context], num_glow_blocks, dtype
  )
  networks_ = [
    coupling_network
    or networks.conv_network(
      hidden_channels, level, context_injection, network_dtype
    )
    for level in level_channels
  ]
  options = {} if unroll else {'gradients': gradients}
  blocks = _build_blocks(
    rng,
    _build_unrolled if unroll else _build_scan,
    channels,
    networks_,
    level_channels,
    num_steps=num_steps_per_block,
    coupling=coupling,
    dtype=dtype,
    **options,
  )
  prior = maps = None
  if label_map is not None:
    maps = _build_label_maps(rng, num_labels, label_map, label_init_std, dtype)
  elif num_labels is not None:
    num_dims = int(np.prod(output_shape))
    prior = labels.build_label_prior(num_labels, num_dims, dtype)
  return glow.Glow(
    output_shape,
    blocks,
    context_network=context_network,
    context_affine=affine,
    context_mixture=mixture,
    label_prior=prior,
    label_maps=maps,
    context_channels=context_channels,
    vector_channels=vector_channels,
    adapted=tf.Variable(False, trainable=False, name='adapted'),
    dtype=dtype,
    name=name,
  )


def _check_shape(output_shape, num_glow_blocks):
  shape = tf.TensorShape(output_shape)
  if shape.rank != 3 or not shape.is_fully_defined():
    raise ValueError(
      '`output_shape` must be [H, W, C], without a batch, but got '
      f'{list(output_shape)}.'
    )
  shape = shape.as_list()
  if num_glow_blocks < 1:
    raise ValueError(
      f'`num_glow_blocks` must be at least 1, but got {num_glow_blocks}.'
    )
  divisor = 2**num_glow_blocks
  if shape[0] % divisor or shape[1] % divisor:
    fitting = _num_even_halvings(*shape[:2])
    raise ValueError(
      f'{num_glow_blocks} blocks need a height and width divisible by '
      f'{divisor}, but got frames of {shape[0]}x{shape[1]}. '
      + (
        f'At most {fitting} fit these; or pad or crop.'
        if fitting
        else 'Pad or crop to an even size.'
      )
    )
  return shape


def _check_conditions(**sizes):
  for name, size in sizes.items():
    if size is not None and size < 1:
      raise ValueError(
        f'`{name}` must be at least 1, or None for no such condition, but got '
        f'{size}.'
      )


def _check_coupling_network(network, unroll):
  if network is None or unroll or isinstance(network, (tuple, list)):
    return
  raise ValueError(
    '`coupling_network` must be a pair (init, apply), or with `unroll=True` a '
    f'callable, but got {network!r} without it.'
  )


def _check_choice(name, value, choices):
  if value not in choices:
    raise ValueError(f'`{name}` must be one of {choices}, but got {value!r}.')


def _check_context_affine(kind, context_channels, channels, recall_offset):
  if kind == 'recall' and context_channels is not None:
    # Labels and vectors follow the context: no frame to remember.
    context_affine_lib.check_recall(recall_offset, channels, context_channels)
  if kind not in (None, 'learned') and (context_channels or 0) < channels:
    raise ValueError(
      f'`context_affine={kind!r}` takes the previous frame from the '
      f"context's first {channels} channels, but `context_channels` is "
      f'{context_channels}.'
    )


def _check_context_mixture(
  kind, context_affine, frame_channels, context_channels
):
  if kind is None:
    return
  _check_choice('context_mixture', kind, tuple(_MIXTURE_HALVINGS))
  if context_affine is not None:
    raise ValueError(
      '`context_mixture` takes the place of `context_affine`: expected one of '
      f'them, but got {kind!r} and {context_affine!r}.'
    )
  if (context_channels or 0) < frame_channels:
    # Labels and vectors follow the context: no previous frame.
    raise ValueError(
      f"`context_mixture` takes `context_frames` from the context's first "
      f'{frame_channels} channels, but `context_channels` is '
      f'{context_channels}.'
    )


def _num_halvings(kind, height, width):
  halvings = _MIXTURE_HALVINGS[kind]
  return _num_even_halvings(height, width) if halvings is None else halvings


def _num_even_halvings(height, width):
  """How often both can be halved: their common factors of two."""
  common = math.gcd(height, width)
  return (common & -common).bit_length() - 1


def _draw(rng):
  return int(rng.integers(2**31))


def _channels_of_levels(context_network, context_shape, num_blocks, dtype):
  if context_network is None:
    return [None] * num_blocks
  height, width, _ = context_shape
  pyramid = context_network(tf.zeros([1, *context_shape], dtype))
  expected = [[height // 2**i, width // 2**i] for i in range(1, num_blocks + 1)]
  sizes = [m.shape[-3:-1].as_list() for m in pyramid]
  if sizes != expected:
    raise ValueError(
      '`context_network` must give one map a block, of sizes '
      f'{expected}, but gave {sizes}.'
    )
  return [m.shape[-1] for m in pyramid]


def _build_blocks(
  rng,
  build_steps,
  channels,
  block_networks,
  level_channels,
  num_steps,
  dtype,
  **options,
):
  """The blocks, fine to coarse; each halves the map and doubles `channels`."""
  blocks = []
  for network, level in zip(block_networks, level_channels):
    if blocks:  # The block before is not the last.
      blocks[-1].append(split.build_split(channels * 2, dtype))
    steps = []
    if num_steps:
      steps = build_steps(
        rng,
        network,
        channels * 4,
        num_steps=num_steps,
        context_channels=level,
        dtype=dtype,
        **options,
      )
    blocks.append([squeeze.Squeeze(), *steps])
    channels *= 2
  return blocks


def _build_scan(
  rng,
  network,
  channels,
  num_steps,
  coupling,
  context_channels,
  dtype,
  gradients,
):
  """One `Scan` over stacked parameters."""
  init, apply = network
  maker = flow_step.FlowStepMaker(coupling, apply, context_channels, dtype)
  values = flow_step.init_flow_steps(rng, channels, num_steps)
  per_step = [
    init(_draw(rng), *maker.network_channels(channels))
    for _ in range(num_steps)
  ]
  values['coupling'] = {
    k: np.stack([params[k] for params in per_step]) for k in per_step[0]
  }
  variables = flow_step.make_step_variables(values, dtype)
  return [
    scan.Scan(
      maker, variables, conditions=maker.conditions, gradients=gradients
    )
  ]


def _build_unrolled(
  rng, network, channels, num_steps, coupling, context_channels, dtype
):
  """Separate `FlowStep`s, each with its own variables."""
  maker = flow_step.FlowStepMaker(coupling, None, context_channels, dtype)
  in_channels, out_channels = maker.network_channels(channels)
  steps = []
  for i in range(num_steps):
    if callable(network):
      bound = network(in_channels, out_channels)
    else:
      values = network[0](_draw(rng), in_channels, out_channels)
      bound = networks.BoundNetwork(
        network[1], networks.to_variables(values, dtype)
      )
    variables = flow_step.make_step_variables(
      flow_step.init_flow_steps(rng, channels), dtype
    )
    steps.append(maker.with_network(bound, variables, name=f'flow_step_{i}'))
  return steps


def _label_map_shape(label_conditioning, output_shape, label_channels):
  """Shape `[h, w, c]` of what a label adds to the context, or None."""
  return {
    'prior': None,
    'image': tuple(output_shape),
    'embedding': (1, 1, label_channels),
  }[label_conditioning]


def _build_label_maps(rng, num_labels, shape, init_std, dtype):
  if init_std is None:
    init_std = 1.0 if shape[0] == 1 else 0.01
  maps = rng.standard_normal([num_labels, *shape], dtype=np.float32)
  return tf.Variable(
    maps * np.float32(init_std), dtype=dtype, name='label_maps'
  )
