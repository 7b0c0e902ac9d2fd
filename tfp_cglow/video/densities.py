"""Log-densities of videos, and log-probabilities of their labels."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_cglow.video import video_targets

tfd = tfp.distributions

__all__ = ['classify', 'log_prob']


def log_prob(flow, frames, label, seed, clips):
  """Log-density of dequantised frames.

  Args:
    flow: `VideoFlow`.
    frames: uint8 or float `[B, T, H, W, C]`.
    label: int `[B]`, float `[B, num_labels]` or None.
    seed: Python `int` or int32 `[2]`, of the dequantisation noise.
    clips: int `[B]`, a number for each clip, on which its noise depends.

  Returns:
    head: `[B]`, nats, of frame 0; None without a head.
    tail: `[B, T - 1]`, nats, of frame t given the frames before it; None
      without a tail.
  """
  targets = video_targets.noisy_targets(flow, frames, seed, clips)
  head = tail = None
  if flow.head is not None:
    kwargs = flow.label_kwargs(flow.head, label)
    head = _distribution(flow, flow.head).log_prob(
      targets.first, bijector_kwargs=kwargs
    )
  if flow.tail is not None:
    kwargs = flow.label_kwargs(flow.tail, label, time=True)
    tail = _distribution(flow, flow.tail).log_prob(
      targets.later, bijector_kwargs={'context': targets.contexts, **kwargs}
    )
  return head, tail


def classify(flow, frames, seed, clips):
  """Log-probabilities of the labels given the frames, by Bayes' rule.

  Args:
    flow: `VideoFlow` whose head or tail takes a label.
    frames: uint8 or float `[B, T, H, W, C]`.
    seed: See `log_prob`.
    clips: See `log_prob`.

  Returns:
    `[B, num_labels]`, nats.
  """
  targets = video_targets.noisy_targets(flow, frames, seed, clips)
  scores = flow.label_log_prior()
  if flow.head is not None and flow.head.num_labels:
    scores += flow.head.log_prob_by_label(targets.first, flow.base)
  if flow.tail is not None and flow.tail.num_labels:
    by_frame = flow.tail.log_prob_by_label(
      targets.later, flow.base, context=targets.contexts
    )
    scores += tf.reduce_sum(by_frame, axis=1)
  return tf.nn.log_softmax(scores, axis=-1)


def _distribution(flow, glow):
  return tfd.TransformedDistribution(flow.base, glow)
