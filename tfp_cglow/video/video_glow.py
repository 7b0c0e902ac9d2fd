"""`VideoGlow`: the Keras model of a head, a tail and a context processor."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import difflib
from typing import Any
from typing import Optional
from typing import Union

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as tfk

from tfp_cglow.bijectors import adaptation
from tfp_cglow.bijectors import build
from tfp_cglow.bijectors import diagnostics
from tfp_cglow.bijectors import labels as labels_lib
from tfp_cglow.internal import replicas
from tfp_cglow.training import keras_saving
from tfp_cglow.training import step_guard
from tfp_cglow.training import updates
from tfp_cglow.training import weight_average
from tfp_cglow.video import context_processor
from tfp_cglow.video import conv_gru
from tfp_cglow.video import densities
from tfp_cglow.video import likelihood
from tfp_cglow.video import objective
from tfp_cglow.video import rollout
from tfp_cglow.video import video_targets

tfd = tfp.distributions

__all__ = ['VideoGlow']

_PROCESSORS = {
  'residual': context_processor.build_context_processor,
  'gru': conv_gru.build_conv_gru,
}
_CLIP_NORMS = {'head': 50.0, 'tail': 5.0, 'processor': 5.0}


class VideoGlow(keras_saving.SavesModules):
  """A video model of conditional flows (Donahue, section IV).

  The head generates a video's first frame from a label; the tail generates
  frame t from the frames before it and a recurrent state. Each is a `Glow`.

  ```none
  p(video | label) = head(x_0 | label) prod_t tail(x_t | x_<t)
  state_t = processor(state_{t-1}, x_{t-1}),  state_0 = 0
  ```

  Frames enter as uint8 (0..255) or float (0..1), are quantised to `n_bits`, and
  get uniform noise of one level's width where they are the target. As context
  they stay at the bins' centres: noise there would only hide what the tail is
  told.
  """

  def __init__(
    self,
    frame_shape: Sequence[int],
    num_labels: Optional[int] = None,
    n_bits: int = 5,
    state_channels: int = 16,
    *,
    head: Optional[dict[str, Any]],
    tail: Optional[dict[str, Any]],
    processor: str = 'residual',
    previous_frames: int = 1,
    tail_labels: bool = False,
    tail_frames_per_step: Optional[int] = None,
    label_loss_weight: float = 1.0,
    label_dropout: float = 0.0,
    dequantisation: str = 'matched',
    seed: Optional[int] = None,
    name: str = 'video_glow',
  ) -> None:
    """Creates the model and its variables.

    Args:
      frame_shape: `[H, W, C]`.
      num_labels: Python `int`, or None: labels are not used.
      n_bits: Python `int`, 1..8, of the quantised frames.
      state_channels: Python `int`; 0: no state.
      head: `dict` of `build_glow` keywords, or None: no head (the tail alone).
      tail: `dict` of `build_glow` keywords, or None: no tail (images only).
      processor: 'residual' (the paper's) or 'gru', what makes the state.
      previous_frames: 1 or 2, how many frames the tail sees.
      tail_labels: Python `bool`, whether the tail takes the label, too.
      tail_frames_per_step: Python `int`: train the tail on that many random
        frames of a clip a step (an unbiased estimate); None: on all.
      label_loss_weight: Float, weight of the cross entropy of p(label | frame).
      label_dropout: Float, probability of the null label in training.
      dequantisation: 'matched', or 'legacy': the paper's, noise of 2**-n_bits
        on frames that keep their 8 bits, also in the context. Its bits/dim
        bound no code length.
      seed: Python `int` for variables and noise, or None: a random one.
      name: Python `str`.

    Raises:
      ValueError: if an argument's value does not fit.
    """
    super().__init__(name=name)
    _check_parts(head, tail, dequantisation)
    _check_choices(processor, previous_frames, dequantisation)
    self.frame_shape = tuple(int(d) for d in frame_shape)
    self.num_dims = int(np.prod(self.frame_shape))
    self.num_labels = num_labels
    self.n_bits = n_bits
    self.previous_frames = previous_frames
    self.tail_frames_per_step = tail_frames_per_step
    self.label_loss_weight = label_loss_weight
    self.label_dropout = label_dropout
    self.dequantisation = dequantisation
    draw = np.random.default_rng(seed)
    seeds = [int(s) for s in draw.integers(2**31, size=4)]
    self._noise_seed = seeds[3]

    self.head = self.tail = self.processor = None
    channels = self.frame_shape[-1]
    if head is not None:
      defaults = {
        'mixture_levels': 2**n_bits,
        'num_labels': num_labels,
        'seed': seeds[0],
        'name': 'head',
      }
      self.head = build.build_glow(self.frame_shape, **{**defaults, **head})
    if tail is not None:
      if state_channels:
        self.processor = _PROCESSORS[processor](
          channels, state_channels, seed=seeds[1]
        )
      defaults = {
        'context_channels': channels * previous_frames + state_channels,
        'recall_offset': channels * previous_frames,
        'context_frames': previous_frames,
        'mixture_levels': 2**n_bits,
        'num_labels': num_labels if tail_labels else None,
        'seed': seeds[2],
        'name': 'tail',
      }
      self.tail = build.build_glow(self.frame_shape, **{**defaults, **tail})
    # How often training has seen each label: the prior over labels.
    self.label_counts = None
    if num_labels is not None:
      self.label_counts = tf.Variable(
        tf.zeros([num_labels]),
        trainable=False,
        name='label_counts',
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
      )
    self.base = tfd.Sample(tfd.Normal(0.0, 1.0), [self.num_dims])
    self._sample_function = tf.function(rollout.rollout, reduce_retracing=True)
    self._decode_function = tf.function(rollout.decode, reduce_retracing=True)
    self.built = True  # All variables exist; there is no `call`.

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
    frames, label = self._check(frames, label)
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
      seed: As for `log_prob`.

    Returns:
      `[B, num_labels]`, log p(label | frames), nats.

    Raises:
      ValueError: if neither head nor tail takes a label.
    """
    if not self.takes_labels:
      raise ValueError('This model takes no label: it cannot classify.')
    frames, _ = self._check(frames, None, needs_label=False)
    clips = tf.range(tf.shape(frames)[0])
    return densities.classify(self, frames, seed, clips)

  @property
  def takes_labels(self) -> bool:
    """Python `bool`: whether head or tail depends on the label."""
    return any(g is not None and g.num_labels for g in (self.head, self.tail))

  def invertibility_report(
    self,
    frames: tf.types.experimental.TensorLike,
    label: Optional[tf.types.experimental.TensorLike] = None,
    seed: tf.types.experimental.TensorLike = 0,
  ) -> dict[str, Any]:
    """`tfp_cglow.invertibility_report` of head and tail.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`.
      label: As for `log_prob`.
      seed: As for `log_prob`.

    Returns:
      `dict` with the reports of 'head' and 'tail', those that exist.
    """
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
      label: As for `log_prob`.
      seed: As for `log_prob`.

    Returns:
      `dict` with those of 'head' `[B, H, W, C]`, of frame 0, and 'tail'
      `[B, T - 1, H, W, C]`, those that exist; a frame's values span 1.
    """
    return {
      name: diagnostics.round_trip_error(*args, **conditions)
      for name, args, conditions in self._parts_on(frames, label, seed)
    }

  def _parts_on(self, frames, label, seed):
    """Yields head and tail with their own frames: name, args, conditions."""
    frames, label = self._check(frames, label)
    clips = tf.range(tf.shape(frames)[0])
    targets = self._noisy_targets(frames, seed, clips)
    if self.head is not None:
      conditions = self.label_kwargs(self.head, label)
      yield 'head', (self.head, targets.first), conditions
    if self.tail is not None:
      conditions = self.label_kwargs(self.tail, label, time=True)
      conditions['context'] = targets.contexts
      yield 'tail', (self.tail, targets.later), conditions

  def label_log_prior(self) -> tf.Tensor:
    """`[num_labels]`: log of the training frequencies, one count added."""
    counts = tf.convert_to_tensor(self.label_counts) + 1.0
    return tf.math.log(counts / tf.reduce_sum(counts))

  def label_kwargs(self, glow, label, time=False):
    """The label as kwargs of `glow`, if it takes one; `[B, 1]` with `time`."""
    if glow.num_labels is None:
      return {}
    return {'label': label[:, tf.newaxis] if time else label}

  def _check(self, frames, label, needs_label=True):
    # New objects: a bijector's cache is keyed by a tensor's identity, and in
    # eager mode would answer with the values before the last optimiser step.
    frames = tf.identity(video_targets.check_frames(frames, self.frame_shape))
    if self.num_labels is None:
      if label is not None and needs_label:
        raise ValueError('This model takes no label, but one was given.')
      return frames, None
    if not needs_label:
      return frames, None
    if label is None:
      raise ValueError(
        'This model needs labels, '
        f'{labels_lib.label_description(self.num_labels)}.'
      )
    label = labels_lib.check_label(self.name, label, self.num_labels)
    return frames, label

  def _noisy_targets(self, frames, seed, clips, subset_size=None):
    return video_targets.noisy_targets(self, frames, seed, clips, subset_size)

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
      given, _ = self._check(first_frames, None, needs_label=False)
      given = video_targets.clean_given(self, given)
    if self.num_labels is not None:
      if labels is None:
        raise ValueError('This model needs `labels`, int [B].')
      labels = labels_lib.check_label('sample', labels, self.num_labels)
      labels = labels if labels.shape.rank else labels[tf.newaxis]
      batch_size = tf.shape(labels)[0]
    elif labels is not None:
      raise ValueError('This model takes no label, but `labels` were given.')
    else:
      known = 1 if given is None else tf.shape(given)[0]
      batch_size = known if num_videos is None else num_videos
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
      labels: As for `log_prob`.

    Returns:
      `[B, T, N]`, N = H * W * C; without a head `[B, T - 1, N]`, of the frames
      after the first; without a tail `[B, 1, N]`.

    Raises:
      ValueError: if a shape does not fit, or labels are missing.
    """
    frames, labels = self._check(frames, labels)
    return rollout.encode(self, frames, labels)

  def decode(
    self,
    latents: tf.types.experimental.TensorLike,
    labels: Optional[tf.types.experimental.TensorLike] = None,
    first_frames: Optional[tf.types.experimental.TensorLike] = None,
  ) -> tf.Tensor:
    """The videos of latents, each frame given those decoded before it.

    Args:
      latents: Float `[B, T, N]`, as of `encode`.
      labels: As for `sample`.
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
    if (self.num_labels is None) != (labels is None):
      raise ValueError(
        f'Expected {"no " * (self.num_labels is None)}`labels` for this model.'
      )
    if labels is not None:
      labels = labels_lib.check_label('decode', labels, self.num_labels)
    if (self.head is None) != (first_frames is not None):
      raise ValueError(
        'Expected `first_frames` for a model without a head, for no other.'
      )
    return self._decode_function(self, latents, labels, first_frames)

  # Training.

  def compile(
    self,
    optimizer: Union[tfk.optimizers.Optimizer, tfk.optimizers.legacy.Optimizer],
    clip_norms: Optional[Mapping[str, float]] = None,
    ema: Optional[float] = None,
    **kwargs: Any,
  ) -> None:
    """Configures training.

    A step whose loss or gradients are not finite is skipped: it changes neither
    weights nor optimiser, average or step counter.

    Args:
      optimizer: A `tf_keras` optimiser without gradient clipping of its own.
      clip_norms: `dict` from 'head', 'tail' and 'processor' to the largest norm
        of that submodel's gradient of bits/dim; entries not given keep the
        paper's code's: 50 for the head, 5 for the others.
      ema: Python `float`, decay of `weight_average`, an exponential moving
        average of the weights; None: there is none.
      **kwargs: Of `tf_keras.Model.compile`.

    Raises:
      ValueError: if a submodel's name is unknown, the optimiser clips, or `ema`
        is not in [0, 1).
    """
    for name in ('clipnorm', 'clipvalue', 'global_clipnorm'):
      if getattr(optimizer, name, None) is not None:
        raise ValueError(
          f'The optimiser has `{name}`, which would span all submodels; '
          'use `clip_norms`.'
        )
    for name in clip_norms or {}:
      if name not in _CLIP_NORMS:
        near = difflib.get_close_matches(name, _CLIP_NORMS, n=1)
        raise ValueError(
          f'`clip_norms` takes {list(_CLIP_NORMS)}, but got {name!r}.'
          + (f' Did you mean {near[0]!r}?' if near else '')
        )
    super().compile(optimizer=optimizer, **kwargs)
    updates.create_slots(self.optimizer, self.trainable_variables)
    self._clip_norms = {**_CLIP_NORMS, **(clip_norms or {})}
    self.step_guard = step_guard.StepGuard()
    self.weight_average = None
    if ema is not None:
      self.weight_average = weight_average.WeightAverage(
        self.trainable_variables, ema
      )
    names = objective.metric_names(self)
    names += [f'{k}_gradient_norm' for k in self.parameter_groups()]
    # Metrics are over all replicas: Keras would sum them over workers again.
    self.distribute_reduction_method = 'first'
    self._means = {k: tfk.metrics.Mean(k) for k in names}
    self._num_clips = tfk.metrics.Sum('clips')
    self._num_skipped = tfk.metrics.Sum('skipped_steps')
    self._num_spikes = tfk.metrics.Sum('spikes')

  @property
  def metrics(self):
    if not getattr(self, '_means', None):
      return []
    sums = [self._num_clips, self._num_skipped, self._num_spikes]
    return [*self._means.values(), *sums]

  def submodels(self):
    """The parts that exist: `dict`, see `compile`'s `clip_norms`."""
    parts = {name: getattr(self, name) for name in _CLIP_NORMS}
    return {k: v for k, v in parts.items() if v is not None}

  def module_variables(self) -> dict[str, tf.Variable]:
    """What Keras's `save` and `save_weights` keep, without averages."""
    variables = {
      f'{name}_{i}': variable
      for name, module in self.submodels().items()
      for i, variable in enumerate(module.variables)
    }
    if self.label_counts is not None:
      variables['label_counts'] = self.label_counts
    return variables

  def parameter_groups(self):
    """Trainable variables by name: each submodel's; 'labels', a part of them.

    Returns:
      `dict` from the names of `submodels` and 'labels', those that exist,
      to lists of variables. 'labels' are the priors' tables or the label maps
      of head and tail.
    """
    parts = self.submodels()
    groups = {k: list(m.trainable_variables) for k, m in parts.items()}
    of_labels = [
      v for g in (self.head, self.tail) if g for v in g.label_variables
    ]
    return {**groups, 'labels': of_labels} if of_labels else groups

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
    seed: Optional[tf.types.experimental.TensorLike] = None,
  ) -> None:
    """Initialises every ActNorm from a batch; `fit` calls it when needed.

    Inside `Strategy.run` the statistics are those of all replicas' clips.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`; as many on every replica.
      label: int `[B]`, or None for a model without labels.
      seed: As for `log_prob`; None: the model's own.
    """
    frames, label = self._check(frames, label)
    # Or ActNorm would never be finite again.
    tf.debugging.assert_all_finite(
      likelihood.to_unit(frames), 'Expected finite frames to adapt to.'
    )
    seed = self._noise_seed if seed is None else seed
    clips = replicas.clip_identities(tf.shape(frames)[0])
    if self.processor is not None and not bool(self.tail.adapted.read_value()):
      self.processor.adapt(video_targets.clean_given(self, frames))
    targets = self._noisy_targets(frames, seed, clips)
    if self.head is not None and not bool(self.head.adapted.read_value()):
      adaptation.adapt(
        self.head, targets.first, **self.label_kwargs(self.head, label)
      )
    if self.tail is not None and not bool(self.tail.adapted.read_value()):
      adaptation.adapt(
        self.tail,
        targets.later,
        context=targets.contexts,
        **self.label_kwargs(self.tail, label, time=True),
      )
    if getattr(self, 'weight_average', None) is not None:
      self.weight_average.restart()

  def fit(
    self,
    x: Any = None,
    y: Any = None,
    batch_size: Optional[int] = None,
    **kwargs: Any,
  ) -> tfk.callbacks.History:
    """`tf_keras.Model.fit`, after `adapt` on the first batch if not done.

    Args:
      x: `tf.data.Dataset` of `(frames, label)` batches, or frames.
      y: Labels, if `x` is frames.
      batch_size: As in Keras.
      **kwargs: As in Keras.

    Returns:
      A `tf_keras.callbacks.History`.
    """
    if not self.adapted:
      strategy = self.distribute_strategy
      if isinstance(x, tf.distribute.DistributedDataset):
        batches = x
      else:
        first = self._first_batch(x, y, batch_size)
        batches = strategy.experimental_distribute_dataset(first)
      strategy.run(self.adapt, args=self._unpack(next(iter(batches))))
    return super().fit(x, y, batch_size=batch_size, **kwargs)

  def _first_batch(self, x, y, batch_size):
    if isinstance(x, tf.data.Dataset):
      return x.take(1)
    arrays = (x,) if y is None else (x, y)
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size or 32)

  def train_step(self, data):
    frames, label = self._check(*self._unpack(data))
    seed = likelihood.fold_in(
      likelihood.as_seed(self._noise_seed),
      tf.cast(self.optimizer.iterations, tf.int32),
    )
    if label is not None:
      self._count(label)
    with tf.GradientTape() as tape:
      losses = objective.loss_terms(
        self,
        frames,
        label,
        seed,
        replicas.clip_identities(tf.shape(frames)[0]),
        subset_size=self.tail_frames_per_step,
        label_dropout=self.label_dropout,
      )
    groups = self.parameter_groups()
    gradients = tape.gradient(losses['loss'], groups)
    losses, gradients = replicas.mean_over_replicas((losses, gradients))
    norms = {k: tf.linalg.global_norm(g) for k, g in gradients.items()}
    is_taken, is_spike = self.step_guard.judge(
      losses['loss'], list(norms.values())
    )
    pairs = []
    for name in self.submodels():
      clipped, _ = tf.clip_by_global_norm(
        gradients[name], self._clip_norms[name], use_norm=norms[name]
      )
      pairs += zip(clipped, groups[name])
    updates.apply_if(is_taken, self.optimizer, pairs, self.weight_average)
    logs = {**losses, **{f'{k}_gradient_norm': n for k, n in norms.items()}}
    self._update_metrics(logs, tf.shape(frames)[0], is_taken, is_spike)
    return {m.name: m.result() for m in self.metrics}

  def _count(self, label):
    """How often each label was seen, by all replicas."""
    counts = tf.reduce_sum(tf.one_hot(label, self.num_labels), axis=0)
    replica = tf.distribute.get_replica_context()
    self.label_counts.assign_add(
      replica.all_reduce(tf.distribute.ReduceOp.SUM, counts)
    )

  def _update_metrics(self, logs, num_clips, is_taken, is_spike):
    weight = tf.cast(is_taken, tf.float32)
    for name, value in logs.items():
      self._means[name].update_state(
        tf.where(is_taken, value, 0.0), sample_weight=weight
      )
    # Sums add up over replicas, which agree on these two.
    share = 1.0 / replicas.num_replicas()
    self._num_clips.update_state(num_clips)
    self._num_skipped.update_state(share * (1.0 - weight))
    self._num_spikes.update_state(share * tf.cast(is_spike, tf.float32))

  def test_step(self, data):
    frames, label = self._check(*self._unpack(data))
    batch_size = tf.shape(frames)[0]
    # A clip's noise depends on its place in the data, not on the batch's size.
    first = tf.cast(self._num_clips.result(), tf.int32)
    # A replica's part of the last batch may be empty: one blank clip, of no
    # weight.
    frames, label = map(replicas.at_least_one_row, (frames, label))
    clips = first + tf.range(tf.shape(frames)[0])
    losses = objective.loss_terms(self, frames, label, 0, clips)
    for name, value in losses.items():
      self._means[name].update_state(
        value, sample_weight=tf.cast(batch_size, tf.float32)
      )
    self._num_clips.update_state(batch_size)
    return {k: self._means[k].result() for k in losses}

  def _unpack(self, data):
    if isinstance(data, (tuple, list)):
      frames, label, weight = tfk.utils.unpack_x_y_sample_weight(tuple(data))
      if weight is not None:
        raise ValueError('Sample weights are not supported.')
    else:
      frames, label = data, None
    return frames, label if self.num_labels is not None else None


def _check_parts(head, tail, dequantisation):
  if head is None and tail is None:
    raise ValueError('`head` and `tail` are both None: nothing to model.')
  if dequantisation == 'legacy' and any(
    (keywords or {}).get('context_mixture') for keywords in (head, tail)
  ):
    raise ValueError(
      "`context_mixture` expects dequantisation 'matched', but got 'legacy': "
      'its frames are of no levels.'
    )


def _check_choices(processor, previous_frames, dequantisation):
  if previous_frames not in (1, 2):
    raise ValueError(
      f'`previous_frames` must be 1 or 2, but got {previous_frames}.'
    )
  if processor not in _PROCESSORS:
    raise ValueError(
      f'`processor` must be one of {list(_PROCESSORS)}, but got {processor!r}.'
    )
  if dequantisation not in ('matched', 'legacy'):
    raise ValueError(
      "`dequantisation` must be 'matched' or 'legacy', "
      f'but got {dequantisation!r}.'
    )
