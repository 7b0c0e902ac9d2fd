"""Log-densities of videos under a model, and of their labels."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_cglow.video import video_targets

tfd = tfp.distributions

__all__ = ['classify', 'log_prob']


def log_prob(model, frames, label, seed, clips):
  """Log-density of dequantised frames.

  Args:
    model: `VideoGlow`.
    frames: uint8 or float `[B, T, H, W, C]`.
    label: int `[B]`, float `[B, num_labels]` or None.
    seed: Python `int` or int32 `[2]`, of the dequantisation noise.
    clips: int `[B]`, identities for the noise: equal ones get equal noise.

  Returns:
    head: `[B]`, nats, of frame 0; None without a head.
    tail: `[B, T - 1]`, nats, of frame t given those before it; None without a
      tail.
  """
  targets = video_targets.noisy_targets(model, frames, seed, clips)
  head = tail = None
  if model.head is not None:
    kwargs = model.label_kwargs(model.head, label)
    head = _flow(model, model.head).log_prob(
      targets.first, bijector_kwargs=kwargs
    )
  if model.tail is not None:
    kwargs = model.label_kwargs(model.tail, label, time=True)
    tail = _flow(model, model.tail).log_prob(
      targets.later, bijector_kwargs={'context': targets.contexts, **kwargs}
    )
  return head, tail


def classify(model, frames, seed, clips):
  """Log-probabilities of the labels by Bayes' rule.

  Args:
    model: `VideoGlow` whose head or tail takes a label.
    frames: uint8 or float `[B, T, H, W, C]`.
    seed: As of `log_prob`.
    clips: As of `log_prob`.

  Returns:
    `[B, num_labels]`, nats.
  """
  targets = video_targets.noisy_targets(model, frames, seed, clips)
  scores = model.label_log_prior()
  if model.head is not None and model.head.num_labels:
    scores += model.head.log_prob_by_label(targets.first, model.base)
  if model.tail is not None and model.tail.num_labels:
    by_frame = model.tail.log_prob_by_label(
      targets.later, model.base, context=targets.contexts
    )
    scores += tf.reduce_sum(by_frame, axis=1)
  return tf.nn.log_softmax(scores, axis=-1)


def _flow(model, glow):
  return tfd.TransformedDistribution(model.base, glow)
