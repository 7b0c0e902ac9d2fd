"""`VideoGlow`: the Keras model of a head, a tail and a context processor."""

import difflib

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as tfk

from tfp_cglow import adaptation
from tfp_cglow import build
from tfp_cglow import context_processor
from tfp_cglow import labels as labels_lib
from tfp_cglow import likelihood
from tfp_cglow import rollout

tfd = tfp.distributions

__all__ = ['VideoGlow']

_CLIP_NORMS = {'head': 50.0, 'tail': 5.0, 'processor': 5.0}


class VideoGlow(tfk.Model):
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
    frame_shape,
    num_labels=None,
    n_bits=5,
    state_channels=16,
    *,
    head,
    tail,
    previous_frames=1,
    tail_labels=False,
    tail_frames_per_step=None,
    label_loss_weight=1.0,
    label_dropout=0.0,
    dequantisation='matched',
    seed=None,
    name='video_glow',
  ):
    """Creates the model and its variables.

    Args:
      frame_shape: `[H, W, C]`.
      num_labels: Python `int`, or None: labels are not used.
      n_bits: Python `int`, 1..8, of the quantised frames.
      state_channels: Python `int`; 0: no state.
      head: `dict` of `build_glow` keywords, or None: no head (the tail alone).
      tail: `dict` of `build_glow` keywords, or None: no tail (images only).
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
    if head is None and tail is None:
      raise ValueError('`head` and `tail` are both None: nothing to model.')
    if previous_frames not in (1, 2):
      raise ValueError(
        f'`previous_frames` must be 1 or 2, but got {previous_frames}.'
      )
    if dequantisation not in ('matched', 'legacy'):
      raise ValueError(
        "`dequantisation` must be 'matched' or 'legacy', "
        f'but got {dequantisation!r}.'
      )
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
      self.head = build.build_glow(
        self.frame_shape,
        **{'num_labels': num_labels, 'seed': seeds[0], 'name': 'head', **head},
      )
    if tail is not None:
      if state_channels:
        self.processor = context_processor.build_context_processor(
          channels, state_channels, seed=seeds[1]
        )
      defaults = {
        'context_channels': channels * previous_frames + state_channels,
        'num_labels': num_labels if tail_labels else None,
        'seed': seeds[2],
        'name': 'tail',
      }
      self.tail = build.build_glow(self.frame_shape, **{**defaults, **tail})
    # How often training has seen each label: the prior over labels.
    self.label_counts = None
    if num_labels is not None:
      self.label_counts = tf.Variable(
        tf.zeros([num_labels]), trainable=False, name='label_counts'
      )
    self._base = tfd.Sample(tfd.Normal(0.0, 1.0), [self.num_dims])
    self._sample_function = tf.function(rollout.rollout, reduce_retracing=True)
    self.built = True  # All variables exist; there is no `call`.

  # Likelihood.

  def log_prob(self, frames, label=None, seed=0):
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
    first, contexts, later, _ = self._noisy_targets(frames, seed, clips)
    head = tail = None
    if self.head is not None:
      head = self._flow(self.head).log_prob(
        first, bijector_kwargs=self.label_kwargs(self.head, label)
      )
    if self.tail is not None:
      tail = self._flow(self.tail).log_prob(
        later,
        bijector_kwargs={
          'context': contexts,
          **self.label_kwargs(self.tail, label, time=True),
        },
      )
    return head, tail

  def classify(self, frames, seed=0):
    """Classifies videos by Bayes' rule, with training's label frequencies.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`.
      seed: As for `log_prob`.

    Returns:
      `[B, num_labels]`, log p(label | frames), nats.

    Raises:
      ValueError: if the model takes no label.
    """
    if self.num_labels is None:
      raise ValueError('This model takes no label: it cannot classify.')
    frames, _ = self._check(frames, None, needs_label=False)
    clips = tf.range(tf.shape(frames)[0])
    first, contexts, later, _ = self._noisy_targets(frames, seed, clips)
    scores = self.label_log_prior()
    if self.head is not None and self.head.num_labels:
      scores += self.head.log_prob_by_label(first, self._base)
    if self.tail is not None and self.tail.num_labels:
      by_frame = self.tail.log_prob_by_label(
        later, self._base, context=contexts
      )
      scores += tf.reduce_sum(by_frame, axis=1)
    return tf.nn.log_softmax(scores, axis=-1)

  def label_log_prior(self):
    """`[num_labels]`: log of the training frequencies, one count added."""
    counts = tf.convert_to_tensor(self.label_counts) + 1.0
    return tf.math.log(counts / tf.reduce_sum(counts))

  def _flow(self, glow):
    return tfd.TransformedDistribution(self._base, glow)

  def label_kwargs(self, glow, label, time=False):
    """The label as kwargs of `glow`, if it takes one; `[B, 1]` with `time`."""
    if glow.num_labels is None:
      return {}
    return {'label': label[:, tf.newaxis] if time else label}

  def _check(self, frames, label, needs_label=True):
    # New objects: a bijector's cache is keyed by a tensor's identity, and in
    # eager mode would answer with the values before the last optimiser step.
    frames = tf.identity(tf.convert_to_tensor(frames, name='frames'))
    if frames.shape.rank != 5 or not frames.shape[2:].is_compatible_with(
      self.frame_shape
    ):
      raise ValueError(
        'Expected frames of shape [B, T, '
        f'{", ".join(map(str, self.frame_shape))}], but got {frames.shape}.'
      )
    if self.tail is not None and frames.shape[1] == 1 and self.head is None:
      raise ValueError('The tail alone needs at least two frames a clip.')
    if self.num_labels is None:
      if label is not None and needs_label:
        raise ValueError('This model takes no label, but one was given.')
      return frames, None
    if not needs_label:
      return frames, None
    if label is None:
      raise ValueError(
        f'This model needs labels, {labels_lib.label_description(self.num_labels)}.'
      )
    label = labels_lib.check_label(self.name, label, self.num_labels)
    return frames, label

  def _noisy_targets(self, frames, seed, clips, subset_size=None):
    """Noisy targets and the contexts they are predicted from.

    Returns:
      first: `[B, H, W, C]`, frame 0.
      contexts: `[B, n, H, W, C_ctx]`; None without a tail.
      later: `[B, n, H, W, C]`, the frames that the contexts belong to.
      times: int32 `[n]`, their indices.
    """
    num_frames = tf.shape(frames)[1]
    times = tf.range(1, num_frames)
    if subset_size is not None:
      order = tf.random.experimental.stateless_shuffle(
        times, likelihood.fold_in(likelihood.as_seed(seed), -1), alg='philox'
      )
      times = order[:subset_size]
    if self.dequantisation == 'legacy':
      noise = likelihood.frame_noise(
        seed, clips, tf.range(num_frames), self.frame_shape
      )
      clean = likelihood.to_unit(frames) - 0.5 + noise / 2.0**self.n_bits
      first, later = clean[:, 0], tf.gather(clean, times, axis=1)
    else:
      clean = likelihood.quantise(frames, self.n_bits)
      drawn = tf.concat([[0], times], axis=0)
      noise = likelihood.frame_noise(seed, clips, drawn, self.frame_shape)
      noisy = likelihood.dequantise(
        tf.gather(clean, drawn, axis=1), self.n_bits, noise
      )
      first, later = noisy[:, 0], noisy[:, 1:]
    contexts = None
    if self.tail is not None:
      contexts = tf.gather(self._contexts(clean), times - 1, axis=1)
    return first, contexts, later, times

  def _contexts(self, clean):
    """Context maps of frames 1..T-1, from clean frames `[B, T, H, W, C]`."""
    recent = [clean[:, :-1]]
    if self.previous_frames == 2:
      recent.append(
        tf.concat([clean[:, :1], clean[:, :-2]], 1)[:, : tf.shape(clean)[1] - 1]
      )
    state = None if self.processor is None else self.processor.scan(recent[0])
    return self.context_map(recent, state)

  def context_map(self, recent, state):
    """Joins the previous frames, newest first, and the state."""
    maps = recent if state is None else [*recent, state]
    return tf.concat(maps, axis=-1)

  # Generation.

  def sample(
    self,
    labels=None,
    num_frames=1,
    first_frames=None,
    temperature=0.7,
    seed=None,
    num_videos=None,
  ):
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
      given = self.clean_context(given)
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
    self._check_sampling(num_frames, given, temperature, batch_size)
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

  def _check_sampling(self, num_frames, given, temperature, batch_size):
    num_given = 1 if given is None else given.shape[1]
    if self.head is None and given is None:
      raise ValueError('A model without a head needs `first_frames`.')
    if num_frames < num_given:
      raise ValueError(
        f'`num_frames` must be at least {num_given}, but got {num_frames}.'
      )
    if self.tail is None and num_frames > num_given:
      raise ValueError(
        f'A model without a tail makes {num_given} frame(s), '
        f'but `num_frames` is {num_frames}.'
      )
    if not np.all(np.isfinite(temperature)) or np.any(
      np.asarray(temperature) < 0
    ):
      raise ValueError(
        f'`temperature` must be finite and >= 0, but got {temperature}.'
      )
    if given is not None and given.shape[0] != int(batch_size):
      raise ValueError(
        f'`first_frames` holds {given.shape[0]} videos, but {int(batch_size)} '
        'are asked for.'
      )

  def clean_context(self, frames):
    """Given frames as context: bin centres, or with 'legacy' as they are."""
    if self.dequantisation == 'legacy':
      return likelihood.to_unit(frames) - 0.5
    return likelihood.quantise(frames, self.n_bits)

  def clean_generated(self, frame):
    """A generated frame as context and result."""
    if self.dequantisation == 'legacy':
      return tf.clip_by_value(frame, -0.5, 0.5 - 2.0**-9)
    return likelihood.requantise(frame, self.n_bits)

  def initial_state(self, given):
    """The state before the last of the given frames `[B, T0, H, W, C]`."""
    if self.processor is None:
      return tf.zeros([])
    by_time = tf.transpose(given[:, :-1], [1, 0, 2, 3, 4])
    return tf.foldl(
      self.processor,
      by_time,
      initializer=self.processor.initial_state(given[:, 0]),
    )

  def next_state(self, state, frame):
    return state if self.processor is None else self.processor(state, frame)

  # Training.

  def compile(self, optimizer, clip_norms=None, **kwargs):
    """Configures training.

    Args:
      optimizer: A `tf_keras` optimiser without gradient clipping of its own.
      clip_norms: `dict` from 'head', 'tail' and 'processor' to the largest
        norm of that submodel's gradient of bits/dim; entries not given keep
        the paper's code's: 50, 5, 5.
      **kwargs: Of `tf_keras.Model.compile`.

    Raises:
      ValueError: if a submodel's name is unknown or the optimiser clips.
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
    self._clip_norms = {**_CLIP_NORMS, **(clip_norms or {})}
    self._means = {k: tfk.metrics.Mean(k) for k in self._metric_names()}
    self._num_clips = tfk.metrics.Sum('clips')
    self._num_skipped = tfk.metrics.Sum('skipped_steps')

  def _metric_names(self):
    names = ['loss']
    names += ['head_bits_per_dim'] if self.head is not None else []
    names += ['tail_bits_per_dim'] if self.tail is not None else []
    if self._scores_labels():
      names += ['label_cross_entropy', 'label_accuracy']
    return names + [f'{k}_gradient_norm' for k in self.submodels()]

  @property
  def metrics(self):
    if not getattr(self, '_means', None):
      return []
    return [*self._means.values(), self._num_clips, self._num_skipped]

  def submodels(self):
    """The parts that exist: `dict` of 'head', 'tail', 'processor'."""
    parts = {'head': self.head, 'tail': self.tail, 'processor': self.processor}
    return {k: v for k, v in parts.items() if v is not None}

  @property
  def adapted(self):
    """Whether `adapt` ran (or a checkpoint of an adapted model was loaded)."""
    return all(bool(g.adapted) for g in (self.head, self.tail) if g is not None)

  def adapt(self, frames, label=None, seed=None):
    """Initialises every ActNorm from a batch; `fit` calls it when needed.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`.
      label: int `[B]`, or None for a model without labels.
      seed: As for `log_prob`; None: the model's own.
    """
    frames, label = self._check(frames, label)
    seed = self._noise_seed if seed is None else seed
    clips = tf.range(tf.shape(frames)[0])
    if self.processor is not None and not bool(self.tail.adapted):
      self.processor.adapt(self.clean_context(frames))
    first, contexts, later, _ = self._noisy_targets(frames, seed, clips)
    if self.head is not None and not bool(self.head.adapted):
      adaptation.adapt(self.head, first, **self.label_kwargs(self.head, label))
    if self.tail is not None and not bool(self.tail.adapted):
      adaptation.adapt(
        self.tail,
        later,
        context=contexts,
        **self.label_kwargs(self.tail, label, time=True),
      )

  def fit(self, x=None, y=None, batch_size=None, **kwargs):
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
      if isinstance(x, tf.data.Dataset):
        batch = next(iter(x.take(1)))
      else:
        size = batch_size or 32
        batch = (x[:size], y if y is None else y[:size])
      self.adapt(*self._unpack(batch))
    return super().fit(x, y, batch_size=batch_size, **kwargs)

  def train_step(self, data):
    frames, label = self._check(*self._unpack(data))
    seed = likelihood.fold_in(
      likelihood.as_seed(self._noise_seed),
      tf.cast(self.optimizer.iterations, tf.int32),
    )
    clips = tf.range(tf.shape(frames)[0])
    if label is not None:
      ones = tf.ones_like(label, tf.float32)
      self.label_counts.scatter_nd_add(label[:, tf.newaxis], ones)
    with tf.GradientTape() as tape:
      losses = self._loss_terms(
        frames,
        label,
        seed,
        clips,
        subset_size=self.tail_frames_per_step,
        label_dropout=self.label_dropout,
      )
    variables = {
      k: list(m.trainable_variables) for k, m in self.submodels().items()
    }
    gradients = tape.gradient(losses['loss'], variables)
    norms = {k: tf.linalg.global_norm(g) for k, g in gradients.items()}
    finite = tf.reduce_all(
      [tf.math.is_finite(v) for v in [losses['loss'], *norms.values()]]
    )
    pairs = []
    for name, group in gradients.items():
      clipped, _ = tf.clip_by_global_norm(
        group, self._clip_norms[name], use_norm=norms[name]
      )
      pairs += zip(clipped, variables[name])
    # A step that is not finite touches neither weights nor optimiser slots.
    tf.cond(finite, lambda: self._apply(pairs), lambda: False)
    logs = {**losses, **{f'{k}_gradient_norm': n for k, n in norms.items()}}
    for name, value in logs.items():
      self._means[name].update_state(
        tf.where(finite, value, 0.0), sample_weight=tf.cast(finite, tf.float32)
      )
    self._num_clips.update_state(tf.shape(frames)[0])
    self._num_skipped.update_state(tf.where(finite, 0.0, 1.0))
    return {m.name: m.result() for m in self.metrics}

  def _apply(self, pairs):
    self.optimizer.apply_gradients(pairs)
    return True

  def test_step(self, data):
    frames, label = self._check(*self._unpack(data))
    batch_size = tf.shape(frames)[0]
    # A clip's noise depends on its place in the data, not on the batch's size.
    clips = tf.cast(self._num_clips.result(), tf.int32) + tf.range(batch_size)
    losses = self._loss_terms(frames, label, 0, clips)
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

  def _scores_labels(self):
    return any(self._scores(g) for g in (self.head, self.tail) if g is not None)

  def _scores(self, glow):
    """Whether training computes every label's likelihood under `glow`."""
    return glow.num_labels is not None and (
      glow.label_prior is not None or self.label_loss_weight > 0
    )

  def _loss_terms(
    self, frames, label, seed, clips, subset_size=None, label_dropout=0.0
  ):
    """Mean bits/dim of each submodel and the loss, a `dict` of scalars."""
    first, contexts, later, _ = self._noisy_targets(
      frames, seed, clips, subset_size
    )
    row = self._label_rows(label, seed, label_dropout)
    losses, evidence = {}, []
    if self.head is not None:
      log_prob, by_label = self._log_prob_and_scores(self.head, first, row)
      losses['head_bits_per_dim'] = self._mean_bits(log_prob)
      evidence.append((by_label, label))
    if self.tail is not None:
      log_prob, by_label = self._log_prob_and_scores(
        self.tail,
        later,
        row if row is None else row[:, tf.newaxis],
        context=contexts,
      )
      losses['tail_bits_per_dim'] = self._mean_bits(log_prob)
      evidence.append(
        (by_label, label if label is None else label[:, tf.newaxis])
      )
    losses['loss'] = sum(losses.values())
    scored = [
      self._label_scores(by_label, label)
      for by_label, label in evidence
      if by_label is not None
    ]
    if scored:
      losses['label_cross_entropy'] = sum(ce for ce, _ in scored)
      losses['label_accuracy'] = scored[0][1]
      losses['loss'] += (
        self.label_loss_weight
        * losses['label_cross_entropy']
        / (self.num_dims * np.log(2.0))
      )
    return losses

  def _mean_bits(self, log_prob):
    bits = likelihood.bits_per_dim(log_prob, self.frame_shape, self.n_bits)
    return tf.reduce_mean(bits)

  def _label_rows(self, label, seed, label_dropout):
    """Labels, `num_labels` (the null label) in place of the dropped ones."""
    if label is None or not label_dropout:
      return label
    uniform = tf.random.stateless_uniform(
      tf.shape(label),
      likelihood.fold_in(likelihood.as_seed(seed), -2),
      alg='philox',
    )
    return tf.where(
      uniform < label_dropout, tf.cast(self.num_labels, label.dtype), label
    )

  def _log_prob_and_scores(self, glow, targets, row, **conditions):
    """Log-densities `[...]` and, where scored, of every label `[..., L]`."""
    if glow.num_labels is None:
      kwargs = conditions
    elif not self._scores(glow):
      kwargs = {'label': tf.one_hot(row, self.num_labels), **conditions}
    else:
      rows = tf.concat(
        [tf.eye(self.num_labels), tf.zeros([1, self.num_labels])], axis=0
      )
      by_label = glow.log_prob_by_label(
        targets, self._base, weights=rows, **conditions
      )
      row = tf.broadcast_to(row, tf.shape(by_label)[:-1])
      log_prob = tf.gather(by_label, row, batch_dims=row.shape.rank)
      return log_prob, by_label[..., :-1]
    return self._flow(glow).log_prob(targets, bijector_kwargs=kwargs), None

  def _label_scores(self, by_label, label):
    """Mean cross entropy of p(label | frame) in nats, and mean accuracy."""
    scores = by_label + self.label_log_prior()
    label = tf.broadcast_to(label, tf.shape(scores)[:-1])
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
      labels=label, logits=scores
    )
    correct = tf.argmax(scores, -1, output_type=label.dtype) == label
    return tf.reduce_mean(cross_entropy), tf.reduce_mean(
      tf.cast(correct, tf.float32)
    )
