"""The mean of the next frame, given the true frames before it."""

import tensorflow as tf

from tfp_cglow.internal import checks
from tfp_cglow.video import likelihood
from tfp_cglow.video import video_targets

__all__ = ['predictive_mean']


def predictive_mean(flow, frames, label, num_samples, seed):
  """See `VideoFlow.predictive_mean`; `frames` and `label` are checked."""
  _check(flow, frames, num_samples)
  contexts = video_targets.contexts_of(
    flow, video_targets.clean_given(flow, frames)
  )
  conditions = {
    'context': contexts,
    **flow.label_kwargs(flow.tail, label, time=True),
  }
  if num_samples is None:
    return _bytes_of_levels(flow, flow.tail.mean_levels(**conditions))
  return _mean_of_samples(flow, conditions, num_samples, seed)


def _check(flow, frames, num_samples):
  if flow.tail is None:
    raise ValueError('A model without a tail predicts no frame.')
  if frames.shape[1] == 1:
    raise ValueError('A model predicts from the second frame on, but got one.')
  checks.check_at_least('num_samples', num_samples, 1)
  if num_samples is None and not flow.gives_predictive_mean:
    raise ValueError(
      'This model does not give its mean exactly: set `num_samples`. Exact are '
      'the means of a `LevelMixture` without halvings, for frames of one '
      'channel, with no steps and no `LabelPriors` after it.'
    )


def _bytes_of_levels(flow, levels):
  """Mean levels in the units of the frames that `sample` returns."""
  if flow.dequantisation == 'drawn':
    return 255.0 * levels
  width = 2 ** (8 - flow.n_bits)
  return width * levels + width // 2


def _mean_of_samples(flow, conditions, num_samples, seed):
  tail = flow.tail.prepared()
  seed = likelihood.as_seed(seed)
  leading = tf.shape(conditions['context'])[:2]
  shape = tf.concat([leading, [flow.num_dims]], axis=0)

  def add_sample(k, total):
    latent = tf.random.stateless_normal(
      shape, likelihood.fold_in(seed, k), dtype=tail.dtype, alg='philox'
    )
    frame = tail.forward(latent, **conditions)
    frame = likelihood.to_uint8(video_targets.clean_generated(flow, frame))
    return k + 1, total + tf.cast(frame, total.dtype)

  zeros = tf.zeros(
    tf.concat([leading, flow.frame_shape], axis=0), dtype=tail.dtype
  )
  _, total = tf.while_loop(
    lambda k, _: k < num_samples,
    add_sample,
    (0, zeros),
    parallel_iterations=1,
  )
  return total / num_samples
