"""Generation of videos, frame by frame, in one graph."""

import numpy as np
import tensorflow as tf

from tfp_cglow import likelihood
from tfp_cglow import video_targets

__all__ = ['check_request', 'rollout', 'row_seeds']


def row_seeds(seed, batch_size):
  """A seed a row, int32 `[B, 2]`, of one seed; `[B, 2]` stays as it is."""
  seed = likelihood.as_seed(seed)
  if seed.shape.rank == 2:
    return seed
  return tf.map_fn(
    lambda row: likelihood.fold_in(seed, row), tf.range(batch_size)
  )


def check_request(model, num_frames, given, temperature, batch_size):
  """Raises ValueError for a request that `rollout` cannot answer."""
  num_given = 1 if given is None else given.shape[1]
  if model.head is None and given is None:
    raise ValueError('A model without a head needs `first_frames`.')
  if num_frames < num_given:
    raise ValueError(
      f'`num_frames` must be at least {num_given}, but got {num_frames}.'
    )
  if model.tail is None and num_frames > num_given:
    raise ValueError(
      f'A model without a tail makes {num_given} frame(s), '
      f'but `num_frames` is {num_frames}.'
    )
  values = np.asarray(temperature)
  if not np.all(np.isfinite(values)) or np.any(values < 0):
    raise ValueError(
      f'`temperature` must be finite and >= 0, but got {temperature}.'
    )
  if given is not None and given.shape[0] != batch_size:
    raise ValueError(
      f'`first_frames` holds {given.shape[0]} videos, '
      f'but {batch_size} are asked for.'
    )


def rollout(model, label, given, num_frames, temperature, seeds):
  """Continues videos, or begins them with the head.

  Frame t of row b is a function of (seeds[b], t), the row's label and its
  earlier frames: not of the rest of the batch.

  Args:
    model: `VideoGlow`.
    label: int `[B]`, float `[B, num_labels]` or None.
    given: Clean frames `[B, T0, H, W, C]`, T0 >= 1, or None: the head draws
      the first.
    num_frames: int scalar, T >= T0, counting the given frames.
    temperature: Float `[B]`, scales the latent noise.
    seeds: int32 `[B, 2]`.

  Returns:
    uint8 `[B, T, H, W, C]`.
  """
  num_dims = model.num_dims

  def draw(glow, time, **conditions):
    z = likelihood.latent_noise(seeds, time, num_dims)
    frame = glow.forward(z * temperature[:, tf.newaxis], **conditions)
    return video_targets.clean_generated(model, frame)

  if given is None:
    given = draw(model.head, 0, **model.label_kwargs(model.head, label))
    given = given[:, tf.newaxis]
  if model.tail is None:
    return likelihood.to_uint8(given)

  tail = model.tail.prepared()
  kwargs = model.label_kwargs(tail, label)
  num_given = tf.shape(given)[1]
  newest_first = [
    given[:, tf.maximum(num_given - 1 - lag, 0)]
    for lag in range(model.previous_frames)
  ]
  # The state before the last given frame, which the loop's first turn adds. A
  # list, empty without a processor, because a loop variable cannot be None.
  state = video_targets.initial_state(model, given)
  generated = tf.TensorArray(
    tf.uint8, size=num_frames - num_given + 1, element_shape=given[:, 0].shape
  ).write(0, likelihood.to_uint8(newest_first[0]))

  def body(time, recent, state, generated):
    state = video_targets.next_state(model, state, recent[0])
    context = video_targets.context_map([*recent, *state])
    frame = draw(tail, time, context=context, **kwargs)
    frame = tf.ensure_shape(frame, recent[0].shape)
    generated = generated.write(
      time - num_given + 1, likelihood.to_uint8(frame)
    )
    return time + 1, [frame, *recent[:-1]], state, generated

  _, _, _, generated = tf.while_loop(
    lambda time, *_: time < num_frames,
    body,
    (num_given, newest_first, state, generated),
    parallel_iterations=1,
  )
  generated = tf.transpose(generated.stack(), [1, 0, 2, 3, 4])
  return tf.concat([likelihood.to_uint8(given[:, :-1]), generated], axis=1)
