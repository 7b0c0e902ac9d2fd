"""A model of a small frame's levels, one pixel after another, as a bijector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.bijectors import specs
from tfp_cglow.bijectors.levels import distributions
from tfp_cglow.internal import checks
from tfp_cglow.internal import shapes
from tfp_cglow.networks import pixel_transformer

__all__ = ['AutoregressiveLevels', 'build_autoregressive_levels', 'check_base']

MAX_PIXELS = 64
# An object that begins at one of 64 pixels, in one of six colours, is more
# probable than that at each of them.
_LARGEST_MIN_P = 0.001


class AutoregressiveLevels(conditional_bijector.ConditionalBijector):
  """Maps a small frame to normal noise, one pixel after another.

  ```none
  for pixel i, row by row, and channel c:
    p = softmax(network(levels of pixels before i, context), channels before c)
    inverse:  x[i, c] = CategoricalLevels(p).to_normal(y[i, c])
    forward:  y[i, c] = CategoricalLevels(p).from_normal(x[i, c])
  ```

  Data `y` are frames `[..., h, w, C]` of L levels on [-1/2, 1/2] with noise
  within a level; the network sees the levels. The Jacobian is triangular. With
  a standard normal base the bijector is an exact model of the levels, see
  `LevelDistribution`.

  Each pixel knows those before it. So it suits what must be decided once for
  the whole frame, such as how many objects there are. `inverse` is one pass of
  the network, `forward` a loop over the pixels; its graph does not grow with
  their number.

  It has no temperature. An object begins somewhere, but hardly ever at the
  pixel that is drawn now; sharper levels would drop it at every pixel in turn.
  Only levels that are far less probable than that are dropped, see `walk`.
  """

  def __init__(
    self,
    network,
    context_channels=None,
    dtype=tf.float32,
    validate_args=False,
    name='autoregressive_levels',
  ):
    """Creates the bijector.

    Args:
      network: `PixelTransformer`.
      context_channels: Python `int`, K; None: takes no context.
      dtype: `tf.DType` of data and latent.
      validate_args: Python `bool`.
      name: Python `str`.
    """
    parameters = dict(locals())
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
        self._context_channels, *self._network.size
      )
    }

  def _forward_and_ildj(self, x, context=None):
    y, _, ildj = self.walk('from_normal', x, self._checked(x, context))
    return y, ildj

  def _inverse_and_ildj(self, y, context=None):
    x, _, ildj = self.walk('to_normal', y, self._checked(y, context))
    return x, ildj

  def _checked(self, frame, context):
    size = list(self._network.size)
    if frame.shape[-3:-1].as_list() != size:
      raise ValueError(
        f'`{self.name}` expects frames of {size[0]}x{size[1]}, but got '
        f'{frame.shape}.'
      )
    if context is None:
      return None
    return conditional_bijector.check_context(
      self.name, context, self._context_channels, size, frame.dtype
    )

  def walk(self, method, frame, context=None, min_p=None):
    """Maps a frame to the other side.

    Args:
      method: Python `str`, 'to_normal' or 'from_normal'.
      frame: `[..., h, w, C]`, data or latents.
      context: `[..., h, w, K]`, or None.
      min_p: Float `[...]`: levels with less than `min_p`, but at most 0.001,
        times the largest probability have none, see `TemperedLevels`. It
        broadcasts to the leading dimensions. None: all levels keep theirs.

    Returns:
      moved: `[..., h, w, C]`, the other side.
      levels: `[..., h, w, C]`, the levels of the data.
      log_det: `[...]`, log |dx/dy|, nats.
    """
    if context is not None:
      frame, context = shapes.align_leading(frame, context)
    leading = tf.shape(frame)[:-3]
    rows = lambda t: tf.reshape(t, [-1, t.shape[-3] * t.shape[-2], t.shape[-1]])
    known = None if context is None else rows(context)
    walk = self._inverse_rows if method == 'to_normal' else self._forward_rows
    if min_p is not None:
      min_p = tf.convert_to_tensor(min_p, frame.dtype)
      min_p = tf.minimum(min_p, _LARGEST_MIN_P)
      min_p = tf.reshape(tf.broadcast_to(min_p, leading), [-1])
    moved, levels, log_det = walk(rows(frame), known, min_p)
    whole = tf.shape(frame)
    return (
      tf.reshape(moved, whole),
      tf.reshape(levels, whole),
      tf.reshape(log_det, leading),
    )

  def _inverse_rows(self, frame, context, min_p):
    levels = distributions.level_of(frame, self._network.num_levels)
    neighbours = self._network.neighbours(levels)
    features = self._network.features(neighbours, context)
    if min_p is not None:
      min_p = min_p[:, tf.newaxis]
    return self._channels('to_normal', features, neighbours, frame, min_p)

  def _forward_rows(self, latent, context, min_p):
    num = latent.shape[1]
    places, caches = self._network.begin(latent, context)
    unknown = tf.zeros_like(latent)

    def body(index, log_det, caches, frame, levels):
      neighbours = self._network.neighbours(levels, index)
      features, caches = self._network.step(index, neighbours, places, caches)
      values = tf.gather(latent, index, axis=1)
      moved, level, more = self._channels(
        'from_normal', features, neighbours, values, min_p
      )
      here = tf.one_hot(index, num, dtype=latent.dtype)[:, tf.newaxis]
      frame += here * moved[:, tf.newaxis]
      levels += here * level[:, tf.newaxis]
      return index + 1, log_det + more, caches, frame, levels

    _, log_det, _, frame, levels = tf.while_loop(
      lambda index, *_: index < num,
      body,
      (0, tf.zeros_like(latent[:, 0, 0]), caches, unknown, unknown),
      parallel_iterations=1,
    )
    return frame, levels, log_det

  def _channels(self, method, features, neighbours, values, min_p):
    """Maps the channels of pixels, `[B, n, C]` or `[B, C]`, one by one."""
    moved, levels, log_det = [], [], 0.0
    for c in range(values.shape[-1]):
      logits = self._network.logits(c, features, neighbours, levels)
      distribution = distributions.CategoricalLevels.from_logits(
        tf.cast(logits, values.dtype)
      )
      if min_p is not None:
        distribution = distributions.TemperedLevels(
          distribution, tf.ones_like(min_p), min_p
        )
      value, ildj, level = getattr(distribution, method)(values[..., c])
      moved.append(value)
      levels.append(level)
      log_det += tf.reduce_sum(tf.reshape(ildj, [tf.shape(ildj)[0], -1]), -1)
    return tf.stack(moved, axis=-1), tf.stack(levels, axis=-1), log_det


def build_autoregressive_levels(
  output_shape: Sequence[int],
  num_levels: int,
  base: Optional[specs.AutoregressiveBase] = None,
  *,
  context: Optional[specs.Context] = None,
  seed: Optional[int] = None,
  networks: specs.Networks = specs.Networks(),
  dtype: tf.DType = tf.float32,
  name: str = 'autoregressive_levels',
) -> AutoregressiveLevels:
  """Creates an `AutoregressiveLevels` with a `PixelTransformer`.

  Args:
    output_shape: `[h, w, C]`, at most 64 pixels.
    num_levels: Python `int` L >= 2.
    base: `AutoregressiveBase`; None: its defaults.
    context: `Context`, describes the condition `context`; if it has frames,
      every pixel sees the context of all pixels, else only its own. None: the
      bijector takes no context.
    seed: Python `int`; None: from the operating system.
    networks: `Networks`, the dtype in which the network computes, and whether
      frames are periodic.
    dtype: `tf.DType` of data, latent and variables.
    name: Python `str`.

  Returns:
    An `AutoregressiveLevels`.

  Raises:
    ValueError: if the frame is too large, or a number does not fit.
  """
  height, width, channels = output_shape
  checks.check_dtype('dtype', dtype)
  base = base or specs.AutoregressiveBase()
  check_base(base, (height, width))
  network = pixel_transformer.build_pixel_transformer(
    (height, width),
    channels,
    num_levels,
    base.hidden_channels,
    base.num_blocks,
    condition_channels=0 if context is None else context.channels,
    has_prefix=context is not None and context.frames > 0,
    head_channels=specs.HEAD_CHANNELS,
    seed=int(np.random.default_rng(seed).integers(2**31)),
    network_dtype=networks.dtype,
    padding=networks.padding,
    dtype=dtype,
  )
  return AutoregressiveLevels(
    network,
    None if context is None else context.channels,
    dtype=dtype,
    name=name,
  )


def check_base(base, size):
  """Raises ValueError for wrong numbers, or a base that is too large.

  Args:
    base: `AutoregressiveBase`.
    size: Height and width of the base, Python `int`s.
  """
  checks.check_at_least('base.num_blocks', base.num_blocks, 1)
  if base.hidden_channels < 1 or base.hidden_channels % specs.HEAD_CHANNELS:
    raise ValueError(
      '`base.hidden_channels` must be a multiple of '
      f'{specs.HEAD_CHANNELS}, but got {base.hidden_channels}.'
    )
  if np.prod(size) > MAX_PIXELS:
    raise ValueError(
      f'An autoregressive base has at most {MAX_PIXELS} pixels, but got '
      f'{size[0]}x{size[1]}. Each further one of `halvings` makes it four '
      'times smaller.'
    )
