"""The inputs of head and tail: noisy target frames and clean contexts."""

import collections

import tensorflow as tf

from tfp_cglow.video import context_warp as context_warp_lib
from tfp_cglow.video import likelihood

__all__ = [
  'check_frames',
  'Targets',
  'clean_generated',
  'clean_given',
  'contexts_of',
  'first_frames',
  'initial_state',
  'next_state',
  'noisy_targets',
  'some_frames',
]

Targets = collections.namedtuple(
  'Targets',
  ['first', 'contexts', 'later', 'times'],
)
Targets.__doc__ = """Targets and contexts of clips, see `noisy_targets`."""


def check_frames(frames, frame_shape):
  """Converts videos to a tensor and checks its shape and dtype.

  Args:
    frames: `[B, T, H, W, C]`.
    frame_shape: `[H, W, C]`.

  Returns:
    A `Tensor`.

  Raises:
    ValueError: if the shape or the dtype does not fit.
  """
  frames = tf.convert_to_tensor(frames, name='frames')
  if frames.shape.rank != 5 or not frames.shape[2:].is_compatible_with(
    frame_shape
  ):
    raise ValueError(
      'Expected frames of shape [B, T, '
      f'{", ".join(map(str, frame_shape))}], but got {frames.shape}.'
    )
  if frames.dtype != tf.uint8 and not frames.dtype.is_floating:
    raise ValueError(
      f'Expected frames of uint8 or float, but got {frames.dtype.name}.'
    )
  return frames


def noisy_targets(
  flow, frames, seed, clips, subset_size=None, context_warp=None
):
  """Makes noisy target frames, and the contexts of the tail's targets.

  Args:
    flow: `VideoFlow`.
    frames: uint8 or float `[B, T, H, W, C]`.
    seed: Python `int` or int32 `[2]`, of the noise.
    clips: int `[B]`, a number for each clip, on which its noise depends.
    subset_size: Python `int` n, number of random frames of 1..T-1 to use; None:
      all of them.
    context_warp: `ContextWarp`, how contexts are deformed; None: not at all.

  Returns:
    `Targets`, a tuple of
    first: `[B, H, W, C]`, frame 0, the head's target.
    contexts: `[B, n, H, W, C_ctx]`, contexts of `later`; None without a tail.
    later: `[B, n, H, W, C]`, the tail's targets.
    times: int32 `[n]`, indices of the frames `later`.

  Raises:
    ValueError: for clips of one frame, if the model has a tail.
  """
  if flow.tail is not None and frames.shape[1] == 1:
    raise ValueError('A model with a tail needs at least two frames a clip.')
  num_frames = tf.shape(frames)[1]
  times = tf.range(1, num_frames)
  if subset_size is not None:
    times = _some(times, seed, -1, subset_size)
  draw = _NOISY_FRAMES[flow.dequantisation]
  clean, first, later = draw(flow, frames, seed, clips, times)
  contexts = None
  if flow.tail is not None:
    if context_warp is not None:
      clean = _deformed(flow, context_warp, clean, seed, clips)
    contexts = tf.gather(contexts_of(flow, clean), times - 1, axis=1)
  return Targets(first, contexts, later, times)


def first_frames(flow, frames, seed, clips):
  """Noisy frames 0, `[B, H, W, C]`, as in `noisy_targets`."""
  draw = _NOISY_FRAMES[flow.dequantisation]
  return draw(flow, frames[:, :1], seed, clips, tf.zeros([0], tf.int32))[1]


def some_frames(flow, frames, seed, clips, subset_size):
  """Noisy frames at random times of 0..T-1.

  Args:
    flow: `VideoFlow`.
    frames: uint8 or float `[B, T, H, W, C]`.
    seed: Python `int` or int32 `[2]`, of the times and the noise.
    clips: int `[B]`, a number for each clip, on which its noise depends.
    subset_size: Python `int` n, number of frames, at most T.

  Returns:
    `[B, n, H, W, C]`.
  """
  times = _some(tf.range(tf.shape(frames)[1]), seed, -3, subset_size)
  draw = _NOISY_FRAMES[flow.dequantisation]
  return draw(flow, frames, seed, clips, times)[2]


def _some(times, seed, stream, number):
  """The first `number` of randomly ordered times."""
  order = tf.random.experimental.stateless_shuffle(
    times, likelihood.fold_in(likelihood.as_seed(seed), stream), alg='philox'
  )
  return order[:number]


