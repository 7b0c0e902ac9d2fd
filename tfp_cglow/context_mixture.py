"""Mixtures over the levels of a frame, given its context: a first bijector."""

from __future__ import annotations

from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow import conditional_bijector
from tfp_cglow import grid_mixture
from tfp_cglow import mixture_network
from tfp_cglow import shapes

__all__ = ['ContextMixture', 'build_context_mixture']

_NUM_FEATURES = 2  # Of a channel, see `_features`.
# Places within 2x2 pixels, in the order in which they are conditioned: after
# two, every other one has all of its direct neighbours.
_PLACES = {1: ((0, 0),), 4: ((0, 0), (1, 1), (0, 1), (1, 0))}


class ContextMixture(conditional_bijector.ConditionalBijector):
  """Takes a frame to normal noise by the CDF that its context predicts.

  ```none
  for group g of pixels, channel c:
    mixture = GridMixture(network_g(context, levels known so far),
                          centre=previous frame's level)
    inverse:  x[g, c] = mixture.to_normal(y[g, c])
    forward:  y[g, c] = mixture.from_normal(x[g, c])
  ```

  Data `y` are frames `[..., H, W, C]` of L levels on [-1/2, 1/2] and noise
  within a level. The groups are all pixels, or the four places of every 2x2,
  one place after another (as in [1]); known are the groups before and, at the
  pixel itself, the channels before. Networks see *levels*: noise there would
  only hide what they are told, and the Jacobian is triangular either way. With
  the standard normal as the base and no flow in between, it is an exact model
  of the levels, see `GridMixture`: no bits are lost to the noise.

  `forward` runs the networks one after another, each once, whatever the frame's
  size.

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
    dtype=tf.float32,
    validate_args=False,
    name='context_mixture',
  ):
    """Creates the bijector.

    Args:
      mixture_networks: List of a `MixtureNetwork` for each group, 1 or 4.
      context_channels: Python `int`, `C_ctx`, at least C: the context's first C
        channels are the previous frame.
      num_levels: Python `int` L, of the frames.
      context_frames: Python `int`: the context begins with so many frames, the
        newest first.
      dtype: `tf.DType` of data and latent.
      validate_args: Python `bool`.
      name: Python `str`.

    Raises:
      ValueError: if there are other than 1 or 4 networks, or L < 2.
    """
    parameters = dict(locals())
    _check_num_groups(len(mixture_networks))
    if num_levels < 2:
      raise ValueError(
        f'`num_levels` must be at least 2, but got {num_levels}.'
      )
    self._networks = list(mixture_networks)
    self._context_channels = context_channels
    self._num_levels = num_levels
    self._context_frames = context_frames
    super().__init__(
      forward_min_event_ndims=3,
      validate_args=validate_args,
      parameters=parameters,
      dtype=dtype,
      name=name,
    )

  @property
  def conditions(self):
    return {
      'context': conditional_bijector.context_description(
        self._context_channels
      )
    }

  def _forward_and_ildj(self, x, context):
    return self._walk('from_normal', x, context)

  def _inverse_and_ildj(self, y, context):
    return self._walk('to_normal', y, context)

  def _walk(self, method, frame, context):
    """The other side, and log |dx/dy|, of all elements one after another."""
    context = conditional_bijector.check_context(
      self.name,
      context,
      self._context_channels,
      like=frame.shape[-3:-1].as_list(),
      dtype=frame.dtype,
    )
    frame, context = shapes.align_leading(frame, context)
    size = frame.shape[-3:].as_list()
    centre = (context[..., : size[-1]] + 0.5) * self._num_levels - 0.5
    places = _places(self.name, len(self._networks), size)
    group = lambda x, place: _group(x, place, len(places))
    told = _context_features(
      context, size[-1], self._context_frames, self._num_levels
    )
    told = tf.concat([group(told, p) for p in places], axis=-1)
    moved, known, log_det = [], [], 0.0
    for network, place in zip(self._networks, places):
      features = network.features(tf.concat([told, *known], axis=-1))
      part, of_channels, ildj = self._walk_channels(
        method, network, features, group(frame, place), group(centre, place)
      )
      moved.append(part)
      known += of_channels
      log_det += ildj
    return _join(moved, places, size), log_det

  def _walk_channels(self, method, network, features, values, centre):
    """One group's other side, features of its levels, and the log-det."""
    moved, known, log_det = [], [], 0.0
    for c in range(values.shape[-1]):
      mixture = grid_mixture.GridMixture(
        network.head(c, features, known), centre[..., c], self._num_levels
      )
      value, ildj, level = getattr(mixture, method)(values[..., c])
      moved.append(value)
      known.append(_features((level - centre[..., c])[..., tf.newaxis]))
      log_det += tf.reduce_sum(ildj, [-2, -1])
    return tf.stack(moved, axis=-1), known, log_det


