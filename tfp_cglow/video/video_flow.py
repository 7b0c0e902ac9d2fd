"""`VideoFlow`: a video model of a head, a tail and a memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from typing import Optional

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_cglow.bijectors import adaptation
from tfp_cglow.bijectors import diagnostics
from tfp_cglow.bijectors import glow as glow_lib
from tfp_cglow.bijectors import labels as labels_lib
from tfp_cglow.internal import any_rows
from tfp_cglow.internal import checks
from tfp_cglow.internal import replicas
from tfp_cglow.video import context_processor
from tfp_cglow.video import densities
from tfp_cglow.video import likelihood
from tfp_cglow.video import prediction
from tfp_cglow.video import rollout
from tfp_cglow.video import video_targets

tfd = tfp.distributions

__all__ = ['VideoFlow']


class VideoFlow(tf.Module):
  """A distribution of videos made of conditional flows (Donahue, section IV).

  The head generates a video's first frame, given a label. The tail generates
  frame t, given the frames before it and the state of a recurrent network, the
  memory. Head and tail are `Glow`s; either may take a label.

  ```none
  p(video | label) = head(x_0 | label) prod_t tail(x_t | x_<t, label)
  state_t = memory(state_{t-1}, x_{t-1}),  state_0 = 0
  ```

  Frames are uint8 (0..255) or float (0..1) and are quantised to `n_bits`.
  Frames whose density is computed get uniform noise of one level's width.
  Frames in contexts stay at their bins' centres, because noise would only hide
  information from the tail.

  `build_video_flow` creates one; `VideoGlow` trains it.

  Attributes:
    config: Python `str`, the arguments of `build_video_flow` in JSON; None if
      another function built the flow, or its networks are the user's own.
  """

  def __init__(
    self,
    frame_shape: Sequence[int],
    head: Optional[glow_lib.Glow] = None,
    tail: Optional[glow_lib.Glow] = None,
    memory: Optional[context_processor.StateProcessor] = None,
    *,
    label_counts: Optional[tf.types.experimental.TensorLike] = None,
    n_bits: int = 5,
    previous_frames: int = 1,
    dequantisation: str = 'matched',
    name: str = 'video_flow',
  ) -> None:
    """Creates the model.

    Args:
      frame_shape: `[H, W, C]`.
      head: `Glow` without a context; None: the model has no head, and only
        continues given videos.
      tail: `Glow` whose context is the previous frames, the newest first, and
        the memory's state; None: the model only generates images.
      memory: `StateProcessor`; None: the tail's context has no state.
      label_counts: Float `Tensor` or `tf.Variable` `[num_labels]`, how often
        each label occurred in training, which gives the prior over labels. None
        if neither head nor tail takes a label.
      n_bits: Python `int`, 1..8, bits of the quantised frames.
      previous_frames: 1 or 2, number of frames that the tail's context begins
        with.
      dequantisation: 'matched', as above. Or 'legacy', as in the paper: frames
        keep their 8 bits and get noise of width 2**-n_bits, also in contexts;
        the resulting bits/dim are no bound on a code length. Or 'drawn', for
        grey levels that mean the probability of white, with `n_bits` 1: targets
        are white at random, contexts keep their 8 bits. The expected code
        length of the targets is their cross entropy with the grey levels.
      name: Python `str`.

    Raises:
      ValueError: if an argument's value does not fit.
    """
    super().__init__(name=name)
    likelihood.check_n_bits(n_bits)
    _check_parts(head, tail, memory)
    checks.check_choice('previous_frames', previous_frames, (1, 2))
    likelihood.check_dequantisation(dequantisation, n_bits)
    self.frame_shape = tuple(int(d) for d in frame_shape)
    self.num_dims = int(np.prod(self.frame_shape))
    self.head, self.tail, self.memory = head, tail, memory
    self.n_bits = n_bits
    self.previous_frames = previous_frames
    self.dequantisation = dequantisation
    self.num_labels = _num_labels(head, tail, label_counts)
    self.label_counts = label_counts
    self.base = tfd.Sample(tfd.Normal(0.0, 1.0), [self.num_dims])
    self._sample_function = any_rows.AnyRows(rollout.rollout)
    self._decode_function = any_rows.AnyRows(rollout.decode)
    self.config = None

  def __reduce__(self):
    return _copy, (_arguments(self), self.config)

  # Parts.

  @property
  def takes_labels(self) -> bool:
    """Python `bool`: whether head or tail takes a label."""
    return self.num_labels is not None

  def submodels(self) -> dict[str, tf.Module]:
    """The parts that exist: `dict` of 'head', 'tail' and 'memory'."""
    parts = {'head': self.head, 'tail': self.tail, 'memory': self.memory}
    return {k: v for k, v in parts.items() if v is not None}

  def parameter_groups(self) -> dict[str, list[tf.Variable]]:
    """Trainable variables by name.

    Returns:
      `dict` of lists of variables: one for each of `submodels`, and, if the
      model takes labels, 'labels': the tables of label priors, or the label
      maps, of head and tail.
    """
    parts = self.submodels()
    groups = {k: list(m.trainable_variables) for k, m in parts.items()}
    if self.takes_labels:
      glows = [g for g in (self.head, self.tail) if g is not None]
      groups['labels'] = [v for g in glows for v in g.label_variables]
    return groups

  def label_log_prior(self) -> tf.Tensor:
    """Log-prior `[num_labels]` over labels, from `label_counts` plus one."""
    counts = tf.convert_to_tensor(self.label_counts) + 1.0
    return tf.math.log(counts / tf.reduce_sum(counts))

  def label_kwargs(
    self, glow: glow_lib.Glow, label: Any, time: bool = False
  ) -> dict[str, Any]:
    """The label as keywords of a head or tail.

    Args:
      glow: `Glow`, the head or the tail.
      label: int `[B]` or float `[B, num_labels]`, or None.
      time: Python `bool`: whether to insert a dimension of time, `[B, 1, ...]`.

    Returns:
      `dict` with 'label', or empty if `glow` takes no label.
    """
    if glow.num_labels is None:
      return {}
    return {'label': label[:, tf.newaxis] if time else label}

  # Likelihood.

  def log_prob(
    self,
    frames: tf.types.experimental.TensorLike,
    label: Optional[tf.types.experimental.TensorLike] = None,
    seed: tf.types.experimental.TensorLike = 0,
  ) -> tuple[Optional[tf.Tensor], Optional[tf.Tensor]]:
    """Log-density of dequantised frames.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`.
      label: int `[B]` or float `[B, num_labels]`; None for a model without
        labels.
      seed: Python `int` or int32 `[2]`, of the dequantisation noise. The noise
        of row b's frame t depends on (seed, b, t) only.

    Returns:
      head: `[B]`, nats, of frame 0; None without a head.
      tail: `[B, T - 1]`, nats, of frame t given the frames before it; None
        without a tail.

    Raises:
      ValueError: if a shape does not fit, or the label is missing.
    """
    frames, label = self.check(frames, label)
    clips = tf.range(tf.shape(frames)[0])
    return densities.log_prob(self, frames, label, seed, clips)

  def classify(
    self,
    frames: tf.types.experimental.TensorLike,
    seed: tf.types.experimental.TensorLike = 0,
  ) -> tf.Tensor:
    """Classifies videos by Bayes' rule, with the prior `label_log_prior`.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`.
      seed: See `log_prob`.

    Returns:
      `[B, num_labels]`, log p(label | frames), nats.

    Raises:
      ValueError: if neither head nor tail takes a label.
    """
    if not self.takes_labels:
      raise ValueError('This model takes no label: it cannot classify.')
    frames = self._check_frames(frames)
    clips = tf.range(tf.shape(frames)[0])
    return densities.classify(self, frames, seed, clips)

  @property
  def gives_predictive_mean(self) -> bool:
    """Python `bool`: whether `predictive_mean` needs no samples."""
    return self.tail is not None and self.tail.gives_mean_levels

  def predictive_mean(
    self,
    frames: tf.types.experimental.TensorLike,
    label: Optional[tf.types.experimental.TensorLike] = None,
    num_samples: Optional[int] = None,
    seed: tf.types.experimental.TensorLike = 0,
  ) -> tf.Tensor:
    """The mean of each frame given the true frames before it.

    It minimises the expected squared error. It is the mean of what `sample`
    draws at temperature 1: with `num_samples` of that many draws, without it
    exactly, which takes a tail that gives its mean (`Glow.gives_mean_levels`).

    Args:
      frames: uint8 or float `[B, T, H, W, C]`.
      label: See `log_prob`.
      num_samples: Python `int` K >= 1, draws of each frame; None: exact.
      seed: Python `int` or int32 `[2]`, of the draws.

    Returns:
      Float `[B, T - 1, H, W, C]`, frames 1..T-1, in units of uint8: 0 to 255.

    Raises:
      ValueError: if there is no tail, a shape does not fit, or `num_samples` is
        missing for a tail that does not give its mean.
    """
    frames, label = self.check(frames, label)
    return prediction.predictive_mean(self, frames, label, num_samples, seed)

  def check(
    self,
    frames: tf.types.experimental.TensorLike,
    label: Optional[tf.types.experimental.TensorLike],
  ) -> tuple[tf.Tensor, Optional[tf.Tensor]]:
    """Converts frames and label to tensors, and checks that they fit.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`.
      label: See `log_prob`.

    Returns:
      frames: `Tensor`, uint8 or float `[B, T, H, W, C]`.
      label: `Tensor`, or None for a model without labels.

    Raises:
      ValueError: if a shape does not fit, or the label is missing or not
        expected.
    """
    frames = self._check_frames(frames)
    return frames, _checked_label(self, label, _num_rows(frames))

  def _check_frames(self, frames):
    return video_targets.check_frames(frames, self.frame_shape)

  # Generation.

  def sample(
    self,
    labels: Optional[tf.types.experimental.TensorLike] = None,
    num_frames: tf.types.experimental.TensorLike = 1,
    first_frames: Optional[tf.types.experimental.TensorLike] = None,
    temperature: tf.types.experimental.TensorLike = 1.0,
    min_p: tf.types.experimental.TensorLike = 0.0,
    seed: Optional[tf.types.experimental.TensorLike] = None,
    num_videos: Optional[int] = None,
  ) -> tf.Tensor:
    """Generates videos.

    Args:
      labels: int `[B]` or float `[B, num_labels]`; None for a model without
        labels.
      num_frames: int, T, number of frames with `first_frames`.
      first_frames: uint8 or float `[B, T0, H, W, C]`, frames to continue; None:
        the head generates the first frame.
      temperature: Float scalar or `[B]`, see `Glow.tempered`; so is `min_p`.
      seed: Python `int`, int32 `[2]`, or int32 `[B, 2]` with a seed for each
        row; None: a random seed. Equal seeds give equal videos.
      num_videos: Python `int` B, for a model without labels; None: as many as
        `first_frames` has, or 1.

    Returns:
      uint8 `[B, T, H, W, C]`, at the centres of the `n_bits` bins.

    Raises:
      ValueError: if an argument does not fit.
    """
    given = None
    if first_frames is not None:
      given = video_targets.clean_given(self, self._check_frames(first_frames))
    labels, batch_size = _rows_to_sample(
      labels, self.num_labels, given, num_videos
    )
    rollout.check_request(
      self, num_frames, given, temperature, min_p, int(batch_size)
    )
    if seed is None:
      seed = int(np.random.default_rng().integers(2**31))
    to_rows = lambda t: tf.broadcast_to(tf.cast(t, tf.float32), [batch_size])
    return self._sample_function(
      self,
      labels,
      given,
      to_rows(temperature),
      to_rows(min_p),
      rollout.row_seeds(seed, batch_size),
      num_frames=tf.convert_to_tensor(num_frames),
    )

  def encode(
    self,
    frames: tf.types.experimental.TensorLike,
    labels: Optional[tf.types.experimental.TensorLike] = None,
  ) -> tf.Tensor:
    """Computes the latents of videos, from which `decode` restores the frames.

    Frames are quantised to the centres of their bins, and no noise is added.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`.
      labels: See `log_prob`.

    Returns:
      `[B, T, N]`, N = H * W * C; without a head `[B, T - 1, N]`, of the frames
      after the first; without a tail `[B, 1, N]`.

    Raises:
      ValueError: if a shape does not fit, or labels are missing.
    """
    frames, labels = self.check(frames, labels)
    return rollout.encode(self, frames, labels)

  def decode(
    self,
    latents: tf.types.experimental.TensorLike,
    labels: Optional[tf.types.experimental.TensorLike] = None,
    first_frames: Optional[tf.types.experimental.TensorLike] = None,
  ) -> tf.Tensor:
    """Decodes latents to videos; each frame is conditioned on those before it.

    Args:
      latents: Float `[B, T, N]`, see `encode`.
      labels: See `sample`.
      first_frames: uint8 `[B, H, W, C]`, frame 0, for a model without a head;
        otherwise None.

    Returns:
      uint8 `[B, T, H, W, C]`; with `first_frames` `[B, T + 1, H, W, C]`.

    Raises:
      ValueError: if an argument does not fit.
    """
    latents = tf.convert_to_tensor(latents, dtype_hint=tf.float32)
    labels, first_frames = _checked_to_decode(
      self, latents, labels, first_frames
    )
    return self._decode_function(self, latents, labels, first_frames)

  # Initialisation from data, and diagnostics.

  @property
  def adapted(self) -> bool:
    """Whether `adapt` ran (or a checkpoint of an adapted model was loaded)."""
    return all(
      bool(g.adapted.read_value())
      for g in (self.head, self.tail)
      if g is not None
    )

  def adapt(
    self,
    frames: tf.types.experimental.TensorLike,
    label: Optional[tf.types.experimental.TensorLike] = None,
    seed: tf.types.experimental.TensorLike = 0,
  ) -> None:
    """Initialises every ActNorm from a batch, unless that was done before.

    In `Strategy.run` the statistics cover the clips of all replicas.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`; B must be equal on all replicas.
      label: See `log_prob`.
      seed: See `log_prob`.

    Raises:
      ValueError: if a value does not fit or is not finite. No variable has
        changed then.
      RuntimeError: if called outside of `Strategy.run` for variables of several
        replicas.
    """
    replicas.check_replica_context('adapt', self.variables)
    frames, label = self.check(frames, label)
    checks.check_finite('frames', likelihood.to_unit(frames))
    replicas.assign_all(_initial_values(self, frames, label, seed))

  def invertibility_report(
    self,
    frames: tf.types.experimental.TensorLike,
    label: Optional[tf.types.experimental.TensorLike] = None,
    seed: tf.types.experimental.TensorLike = 0,
  ) -> dict[str, Any]:
    """`tfp_cglow.invertibility_report` of head and tail.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`.
      label: See `log_prob`.
      seed: See `log_prob`.

    Returns:
      `dict` of the reports of 'head' and 'tail', of the parts that exist.
    """
    frames, label = self.check(frames, label)
    return {
      name: diagnostics.invertibility_report(*args, **conditions)
      for name, args, conditions in _parts_on(self, frames, label, seed)
    }

  def round_trip_errors(
    self,
    frames: tf.types.experimental.TensorLike,
    label: Optional[tf.types.experimental.TensorLike] = None,
    seed: tf.types.experimental.TensorLike = 0,
  ) -> dict[str, tf.Tensor]:
    """`tfp_cglow.round_trip_error` of head and tail.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`.
      label: See `log_prob`.
      seed: See `log_prob`.

    Returns:
      `dict` of the errors of 'head' `[B, H, W, C]`, on frame 0, and of 'tail'
      `[B, T - 1, H, W, C]`, for the parts that exist. The unit is the range of
      pixel values.
    """
    frames, label = self.check(frames, label)
    return {
      name: diagnostics.round_trip_error(*args, **conditions)
      for name, args, conditions in _parts_on(self, frames, label, seed)
    }


def _arguments(flow):
  """`dict` of the constructor's arguments."""
  names = (
    'frame_shape head tail memory label_counts n_bits previous_frames '
    'dequantisation name'
  )
  return {name: getattr(flow, name) for name in names.split()}


def _copy(arguments, config):
  flow = VideoFlow(**arguments)
  flow.config = config
  return flow


def _initial_values(flow, frames, label, seed):
  """Pairs of a variable and its value; none of parts that are adapted."""
  found, memory = [], flow.memory
  if memory is not None and not bool(flow.tail.adapted.read_value()):
    memory, found = memory.adapted_to(video_targets.clean_given(flow, frames))
  with_memory = VideoFlow(**{**_arguments(flow), 'memory': memory})
  clips = replicas.clip_identities(tf.shape(frames)[0])
  for _, (glow, target), conditions in _parts_on(
    with_memory, frames, label, seed, clips
  ):
    if not bool(glow.adapted.read_value()):
      found = found + adaptation.initial_values(glow, target, **conditions)[1]
  return found


def _checked_label(flow, label, num_rows):
  """The label as a tensor, or None for a flow without labels."""
  if not flow.takes_labels:
    if label is not None:
      raise ValueError('This model takes no label, but one was given.')
    return None
  if label is None:
    raise ValueError(
      'This model needs labels, '
      f'{labels_lib.label_description(flow.num_labels)}.'
    )
  return labels_lib.check_label_rows(
    flow.name, label, flow.num_labels, num_rows
  )


def _num_rows(x):
  """The number of rows: a Python `int` if known, otherwise an int tensor."""
  return tf.shape(x)[0] if x.shape[0] is None else x.shape[0]


def _parts_on(flow, frames, label, seed, clips=None):
  """Yields name, (`Glow`, target frames) and conditions of head and tail."""
  clips = tf.range(tf.shape(frames)[0]) if clips is None else clips
  targets = video_targets.noisy_targets(flow, frames, seed, clips)
  if flow.head is not None:
    conditions = flow.label_kwargs(flow.head, label)
    yield 'head', (flow.head, targets.first), conditions
  if flow.tail is not None:
    conditions = flow.label_kwargs(flow.tail, label, time=True)
    conditions['context'] = targets.contexts
    yield 'tail', (flow.tail, targets.later), conditions


def _checked_to_decode(flow, latents, labels, first_frames):
  """Labels and first frames as tensors or None, if `decode` can take them."""
  if latents.shape.rank != 3 or latents.shape[-1] != flow.num_dims:
    raise ValueError(
      f'Expected latents of shape [B, T, {flow.num_dims}], but got '
      f'{latents.shape}.'
    )
  if flow.takes_labels != (labels is not None):
    raise ValueError(
      f'Expected {"" if flow.takes_labels else "no "}`labels` for this model.'
    )
  if (flow.head is None) != (first_frames is not None):
    raise ValueError(
      'Expected `first_frames` if and only if the model has no head.'
    )
  num_rows = _num_rows(latents)
  if labels is not None:
    labels = labels_lib.check_label_rows(
      'decode', labels, flow.num_labels, num_rows
    )
  if first_frames is not None:
    first_frames = tf.convert_to_tensor(first_frames)
    expected = [latents.shape[0], *flow.frame_shape]
    if not first_frames.shape.is_compatible_with(expected):
      raise ValueError(
        f'Expected `first_frames` of shape {expected}, one for each row of the '
        f'latents, but got {first_frames.shape}.'
      )
  return labels, first_frames


def _rows_to_sample(labels, num_labels, given, num_videos):
  """The labels as a `Tensor`, or None, and the number of videos to sample."""
  if num_labels is None:
    if labels is not None:
      raise ValueError('This model takes no label, but `labels` were given.')
    known = 1 if given is None else tf.shape(given)[0]
    return None, known if num_videos is None else num_videos
  if labels is None:
    raise ValueError('This model needs `labels`, int [B].')
  labels = tf.convert_to_tensor(labels)
  rows = 1 if labels.shape.rank == 0 else _num_rows(labels)
  labels = labels if labels.shape.rank != 0 else labels[tf.newaxis]
  labels = labels_lib.check_label_rows('sample', labels, num_labels, rows)
  if num_videos not in (None, rows):
    raise ValueError(
      f'Expected `num_videos` of {rows}, the number of `labels`, or None, but '
      f'got {num_videos}.'
    )
  return labels, tf.shape(labels)[0]


def _check_parts(head, tail, memory):
  if head is None and tail is None:
    raise ValueError('`head` and `tail` are both None: nothing to model.')
  if tail is None and memory is not None:
    raise ValueError('`memory` is for the tail, but `tail` is None.')


def _num_labels(head, tail, label_counts):
  """The number of labels of head and tail; None if neither takes a label."""
  parts = {'head': head, 'tail': tail}
  sizes = {k: g.num_labels for k, g in parts.items() if g is not None}
  sizes = {k: v for k, v in sizes.items() if v is not None}
  if label_counts is not None:
    sizes['label_counts'] = label_counts.shape[0]
  if len(set(sizes.values())) > 1 or set(sizes) == {'label_counts'}:
    raise ValueError(
      '`head`, `tail` and `label_counts` must have the same number of labels, '
      f'but got {sizes}.'
    )
  if sizes and label_counts is None:
    raise ValueError(
      f'A model with labels needs `label_counts`, but got None: {sizes}.'
    )
  return next(iter(sizes.values()), None)
