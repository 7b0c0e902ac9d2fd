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
from tfp_cglow.internal import checks
from tfp_cglow.internal import replicas
from tfp_cglow.video import context_processor
from tfp_cglow.video import densities
from tfp_cglow.video import likelihood
from tfp_cglow.video import rollout
from tfp_cglow.video import video_targets

tfd = tfp.distributions

__all__ = ['VideoFlow']


class VideoFlow(tf.Module):
  """A distribution of videos made of conditional flows (Donahue, section IV).

  The head generates a video's first frame from a label; the tail generates
  frame t from the frames before it and a recurrent state, the memory. Head and
  tail are `Glow`s.

  ```none
  p(video | label) = head(x_0 | label) prod_t tail(x_t | x_<t)
  state_t = memory(state_{t-1}, x_{t-1}),  state_0 = 0
  ```

  Frames enter as uint8 (0..255) or float (0..1) and are quantised to `n_bits`.
  A frame whose density is asked for gets uniform noise of one level's width;
  a frame in the context stays at its bins' centres, as noise there would only
  hide information from the tail.

  `build_video_flow` creates one; `VideoGlow` trains it.
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
      head: `Glow` without a context, or None: the model has no head, and
        continues videos that are given.
      tail: `Glow` whose context is the previous frames, the newest first, and
        the memory's state; or None: the model generates images.
      memory: `StateProcessor` of the tail, or None: the tail sees no state.
      label_counts: Float `Tensor` or `tf.Variable` `[num_labels]`, how often
        training has seen each label: the prior over labels. None if neither
        head nor tail takes a label.
      n_bits: Python `int`, 1..8, of the quantised frames.
      previous_frames: 1 or 2, how many frames the tail's context begins with.
      dequantisation: 'matched'; or 'legacy', as in the paper: noise of
        2**-n_bits on frames that keep their 8 bits, in the context, too. Its
        bits/dim bound no code length.
      name: Python `str`.

    Raises:
      ValueError: if an argument's value does not fit.
    """
    super().__init__(name=name)
    likelihood.check_n_bits(n_bits)
    _check_parts(head, tail, memory)
    checks.check_choice('previous_frames', previous_frames, (1, 2))
    checks.check_choice('dequantisation', dequantisation, ('matched', 'legacy'))
    self.frame_shape = tuple(int(d) for d in frame_shape)
    self.num_dims = int(np.prod(self.frame_shape))
    self.head, self.tail, self.memory = head, tail, memory
    self.n_bits = n_bits
    self.previous_frames = previous_frames
    self.dequantisation = dequantisation
    self.num_labels = _num_labels(head, tail, label_counts)
    self.label_counts = label_counts
    self.base = tfd.Sample(tfd.Normal(0.0, 1.0), [self.num_dims])
    self._sample_function = tf.function(rollout.rollout, reduce_retracing=True)
    self._decode_function = tf.function(rollout.decode, reduce_retracing=True)

  # Parts.

  @property
  def takes_labels(self) -> bool:
    """Python `bool`: whether head or tail depends on the label."""
    return self.num_labels is not None

  def submodels(self) -> dict[str, tf.Module]:
    """The parts that exist: `dict` of 'head', 'tail' and 'memory'."""
    parts = {'head': self.head, 'tail': self.tail, 'memory': self.memory}
    return {k: v for k, v in parts.items() if v is not None}

  def parameter_groups(self) -> dict[str, list[tf.Variable]]:
    """Trainable variables by name.

    Returns:
      `dict` from the names of `submodels` to lists of variables; and, if the
      model takes labels, from 'labels' to those that belong to labels alone:
      the priors' tables, or the label maps, of head and tail.
    """
    parts = self.submodels()
    groups = {k: list(m.trainable_variables) for k, m in parts.items()}
    if self.takes_labels:
      glows = [g for g in (self.head, self.tail) if g is not None]
      groups['labels'] = [v for g in glows for v in g.label_variables]
    return groups

  def label_log_prior(self) -> tf.Tensor:
    """`[num_labels]`: log of the training frequencies, one count added."""
    counts = tf.convert_to_tensor(self.label_counts) + 1.0
    return tf.math.log(counts / tf.reduce_sum(counts))

  def label_kwargs(
    self, glow: glow_lib.Glow, label: Any, time: bool = False
  ) -> dict[str, Any]:
    """The label as kwargs of `glow`, if it takes one; `[B, 1]` with `time`."""
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
      label: int `[B]`, float `[B, num_labels]`, or None for a model without.
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
    """Classifies videos by Bayes' rule, with training's label frequencies.

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

  def check(
    self,
    frames: tf.types.experimental.TensorLike,
    label: Optional[tf.types.experimental.TensorLike],
  ) -> tuple[tf.Tensor, Optional[tf.Tensor]]:
    """Frames and label as tensors that fit this model.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`.
      label: See `log_prob`.

    Returns:
      A pair of `Tensor`s; without labels the second is None.

    Raises:
      ValueError: if a shape does not fit, or the label is missing or not
        expected.
    """
    frames = self._check_frames(frames)
    if not self.takes_labels:
      if label is not None:
        raise ValueError('This model takes no label, but one was given.')
      return frames, None
    if label is None:
      raise ValueError(
        'This model needs labels, '
        f'{labels_lib.label_description(self.num_labels)}.'
      )
    return frames, labels_lib.check_label(self.name, label, self.num_labels)

  def _check_frames(self, frames):
    # New objects: a bijector's cache is keyed by a tensor's identity, and in
    # eager mode would answer with the values before the last optimiser step.
    return tf.identity(video_targets.check_frames(frames, self.frame_shape))

  # Generation.

  def sample(
    self,
    labels: Optional[tf.types.experimental.TensorLike] = None,
    num_frames: tf.types.experimental.TensorLike = 1,
    first_frames: Optional[tf.types.experimental.TensorLike] = None,
    temperature: tf.types.experimental.TensorLike = 0.7,
    seed: Optional[tf.types.experimental.TensorLike] = None,
    num_videos: Optional[int] = None,
  ) -> tf.Tensor:
    """Generates videos.

    Args:
      labels: int `[B]` or float `[B, num_labels]`; None for a model without.
      num_frames: int, T, counting `first_frames`.
      first_frames: uint8 or float `[B, T0, H, W, C]` to continue, or None.
      temperature: Float scalar or `[B]`, >= 0: scales the latent noise.
      seed: Python `int`, int32 `[2]` or `[B, 2]` (one a row), or None: a
        random one. Equal seeds give equal videos.
      num_videos: Python `int` B, for a model without labels.

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
    rollout.check_request(self, num_frames, given, temperature, int(batch_size))
    if seed is None:
      seed = int(np.random.default_rng().integers(2**31))
    temperature = tf.broadcast_to(
      tf.cast(temperature, tf.float32), [batch_size]
    )
    return self._sample_function(
      self,
      labels,
      given,
      tf.convert_to_tensor(num_frames),
      temperature,
      rollout.row_seeds(seed, batch_size),
    )

  def encode(
    self,
    frames: tf.types.experimental.TensorLike,
    labels: Optional[tf.types.experimental.TensorLike] = None,
  ) -> tf.Tensor:
    """The latents of videos, of which `decode` makes the quantised frames.

    Frames are taken at the centres of their bins: nothing is drawn.

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
    """The videos of latents, each frame given those decoded before it.

    Args:
      latents: Float `[B, T, N]`, see `encode`.
      labels: See `sample`.
      first_frames: uint8 `[B, H, W, C]`, for a model without a head; or None.

    Returns:
      uint8 `[B, T, H, W, C]`; with `first_frames` `[B, T + 1, H, W, C]`.

    Raises:
      ValueError: if an argument does not fit.
    """
    latents = tf.convert_to_tensor(latents, dtype_hint=tf.float32)
    if latents.shape.rank != 3 or latents.shape[-1] != self.num_dims:
      raise ValueError(
        f'Expected latents of shape [B, T, {self.num_dims}], but got '
        f'{latents.shape}.'
      )
    if self.takes_labels != (labels is not None):
      raise ValueError(
        f'Expected {"" if self.takes_labels else "no "}`labels` for this model.'
      )
    if labels is not None:
      labels = labels_lib.check_label('decode', labels, self.num_labels)
    if (self.head is None) != (first_frames is not None):
      raise ValueError(
        'Expected `first_frames` for a model without a head, for no other.'
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
    """Initialises every ActNorm from a batch.

    Inside `Strategy.run` the statistics are those of all replicas' clips.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`; as many on every replica.
      label: See `log_prob`.
      seed: See `log_prob`.
    """
    frames, label = self.check(frames, label)
    # Or ActNorm would never be finite again.
    tf.debugging.assert_all_finite(
      likelihood.to_unit(frames), 'Expected finite frames to adapt to.'
    )
    clips = replicas.clip_identities(tf.shape(frames)[0])
    if self.memory is not None and not bool(self.tail.adapted.read_value()):
      self.memory.adapt(video_targets.clean_given(self, frames))
    for _, (glow, target), conditions in self._parts_on(
      frames, label, seed, clips
    ):
      if not bool(glow.adapted.read_value()):
        adaptation.adapt(glow, target, **conditions)

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
      `dict` with the reports of 'head' and 'tail', those that exist.
    """
    frames, label = self.check(frames, label)
    return {
      name: diagnostics.invertibility_report(*args, **conditions)
      for name, args, conditions in self._parts_on(frames, label, seed)
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
      `dict` with those of 'head' `[B, H, W, C]`, of frame 0, and 'tail'
      `[B, T - 1, H, W, C]`, those that exist; a frame's values span 1.
    """
    frames, label = self.check(frames, label)
    return {
      name: diagnostics.round_trip_error(*args, **conditions)
      for name, args, conditions in self._parts_on(frames, label, seed)
    }

  def _parts_on(self, frames, label, seed, clips=None):
    """Yields head and tail with their own frames: name, args, conditions."""
    clips = tf.range(tf.shape(frames)[0]) if clips is None else clips
    targets = video_targets.noisy_targets(self, frames, seed, clips)
    if self.head is not None:
      conditions = self.label_kwargs(self.head, label)
      yield 'head', (self.head, targets.first), conditions
    if self.tail is not None:
      conditions = self.label_kwargs(self.tail, label, time=True)
      conditions['context'] = targets.contexts
      yield 'tail', (self.tail, targets.later), conditions


def _rows_to_sample(labels, num_labels, given, num_videos):
  """The labels as a `Tensor`, or None, and how many videos are asked for."""
  if num_labels is None:
    if labels is not None:
      raise ValueError('This model takes no label, but `labels` were given.')
    known = 1 if given is None else tf.shape(given)[0]
    return None, known if num_videos is None else num_videos
  if labels is None:
    raise ValueError('This model needs `labels`, int [B].')
  labels = labels_lib.check_label('sample', labels, num_labels)
  labels = labels if labels.shape.rank else labels[tf.newaxis]
  return labels, tf.shape(labels)[0]


def _check_parts(head, tail, memory):
  if head is None and tail is None:
    raise ValueError('`head` and `tail` are both None: nothing to model.')
  if tail is None and memory is not None:
    raise ValueError('`memory` is for the tail, but `tail` is None.')


def _num_labels(head, tail, label_counts):
  """Python `int`, of head and tail; None if neither takes a label."""
  parts = {'head': head, 'tail': tail}
  sizes = {k: g.num_labels for k, g in parts.items() if g is not None}
  sizes = {k: v for k, v in sizes.items() if v is not None}
  if label_counts is not None:
    sizes['label_counts'] = label_counts.shape[0]
  if len(set(sizes.values())) > 1 or set(sizes) == {'label_counts'}:
    raise ValueError(
      '`head`, `tail` and `label_counts` must be of one number of labels, but '
      f'got {sizes}.'
    )
  if sizes and label_counts is None:
    raise ValueError(f'Labels need `label_counts`, but got None: {sizes}.')
  return next(iter(sizes.values()), None)
