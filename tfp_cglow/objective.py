"""The training objective: bits/dim of head and tail, and label evidence."""

import dataclasses
import functools
from typing import Optional

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_cglow import likelihood
from tfp_cglow import video_targets

tfd = tfp.distributions
_TERMS = ('bits_per_dim', 'log_det', 'base_log_prob')

__all__ = ['loss_terms', 'metric_names', 'scores_labels']


def scores_labels(model, glow):
  """Whether training computes every label's likelihood under `glow`.

  Where the label enters through the prior it costs one pass; where it enters
  through the context, one pass a label, paid only for the cross entropy.
  """
  return glow.num_labels is not None and (
    glow.label_prior is not None or model.label_loss_weight > 0
  )


def metric_names(model):
  """Names of the scalars that `loss_terms` gives for `model`."""
  names = ['loss']
  for name, glow in (('head', model.head), ('tail', model.tail)):
    for term in _TERMS if glow is not None else ():
      names.append(f'{name}_{term}')
    if glow is not None and scores_labels(model, glow):
      names += [f'{name}_label_cross_entropy', f'{name}_label_accuracy']
  return names


def loss_terms(
  model,
  frames,
  label,
  seed,
  clips,
  subset_size=None,
  label_dropout=0.0,
  label_candidates=None,
):
  """Mean bits/dim of each submodel, label scores, and the loss.

  ```none
  loss = head bits/dim + tail bits/dim
         + label_loss_weight * cross entropy / (N ln 2)
  ```

  Args:
    model: `VideoGlow`.
    frames: uint8 or float `[B, T, H, W, C]`.
    label: int `[B]` or None.
    seed: Python `int` or int32 `[2]`.
    clips: int `[B]`, identities for the noise.
    subset_size: Python `int` or None, see `noisy_targets`.
    label_dropout: Float, probability of the null label.
    label_candidates: Python `int` K, or None: all. Where labels enter through
      the context, and so each costs a pass, the cross entropy and the accuracy
      are those of the label among K, the others drawn (ranking noise
      contrastive estimation, [1]): the fewer, the easier. Through the prior all
      labels cost one pass, and are all scored.

  Returns:
    `dict` of scalars, named as `metric_names` says: bits/dim a frame; its
    parts, the flow's log-determinant (with that of learned noise) and the
    latents' log-density, nats a dimension; cross entropy in nats of p(label |
    frame) at `model.label_loss_temperature`, so that it compares with others at
    the same one only; and the accuracy of its argmax at temperature 1.

  #### References

  [1]: Zhuang Ma and Michael Collins. Noise Contrastive Estimation and Negative
       Sampling for Conditional Models: Consistency and Statistical Efficiency.
       _EMNLP_, 2018.
  """
  targets = video_targets.noisy_targets(model, frames, seed, clips, subset_size)
  rows = _label_rows(model, label, seed, clips, label_dropout, label_candidates)
  terms = {}
  if model.head is not None:
    terms.update(
      _submodel_terms(model, 'head', targets.first, targets.first_log_det, rows)
    )
  if model.tail is not None:
    terms.update(
      _submodel_terms(
        model,
        'tail',
        targets.later,
        targets.later_log_det,
        rows.by_frame(),
        context=targets.contexts,
      )
    )
  cross_entropies = [v for k, v in terms.items() if 'cross_entropy' in k]
  weight = model.label_loss_weight / (model.num_dims * np.log(2.0))
  bits = [v for k, v in terms.items() if 'bits_per_dim' in k]
  terms['loss'] = sum(bits) + weight * sum(cross_entropies)
  return terms


@dataclasses.dataclass(frozen=True)
class _LabelRows:
  """Rows of labels for each frame; `num_labels` is the null label.

  Attributes:
    label: int `[...]`, or None.
    given: int `[...]`, the same, or the null label where that was dropped.
    candidates: int `[..., K]`, others and the label, or None: all labels.
    has_null: Python `bool`, whether `given` may be the null label.
  """

  label: Optional[tf.Tensor]
  given: Optional[tf.Tensor]
  candidates: Optional[tf.Tensor]
  has_null: bool

  def by_frame(self):
    """The same rows for every frame of a clip."""
    more = lambda t, axis: None if t is None else tf.expand_dims(t, axis)
    return dataclasses.replace(
      self,
      label=more(self.label, -1),
      given=more(self.given, -1),
      candidates=more(self.candidates, -2),
    )


def _label_rows(model, label, seed, clips, dropout, num_candidates):
  if label is None:
    return _LabelRows(None, None, None, False)
  num_labels, given, candidates = model.num_labels, label, None
  seed = likelihood.as_seed(seed)
  if dropout:
    (uniform,) = tf.unstack(_uniform(seed, -2, clips, 1), axis=-1)
    null = tf.cast(num_labels, label.dtype)
    given = tf.where(uniform < dropout, null, label)
  if num_candidates is not None:
    # Others in the order of random numbers, then the label: a tie is an error.
    order = _uniform(seed, -4, clips, num_labels)
    order -= tf.one_hot(label, num_labels)
    others = tf.math.top_k(order, num_candidates - 1).indices
    candidates = tf.concat(
      [tf.cast(others, label.dtype), label[:, tf.newaxis]], axis=-1
    )
  return _LabelRows(label, given, candidates, dropout > 0)


