"""Generates videos from latents, frame by frame, and the inverse."""

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
  """Makes seeds of rows, int32 `[B, 2]`, of one seed; keeps those of rows."""
  seed = likelihood.as_seed(seed)
  if seed.shape.rank == 2:
    return seed
  return tf.map_fn(
    lambda row: likelihood.fold_in(seed, row), tf.range(batch_size)
  )


def check_request(flow, num_frames, given, temperature, min_p, batch_size):
  """Raises ValueError if `rollout` cannot use these arguments."""
  num_given = 1 if given is None else given.shape[1]
  if flow.head is None and given is None:
    raise ValueError('A model without a head needs `first_frames`.')
  check_sampling(num_frames, given, temperature, batch_size, min_p)
  if flow.tail is None and num_frames > num_given:
    raise ValueError(
      f'A model without a tail cannot make more than {num_given} frame(s), '
      f'but `num_frames` is {num_frames}.'
    )


def check_sampling(num_frames, given, temperature, batch_size, min_p=0.0):
  """Raises ValueError for arguments that no video model could use."""
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
  values = np.asarray(min_p)
  if not np.all((values >= 0) & (values < 1)):  # Also for NaN.
    raise ValueError(f'`min_p` must be in [0, 1), but got {min_p}.')
  if given is not None and given.shape[0] != batch_size:
    raise ValueError(
      f'`first_frames` holds {given.shape[0]} videos, '
      f'but {batch_size} are asked for.'
    )


def rollout(
  flow,
  label,
  given,
  temperature,
  min_p,
  seeds,
  num_frames,
  guard=tf.identity,
):
  """Generates videos: begins them with the head, or continues given frames.

  Frame t of row b is a function of (seeds[b], t), the row's label and its
  earlier frames. It does not depend on the other rows.

  Args:
    flow: `VideoFlow`.
    label: int `[B]`, float `[B, num_labels]` or None.
    given: Clean frames `[B, T0, H, W, C]`, T0 >= 1, to continue; None: the head
      draws the first frame.
    temperature: Float `[B]`, see `Glow.tempered`.
    min_p: Float `[B]`, see `Glow.tempered`.
    seeds: int32 `[B, 2]`.
    num_frames: int scalar, T >= T0, number of frames with the given ones.
    guard: See `generate`.

  Returns:
    uint8 `[B, T, H, W, C]`.
  """

  def latent(time):
    return noise(flow, seeds, time)

  return generate(
    flow, label, given, num_frames, latent, guard, (temperature, min_p)
  )


def noise(flow, seeds, time):
  """Draws latents `[B, N]` of frame `time`, an int scalar or `[B]`."""
  return likelihood.latent_noise(seeds, time, flow.num_dims)


def generate(
  flow, label, given, num_frames, latent, guard=tf.identity, tempering=()
):
  """Generates videos from latents that a callable gives frame by frame.

  Each frame enters the next frame's context as the uint8 values that are
  returned. So continuing the first frames of a result gives its other frames.

  Args:
    flow: `VideoFlow`.
    label: See `rollout`.
    given: See `rollout`.
    num_frames: See `rollout`.
    latent: Callable from the frame's index, an int scalar, to `[B, N]`.
    guard: Callable from each frame `[B, H, W, C]`, float, that the flow makes
      to the frame to use, for checks of generated values.
    tempering: Temperature and `min_p`, see `Glow.tempered`; (): head and tail
      are not tempered.

  Returns:
    uint8 `[B, T, H, W, C]`.
  """
  if given is None:
    given = first_frame(flow, label, latent(0), guard, tempering)[:, tf.newaxis]
  else:
    given = likelihood.to_uint8(given)
  if flow.tail is None:
    return given

  tail = _tempered(flow.tail.prepared(), tempering)
  num_given = tf.shape(given)[1]
  newest_first = [
    given[:, tf.maximum(num_given - 1 - lag, 0)]
    for lag in range(flow.previous_frames)
  ]
  # The state before the last given frame; the loop's first turn adds this
  # frame. A list, empty without a memory: a loop variable cannot be None.
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


def _tempered(glow, tempering):
  return glow.tempered(*tempering) if tempering else glow


def first_frame(flow, label, latent, guard=tf.identity, tempering=()):
  """The head's frame, uint8 `[B, H, W, C]`, for latents `[B, N]`."""
  kwargs = flow.label_kwargs(flow.head, label)
  head = _tempered(flow.head, tempering)
  return _to_frame(flow, guard(head.forward(latent, **kwargs)))


def next_frame(flow, tail, label, recent, state, latent, guard=tf.identity):
  """Generates the next frame with the tail.

  Args:
    flow: `VideoFlow`.
    tail: `flow.tail`, or a copy of it that is prepared or tempered.
    label: See `rollout`.
    recent: List of the last `flow.previous_frames` frames, uint8
      `[B, H, W, C]`, the newest first; the first frame of a video stands for
      the frames before it.
    state: List of the state `[B, H, W, S]` before the newest frame, zeros if
      that is a video's first; `[]` for a model without a memory.
    latent: `[B, N]`.
    guard: See `generate`.

  Returns:
    frame: uint8 `[B, H, W, C]`.
    state: List of the state before `frame`, or `[]`.
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
  """Computes the latents of videos, from which `decode` restores the frames.

  Frames are quantised to the centres of their bins, and no noise is added.

  Args:
    flow: `VideoFlow`.
    frames: uint8 or float `[B, T, H, W, C]`.
    label: int `[B]`, float `[B, num_labels]` or None.

  Returns:
    `[B, T, N]`; without a head `[B, T - 1, N]`, of the frames after frame 0;
    without a tail `[B, 1, N]`, of frame 0.
  """
  if flow.head is None and frames.shape[1] == 1:
    raise ValueError('A model without a head needs at least two frames a clip.')
  label = label if label is None else tf.convert_to_tensor(label)
  is_legacy = flow.dequantisation == 'legacy'  # Others have `n_bits`.
  targets = likelihood.quantise(frames, 8 if is_legacy else flow.n_bits)
  latents = []
  if flow.head is not None:
    kwargs = flow.label_kwargs(flow.head, label)
    first = flow.head.inverse(targets[:, 0], **kwargs)
    latents.append(first[:, tf.newaxis])
  if flow.tail is not None and frames.shape[1] != 1:
    kwargs = flow.label_kwargs(flow.tail, label, time=True)
    clean = video_targets.clean_given(flow, frames)
    if flow.dequantisation == 'drawn':  # `decode` sees black and white frames.
      num_given = int(flow.head is None)
      decoded = video_targets.clean_generated(flow, targets[:, num_given:])
      clean = tf.concat([clean[:, :num_given], decoded], axis=1)
    contexts = video_targets.contexts_of(flow, clean)
    latents.append(
      flow.tail.inverse(targets[:, 1:], context=contexts, **kwargs)
    )
  return tf.concat(latents, axis=1)


def decode(flow, latents, label=None, first=None, guard=tf.identity):
  """Decodes latents to videos; each frame is conditioned on those before it.

  Args:
    flow: `VideoFlow`.
    latents: Float `[B, T, N]`, see `encode`.
    label: int `[B]`, float `[B, num_labels]` or None.
    first: uint8 `[B, H, W, C]`, frame 0 for a model without a head; the latents
      are then those of the frames after it. None: the head makes frame 0.
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
