"""The training objective: bits/dim of head and tail, and a label loss."""

from __future__ import annotations

import dataclasses
import functools
from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors import label_scores
from tfp_cglow.internal import checks
from tfp_cglow.internal import replicas
from tfp_cglow.video import context_warp
from tfp_cglow.video import likelihood
from tfp_cglow.video import video_targets

_TERMS = ('bits_per_dim', 'log_det', 'base_log_prob')

__all__ = [
  'VideoLoss',
  'first_clips',
  'loss_terms',
  'metric_names',
  'scores_labels',
]


@dataclasses.dataclass(frozen=True)
class VideoLoss:
  """Settings of the loss that a `VideoGlow` minimises, see `loss_terms`.

  Attributes:
    label_weight: Float, weight of the cross entropy of p(label | frame).
    label_dropout: Float, probability that the null label replaces a clip's
      label in training.
    tail_frames_per_step: Python `int`, number of random frames of each clip
      that the tail is trained on in a step, an unbiased estimate; None: all.
    head_frames_per_step: Python `int`, number of random frames of each clip
      that the head is trained on in a step, for data whose first frames look
      like any other; None: frame 0 alone.
    tail_clips_per_step: Python `int`, number of clips of the batch that the
      tail is trained on; None, or more than there are: all. Of several
      replicas, together.
    head_clips_per_step: The same of the head. Its `AutoregressiveBase` is
      trained on all clips: it is small, and needs more of them than the finer
      pixels.
    tail_context_warp: `ContextWarp`, how the tail's contexts are deformed in
      training; None: not at all. Then training bits are of deformed contexts.
  """

  label_weight: float = 1.0
  label_dropout: float = 0.0
  tail_frames_per_step: Optional[int] = None
  head_frames_per_step: Optional[int] = None
  tail_clips_per_step: Optional[int] = None
  head_clips_per_step: Optional[int] = None
  tail_context_warp: Optional[context_warp.ContextWarp] = None

  def __post_init__(self):
    for part in ('head', 'tail'):
      for of in ('frames', 'clips'):
        name = f'{part}_{of}_per_step'
        checks.check_at_least(name, getattr(self, name), 1)
    checks.check_kind(
      'tail_context_warp', self.tail_context_warp, context_warp.ContextWarp
    )


def scores_labels(glow, label_weight):
  """Whether training computes every label's likelihood under `glow`.

  If the label enters through the prior, this takes one pass. If it enters
  through the context, it takes a pass for each label, and training does it only
  if the loss has the cross entropy.
  """
  return glow.num_labels is not None and (
    glow.label_prior is not None or label_weight > 0
  )


def metric_names(flow, label_weight):
  """Names of the scalars that `loss_terms` gives for `flow`."""
  names = ['loss']
  for name, glow in (('head', flow.head), ('tail', flow.tail)):
    for term in _TERMS if glow is not None else ():
      names.append(f'{name}_{term}')
    if glow is not None and scores_labels(glow, label_weight):
      names += [f'{name}_label_cross_entropy', f'{name}_label_accuracy']
  return names


def loss_terms(flow, loss, frames, label, seed, clips):
  """Computes the loss and its terms.

  ```none
  loss = head bits/dim + tail bits/dim
         + label_weight * cross entropy / (N ln 2)
  ```

  The cross entropy is the sum over head and tail of that of p(label | frame).

  Args:
    flow: `VideoFlow`.
    loss: `VideoLoss`.
    frames: uint8 or float `[B, T, H, W, C]`.
    label: int `[B]` or None.
    seed: Python `int` or int32 `[2]`, of the noise.
    clips: int `[B]`, a number for each clip, on which its noise depends.

  Returns:
    `dict` of scalars, means over clips and frames, with the names that
    `metric_names` gives: 'loss'; and for head and tail
    `bits_per_dim`: Bits per dimension. Those of the head's base are of all
      clips, also if the other terms are of some, see `VideoLoss`.
    `log_det`: The flow's log-determinant, nats per dimension.
    `base_log_prob`: The latents' log-density, nats per dimension.
    `label_cross_entropy`: Cross entropy of p(label | frame), nats.
    `label_accuracy`: How often the most probable label is right.
  """
  given = _with_null_labels(flow, label, seed, clips, loss.label_dropout)
  terms = {}
  if flow.head is not None:
    terms.update(_head_terms(flow, loss, frames, label, given, seed, clips))
  if flow.tail is not None:
    some = first_clips(loss.tail_clips_per_step, frames, label, given, clips)
    terms.update(_tail_terms(flow, loss, *some, seed))
  label_weight = loss.label_weight
  cross_entropies = [v for k, v in terms.items() if 'cross_entropy' in k]
  weight = label_weight / (flow.num_dims * np.log(2.0))
  bits = [v for k, v in terms.items() if 'bits_per_dim' in k]
  terms['loss'] = sum(bits) + weight * sum(cross_entropies)
  return terms


