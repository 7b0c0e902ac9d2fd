"""Held-out bits/dim by clip, frame and label, and label information.

Label information is how many bits of the label a model has found. It cannot be
read off bits/dim, where a label that merely corrects a badly fitted model looks
the same. With pi, the training frequencies of the labels, it is

  raw         mean of log2 p(x|y) - log2 sum_y' pi(y') p(x|y')
  calibrated  H(pi) + mean of log2 softmax_y(log p(x|y) / T + log pi)

T is fitted on every second clip, and the calibrated information is measured on
the others. It is a lower bound on the mutual information, which is at most
H(pi).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.internal import any_rows

__all__ = ['clip_scores', 'label_information', 'summary']

_TEMPERATURES = np.exp(np.linspace(-3.0, 10.0, 400))


def clip_scores(flow, dataset):
  """Scores of every clip; deterministic.

  Args:
    flow: `VideoFlow`.
    dataset: Finite `tf.data.Dataset` of `(frames, label)` batches.

  Returns:
    `dict` of arrays: `label` int `[N]`; `head` `[N]` and `tail` `[N, T - 1]`,
    bits/dim, if the model has these parts; `label_log_prob` `[N, num_labels]`,
    log p(x|y) in nats up to a constant for each clip, if it takes labels.
  """
  log_prob = any_rows.AnyRows(flow.log_prob)
  classify = any_rows.AnyRows(flow.classify)
  has_labels = flow.num_labels is not None
  rows = []
  for number, (frames, label) in enumerate(dataset):
    seed = tf.constant([0, number])
    head, tail = log_prob(frames, label if has_labels else None, seed=seed)
    row = {'label': label.numpy()}
    for name, value in (('head', head), ('tail', tail)):
      if value is not None:
        row[name] = tfp_cglow.bits_per_dim(
          value, flow.frame_shape, flow.n_bits
        ).numpy()
    if flow.takes_labels:
      posterior = classify(frames, seed=seed)
      row['label_log_prob'] = (posterior - flow.label_log_prior()).numpy()
    rows.append(row)
  return {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}


def label_information(label_log_prob, label, log_prior):
  """How many bits of the label a model has found; see the module's docstring.

  Args:
    label_log_prob: Float `[N, num_labels]`, log p(x|y) in nats, up to a
      constant for each row.
    label: int `[N]`.
    log_prior: Float `[num_labels]`, log of the training frequencies.

  Returns:
    `dict`: label_entropy_bits, label_information_bits (raw),
    calibrated_label_information_bits, label_temperature, label_accuracy (means
    over clips), label_confusion, int `[true][predicted]`, and
    shuffled_label_gap_bits: by how much log2 p(x|y) of a clip falls, on
    average, if the clips' labels are permuted. The gap is not bounded by
    H(label) and is largest for badly calibrated models, so read it only
    together with the others. The calibrated information and the temperature are
    None for fewer than two clips.
  """
  scores = np.asarray(label_log_prob, np.float64)
  log_prior = np.asarray(log_prior, np.float64)
  entropy = -np.sum(np.exp(log_prior) * log_prior) / np.log(2)
  rows = np.arange(len(label))
  # log p(y|x) - log pi(y) is log p(x|y) - log sum pi p.
  raw = (_log_softmax(scores + log_prior) - log_prior)[rows, label]
  predicted = np.argmax(scores + log_prior, axis=-1)
  confusion = np.zeros([scores.shape[-1]] * 2, int)
  np.add.at(confusion, (label, predicted), 1)
  result = {
    'label_entropy_bits': abs(float(entropy)),
    'label_information_bits': float(raw.mean() / np.log(2)),
    'calibrated_label_information_bits': None,
    'label_temperature': None,
    'label_accuracy': float((predicted == label).mean()),
    'label_confusion': confusion.tolist(),
    'shuffled_label_gap_bits': _shuffled_label_gap_bits(scores, label),
  }
  fitted, tested = rows[::2], rows[1::2]
  if len(tested):

    def mean_log(chosen, temperature):
      posterior = _log_softmax(scores[chosen] / temperature + log_prior)
      return posterior[np.arange(len(chosen)), label[chosen]].mean()

    temperature = max(_TEMPERATURES, key=lambda t: mean_log(fitted, t))
    bits = entropy + mean_log(tested, temperature) / np.log(2)
    result['calibrated_label_information_bits'] = float(bits)
    result['label_temperature'] = float(temperature)
  return result


def summary(flow, dataset, label_names, scores=None):
  """The numbers of metrics.json beside the means.

  Args:
    flow: `VideoFlow`.
    dataset: See `clip_scores`.
    label_names: Sequence of `str`.
    scores: The result of `clip_scores`, or None: it is computed.

  Returns:
    `dict`: for head and tail `..._standard_error` over clips and
    `..._by_label`; `tail_bits_per_dim_by_frame`, from frame 1 on; and the
    result of `label_information`.
  """
  scores = clip_scores(flow, dataset) if scores is None else scores
  label = scores['label']
  result = {}
  for name in ('head', 'tail'):
    if name not in scores:
      continue
    key, values = f'{name}_bits_per_dim', scores[name]
    if values.ndim > 1:
      result[f'{key}_by_frame'] = values.mean(axis=0).tolist()
      values = values.mean(axis=1)
    result[f'{key}_standard_error'] = _standard_error(values)
    result[f'{key}_by_label'] = {
      label_names[y]: float(values[label == y].mean()) for y in np.unique(label)
    }
  if 'label_log_prob' in scores:
    result.update(
      label_information(
        scores['label_log_prob'], label, flow.label_log_prior().numpy()
      )
    )
  return result


def _standard_error(values):
  if len(values) < 2:
    return None
  return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _shuffled_label_gap_bits(scores, label):
  """Mean of log2 p(x|y) - sum_y' f(y') log2 p(x|y'), f: label frequencies."""
  frequencies = np.bincount(label, minlength=scores.shape[-1]) / len(label)
  own = scores[np.arange(len(label)), label]
  return float((own - scores @ frequencies).mean() / np.log(2))


def _log_softmax(x):
  x = x - x.max(axis=-1, keepdims=True)
  return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
