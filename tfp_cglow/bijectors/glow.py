"""`Glow`, the conditional bijector; `build_glow` creates its variables."""

from __future__ import annotations

from typing import NamedTuple
from typing import Optional

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.bijectors import label_scores
from tfp_cglow.bijectors import labels
from tfp_cglow.bijectors import split as split_lib
from tfp_cglow.bijectors import tempering
from tfp_cglow.internal import one_pass
from tfp_cglow.internal import shapes

__all__ = ['Glow']

_MOST = 16.0  # With `validate_args`, larger values are taken for a mistake.


class Glow(conditional_bijector.ConditionalBijector):
  """Conditional Glow (Kingma and Dhariwal, 2018; CGlow in Donahue, 2019).

  `forward` maps a latent vector `[..., H*W*C]` to frames `[..., H, W, C]`
  (sampling); `inverse` maps frames to latents (training).

  ```none
  inverse:  frame -> ContextAffine or ContextMixture -> block 1 -> block 2 ..
            -> LabelPrior
            block: Squeeze -> steps -> Split, whose second half leaves the flow
  ```

  The latent vector holds the halves that leave, fine to coarse, and then the
  last block's output. `split_latent` cuts it into one tensor for each level.

  Conditions, each of them only if the bijector was built for it: `context`
  `[..., H, W, C_ctx]`, `vector` `[..., D]` (repeated at every pixel) and
  `label` (int `[...]`, or float weights `[..., num_labels]`). Their leading
  dimensions broadcast against those of the frames. `build_glow` creates a
  `Glow`.
  """

  def __init__(
    self,
    output_shape,
    blocks,
    context_network=None,
    first=None,
    label_prior=None,
    label_maps=None,
    context_channels=None,
    vector_channels=None,
    adapted=None,
    latent_scale=None,
    dtype=tf.float32,
    validate_args=False,
    name='glow',
  ):
    """Creates the bijector.

    Args:
      output_shape: `[H, W, C]`, Python `int`s.
      blocks: List of blocks, fine to coarse. A block is a list of bijectors on
        `[..., h, w, c]`, data side first: `Squeeze`, then one `Scan` or several
        `FlowStep`s, then, in every block but the last, a `Split`.
      context_network: Callable from the context map `[..., H, W, C_all]` to a
        list of maps, one for each block; or None. The map joins the context,
        the label's image, the vector and the label's embedding, in this order.
      first: `ContextAffine` or `ContextMixture`, the bijector nearest to the
        data; or None. If it takes a vector, it gets those parts of the map
        apart that are equal at all pixels; else a context of `C_all` channels.
      label_prior: `LabelPrior` over `H*W*C` dimensions, or None.
      label_maps: Float `[num_labels, h, w, c]`, a map for each label, joined to
        the context: an image (h, w = H, W) or a vector (h, w = 1, 1); or None.
      context_channels: Python `int`, `C_ctx`; None: takes no `context`.
      vector_channels: Python `int`, D; None: takes no `vector`.
      adapted: Boolean `tf.Variable`, True after `tfp_cglow.adapt`; or None.
      latent_scale: Float `[...]`, factor of the latents, see `tempered`; or
        None.
      dtype: `tf.DType` of frames and latents.
      validate_args: Python `bool`: whether `inverse` refuses frames beyond 16,
        such as bytes, and beyond 1/2 if `first` is a `ContextMixture`.
      name: Python `str`.
    """
    parameters = dict(locals())
    self._output_shape = tuple(int(d) for d in output_shape)
    self._blocks = [list(block) for block in blocks]
    self._context_network = context_network
    self._first = first
    self._label_prior = label_prior
    self._label_maps = label_maps
    self._context_channels = context_channels
    self._vector_channels = vector_channels
    self._adapted = adapted
    self._latent_scale = latent_scale
    super().__init__(
      forward_min_event_ndims=1,
      inverse_min_event_ndims=3,
      validate_args=validate_args,
      parameters=parameters,
      dtype=dtype,
      name=name,
    )

  @property
  def output_shape(self) -> tuple[int, ...]:
    """Shape `(H, W, C)` of a frame."""
    return self._output_shape

  @property
  def blocks(self):
    """Tuple of blocks, fine to coarse, each a tuple of bijectors."""
    return tuple(tuple(block) for block in self._blocks)

  @property
  def context_network(self):
    """Callable from the context map to a map for each block, or None."""
    return self._context_network

  @property
  def first(self):
    """`ContextAffine` or `ContextMixture`, nearest to the data; or None."""
    return self._first

  @property
  def label_prior(self):
    """`LabelPrior` over the latent vector, or None."""
    return self._label_prior

  @property
  def label_maps(self):
    """Float `[num_labels, h, w, c]`, joined to the context; or None."""
    return self._label_maps

  @property
  def adapted(self):
    """Boolean `tf.Variable`, True after `tfp_cglow.adapt`; or None."""
    return self._adapted

  @property
  def num_labels(self) -> Optional[int]:
    """Python `int`; None if the bijector takes no label."""
    table = self._label_maps
    if self._label_prior is not None:
      return self._label_prior.num_labels
    return None if table is None else table.shape[0]

  @property
  def label_variables(self):
    """Trainable variables of the labels: the prior's tables, or the maps."""
    if self._label_prior is not None:
      return self._label_prior.trainable_variables
    return () if self._label_maps is None else (self._label_maps,)

  @property
  def conditions(self):
    height, width, _ = self._output_shape
    expected = {}
    if self._context_channels is not None:
      expected['context'] = conditional_bijector.context_description(
        self._context_channels, height, width
      )
    if self._vector_channels is not None:
      expected['vector'] = f'float [..., {self._vector_channels}]'
    if self.num_labels is not None:
      expected['label'] = labels.label_description(self.num_labels)
    return expected

  def level_shapes(self) -> list[tuple[int, int, int]]:
    """Shapes `[h, w, c]` of the levels' latents, fine to coarse."""
    height, width, channels = self._output_shape
    level_shapes = []
    for _ in self._blocks[:-1]:
      height, width, channels = height // 2, width // 2, channels * 2
      level_shapes.append((height, width, channels))
    return level_shapes + [(height // 2, width // 2, channels * 4)]

  def split_latent(
    self, z: tf.types.experimental.TensorLike
  ) -> list[tf.Tensor]:
    """Cuts a latent vector into one tensor for each level.

    Args:
      z: `[..., H*W*C]`.

    Returns:
      List of `[..., h, w, c]`, fine to coarse.

    Raises:
      ValueError: if the vector has another size.
    """
    _check_event(self, z, 1)
    shapes_ = self.level_shapes()
    parts = tf.split(z, [int(np.prod(s)) for s in shapes_], axis=-1)
    return [shapes.reshape_trailing(p, 1, s) for p, s in zip(parts, shapes_)]

  def tempered(
    self,
    temperature: tf.types.experimental.TensorLike = 1.0,
    min_p: tf.types.experimental.TensorLike = 0.0,
  ) -> Glow:
    """The bijector of a sharpened distribution, for sampling.

    A `LevelMixture` is tempered in the space of levels: p(level)^(1 /
    temperature), without the levels that have less than `min_p` times the
    largest probability; see `TemperedLevels`. With temperature 0 every level is
    the likeliest. An `AutoregressiveBase` has no temperature, and at most 0.001
    of `min_p`, see `AutoregressiveLevels`. Steps, a `FrameAffine` and
    `LabelPriors` have no levels: for a flow that has one of them, the
    temperature also scales the latents.

    With temperature 1 and `min_p` 0 the result maps as this bijector does, bit
    for bit. Its log-density is that of the sharpened distribution (minus
    infinity for frames that it cannot give).

    Args:
      temperature: Float `[...]`, >= 0, that broadcasts to the leading
        dimensions of the frames.
      min_p: Float `[...]`, in [0, 1). A flow without a `LevelMixture` does not
        use it.

    Returns:
      A `Glow` with the same variables.

    Raises:
      ValueError: if a value is out of range.
    """
    temperature, min_p = (
      tf.convert_to_tensor(t, self.dtype) for t in (temperature, min_p)
    )
    tempering.check(temperature, min_p)
    has_levels = hasattr(self._first, 'tempered')
    others = [b for block in self._blocks for b in block[1:]]
    if self._label_prior is not None or not has_levels:
      others.append(self._first)
    first = self._first
    first = first.tempered(temperature, min_p) if has_levels else first
    return self.copy(first=first, latent_scale=temperature if others else None)

  def prepared(self) -> Glow:
    """A copy that holds values of its steps' parameters and their inverses.

    Use it for loops over `forward`, as over the frames of a video: the inverses
    of the 1x1 convolutions are then computed once, outside the loop.
    """
    blocks = [
      [b.prepared() if hasattr(b, 'prepared') else b for b in block]
      for block in self._blocks
    ]
    return self.copy(blocks=blocks)

  @property
  def gives_mean_levels(self) -> bool:
    """Python `bool`: whether `mean_levels` is known.

    It is if there is a context, frames have one channel, the first bijector is
    a `ContextMixture` without halvings that is not tempered, and neither steps
    nor a label's prior come after it.
    """
    is_apart = getattr(self._first, 'gives_mean_levels', False)
    is_grey = self._output_shape[-1] == 1
    has_context = 'context' in self.conditions
    return has_context and self._is_first_alone and is_apart and is_grey

  def mean_levels(
    self, **conditions: tf.types.experimental.TensorLike
  ) -> tf.Tensor:
    """The mean level of every pixel under a standard normal base.

    Args:
      **conditions: As for `inverse`, with a context.

    Returns:
      `[..., H, W, 1]`, 0 to L - 1.

    Raises:
      ValueError: unless `gives_mean_levels`.
    """
    if not self.gives_mean_levels:
      raise ValueError(
        f'`{self.name}` does not know the mean of its levels: that takes a '
        'context, a `LevelMixture` without halvings and without tempering, '
        'frames of one channel, and no steps and no `LabelPriors` after it.'
      )
    # A wrong context is named by `checked`.
    leading = tf.shape(conditions.get('context', 0.0))[:-3]
    like = tf.zeros(tf.concat([leading, self._output_shape], 0), self.dtype)
    seen = self._seen(like, **self.checked(like, 3, conditions))
    like, _ = shapes.align_leading(like, seen.whole)
    return self._first.mean_levels(like, **seen.by(self._first))

  @property
  def gives_coarsest_log_prob(self) -> bool:
    """Python `bool`: whether `coarsest_log_prob` is known.

    It is if the first bijector is a `LevelMixture` with an
    `AutoregressiveBase`, and neither steps nor a label's prior come after it.
    """
    has_one = getattr(self._first, 'base', None) is not None
    return self._is_first_alone and has_one

  def coarsest_log_prob(
    self,
    frames: tf.types.experimental.TensorLike,
    **conditions: tf.types.experimental.TensorLike,
  ) -> tf.Tensor:
    """Log-density of the pixels of the `AutoregressiveBase`.

    They do not depend on the other pixels, so it is their own exact density.

    Args:
      frames: `[..., H, W, C]`.
      **conditions: As for `inverse`.

    Returns:
      `[...]`, nats, under a standard normal base.

    Raises:
      ValueError: unless `gives_coarsest_log_prob`, or if frames or conditions
        do not fit.
    """
    if not self.gives_coarsest_log_prob:
      raise ValueError(
        f'`{self.name}` has no density of the coarsest pixels alone: that '
        'takes a `LevelMixture` with a `base`, and no steps and no '
        '`LabelPriors` after it.'
      )
    frames = conditional_bijector.to_data(self, 'frames', frames)
    seen = self._seen(frames, **self.checked(frames, 3, conditions))
    if seen.whole is not None:
      frames, _ = shapes.align_leading(frames, seen.whole)
    return self._first.coarsest_log_prob(frames, **seen.by(self._first))

  @property
  def _is_first_alone(self):
    """Whether nothing but the first bijector changes values."""
    return self._label_prior is None and all(
      len(block) == 1 for block in self._blocks
    )

  def log_prob_by_label(
    self,
    frames: tf.types.experimental.TensorLike,
    base: tfp.distributions.Distribution,
    weights: Optional[tf.types.experimental.TensorLike] = None,
    **conditions: tf.types.experimental.TensorLike,
  ) -> tf.Tensor:
    """Log-density of `frames` under every label.

    It takes one pass if labels enter through the prior, and a pass for each
    label if they enter through the context (as an image or an embedding).

    Args:
      frames: `[..., H, W, C]`.
      base: `tfd.Distribution` over latent vectors `[H*W*C]`.
      weights: Float `[R, num_labels]`, label weights of each of R results;
        None: each label alone, R = num_labels.
      **conditions: All conditions except `label`.

    Returns:
      `[..., R]`, nats.

    Raises:
      ValueError: if the bijector takes no label, or a condition does not fit.
    """
    return sum(
      label_scores.log_prob_terms(self, frames, base, weights, **conditions)
    )

  def _seen(self, like, context=None, vector=None, label=None):
    """The conditions that networks see: `_Seen`."""
    maps, vectors = [], []
    if context is not None:
      maps.append(
        conditional_bijector.check_context(
          self.name,
          context,
          self._context_channels,
          self._output_shape[:2],
          like.dtype,
        )
      )
    if vector is not None:
      vectors.append(
        conditional_bijector.check_vector(
          self.name, vector, self._vector_channels, like.dtype
        )
      )
    if label is not None and self._label_maps is not None:
      label = labels.check_label(self.name, label, self.num_labels, self.dtype)
      of_label = labels.lookup(self._label_maps, label)
      if of_label.shape[-3:-1] == [1, 1]:
        vectors.append(of_label[..., 0, 0, :])
      else:
        maps.append(of_label)
    return _seen_of(maps, vectors, self._output_shape[:2])

  def _pyramid(self, context):
    if context is None or self._context_network is None:
      return [None] * len(self._blocks)
    return self._context_network(context)

  def _inverse_and_ildj(self, y, label=None, **conditions):
    x, ildj = self._inverse_before_prior(y, label=label, **conditions)
    if self._label_prior is not None:
      x, prior_ildj = self._label_prior.inverse_and_log_det(x, label=label)
      ildj += prior_ildj
    x, scale_ildj = tempering.unscaled(x, self._latent_scale)
    return x, ildj + scale_ildj

  def _inverse_before_prior(self, y, **conditions):
    """Latents before the label's prior, and the log-det up to there."""
    ildjs = []

    def inverse(bijector, y, **kwargs):
      x, ildj = one_pass.inverse_and_ldj(bijector, y, 3, kwargs)
      ildjs.append(ildj)
      return x

    x = self._walk_inverse(inverse, y, **conditions)
    return x, tf.zeros_like(x[..., 0]) + sum(ildjs)

  def walk_inverse(self, step_fn, y, **conditions):
    """Walks the inverse: calls `step_fn` for one bijector after another.

    Args:
      step_fn: Callable `(bijector, y, **kwargs) -> x`. `kwargs` holds the
        block's context if the bijector takes one.
      y: Frames `[..., H, W, C]`.
      **conditions: As for `inverse`.

    Returns:
      The latent vector `[..., H*W*C]`, before the label's prior.

    Raises:
      ValueError: See `inverse`.
    """
    y = conditional_bijector.to_data(self, 'frames', y)
    return self._walk_inverse(step_fn, y, **self.checked(y, 3, conditions))

  def checked(self, data, event_ndims, conditions, without=()):
    """See the base class."""
    if data.shape.rank is not None:
      _check_event(self, data, event_ndims)
    conditions = super().checked(data, event_ndims, conditions, without)
    if self.validate_args and event_ndims == 3:
      _assert_range(self, data)
    if 'label' in conditions:
      conditions['label'] = labels.check_label(
        self.name, conditions['label'], self.num_labels, self.dtype
      )
    return conditions

  def _walk_inverse(self, step_fn, y, **conditions):
    seen = self._seen(y, **conditions)
    context = seen.whole
    if context is not None:
      y, context = shapes.align_leading(y, context)
    if self._first is not None:
      y = step_fn(self._first, y, **seen.by(self._first))
    latents = []
    for i, (block, level) in enumerate(
      zip(self._blocks, self._pyramid(context))
    ):
      for bijector in block:
        y = step_fn(bijector, y, **_conditions_of(bijector, level))
      if i < len(self._blocks) - 1:
        y, latent = split_lib.separate(y)
        latents.append(latent)
    flat = [_flatten_event(t) for t in [*latents, y]]
    return tf.concat(flat, axis=-1)

  def _forward_and_ildj(self, x, label=None, **conditions):
    ildjs = []

    def forward(bijector, x, event_ndims=3, **kwargs):
      y, fldj = one_pass.forward_and_ldj(bijector, x, event_ndims, kwargs)
      ildjs.append(-fldj)
      return y

    x, scale_fldj = tempering.scaled(x, self._latent_scale)
    ildjs.append(-scale_fldj)
    if self._label_prior is not None:
      x = forward(self._label_prior, x, event_ndims=1, label=label)
    y = self._walk_forward(forward, x, label=label, **conditions)
    return y, tf.zeros_like(y[..., 0, 0, 0]) + sum(ildjs)

  def _walk_forward(self, step_fn, x, **conditions):
    seen = self._seen(x, **conditions)
    context = seen.whole
    latents = self.split_latent(x)
    if context is not None:
      context, *latents = shapes.align_leading(context, *latents)
    x = latents.pop()
    levels = list(zip(self._blocks, self._pyramid(context)))
    for i, (block, level) in reversed(list(enumerate(levels))):
      if i < len(self._blocks) - 1:
        x = split_lib.join(x, latents.pop())
      for bijector in reversed(block):
        x = step_fn(bijector, x, **_conditions_of(bijector, level))
    if self._first is not None:
      x = step_fn(self._first, x, **seen.by(self._first))
    return x

  def _forward_event_shape(self, shape):
    return shape[:-1].concatenate(self._output_shape)

  def _inverse_event_shape(self, shape):
    return shape[:-3].concatenate([int(np.prod(self._output_shape))])

  def _forward_event_shape_tensor(self, shape):
    return tf.concat([shape[:-1], self._output_shape], axis=0)

  def _inverse_event_shape_tensor(self, shape):
    return tf.concat([shape[:-3], [int(np.prod(self._output_shape))]], axis=0)


def _assert_range(glow, frames):
  """Raises, when it runs, for frames that look like bytes, 0..255."""
  is_mixture = type(glow.first).__name__ == 'ContextMixture'
  bound = 0.5 if is_mixture else _MOST
  tf.debugging.assert_less_equal(
    tf.abs(frames),
    tf.constant(bound, frames.dtype),
    f'`{glow.name}` expects frames from -{bound} to {bound}; `quantise` and '
    '`dequantise` map bytes to [-0.5, 0.5).',
  )


def check_not_bytes(glow, frames):
  """Raises ValueError for eager frames that are bytes: whole numbers to 255."""
  most = float(tf.reduce_max(tf.abs(frames)))
  if most > _MOST and bool(tf.reduce_all(frames == tf.round(frames))):
    raise ValueError(
      f'`{glow.name}` expects frames with a density, but got whole numbers up '
      f'to {most:g}. `quantise` and `dequantise` map bytes to [-0.5, 0.5).'
    )


def _check_event(glow, data, event_ndims):
  """Raises unless data are frames, for `event_ndims` 3, or latents, for 1."""
  kind, expected = 'frames', glow.output_shape
  if event_ndims == 1:
    kind, expected = 'latents', [int(np.prod(glow.output_shape))]
  if not data.shape[-event_ndims:].is_compatible_with(expected):
    raise ValueError(
      f'`{glow.name}` expects {kind} of shape '
      f'[..., {", ".join(map(str, expected))}], but got {data.shape}.'
    )


class _Seen(NamedTuple):
  """What networks see of the conditions; each part may be None.

  Attributes:
    maps: `[..., H, W, D]`, the context and the label's image.
    vector: `[..., V]`, the vector and the label's embedding.
    whole: `[..., H, W, D + V]`, both as one map.
  """

  maps: Optional[tf.Tensor]
  vector: Optional[tf.Tensor]
  whole: Optional[tf.Tensor]

  def by(self, bijector):
    """The kwargs of the first bijector, which may take a vector."""
    expected = getattr(bijector, 'conditions', {})
    if 'vector' not in expected:
      return _conditions_of(bijector, self.whole)
    given = {'context': self.maps, 'vector': self.vector}
    return {name: given[name] for name in expected}


def _seen_of(maps, vectors, size):
  """`_Seen` of lists of maps and of vectors, for frames of a size `[H, W]`."""
  vector = _joined(vectors, num_dims=1)
  if vector is None:
    whole = _joined(maps, num_dims=3)
    return _Seen(whole, None, whole)
  ones = tf.ones([*size, 1], vector.dtype)
  repeated = ones * vector[..., tf.newaxis, tf.newaxis, :]
  whole = _joined([*maps, repeated], num_dims=3)
  return _Seen(_joined(maps, num_dims=3), vector, whole)


def _joined(parts, num_dims):
  """Joins the channels of tensors with `num_dims` trailing dimensions."""
  if not parts:
    return None
  return tf.concat(shapes.align_leading(*parts, num_dims=num_dims), axis=-1)


def _conditions_of(bijector, context):
  """The level's context as kwargs, for a bijector that takes one."""
  takes_one = context is not None and getattr(bijector, 'conditions', None)
  return {'context': context} if takes_one else {}


def _flatten_event(x):
  return shapes.reshape_trailing(x, 3, [int(np.prod(x.shape[-3:]))])