def _head_terms(flow, loss, frames, label, given, seed, clips):
  """The head's terms; of its base, on all clips."""
  num_frames = loss.head_frames_per_step
  if num_frames is None:
    targets = video_targets.first_frames(flow, frames, seed, clips)
  else:
    targets = video_targets.some_frames(flow, frames, seed, clips, num_frames)
    label, given = _by_frame(label, given)
  some = first_clips(loss.head_clips_per_step, targets, label, given)
  terms = _submodel_terms(flow, 'head', loss.label_weight, *some)
  if loss.head_clips_per_step is not None and flow.head.gives_coarsest_log_prob:
    bits = _base_bits(flow, targets, given)
    # The mean over some clips is replaced by that over all.
    (of_some,) = first_clips(loss.head_clips_per_step, bits)
    terms['head_bits_per_dim'] += tf.reduce_mean(bits) - tf.reduce_mean(of_some)
  return terms


def _tail_terms(flow, loss, frames, label, given, clips, seed):
  targets = video_targets.noisy_targets(
    flow,
    frames,
    seed,
    clips,
    loss.tail_frames_per_step,
    loss.tail_context_warp,
  )
  return _submodel_terms(
    flow,
    'tail',
    loss.label_weight,
    targets.later,
    *_by_frame(label, given),
    context=targets.contexts,
  )


def _base_bits(flow, frames, given):
  """Bits of the head's base, divided by the dimensions of the whole frame."""
  conditions = {}
  if flow.head.num_labels is not None:
    conditions['label'] = tf.one_hot(given, flow.num_labels)
  log_prob = flow.head.coarsest_log_prob(frames, **conditions)
  return -log_prob / (flow.num_dims * np.log(2.0))


def _by_frame(*labels):
  """Labels `[B]` as `[B, 1]`; None stays None."""
  return [t if t is None else t[:, tf.newaxis] for t in labels]


def first_clips(number, *tensors):
  """The first of B clips, this replica's share.

  Args:
    number: Python `int`, number of clips of all replicas; None: all clips.
    *tensors: `[B, ...]`, or None.

  Returns:
    List of `[b, ...]`, or None.
  """
  if number is None:
    return tensors
  own = max(number // replicas.num_replicas(), 1)
  return [t if t is None else t[:own] for t in tensors]


def _with_null_labels(flow, label, seed, clips, dropout):
  """Replaces some of the labels `[B]` by the null label, `num_labels`."""
  if label is None or not dropout:
    return label
  seed = likelihood.fold_in(likelihood.as_seed(seed), -2)
  uniform = tf.map_fn(
    lambda clip: tf.random.stateless_uniform(
      [], likelihood.fold_in(seed, clip), alg='philox'
    ),
    clips,
    fn_output_signature=tf.float32,
  )
  null = tf.cast(flow.num_labels, label.dtype)
  return tf.where(uniform < dropout, null, label)


def _submodel_terms(
  flow, name, label_weight, frames, label, given, **conditions
):
  glow = getattr(flow, name)
  log_prob, log_det, scores = _log_prob_and_scores(
    flow, glow, label_weight, frames, given, **conditions
  )
  bits = likelihood.bits_per_dim(log_prob, flow.frame_shape, flow.n_bits)
  terms = {
    f'{name}_bits_per_dim': tf.reduce_mean(bits),
    f'{name}_log_det': tf.reduce_mean(log_det) / flow.num_dims,
    f'{name}_base_log_prob': (
      tf.reduce_mean(log_prob - log_det) / flow.num_dims
    ),
  }
  if scores is not None:
    label = tf.broadcast_to(label, tf.shape(scores)[:-1])
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
      labels=label, logits=scores
    )
    correct = tf.argmax(scores, -1, output_type=label.dtype) == label
    accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))
    terms[f'{name}_label_cross_entropy'] = tf.reduce_mean(cross_entropy)
    terms[f'{name}_label_accuracy'] = accuracy
  return terms


def _log_prob_and_scores(
  flow, glow, label_weight, targets, given, **conditions
):
  """Log-densities of frames, and scores of their labels.

  Returns:
    log_prob: `[...]`, log p(frame | given label), nats.
    log_det: `[...]`, its part that is the flow's log-determinant, nats.
    scores: `[..., num_labels]`, log p(frame, label) of every label, nats; or
      None, see `scores_labels`.
  """
  if not scores_labels(glow, label_weight):
    if glow.num_labels is not None:
      conditions['label'] = tf.one_hot(given, flow.num_labels)
    x, log_det = glow.inverse_and_log_det(targets, **conditions)
    return flow.base.log_prob(x) + log_det, log_det, None
  # The last row is zero: the null label.
  labels_and_null = tf.one_hot(tf.range(flow.num_labels + 1), flow.num_labels)
  base_log_prob, log_det = label_scores.log_prob_terms(
    glow, targets, flow.base, weights=labels_and_null, **conditions
  )
  by_label = base_log_prob + log_det  # [..., num_labels + 1]
  given = tf.broadcast_to(given, tf.shape(by_label)[:-1])
  pick = functools.partial(
    tf.gather, indices=given, batch_dims=by_label.shape.rank - 1
  )
  scores = by_label[..., :-1] + flow.label_log_prior()
  return pick(by_label), pick(log_det), scores
