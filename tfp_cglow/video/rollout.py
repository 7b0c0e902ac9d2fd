"""From latents to videos, frame by frame, and back."""

import numpy as np
import tensorflow as tf

from tfp_cglow.video import likelihood
from tfp_cglow.video import video_targets

__all__ = [
  'check_request',
  'check_sampling',
  'decode',
  'encode',
  'first_frame',
  'generate',
  'next_frame',
  'noise',
  'rollout',
  'row_seeds',
]


def row_seeds(seed, batch_size):
  """A seed a row, int32 `[B, 2]`, of one seed; `[B, 2]` stays as it is."""
  seed = likelihood.as_seed(seed)
  if seed.shape.rank == 2:
    return seed
  return tf.map_fn(
    lambda row: likelihood.fold_in(seed, row), tf.range(batch_size)
  )


def check_request(flow, num_frames, given, temperature, batch_size):
  """Raises ValueError for a request that `rollout` cannot answer."""
  num_given = 1 if given is None else given.shape[1]
  if flow.head is None and given is None:
    raise ValueError('A model without a head needs `first_frames`.')
  check_sampling(num_frames, given, temperature, batch_size)
  if flow.tail is None and num_frames > num_given:
    raise ValueError(
      f'A model without a tail makes {num_given} frame(s), '
      f'but `num_frames` is {num_frames}.'
    )