def _uniform(seed, stream, clips, size):
  """Each clip's own numbers in [0, 1), `[B, size]`."""
  seed = likelihood.fold_in(seed, stream)
  return tf.map_fn(
    lambda clip: tf.random.stateless_uniform(
      [size], likelihood.fold_in(seed, clip), alg='philox'
    ),
    clips,
    fn_output_signature=tf.float32,
  )


def _submodel_terms(model, name, frames, noise_log_det, rows, **conditions):
  glow = getattr(model, name)
  log_prob, log_det, scores = _log_prob_and_scores(
    model, glow, frames, rows, **conditions
  )
  log_prob += noise_log_det
  log_det += noise_log_det
  bits = likelihood.bits_per_dim(log_prob, model.frame_shape, model.n_bits)
  terms = {
    f'{name}_bits_per_dim': tf.reduce_mean(bits),
    f'{name}_log_det': tf.reduce_mean(log_det) / model.num_dims,
    f'{name}_base_log_prob': (
      tf.reduce_mean(log_prob - log_det) / model.num_dims
    ),
  }
  if scores is not None:
    cross_entropy = scores.cross_entropy(model.label_loss_temperature)
    terms[f'{name}_label_cross_entropy'] = tf.reduce_mean(cross_entropy)
    terms[f'{name}_label_accuracy'] = scores.accuracy()
  return terms


@dataclasses.dataclass(frozen=True)
class _Scores:
  """What labels compete with.

  Attributes:
    log_likelihoods: `[..., K]`, log p(frame | label).
    log_prior: log p(label), broadcasts with `[..., K]`.
    target: int `[...]`, the index of the right one.
  """

  log_likelihoods: tf.Tensor
  log_prior: tf.Tensor
  target: tf.Tensor

  def cross_entropy(self, temperature):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
      labels=self.target,
      logits=self.log_likelihoods / temperature + self.log_prior,
    )

  def accuracy(self):
    best = tf.argmax(
      self.log_likelihoods + self.log_prior,
      axis=-1,
      output_type=self.target.dtype,
    )
    return tf.reduce_mean(tf.cast(best == self.target, tf.float32))


def _log_prob_and_scores(model, glow, targets, rows, **conditions):
  """Log-densities and log-determinants `[...]`, and `_Scores` or None."""
  if not scores_labels(model, glow):
    if glow.num_labels is not None:
      conditions['label'] = tf.one_hot(rows.given, model.num_labels)
    flow = tfd.TransformedDistribution(model.base, glow)
    log_prob = flow.log_prob(targets, bijector_kwargs=conditions)
    # Known from the line above: the bijector keeps it.
    log_det = glow.inverse_log_det_jacobian(
      targets, event_ndims=3, **conditions
    )
    return log_prob, log_det, None
  labels, given, num_scored, target = _passes(model, glow, rows)
  # The passes first; the null label's row is zero.
  weights = tf.one_hot(
    tf.experimental.numpy.moveaxis(labels, -1, 0), model.num_labels
  )
  base_log_prob, log_det = glow.log_prob_terms_by_label(
    targets, model.base, weights=weights, **conditions
  )
  by_label = base_log_prob + log_det
  log_prior = tf.gather(model.label_log_prior(), labels[..., :num_scored])
  given = tf.broadcast_to(given, tf.shape(by_label)[:-1])
  pick = functools.partial(
    tf.gather, indices=given, batch_dims=by_label.shape.rank - 1
  )
  scores = _Scores(
    by_label[..., :num_scored],
    log_prior,
    tf.broadcast_to(target, tf.shape(by_label)[:-1]),
  )
  return pick(by_label), pick(log_det), scores


def _passes(model, glow, rows):
  """Labels `[..., P]` to be scored, and what of them is what.

  Returns:
    labels: int `[..., P]`.
    given: int `[...]`, the index of the label that the model was given.
    num_scored: How many of the labels compete, the first ones.
    target: int `[...]`, the index of the right one among them.
  """
  if rows.candidates is None or glow.label_prior is not None:
    labels = tf.range(model.num_labels + 1)
    return labels, rows.given, model.num_labels, rows.label
  num_candidates = rows.candidates.shape[-1]
  last = tf.fill(tf.shape(rows.label), num_candidates - 1)
  if not rows.has_null:
    return rows.candidates, last, num_candidates, last
  labels = tf.concat([rows.candidates, rows.given[..., tf.newaxis]], axis=-1)
  return labels, last + 1, num_candidates, last