def _features(difference):
  """What a network sees of differences in levels: small and large ones."""
  return tf.concat([difference / 4.0, tf.tanh(difference)], axis=-1)


def _context_features(context, channels, context_frames, num_levels):
  """The context, and how its further frames differ from the first."""
  previous = context[..., :channels]
  others = [
    context[..., i * channels : (i + 1) * channels]
    for i in range(1, context_frames)
  ]
  changes = [_features((previous - other) * num_levels) for other in others]
  return tf.concat([2.0 * context, *changes], axis=-1)


def _num_context_features(context_channels, channels, context_frames):
  changed = (context_frames - 1) * channels
  return context_channels + _NUM_FEATURES * changed


def _places(name, num_groups, size):
  """The groups' places, and that the frame can be cut so."""
  height, width, _ = size
  if num_groups > 1 and (height % 2 or width % 2):
    raise ValueError(
      f'`{name}` expects frames of even height and width for its {num_groups} '
      f'groups, but got {height}x{width}.'
    )
  return _PLACES[num_groups]


def _group(frame, place, num_groups):
  """A group's pixels: `[..., H, W, C]`, or `[..., H / 2, W / 2, C]`."""
  if num_groups == 1:
    return frame
  return frame[..., place[0] :: 2, place[1] :: 2, :]


def _check_num_groups(num_groups):
  if num_groups not in _PLACES:
    raise ValueError(
      f'Groups of pixels must be {" or ".join(map(str, _PLACES))}, '
      f'but got {num_groups}.'
    )


def _join(parts, places, size):
  """Undoes `_group` for all groups."""
  if len(parts) == 1:
    return parts[0]
  by_place = [parts[places.index(p)] for p in sorted(places)]
  rows = [tf.stack(pair, -2) for pair in (by_place[:2], by_place[2:])]
  frame = tf.stack(rows, -4)  # [..., H / 2, 2, W / 2, 2, C]
  return shapes.reshape_trailing(frame, 5, size)


def build_context_mixture(
  channels: int,
  context_channels: int,
  num_levels: int,
  num_groups: int = 4,
  context_frames: int = 1,
  num_components: int = 5,
  hidden_channels: int = 64,
  num_blocks: int = 2,
  seed: Optional[int] = None,
  network_dtype: Optional[tf.DType] = None,
  dtype: tf.DType = tf.float32,
  name: str = 'context_mixture',
) -> ContextMixture:
  """Creates a `ContextMixture` with gated residual networks.

  Args:
    channels: Python `int`, C of the frame.
    context_channels: Python `int`, at least `context_frames` times C.
    num_levels: Python `int`, levels of the frames on [-1/2, 1/2]: `2**n_bits`.
    num_groups: 4: the places of every 2x2 pixels one after another; or 1: all
      pixels at once, one pass of the network in `forward`.
    context_frames: Python `int`: the context begins with so many frames, the
      newest first.
    num_components: Python `int` K of each mixture.
    hidden_channels: Python `int`, of the networks.
    num_blocks: Python `int`, of each network.
    seed: Python `int` or None.
    network_dtype: `tf.DType` of the networks' computation, or None.
    dtype: `tf.DType` of data, latent and variables.
    name: Python `str`.

  Returns:
    A `ContextMixture`.

  Raises:
    ValueError: if the context cannot hold the frames or a number does not fit.
  """
  _check_num_groups(num_groups)
  if context_frames < 1 or context_channels < context_frames * channels:
    raise ValueError(
      f'`context_mixture` takes {context_frames} frame(s) from the '
      f"context's first {context_frames * channels} channels, at least one, "
      f'but the context has {context_channels}.'
    )
  rng = np.random.default_rng(seed)
  told = num_groups * _num_context_features(
    context_channels, channels, context_frames
  )
  return ContextMixture(
    [
      mixture_network.build_mixture_network(
        told + g * channels * _NUM_FEATURES,
        channels,
        _NUM_FEATURES,
        grid_mixture.NUM_PARAMETERS * num_components,
        hidden_channels,
        num_blocks,
        seed=int(rng.integers(2**31)),
        network_dtype=network_dtype,
        dtype=dtype,
      )
      for g in range(num_groups)
    ],
    context_channels,
    num_levels,
    context_frames=context_frames,
    dtype=dtype,
    name=name,
  )
