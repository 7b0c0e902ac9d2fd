"""A model of a frame's levels given its context, as a first bijector."""

from __future__ import annotations

from collections.abc import Sequence
import functools
import math
from typing import NamedTuple
from typing import Optional

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.bijectors import specs
from tfp_cglow.bijectors.levels import autoregressive_levels
from tfp_cglow.bijectors.levels import distributions
from tfp_cglow.bijectors.levels import grid_mixture
from tfp_cglow.bijectors.levels import pixel_groups
from tfp_cglow.bijectors.levels import shared_function
from tfp_cglow.internal import checks
from tfp_cglow.internal import shapes
from tfp_cglow.networks import mixture_network
from tfp_cglow.networks import motion

tfd = tfp.distributions

__all__ = ['ContextMixture', 'build_context_mixture']

_NUM_FEATURES = 2  # Features of each channel, see `_features`.
_FINER = pixel_groups.NUM_GROUPS - 1  # Groups that each halving adds.
# The first two halvings of the context keep its four places apart, as channels.
# Further halvings take their mean; otherwise the coarsest groups would have the
# largest networks.
_MOST_APART = 2
# At the start, the weight of the unmoved pixel is 0.99 of 25 places.
_UNMOVED_LOGIT = 8.0


class ContextMixture(conditional_bijector.ConditionalBijector):
  """Maps a frame to normal noise by the CDF that its context predicts.

  ```none
  for group g of pixels, channel c:
    mixture = GridMixture(network_g(context, levels known so far), centre)
    inverse:  x[g, c] = mixture.to_normal(y[g, c])
    forward:  y[g, c] = mixture.from_normal(x[g, c])
  ```

  Data `y` are frames `[..., H, W, C]` of L levels on [-1/2, 1/2] with noise
  within a level.

  Groups: without halvings there is one group, all pixels. The first halving
  makes four groups, the four places of every 2x2 pixels, which are modelled one
  after another as in [1]. The next halving divides the first of these groups in
  the same way; and so on. Each pixel is conditioned on the groups before its
  own, and each of its channels on the channels before.

  Noise: networks see *levels*, because noise would only hide information from
  them; the Jacobian is triangular with or without it. With a standard normal
  base and no flow in between, the bijector is an exact model of the levels: no
  bits are lost to the noise, see `GridMixture`.

  Centres: a mixture is centred on a weighted mean of pixels, whose weights the
  group's network gives (`motion.blend`). These are the previous frame's pixels
  within the `motion_radius`, if the context holds a frame, and, for the groups
  that a halving adds, the four nearest pixels that are known. At the start, the
  previous frame's pixel has nearly all of the weight. The first group is
  centred on the middle level if there is no previous frame; then networks also
  see the pixel's coordinates.

  With a `base`, whose pixels fix where objects are, the first group that a
  halving adds decides where their edges run between these pixels, and pixels
  that are drawn at once do not agree on that. So this group is modelled in four
  parts, each given those before, by one network; unless its sides are odd.

  Context: a group's network sees the context of all of the 2x2 or 4x4 pixels
  that its own pixel belongs to; in still coarser groups, means of these.

  `forward` runs the networks one after another, each of them once, whatever the
  frame's size.

  #### References

  [1]: Scott Reed et al. Parallel Multiscale Autoregressive Density Estimation.
       _ICML_, 2017.
  """

  def __init__(
    self,
    mixture_networks,
    context_channels,
    num_levels,
    context_frames=1,
    vector_channels=None,
    motion_radius=0,
    padding='zeros',
    base=None,
    tempering=None,
    dtype=tf.float32,
    validate_args=False,
    name='context_mixture',
  ):
    """Creates the bijector.

    Args:
      mixture_networks: List of a `MixtureNetwork` for each group: 1 without
        halvings, 4 for one halving, 7 for two, and so on. With a `base`, one
        network less.
      context_channels: Python `int`, `C_ctx`; None: takes no context.
      num_levels: Python `int` L, number of levels of the frames.
      context_frames: Python `int`, number of frames of C channels that the
        context begins with, the newest first; 0: it holds no frame.
      vector_channels: Python `int`, V; None: takes no `vector`.
      motion_radius: Python `int`, how far the previous frame's pixels may move
        along rows and columns, as the networks' `motion` predicts; 0: they do
        not move.
      padding: 'wrap': motion continues periodic frames; 'zeros': it mirrors
        them at their edges.
      base: `AutoregressiveLevels`, the model of the coarsest group, without a
        network in `mixture_networks`; or None.
      tempering: Temperature and `min_p`, float `[...]`, see `tempered`; None:
        not tempered.
      dtype: `tf.DType` of data and latent.
      validate_args: Python `bool`.
      name: Python `str`.

    Raises:
      ValueError: if the number of networks or of levels is wrong, or if the
        context cannot hold the frames.
    """
    parameters = dict(locals())
    self._num_halvings = _check_num_groups(mixture_networks, base)
    if num_levels < 2:
      raise ValueError(
        f'`num_levels` must be at least 2, but got {num_levels}.'
      )
    _check_frames(context_frames, context_channels, context_frames)
    _check_motion(motion_radius, context_frames)
    self._networks = list(mixture_networks)
    self._context_channels = context_channels
    self._num_levels = num_levels
    self._context_frames = context_frames
    self._vector_channels = vector_channels
    self._motion_radius = motion_radius
    self._padding = padding
    self._base = base
    self._tempering = tempering
    super().__init__(
      forward_min_event_ndims=3,
      validate_args=validate_args,
      parameters=parameters,
      dtype=dtype,
      name=name,
    )

  @property
  def conditions(self):
    expected = {}
    if self._context_channels is not None:
      expected['context'] = conditional_bijector.context_description(
        self._context_channels
      )
    if self._vector_channels is not None:
      expected['vector'] = f'float [..., {self._vector_channels}]'
    return expected

  def tempered(self, temperature, min_p):
    """A copy whose levels are tempered, see `TemperedLevels`.

    Of a `base`, only very improbable levels are dropped, whatever the
    temperature, see `AutoregressiveLevels`.

    Args:
      temperature: Float `[...]`, >= 0, that broadcasts to the frames' leading
        dimensions.
      min_p: Float `[...]`, in [0, 1).

    Returns:
      A `ContextMixture`, the bijector of the tempered distribution.
    """
    return self.copy(tempering=(temperature, min_p))

  def _forward_and_ildj(self, x, **conditions):
    return self._walk('from_normal', x, **conditions)

  def _inverse_and_ildj(self, y, **conditions):
    return self._walk('to_normal', y, **conditions)

  @property
  def base(self):
    """The `AutoregressiveLevels` of the coarsest pixels, or None."""
    return self._base

  def coarsest_log_prob(self, frame, context=None, vector=None):
    """Log-density of the coarsest pixels, the first that are modelled.

    Args:
      frame: `[..., H, W, C]`.
      context: See `conditions`.
      vector: See `conditions`.

    Returns:
      `[...]`, nats, under a standard normal base.

    Raises:
      ValueError: without a `base`, or if a condition does not fit.
    """
    if self._base is None:
      raise ValueError(f'`{self.name}` has no `base`.')
    whole, frame, told, _ = self._conditioned(frame, context, vector)
    for _ in range(self._num_halvings):
      told = told.coarser()
      frame = pixel_groups.split(frame)[0]
    latent, _, log_det = self._walk_base('to_normal', frame, told)
    standard = tfd.Independent(tfd.Normal(tf.zeros_like(latent), 1.0), 3)
    log_prob = log_det + standard.log_prob(latent)
    return tf.reshape(log_prob, whole[:-3])

  @property
  def gives_mean_levels(self):
    """Python `bool`: whether no pixel depends on another, and T is 1."""
    is_apart = not self._num_halvings and self._base is None
    return is_apart and self._tempering is None

  def mean_levels(self, like, context=None, vector=None):
    """The mean of every level, by the sum over the levels.

    Each mean is that of the level's own distribution, so no level may depend on
    another one: there are no halvings, and frames have one channel.

    Args:
      like: `[..., H, W, 1]`, of the shape of the frames; only that is used.
      context: See `conditions`.
      vector: See `conditions`.

    Returns:
      `[..., H, W, 1]`, 0 to L - 1.

    Raises:
      ValueError: if a level depends on another one.
    """
    if not self.gives_mean_levels or like.shape[-1] != 1:
      raise ValueError(
        f'`{self.name}` gives the means of levels without halvings and without '
        f'tempering, for frames of one channel, but has {self._num_halvings} '
        f'halving(s), and frames have {like.shape[-1]} channel(s).'
      )
    whole, like, told, previous = self._conditioned(like, context, vector)
    network = self._networks[0]
    features = self._group_features(network, like, told)
    around = self._centres(network, features, like, previous)
    raw = network.head(0, features, [])
    # One frame at a time: all levels of all frames would take much memory.
    means = tf.map_fn(
      lambda row: grid_mixture.GridMixture(
        row[0], row[1][..., 0], self._num_levels
      ).mean_level(),
      (raw, around),
      fn_output_signature=tf.TensorSpec(raw.shape[-3:-1], raw.dtype),
    )
    return tf.reshape(means, whole)

  def _walk(self, method, frame, context=None, vector=None):
    """Maps a frame to the other side; returns this and log |dx/dy|."""
    whole, frame, told, previous = self._conditioned(frame, context, vector)
    moved, _, log_det = self._walk_scale(
      method, self._networks, frame, told, previous
    )
    return tf.reshape(moved, whole), tf.reshape(log_det, whole[:-3])

  def _conditioned(self, frame, context, vector):
    """Checks the conditions, and makes one axis of the leading ones.

    Args:
      frame: `[..., H, W, C]`.
      context: See `conditions`, or None.
      vector: See `conditions`, or None.

    Returns:
      The shape `[..., H, W, C]`; the frames `[N, H, W, C]`; a `_Told`; and the
      previous frame's levels `[N, H, W, n C]`, see `_walk_scale`, or None.
    """
    _check_size(self.name, frame.shape[-3:-1], self._num_halvings)
    channels, features, previous = frame.shape[-1], None, None
    given = {}
    if vector is not None:
      vector = conditional_bijector.check_vector(
        self.name, vector, self._vector_channels, frame.dtype
      )
      given['vector'] = 2.0 * vector[..., tf.newaxis, tf.newaxis, :]
    if context is not None:
      given['context'] = conditional_bijector.check_context(
        self.name,
        context,
        self._context_channels,
        like=frame.shape[-3:-1].as_list(),
        dtype=frame.dtype,
      )
    frame, *aligned = shapes.align_leading(frame, *given.values())
    leading, whole = tf.shape(frame)[:-3], tf.shape(frame)
    # Some operations take few axes, so the leading ones become one.
    rows = lambda t: tf.reshape(t, [-1, *t.shape[-3:]])
    given = dict(zip(given, map(rows, aligned)))
    if context is not None:
      features = self._context_features(given['context'], channels)
      if self._context_frames:
        newest = given['context'][..., :channels] + 0.5
        places = motion.neighbours(
          newest * self._num_levels - 0.5,
          self._motion_radius,
          self._padding,
        )
        count = motion.num_neighbours(self._motion_radius)
        previous = shapes.reshape_trailing(places, 2, [count * channels])
    tempering = self._tempering and [
      tf.reshape(tf.broadcast_to(t, leading), [-1]) for t in self._tempering
    ]
    told = _Told(0, features, given.get('vector'), tempering)
    return whole, rows(frame), told, previous

  def _walk_scale(self, method, networks, frame, told, previous):
    """Maps a frame, or its first quarter of pixels, to the other side.

    Args:
      method: Python `str`, 'to_normal' or 'from_normal'.
      networks: List of `MixtureNetwork`s, coarse to fine.
      frame: `[..., h, w, C]`, data or latents.
      told: `_Told`.
      previous: `[..., h, w, n C]`, for each pixel the levels of the previous
        frame at the n places around it; or None.

    Returns:
      moved: `[..., h, w, C]`, the other side.
      levels: `[..., h, w, C]`, the levels of the data.
      log_det: `[...]`, log |dx/dy|, nats.
    """
    if told.depth == self._num_halvings:
      if self._base is not None:
        return self._walk_base(method, frame, told)
      return self._walk_group(method, networks[0], frame, told, previous)
    told = told.coarser()
    values, around = pixel_groups.split(frame), [None] * pixel_groups.NUM_GROUPS
    if previous is not None:
      around = pixel_groups.split(previous)
    coarser = self._walk_scale(
      method, networks[:-_FINER], values[0], told, around[0]
    )
    parts = [coarser]
    for i, network in enumerate(networks[-_FINER:], 1):
      known = [levels for _, levels, _ in parts]
      walk = self._walk_group
      if i == 1 and _is_divided(self._base, values[i].shape[-3:-1]):
        walk = self._walk_divided
      parts.append(
        walk(
          method,
          network,
          values[i],
          told,
          around[i],
          list(map(self._known_features, known, around)),
          pixel_groups.nearest_known(known, self._padding),
        )
      )
    return _joined(parts)

  def _walk_divided(
    self, method, network, values, told, previous, known, nearest
  ):
    """`_walk_group` in four parts, each given the parts before.

    The network is told which parts are known; of the others it sees zeros.
    """
    split, told = pixel_groups.split, told.coarser()
    known = [part for features in known for part in split(features)]
    near = nearest.shape[-2:].as_list()
    nearest = shapes.reshape_trailing(nearest, 2, [near[0] * near[1]])
    nearest = [shapes.reshape_trailing(n, 1, near) for n in split(nearest)]
    around = [None] * len(nearest) if previous is None else split(previous)
    unknown = tf.zeros_like(known[0])
    parts = []
    for k, part in enumerate(split(values)):
      seen = [
        self._known_features(levels, place)
        for (_, levels, _), place in zip(parts, around)
      ]
      seen += [unknown] * (_FINER - k)
      flags = [
        tf.fill(tf.shape(unknown[..., :1]), tf.cast(j < k, unknown.dtype))
        for j in range(_FINER)
      ]
      parts.append(
        self._walk_group(
          method,
          network,
          part,
          told,
          around[k],
          [*known, *seen, *flags],
          nearest[k],
        )
      )
    return _joined(parts)

  def _walk_base(self, method, frame, told):
    """Maps the coarsest group to the other side; see `_walk_scale`."""
    maps = told.maps(frame)
    context = tf.concat(maps, axis=-1) if maps else None
    min_p = told.tempering and told.tempering[1]
    return self._base.walk(method, frame, context, min_p)

  def _walk_group(
    self, method, network, values, told, previous, known=(), nearest=None
  ):
    """Maps one group of pixels to the other side.

    Args:
      method: See `_walk_scale`.
      network: `MixtureNetwork`.
      values: `[..., h, w, C]`, data or latents of the group.
      told: `_Told`.
      previous: See `_walk_scale`.
      known: List of maps, features of the levels of the groups before.
      nearest: `[..., h, w, 4, C]`, levels of the nearest known pixels; None:
        none is known.

    Returns:
      See `_walk_scale`.
    """
    features = self._group_features(network, values, told, known)
    around = self._centres(network, features, values, previous, nearest)
    features_of = lambda level, channel: self._features(
      level[..., tf.newaxis] - around[..., channel, tf.newaxis]
    )
    # The levels of data are known, so all channels are moved together.
    move = self._to_normal if method == 'to_normal' else self._from_normal
    return move(
      functools.partial(network.head, features=features),
      values,
      around,
      features_of,
      told.tempering,
    )

  def _group_features(self, network, values, told, known=()):
    """The network's features of one group of pixels, see `_walk_group`."""
    seen = told.maps(values)
    if not self._context_frames:
      seen.append(_coordinates(values))
    return network.features(tf.concat([*seen, *known], axis=-1))

  def _to_normal(self, head, values, around, features_of, tempering):
    """Maps data of a group to latents.

    Args:
      head: Function of a channel and of the features of the channels before.
      values: `[..., h, w, C]`, data.
      around: `[..., h, w, C]`, centres of the mixtures, in levels.
      features_of: Function of the levels `[..., h, w]` of a channel and of the
        channel.
      tempering: See `_Told`.

    Returns:
      Latents and levels, `[..., h, w, C]`, and log |dx/dy| `[...]`, nats.
    """
    levels = distributions.level_of(values, self._num_levels)
    by_channel = tf.unstack(levels, axis=-1)
    seen = [features_of(level, c) for c, level in enumerate(by_channel[:-1])]
    raw = [head(c, known=seen[:c]) for c in range(len(by_channel))]
    mixture = self._mixture(tf.stack(raw, axis=-2), around, tempering)
    moved, log_det, levels = mixture.to_normal(values)
    return moved, levels, tf.reduce_sum(log_det, [-3, -2, -1])

  def _from_normal(self, head, values, around, features_of, tempering):
    """Maps latents of a group to data, channel by channel; see `_to_normal`."""
    moved, levels, seen, log_det = [], [], [], 0.0
    for c, (of_channel, middle) in enumerate(
      zip(tf.unstack(values, axis=-1), tf.unstack(around, axis=-1))
    ):
      value, ildj, level = shared_function.from_normal(
        of_channel,
        head(c, known=seen),
        middle,
        self._num_levels,
        tempering or (),
      )
      moved.append(value)
      levels.append(level)
      seen.append(features_of(level, c))
      log_det += tf.reduce_sum(ildj, [-2, -1])
    return tf.stack(moved, axis=-1), tf.stack(levels, axis=-1), log_det

  def _mixture(self, raw, around, tempering):
    """The mixtures of values `[N, ...]`, tempered if wanted."""
    mixture = grid_mixture.GridMixture(raw, around, self._num_levels)
    if tempering is None:
      return mixture
    ones = [1] * (around.shape.rank - 1)
    return distributions.TemperedLevels(
      mixture, *(tf.reshape(t, [-1, *ones]) for t in tempering)
    )

  def _centres(self, network, features, values, previous, nearest=None):
    """The centres `[..., h, w, C]` of the mixtures, see `_walk_group`."""
    places = [] if nearest is None else [nearest]
    unmoved, logit = None, 0.0
    if previous is not None:
      moved = self._by_place(previous)
      places.insert(0, moved)
      unmoved, logit = moved.shape[-2] // 2, _UNMOVED_LOGIT
    if not places:
      return tf.fill(tf.shape(values), self._middle(values.dtype))
    places = tf.concat(places, axis=-2)
    if places.shape[-2] == 1:
      return places[..., 0, :]
    return motion.blend(places, network.places(features), logit, unmoved)

  def _by_place(self, previous):
    """`[..., h, w, n C]` as `[..., h, w, n, C]`, see `_walk_scale`."""
    count = motion.num_neighbours(self._motion_radius)
    channels = previous.shape[-1] // count
    return shapes.reshape_trailing(previous, 1, [count, channels])

  def _middle(self, dtype):
    return tf.constant((self._num_levels - 1) / 2, dtype)

  def _known_features(self, levels, previous):
    """Features of levels: of their differences to the previous frame."""
    reference = self._middle(levels.dtype)
    if previous is not None:
      places = self._by_place(previous)
      reference = places[..., places.shape[-2] // 2, :]
    return self._features(levels - reference)

  def _features(self, difference):
    """Features `[..., 2 C]`: one resolves large differences, one small ones."""
    share = difference * (32.0 / self._num_levels)
    return tf.concat([share / 4.0, tf.tanh(share)], axis=-1)

  def _context_features(self, context, channels):
    """The context, and features of its older frames' changes to the newest."""
    previous = context[..., :channels]
    others = [
      context[..., i * channels : (i + 1) * channels]
      for i in range(1, self._context_frames)
    ]
    changes = [
      self._features((previous - other) * self._num_levels) for other in others
    ]
    return tf.concat([2.0 * context, *changes], axis=-1)


class _Told(NamedTuple):
  """What is given for all groups of frames `[N, h, w, C]`.

  Attributes:
    depth: Python `int`, how often the frames were halved.
    features: `[N, h, w, D]`, of the context; or None.
    vector: `[N, 1, 1, V]`, or None.
    tempering: Temperature and `min_p`, `[N]`; or None.
  """

  depth: int
  features: Optional[tf.Tensor]
  vector: Optional[tf.Tensor]
  tempering: Optional[Sequence[tf.Tensor]]

  def coarser(self):
    """What is given for every 2x2 pixels, see `_MOST_APART`."""
    features = self.features
    if features is not None:
      places = pixel_groups.split(features)
      if self.depth >= _MOST_APART:
        places = [sum(places) / len(places)]
      features = tf.concat(places, axis=-1)
    return self._replace(depth=self.depth + 1, features=features)

  def maps(self, like):
    """List of maps `[..., h, w, D]`, as large as `like`."""
    maps = [] if self.features is None else [self.features]
    if self.vector is not None:
      maps.append(self.vector + tf.zeros_like(like[..., :1]))
    return maps


def _joined(parts):
  """What `_walk_scale` returns, from that of each group."""
  moved, levels, log_dets = zip(*parts)
  return pixel_groups.join(moved), pixel_groups.join(levels), sum(log_dets)


def _is_divided(base, size):
  """Whether the first group that a halving adds is modelled in four parts.

  Args:
    base: The model of the coarsest pixels, or None.
    size: Height and width of the group, Python `int`s.
  """
  return base is not None and not any(side % 2 for side in size)


def _coordinates(like):
  """The coordinates `[..., h, w, 2]` of pixels, from -1 to 1."""
  rows, columns = (np.linspace(-1.0, 1.0, n) for n in like.shape[-3:-1])
  places = np.stack(np.meshgrid(rows, columns, indexing='ij'), axis=-1)
  return tf.constant(places, like.dtype) + tf.zeros_like(like[..., :1])


def _check_num_groups(networks, base):
  """The number of halvings; raises ValueError if there is none that fits."""
  num_finer = len(networks) - (base is None)
  if num_finer < 0 or num_finer % _FINER:
    raise ValueError(
      'The number of networks must be 1, or 4 and three more for each further '
      f'halving (with a base one less), but got {len(networks)}.'
    )
  return num_finer // _FINER


def _check_size(name, size, num_halvings):
  divisor = 2**num_halvings
  if any(d % divisor for d in size):
    raise ValueError(
      f'`{name}` expects frames of a height and width divisible by {divisor} '
      f'for its {num_halvings} halvings, but got {size[0]}x{size[1]}.'
    )


def _check_frames(context_frames, context_channels, least_channels):
  if context_frames < 0 or (context_channels or 0) < least_channels:
    raise ValueError(
      f'`ContextMixture` needs a context with {context_frames} frame(s) in its '
      f'first {least_channels} channels, but the context has '
      f'{context_channels or 0} channels.'
    )


def _check_motion(radius, context_frames):
  if radius < 0 or (radius and not context_frames):
    raise ValueError(
      '`motion_radius` must be at least 0, and 0 if the context holds no '
      f'frame, but got {radius} and {context_frames} frame(s).'
    )


def build_context_mixture(
  output_shape: Sequence[int],
  context: Optional[specs.Context],
  mixture: specs.LevelMixture,
  *,
  vector_channels: Optional[int] = None,
  seed: Optional[int] = None,
  networks: specs.Networks = specs.Networks(),
  dtype: tf.DType = tf.float32,
  name: str = 'context_mixture',
) -> ContextMixture:
  """Creates a `ContextMixture` with gated residual networks.

  Args:
    output_shape: `[H, W, C]`, Python `int`s.
    context: `Context`, of at least `frames` times C channels; None: the
      bijector takes no context.
    mixture: `LevelMixture`, with `levels`.
    vector_channels: Python `int`, size of the condition `vector`; None: the
      bijector takes no vector.
    seed: Python `int`; None: from the operating system.
    networks: `Networks`, dtype and padding of the networks.
    dtype: `tf.DType` of data, latent and variables.
    name: Python `str`.

  Returns:
    A `ContextMixture`.

  Raises:
    ValueError: if the context cannot hold the frames, or a number does not fit.
  """
  check_context(mixture, output_shape, context)
  checks.check_at_least('vector_channels', vector_channels, 1)
  context_channels, context_frames = _sizes(context)
  base, mixture_networks = _build_networks(
    output_shape, context, mixture, vector_channels, seed, networks, dtype
  )
  return ContextMixture(
    mixture_networks,
    context_channels,
    mixture.levels,
    context_frames=context_frames,
    vector_channels=vector_channels,
    motion_radius=mixture.motion_radius,
    padding=networks.padding,
    base=base,
    dtype=dtype,
    name=name,
  )


def _build_networks(
  output_shape, context, mixture, vector_channels, seed, networks, dtype
):
  """The base or None, and a list of the `MixtureNetwork`s, coarse to fine."""
  height, width, channels = output_shape
  halvings = num_halvings(mixture, (height, width))
  rng = np.random.default_rng(seed)
  _, context_frames = _sizes(context)
  told_channels = functools.partial(
    _told_channels, channels, context, vector_channels
  )

  def network(scale, num_known):
    of_places = 0 if context_frames else 2
    of_level = channels * _NUM_FEATURES
    of_known = num_known * of_level
    size = height >> scale, width >> scale
    if num_known == 1 and _is_divided(mixture.base, size):
      of_known = pixel_groups.NUM_GROUPS * of_level + _FINER * (of_level + 1)
      scale += 1
    return mixture_network.build_mixture_network(
      told_channels(scale) + of_places + of_known,
      channels,
      _NUM_FEATURES,
      grid_mixture.NUM_PARAMETERS * mixture.components,
      mixture.hidden_channels,
      mixture.num_blocks,
      strip_pooling=mixture.strip_pooling,
      num_places=_num_places(mixture, context_frames, num_known),
      seed=int(rng.integers(2**31)),
      network_dtype=networks.dtype,
      padding=networks.padding,
      dtype=dtype,
    )

  base, coarsest = None, []
  if mixture.base is None:
    coarsest = [network(halvings, 0)]
  else:
    base = _build_base(
      [height >> halvings, width >> halvings, channels],
      mixture,
      specs.Context(told_channels(halvings), context_frames),
      rng,
      networks,
      dtype,
    )
  finer = [
    network(scale, num_known)
    for scale in range(halvings, 0, -1)
    for num_known in range(1, _FINER + 1)
  ]
  return base, coarsest + finer


def _told_channels(channels, context, vector_channels, scale):
  """Channels of the features of the conditions after `scale` halvings."""
  context_channels, context_frames = _sizes(context)
  of_changes = _NUM_FEATURES * max(context_frames - 1, 0) * channels
  of_pixel = (context_channels or 0) + of_changes
  num_apart = pixel_groups.NUM_GROUPS ** min(scale, _MOST_APART)
  return num_apart * of_pixel + (vector_channels or 0)


def _num_places(mixture, context_frames, num_known):
  """Number of pixels on whose mean mixtures are centred; at least 1."""
  num = pixel_groups.NUM_NEAREST if num_known else 0
  if context_frames:
    num += motion.num_neighbours(mixture.motion_radius)
  return max(num, 1)


def _build_base(output_shape, mixture, context, rng, networks, dtype):
  """The `AutoregressiveLevels` of the coarsest group."""
  return autoregressive_levels.build_autoregressive_levels(
    output_shape,
    mixture.levels,
    mixture.base,
    context=context if context.channels else None,
    seed=int(rng.integers(2**31)),
    networks=networks,
    dtype=dtype,
  )


def num_halvings(mixture, size):
  """The number of halvings of a `LevelMixture` for frames of a size.

  Args:
    mixture: `LevelMixture`.
    size: Height and width, Python `int`s.

  Returns:
    Python `int`.
  """
  if mixture.halvings != 'all':
    return mixture.halvings
  common = math.gcd(*size)
  most = (common & -common).bit_length() - 1  # Until a side is odd.
  if mixture.base is None:
    return most
  largest = autoregressive_levels.MAX_PIXELS
  enough = lambda n: (size[0] >> n) * (size[1] >> n) <= largest
  return next((n for n in range(most) if enough(n)), most)


def check_context(mixture, output_shape, context):
  """Checks a `LevelMixture` and the context that it reads frames from.

  Args:
    mixture: `LevelMixture`.
    output_shape: `[H, W, C]`, Python `int`s.
    context: `Context` or None.

  Raises:
    ValueError: if a number does not fit, or the context cannot hold the frames.
  """
  if mixture.levels is None:
    raise ValueError(f'`LevelMixture` needs `levels`, but got {mixture}.')
  if mixture.halvings != 'all' and not (
    isinstance(mixture.halvings, int) and mixture.halvings >= 0
  ):
    raise ValueError(
      "`halvings` must be an integer of at least 0, or 'all', but got "
      f'{mixture.halvings!r}.'
    )
  for name in ('components', 'hidden_channels', 'num_blocks'):
    checks.check_at_least(f'first.{name}', getattr(mixture, name), 1)
  context_channels, context_frames = _sizes(context)
  height, width, channels = output_shape
  _check_frames(context_frames, context_channels, context_frames * channels)
  _check_motion(mixture.motion_radius, context_frames)
  motion.check_radius(mixture.motion_radius, height, width)
  checks.check_kind('first.base', mixture.base, specs.AutoregressiveBase)
  halvings = num_halvings(mixture, (height, width))
  _check_size('LevelMixture', (height, width), halvings)
  if mixture.base is not None:
    autoregressive_levels.check_base(
      mixture.base, (height >> halvings, width >> halvings)
    )


def _sizes(context):
  """Channels and number of frames of a `Context`; `None, 0` without one."""
  return (None, 0) if context is None else (context.channels, context.frames)
