"""From a clip to what the flows see: noisy targets and clean contexts."""

import collections

import tensorflow as tf

from tfp_cglow.video import likelihood

__all__ = [
  'check_frames',
  'Targets',
  'clean_generated',
  'clean_given',
  'contexts_of',
  'initial_state',
  'next_state',
  'noisy_targets',
]

Targets = collections.namedtuple(
  'Targets',
  ['first', 'contexts', 'later', 'times'],
)
Targets.__doc__ = """What the flows see of clips, see `noisy_targets`."""


def check_frames(frames, frame_shape):
  """Converts videos and checks their shape.

  Args:
    frames: `[B, T, H, W, C]`.
    frame_shape: `[H, W, C]`.

  Returns:
    A `Tensor`.

  Raises:
    ValueError: if the shape does not fit.
  """
  frames = tf.convert_to_tensor(frames, name='frames')
  if frames.shape.rank != 5 or not frames.shape[2:].is_compatible_with(
    frame_shape
  ):
    raise ValueError(
      'Expected frames of shape [B, T, '
      f'{", ".join(map(str, frame_shape))}], but got {frames.shape}.'
    )
  return frames


def noisy_targets(flow, frames, seed, clips, subset_size=None):
  """Noisy targets and the contexts they are predicted from.

  Args:
    flow: `VideoFlow`.
    frames: uint8 or float `[B, T, H, W, C]`.
    seed: Python `int` or int32 `[2]`, of the noise.
    clips: int `[B]`, the clips' identities in the noise.
    subset_size: Python `int` n: only that many random frames of 1..T-1; None:
      all of them.

  Returns:
    `Targets`:
    first: `[B, H, W, C]`, frame 0.
    contexts: `[B, n, H, W, C_ctx]`; None without a tail.
    later: `[B, n, H, W, C]`, the frames that the contexts belong to.
    times: int32 `[n]`, their indices.

  Raises:
    ValueError: for clips of one frame, if the model has a tail.
  """
  if flow.tail is not None and frames.shape[1] == 1:
    raise ValueError('A model with a tail needs at least two frames a clip.')
  num_frames = tf.shape(frames)[1]
  times = tf.range(1, num_frames)
  if subset_size is not None:
    order = tf.random.experimental.stateless_shuffle(
      times, likelihood.fold_in(likelihood.as_seed(seed), -1), alg='philox'
    )
    times = order[:subset_size]
  draw = _legacy_frames if flow.dequantisation == 'legacy' else _matched_frames
  clean, first, later = draw(flow, frames, seed, clips, times)
  contexts = None
  if flow.tail is not None:
    contexts = tf.gather(contexts_of(flow, clean), times - 1, axis=1)
  return Targets(first, contexts, later, times)


def _matched_frames(flow, frames, seed, clips, times):
  """Noise of a bin's width on quantised targets; contexts at bin centres."""
  clean = likelihood.quantise(frames, flow.n_bits)
  drawn = tf.concat([[0], times], axis=0)
  noise = likelihood.frame_noise(seed, clips, drawn, flow.frame_shape)
  noisy = likelihood.dequantise(
    tf.gather(clean, drawn, axis=1), flow.n_bits, noise
  )
  return clean, noisy[:, 0], noisy[:, 1:]


def _legacy_frames(flow, frames, seed, clips, times):
  """The paper's: the same noise on 8-bit frames, in targets and contexts."""
  noise = likelihood.frame_noise(
    seed, clips, tf.range(tf.shape(frames)[1]), flow.frame_shape
  )
  noisy = likelihood.to_unit(frames) - 0.5 + noise / 2.0**flow.n_bits
  return noisy, noisy[:, 0], tf.gather(noisy, times, axis=1)


def contexts_of(flow, clean):
  """Context maps of frames 1..T-1, from clean frames `[B, T, H, W, C]`.

  Args:
    flow: `VideoFlow`.
    clean: Frames as contexts have them.

  Returns:
    `[B, T - 1, H, W, C_ctx]`.
  """
  recent = [clean[:, :-1]]
  if flow.previous_frames == 2:
    # Before the first frame, time stands still.
    before = tf.concat([clean[:, :1], clean[:, :-2]], axis=1)
    recent.append(before[:, : tf.shape(clean)[1] - 1])
  if flow.memory is not None:
    recent.append(flow.memory.scan(recent[0]))
  return tf.concat(recent, axis=-1)


def initial_state(flow, given):
  """The state before the last of the given frames `[B, T0, H, W, C]`.

  Returns:
    `[state]`, or `[]` without a memory.
  """
  if flow.memory is None:
    return []
  by_time = tf.transpose(given[:, :-1], [1, 0, 2, 3, 4])
  zeros = flow.memory.initial_state(given[:, 0])
  return [tf.foldl(flow.memory, by_time, initializer=zeros)]


def next_state(flow, state, frame):
  """The state (a list as in `initial_state`) after one more frame."""
  return [flow.memory(s, frame) for s in state]


def clean_given(flow, frames):
  """Given frames as context: bin centres, or with 'legacy' as they are."""
  if flow.dequantisation == 'legacy':
    return likelihood.to_unit(frames) - 0.5
  return likelihood.quantise(frames, flow.n_bits)


def clean_generated(flow, frame):
  """A generated frame as context and result."""
  if flow.dequantisation == 'legacy':
    return tf.clip_by_value(frame, -0.5, 0.5 - 2.0**-9)
  return likelihood.requantise(frame, flow.n_bits)
