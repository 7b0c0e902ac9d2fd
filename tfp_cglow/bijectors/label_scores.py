"""The log-density of frames under every label of a `Glow`."""

import tensorflow as tf

from tfp_cglow.bijectors import conditional_bijector
from tfp_cglow.bijectors import labels
from tfp_cglow.bijectors import tempering

__all__ = ['log_prob_terms']


def log_prob_terms(glow, frames, base, weights=None, **conditions):
  """The two terms whose sum is `Glow.log_prob_by_label`.

  Args:
    glow: `Glow`.
    frames: `[..., H, W, C]`.
    base: `tfd.Distribution` over latent vectors `[H*W*C]`.
    weights: Float `[R, num_labels]`, label weights of each of R results; None:
      each label alone, R = num_labels.
    **conditions: All conditions except `label`.

  Returns:
    base_log_prob: `[..., R]`, nats, log-density of the latents.
    log_det: `[..., R]`, log |det| of the inverse's Jacobian.

  Raises:
    ValueError: if the bijector takes no label, or a condition does not fit.
  """
  if glow.num_labels is None:
    raise ValueError(f'`{glow.name}` takes no label: build it with `labels`.')
  frames = conditional_bijector.to_data(glow, 'frames', frames)
  conditions = glow.checked(frames, 3, conditions, without=['label'])
  if weights is None:
    weights = tf.eye(glow.num_labels, dtype=glow.dtype)
  weights = _check_weights(glow, weights)
  if glow.label_prior is None:
    terms = tf.map_fn(
      lambda w: _of_label(glow, frames, base, label=w, **conditions),
      weights,
      fn_output_signature=(glow.dtype, glow.dtype),
    )
    return tuple(tf.experimental.numpy.moveaxis(t, 0, -1) for t in terms)
  y, ildj = glow._inverse_before_prior(frames, **conditions)  # pylint: disable=protected-access
  x, prior_ildj = glow.label_prior._inverse_and_ildj(  # pylint: disable=protected-access
    y[..., tf.newaxis, :], label=weights
  )
  scale = glow.parameters['latent_scale']
  scale = scale if scale is None else scale[..., tf.newaxis]
  x, scale_ildj = tempering.unscaled(x, scale)
  base_log_prob = base.log_prob(x)
  log_det = prior_ildj + scale_ildj + ildj[..., tf.newaxis]
  return base_log_prob, log_det + tf.zeros_like(base_log_prob)


def _of_label(glow, frames, base, **conditions):
  x, ildj = glow._inverse_and_ildj(frames, **conditions)  # pylint: disable=protected-access
  return base.log_prob(x), ildj


def _check_weights(glow, weights):
  weights = labels.check_label(glow.name, weights, glow.num_labels, glow.dtype)
  if weights.shape.rank != 2 or not weights.dtype.is_floating:
    raise ValueError(
      f'`{glow.name}` expects float `weights` of shape '
      f'[R, {glow.num_labels}], but got {weights.dtype.name} {weights.shape}.'
    )
  return weights