def _deformed(flow, context_warp, clean, seed, clips):
  """Deformed frames; if 'matched', bin centres like frames of a rollout."""
  deformed = context_warp_lib.warp(context_warp, clean, seed, clips)
  if flow.dequantisation == 'matched':
    return likelihood.requantise(deformed, flow.n_bits)
  return deformed


def _matched_frames(flow, frames, seed, clips, times):
  """Adds noise of a bin's width to quantised targets; contexts have none."""
  clean = likelihood.quantise(frames, flow.n_bits)
  drawn = tf.concat([[0], times], axis=0)
  noise = likelihood.frame_noise(seed, clips, drawn, flow.frame_shape)
  noisy = likelihood.dequantise(
    tf.gather(clean, drawn, axis=1), flow.n_bits, noise
  )
  return clean, noisy[:, 0], noisy[:, 1:]


def _legacy_frames(flow, frames, seed, clips, times):
  """As in the paper: the same noise on 8-bit targets and contexts."""
  noise = likelihood.frame_noise(
    seed, clips, tf.range(tf.shape(frames)[1]), flow.frame_shape
  )
  noisy = likelihood.to_unit(frames) - 0.5 + noise / 2.0**flow.n_bits
  return noisy, noisy[:, 0], tf.gather(noisy, times, axis=1)


def _drawn_frames(flow, frames, seed, clips, times):
  """Targets of two levels, drawn with the grey as probability of white.

  A uniform number below the grey gives white. Divided by the grey, or by its
  distance from white, it is uniform again: the noise within the level.
  """
  drawn = tf.concat([[0], times], axis=0)
  white = likelihood.share_of_white(tf.gather(frames, drawn, axis=1))
  uniform = likelihood.frame_noise(seed, clips, drawn, flow.frame_shape)
  is_white = uniform < white
  noise = tf.where(
    is_white,
    uniform / tf.where(is_white, white, 1.0),
    (uniform - white) / tf.where(is_white, 1.0, 1.0 - white),
  )
  level = tf.cast(is_white, noise.dtype)
  noisy = (level + tf.clip_by_value(noise, 0.0, 1.0 - 2.0**-20)) / 2.0 - 0.5
  return likelihood.to_unit(frames) - 0.5, noisy[:, 0], noisy[:, 1:]


_NOISY_FRAMES = {
  'matched': _matched_frames,
  'legacy': _legacy_frames,
  'drawn': _drawn_frames,
}


def contexts_of(flow, clean):
  """Makes the context maps of frames 1..T-1.

  Args:
    flow: `VideoFlow`.
    clean: `[B, T, H, W, C]`, frames as they enter contexts, see `clean_given`.

  Returns:
    `[B, T - 1, H, W, C_ctx]`.
  """
  recent = [clean[:, :-1]]
  if flow.previous_frames == 2:
    # The first frame stands for the frame before it.
    before = tf.concat([clean[:, :1], clean[:, :-2]], axis=1)
    recent.append(before[:, : tf.shape(clean)[1] - 1])
  if flow.memory is not None:
    recent.append(flow.memory.scan(recent[0]))
  return tf.concat(recent, axis=-1)


def initial_state(flow, given):
  """The memory's state before the last given frame.

  Args:
    flow: `VideoFlow`.
    given: Clean frames `[B, T0, H, W, C]`.

  Returns:
    List of the state `[B, H, W, S]`; `[]` without a memory.
  """
  if flow.memory is None:
    return []
  by_time = tf.transpose(given[:, :-1], [1, 0, 2, 3, 4])
  zeros = flow.memory.initial_state(given[:, 0])
  return [tf.foldl(flow.memory, by_time, initializer=zeros)]


def next_state(flow, state, frame):
  """The state after one more frame, both as lists, see `initial_state`."""
  return [flow.memory(s, frame) for s in state]


def clean_given(flow, frames):
  """Given frames as they enter contexts: 8 bits; if 'matched', bin centres."""
  if flow.dequantisation == 'matched':
    return likelihood.quantise(frames, flow.n_bits)
  return likelihood.to_unit(frames) - 0.5


def clean_generated(flow, frame):
  """A generated frame as it is returned and enters contexts."""
  if flow.dequantisation == 'legacy':
    return tf.clip_by_value(frame, -0.5, 0.5 - 2.0**-9)
  if flow.dequantisation == 'drawn':
    return tf.where(frame < 0, -0.5, 0.5 - 2.0**-9)  # Black, white.
  return likelihood.requantise(frame, flow.n_bits)