def check_sampling(num_frames, given, temperature, batch_size):
  """Raises ValueError for a request that no model of videos can answer."""
  least = 1 if given is None else given.shape[1]
  if num_frames < least:
    raise ValueError(
      f'`num_frames` must be at least {least}, but got {num_frames}.'
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


def rollout(
  flow, label, given, num_frames, temperature, seeds, guard=tf.identity
):
  """Continues videos, or begins them with the head.

  Frame t of row b is a function of (seeds[b], t), the row's label and its
  earlier frames: not of the rest of the batch.

  Args:
    flow: `VideoFlow`.
    label: int `[B]`, float `[B, num_labels]` or None.
    given: Clean frames `[B, T0, H, W, C]`, T0 >= 1, or None: the head draws
      the first.
    num_frames: int scalar, T >= T0, counting the given frames.
    temperature: Float `[B]`, scales the latent noise.
    seeds: int32 `[B, 2]`.
    guard: See `generate`.

  Returns:
    uint8 `[B, T, H, W, C]`.
  """

  def latent(time):
    return noise(flow, temperature, seeds, time)

  return generate(flow, label, given, num_frames, latent, guard)


def noise(flow, temperature, seeds, time):
  """Latents `[B, N]` of frame `time`, an int scalar or `[B]`."""
  z = likelihood.latent_noise(seeds, time, flow.num_dims)
  return z * temperature[:, tf.newaxis]


def generate(flow, label, given, num_frames, latent, guard=tf.identity):
  """Videos of latents that are asked for frame by frame.

  Every frame enters the next one's context as the uint8 it is returned as: to
  continue a part of the result gives the rest of it.

  Args:
    flow: `VideoFlow`.
    label: See `rollout`.
    given: See `rollout`.
    num_frames: See `rollout`.
    latent: Callable from the frame's index, an int scalar, to `[B, N]`.
    guard: Callable on each frame `[B, H, W, C]` as the flow makes it.

  Returns:
    uint8 `[B, T, H, W, C]`.
  """
  if given is None:
    given = first_frame(flow, label, latent(0), guard)[:, tf.newaxis]
  else:
    given = likelihood.to_uint8(given)
  if flow.tail is None:
    return given

  tail = flow.tail.prepared()
  num_given = tf.shape(given)[1]
  newest_first = [
    given[:, tf.maximum(num_given - 1 - lag, 0)]
    for lag in range(flow.previous_frames)
  ]
  # The state before the last given frame, which the loop's first turn adds. A
  # list, empty without a memory, because a loop variable cannot be None.
  state = video_targets.initial_state(
    flow, video_targets.clean_given(flow, given)
  )
  generated = tf.TensorArray(
    tf.uint8, size=num_frames - num_given + 1, element_shape=given[:, 0].shape
  ).write(0, newest_first[0])

  def body(time, recent, state, generated):
    frame, state = next_frame(
      flow, tail, label, recent, state, latent(time), guard
    )
    frame = tf.ensure_shape(frame, recent[0].shape)
    generated = generated.write(time - num_given + 1, frame)
    return time + 1, [frame, *recent[:-1]], state, generated

  _, _, _, generated = tf.while_loop(
    lambda time, *_: time < num_frames,
    body,
    (num_given, newest_first, state, generated),
    parallel_iterations=1,
  )
  generated = tf.transpose(generated.stack(), [1, 0, 2, 3, 4])
  return tf.concat([given[:, :-1], generated], axis=1)


def first_frame(flow, label, latent, guard=tf.identity):
  """The head's frame, uint8 `[B, H, W, C]`, of latents `[B, N]`."""
  kwargs = flow.label_kwargs(flow.head, label)
  return _to_frame(flow, guard(flow.head.forward(latent, **kwargs)))


def next_frame(flow, tail, label, recent, state, latent, guard=tf.identity):
  """One more frame of the tail.

  Args:
    flow: `VideoFlow`.
    tail: Its tail, or `tail.prepared()`.
    label: See `rollout`.
    recent: List of `flow.previous_frames` frames, uint8 `[B, H, W, C]`, the
      newest first; before the first frame it is repeated.
    state: `[map [B, H, W, S]]`, the state before the newest frame (zeros where
      that is the first), or `[]` of a model without.
    latent: `[B, N]`.
    guard: See `generate`.

  Returns:
    frame: uint8 `[B, H, W, C]`.
    state: The state before that frame.
  """
  clean = [video_targets.clean_given(flow, f) for f in recent]
  state = video_targets.next_state(flow, state, clean[0])
  context = tf.concat([*clean, *state], axis=-1)
  kwargs = flow.label_kwargs(tail, label)
  frame = guard(tail.forward(latent, context=context, **kwargs))
  return _to_frame(flow, frame), state


def _to_frame(flow, frame):
  return likelihood.to_uint8(video_targets.clean_generated(flow, frame))


def encode(flow, frames, label=None):
  """The latents of videos: `decode` gives the quantised frames back.

  Frames are taken at the centres of their bins, so nothing is drawn.

  Args:
    flow: `VideoFlow`.
    frames: uint8 or float `[B, T, H, W, C]`.
    label: int `[B]`, float `[B, num_labels]` or None.

  Returns:
    `[B, T, N]`; without a head `[B, T - 1, N]`, of the frames from 1 on;
    without a tail `[B, 1, N]`, of frame 0.
  """
  label = label if label is None else tf.convert_to_tensor(label)
  is_legacy = flow.dequantisation == 'legacy'
  targets = likelihood.quantise(frames, 8 if is_legacy else flow.n_bits)
  latents = []
  if flow.head is not None:
    kwargs = flow.label_kwargs(flow.head, label)
    first = flow.head.inverse(targets[:, 0], **kwargs)
    latents.append(first[:, tf.newaxis])
  if flow.tail is not None and frames.shape[1] != 1:
    kwargs = flow.label_kwargs(flow.tail, label, time=True)
    contexts = video_targets.contexts_of(
      flow, video_targets.clean_given(flow, frames)
    )
    latents.append(
      flow.tail.inverse(targets[:, 1:], context=contexts, **kwargs)
    )
  return tf.concat(latents, axis=1)


def decode(flow, latents, label=None, first=None, guard=tf.identity):
  """The videos of latents, each frame given those decoded before it.

  Args:
    flow: `VideoFlow`.
    latents: Float `[B, T, N]`, as of `encode`.
    label: int `[B]`, float `[B, num_labels]` or None.
    first: uint8 `[B, H, W, C]`, frame 0 for a model without a head, to which
      the latents are those of the frames after it; None: the head makes it.
    guard: See `generate`.

  Returns:
    uint8 `[B, T, H, W, C]`; with `first` `[B, T + 1, H, W, C]`.
  """
  num_given, given = 0, None
  if first is not None:
    num_given = 1
    given = video_targets.clean_given(flow, first[:, tf.newaxis])

  def latent(time):
    return tf.gather(latents, time - num_given, axis=1)

  num_frames = tf.shape(latents)[1] + num_given
  return generate(flow, label, given, num_frames, latent, guard)
