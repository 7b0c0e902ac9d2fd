"""Interpolation between videos in latent space."""

from __future__ import annotations

from typing import Optional

import tensorflow as tf

from tfp_cglow.video import video_flow

__all__ = ['interpolate', 'interpolate_latents']


def interpolate_latents(
  latents_a: tf.types.experimental.TensorLike,
  latents_b: tf.types.experimental.TensorLike,
  num: int,
) -> tf.Tensor:
  """Spherical interpolation between latents.

  ```none
  sin((1 - w) o) / sin(o) a + sin(w o) / sin(o) b,  o the angle between a and b
  ```

  for `num` weights w from 0 to 1. The results are about as long as normal
  samples are. A straight line would pass near the origin, where a normal
  distribution in many dimensions has almost no mass.

  Args:
    latents_a: Float `[..., N]`.
    latents_b: Float `[..., N]`.
    num: Python `int`, at least 2.

  Returns:
    Float `[num, ..., N]`, from `latents_a` to `latents_b`, both included.

  Raises:
    ValueError: if `num` is below 2 or the shapes differ.
  """
  a, b = (tf.convert_to_tensor(t) for t in (latents_a, latents_b))
  if num < 2:
    raise ValueError(f'`num` must be at least 2, but got {num}.')
  if not a.shape.is_compatible_with(b.shape):
    raise ValueError(
      f'Expected latents of one shape, but got {a.shape} and {b.shape}.'
    )
  cosine = tf.reduce_sum(
    tf.math.l2_normalize(a, -1) * tf.math.l2_normalize(b, -1),
    axis=-1,
    keepdims=True,
  )
  angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
  sine = tf.sin(angle)
  # A line for (nearly) parallel latents and for latents of length zero.
  lengths = tf.norm(a, axis=-1, keepdims=True) * tf.norm(
    b, axis=-1, keepdims=True
  )
  is_arc = (sine > 1e-4) & (lengths > 0.0)
  safe = tf.where(is_arc, sine, tf.ones_like(sine))

  def between(w):
    arc = (tf.sin((1.0 - w) * angle) * a + tf.sin(w * angle) * b) / safe
    return tf.where(is_arc, arc, (1.0 - w) * a + w * b)

  inner = [between(k / (num - 1)) for k in range(1, num - 1)]
  return tf.stack([a, *inner, b])


def interpolate(
  flow: video_flow.VideoFlow,
  latents_a: tf.types.experimental.TensorLike,
  latents_b: tf.types.experimental.TensorLike,
  num: int,
  labels: Optional[tf.types.experimental.TensorLike] = None,
  first_frames: Optional[tf.types.experimental.TensorLike] = None,
) -> tf.Tensor:
  """Decodes videos between two sets of videos, given their latents.

  ```none
  a, b = (flow.encode(frames, labels) for frames in (ours, theirs))
  videos = tfp_cglow.interpolate(flow, a, b, 8, labels)
  ```

  Args:
    flow: `VideoFlow`.
    latents_a: Float `[B, T, N]`, see `VideoFlow.encode`.
    latents_b: Float `[B, T, N]`.
    num: Python `int`, number of videos in each row, both ends included.
    labels: int `[B]` or float `[B, num_labels]`, one label for all videos of a
      row; None for a model without labels.
    first_frames: uint8 `[B, H, W, C]`, frame 0 of all videos of a row, for a
      model without a head; otherwise None.

  Returns:
    uint8 `[B, num, T, H, W, C]`; with `first_frames` T + 1 frames.

  Raises:
    ValueError: if an argument does not fit.
  """
  if (flow.num_labels is None) != (labels is None):
    raise ValueError(
      f'Expected {"no " * (flow.num_labels is None)}`labels` for this model, '
      f'but got {labels}.'
    )
  if (flow.head is None) != (first_frames is not None):
    raise ValueError(
      'Expected `first_frames` if and only if the model is without a head, '
      f'but got {"none" if first_frames is None else "some"}.'
    )
  between = interpolate_latents(latents_a, latents_b, num)
  by_row = tf.experimental.numpy.moveaxis(between, 0, 1)  # [B, num, T, N]

  def flat(x):
    return None if x is None else tf.repeat(tf.convert_to_tensor(x), num, 0)

  shape = tf.shape(by_row)
  videos = flow.decode(
    tf.reshape(by_row, tf.concat([[-1], shape[2:]], 0)),
    flat(labels),
    flat(first_frames),
  )
  return tf.reshape(
    videos, tf.concat([shape[:2], tf.shape(videos)[1:]], axis=0)
  )
