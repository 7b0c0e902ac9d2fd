"""`build_glow`: creates the variables and networks of a `Glow`."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import math
from typing import NamedTuple
from typing import Optional
from typing import Union

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors import build_blocks
from tfp_cglow.bijectors import context_affine
from tfp_cglow.bijectors import glow
from tfp_cglow.bijectors import labels as labels_lib
from tfp_cglow.bijectors import specs
from tfp_cglow.bijectors.levels import context_mixture
from tfp_cglow.internal import checks
from tfp_cglow.networks import context_pyramid
from tfp_cglow.networks import convolutional
from tfp_cglow.networks import motion

__all__ = ['build_glow', 'check_networks', 'check_spec']


def build_glow(
  output_shape: Sequence[int],
  num_glow_blocks: int = 4,
  steps: Union[
    None, specs.AdditiveSteps, specs.AffineSteps
  ] = specs.AdditiveSteps(num_steps=32, hidden_channels=512),
  *,
  context: Optional[specs.Context] = None,
  vector_channels: Optional[int] = None,
  labels: Union[
    None, specs.LabelPriors, specs.LabelEmbedding, specs.LabelImages
  ] = None,
  first: Union[None, specs.FrameAffine, specs.LevelMixture] = None,
  pyramid: Union[specs.Pyramid, Callable] = specs.Pyramid(),
  networks: specs.Networks = specs.Networks(),
  dtype: tf.DType = tf.float32,
  seed: Optional[int] = None,
  name: str = 'glow',
) -> glow.Glow:
  """Creates a conditional Glow with its variables.

  Until it is trained or adapted, the result is an isometry: log-dets are zero
  and `forward` keeps norms. There are three exceptions: `AffineSteps` with
  scale='sigmoid', whose scales start at 0.88; a `FrameAffine` with a mean,
  which starts by subtracting (about) the previous frame; and a `LevelMixture`.

  ```python
  glow = tfp_cglow.build_glow(
      [32, 32, 3], 3, tfp_cglow.AffineSteps(4, hidden_channels=64),
      labels=tfp_cglow.LabelPriors(10))
  flow = tfd.TransformedDistribution(
      tfd.Sample(tfd.Normal(0., 1.), [32 * 32 * 3]), glow)
  flow.log_prob(frames, bijector_kwargs={'label': y})  # [...], nats
  ```

  Args:
    output_shape: `[H, W, C]`; H and W divisible by `2**num_glow_blocks`.
    num_glow_blocks: Python `int`, levels of the multi-scale architecture.
    steps: `AdditiveSteps` or `AffineSteps` of every block; None: no steps, only
      the first bijector and the labels' prior.
    context: `Context`, describes the condition `context`; None: the flow takes
      no context.
    vector_channels: Python `int` D, size of the condition `vector`, `[..., D]`
      of `dtype`, which networks see at every pixel; None: the flow takes no
      vector. If it says where things are, give coordinates as `context`:
      couplings see the place of a pixel only by the frame's edges.
    labels: `LabelPriors`, `LabelEmbedding` or `LabelImages`, with `num_labels`;
      None: the flow takes no label.
    first: `FrameAffine`, or `LevelMixture` with `levels`: the bijector nearest
      to the data; None: the blocks are nearest.
    pyramid: `Pyramid`. Or a callable from the context map `[..., H, W, C_all]`
      to a list of maps `[..., H / 2^i, W / 2^i, C_i]`, i = 1, 2, .., one for
      each block; `build_glow` calls it once to find the channels `C_i`. `C_all`
      is the sum of the channels of the context, the vector and the label's map.
    networks: `Networks`: in which dtype all networks compute, and what they
      see beyond the edges of a frame.
    dtype: `tf.DType` of frames, latents and variables.
    seed: Python `int`; None: from the operating system.
    name: Python `str`.

  Returns:
    A `Glow`.

  Raises:
    ValueError: if a part is of a wrong kind or lacks a number, or if sizes do
      not fit.
  """
  checks.check_dtype('dtype', dtype)
  spec = specs.GlowSpec(
    num_glow_blocks, steps, first, labels, pyramid, networks
  )
  frame_shape, conditions, networks = check_spec(
    spec, output_shape, context, vector_channels
  )
  rng = np.random.default_rng(seed)
  first = _build_first(rng, first, frame_shape, conditions, networks, dtype)
  pyramid = _build_pyramid(rng, spec, conditions.whole, networks, dtype)
  level_channels = _channels_of_levels(
    pyramid, frame_shape, conditions.whole, num_glow_blocks, dtype
  )
  blocks = build_blocks.build_blocks(
    rng, steps, frame_shape[-1], level_channels, networks, dtype
  )
  return glow.Glow(
    frame_shape,
    blocks,
    context_network=pyramid,
    first=first,
    label_prior=_build_label_prior(labels, frame_shape, dtype),
    label_maps=_build_label_maps(rng, labels, frame_shape, dtype),
    context_channels=None if context is None else context.channels,
    vector_channels=vector_channels,
    adapted=tf.Variable(False, trainable=False, name='adapted'),
    dtype=dtype,
    name=name,
  )


def check_spec(spec, output_shape, context=None, vector_channels=None):
  """Raises the errors of `build_glow`, without building anything.

  Args:
    spec: `GlowSpec`.
    output_shape: See `build_glow`; so are the other arguments.

  Returns:
    frame_shape: List `[H, W, C]`.
    conditions: `_Conditions`.
    networks: `Networks` with a `tf.DType`.

  Raises:
    ValueError: see `build_glow`.
  """
  frame_shape = _check_shape(output_shape, spec.num_glow_blocks)
  build_blocks.check_steps(spec.steps)
  _check_conditions(context, vector_channels, spec.labels)
  _check_first(spec.first, frame_shape, context)
  _check_pyramid(spec.pyramid)
  conditions = _conditions(context, vector_channels, spec.labels, frame_shape)
  if conditions.whole is None:
    _check_needs(spec.first, spec.pyramid)
  return frame_shape, conditions, check_networks(spec.networks)


def _check_shape(output_shape, num_glow_blocks):
  shape = tf.TensorShape(output_shape)
  if shape.rank != 3 or not shape.is_fully_defined():
    raise ValueError(
      '`output_shape` must be [H, W, C], without a batch, but got '
      f'{list(output_shape)}.'
    )
  shape = shape.as_list()
  checks.check_at_least('num_glow_blocks', num_glow_blocks, 1)
  divisor = 2**num_glow_blocks
  if shape[0] % divisor or shape[1] % divisor:
    fitting = _num_even_halvings(*shape[:2])
    raise ValueError(
      f'{num_glow_blocks} blocks need a height and width divisible by '
      f'{divisor}, but got frames of {shape[0]}x{shape[1]}. '
      + (
        f'These frames allow at most {fitting} block(s); or pad or crop them.'
        if fitting
        else 'Pad or crop them to an even size.'
      )
    )
  return shape


def _check_conditions(context, vector_channels, labels):
  checks.check_kind('context', context, specs.Context)
  checks.check_kind(
    'labels',
    labels,
    specs.LabelPriors,
    specs.LabelEmbedding,
    specs.LabelImages,
  )
  checks.check_at_least('vector_channels', vector_channels, 1)
  if context is not None:
    checks.check_at_least('context.channels', context.channels, 1)
  if labels is not None and labels.num_labels is None:
    raise ValueError(f'`labels` needs a number of labels, but got {labels!r}.')
  if labels is not None:
    checks.check_at_least('labels.num_labels', labels.num_labels, 1)
  if isinstance(labels, specs.LabelEmbedding):
    checks.check_at_least('labels.channels', labels.channels, 1)


def _check_first(first, frame_shape, context):
  """Raises ValueError if `first` is wrong or does not fit the context.

  Only `context` counts: the vector and the label's map hold no frame.
  """
  checks.check_kind('first', first, specs.FrameAffine, specs.LevelMixture)
  if isinstance(first, specs.FrameAffine):
    context_affine.check_context(first, frame_shape[-1], context)
    if isinstance(first.mean, specs.MovedFrame):
      motion.check_radius(first.mean.radius, *frame_shape[:2])
  if isinstance(first, specs.LevelMixture):
    context_mixture.check_context(first, frame_shape, context)


def _check_pyramid(pyramid):
  if not isinstance(pyramid, specs.Pyramid) and not callable(pyramid):
    raise ValueError(
      f'`pyramid` must be a Pyramid or a callable, but got {pyramid!r}.'
    )
  if isinstance(pyramid, specs.Pyramid):
    checks.check_at_least('pyramid.channels', pyramid.channels, 1)


def check_networks(networks):
  """The `Networks` with a `tf.DType`; raises ValueError for wrong values."""
  if not isinstance(networks, specs.Networks):
    raise ValueError(f'`networks` must be Networks, but got {networks!r}.')
  checks.check_choice(
    'networks.padding', networks.padding, convolutional.PADDINGS
  )
  if networks.dtype is None:
    return networks
  return dataclasses.replace(networks, dtype=tf.as_dtype(networks.dtype))


def _check_needs(first, pyramid):
  """Raises ValueError for parts that need a context; the flow has none."""
  for name, value, needs_one in (
    ('first', first, isinstance(first, specs.FrameAffine)),
    ('pyramid', pyramid, pyramid != specs.Pyramid()),
  ):
    if needs_one:
      raise ValueError(
        f'`{name}={value!r}` needs a context, but got none: give `context`, '
        '`vector_channels`, or `labels` of the kind LabelEmbedding or '
        'LabelImages.'
      )


class _Conditions(NamedTuple):
  """What networks see: a map, a vector, and both as one map.

  Attributes:
    maps: `Context`, with the labels' images; or None.
    vector_channels: Python `int`, with the labels' embedding; or None.
    whole: `Context`, or None.
  """

  maps: Optional[specs.Context]
  vector_channels: Optional[int]
  whole: Optional[specs.Context]


def _conditions(context, vector_channels, labels, frame_shape):
  given = context or specs.Context(0, frames=0)
  of_label = _label_map_shape(labels, frame_shape)
  of_label = 0 if of_label is None else of_label[-1]
  is_image = isinstance(labels, specs.LabelImages)
  of_maps = given.channels + (of_label if is_image else 0)
  of_vector = (vector_channels or 0) + (0 if is_image else of_label)
  maps, whole = (
    specs.Context(channels, given.frames) if channels else None
    for channels in (of_maps, of_maps + of_vector)
  )
  return _Conditions(maps, of_vector or None, whole)


def _num_even_halvings(height, width):
  """How often height and width can both be halved."""
  common = math.gcd(height, width)
  return (common & -common).bit_length() - 1


def _build_first(rng, first, frame_shape, conditions, networks, dtype):
  """`ContextAffine`, `ContextMixture` or None."""
  if first is None:
    return None
  kwargs = {
    'seed': build_blocks.draw_seed(rng),
    'networks': networks,
    'dtype': dtype,
  }
  if isinstance(first, specs.LevelMixture):
    return context_mixture.build_context_mixture(
      frame_shape,
      conditions.maps,
      first,
      vector_channels=conditions.vector_channels,
      **kwargs,
    )
  return context_affine.build_context_affine(
    frame_shape[-1], conditions.whole, first, **kwargs
  )


def _build_pyramid(rng, spec, whole, networks, dtype):
  """The network of the context, or None."""
  if not isinstance(spec.pyramid, specs.Pyramid):
    return spec.pyramid
  if whole is None or spec.steps is None:  # Nothing would read it.
    return None
  return context_pyramid.build_context_pyramid(
    whole.channels,
    spec.num_glow_blocks,
    spec.pyramid.channels,
    seed=build_blocks.draw_seed(rng),
    network_dtype=networks.dtype,
    padding=networks.padding,
    dtype=dtype,
  )


def _channels_of_levels(pyramid, frame_shape, whole, num_blocks, dtype):
  if pyramid is None:
    return [None] * num_blocks
  height, width, _ = frame_shape
  maps = pyramid(tf.zeros([1, height, width, whole.channels], dtype))
  expected = [[height // 2**i, width // 2**i] for i in range(1, num_blocks + 1)]
  sizes = [m.shape[-3:-1].as_list() for m in maps]
  if sizes != expected:
    raise ValueError(
      f'`pyramid` must give one map for each block, of sizes {expected}, but '
      f'gave {sizes}.'
    )
  return [m.shape[-1] for m in maps]


def _build_label_prior(labels, frame_shape, dtype):
  if not isinstance(labels, specs.LabelPriors):
    return None
  num_dims = int(np.prod(frame_shape))
  return labels_lib.build_label_prior(labels.num_labels, num_dims, dtype)


def _label_map_shape(labels, frame_shape):
  """Shape `[h, w, c]` of the map that a label adds to the context, or None."""
  if isinstance(labels, specs.LabelImages):
    return frame_shape
  if isinstance(labels, specs.LabelEmbedding):
    return [1, 1, labels.channels]
  return None


def _build_label_maps(rng, labels, frame_shape, dtype):
  shape = _label_map_shape(labels, frame_shape)
  if shape is None:
    return None
  maps = rng.standard_normal([labels.num_labels, *shape], dtype=np.float32)
  return tf.Variable(
    maps * np.float32(labels.init_std), dtype=dtype, name='label_maps'
  )
