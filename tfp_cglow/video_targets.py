"""From a clip to what the flows see: noisy targets and clean contexts."""

import collections

import tensorflow as tf

from tfp_cglow import likelihood

__all__ = [
  'check_frames',
  'Targets',
  'clean_generated',
  'clean_given',
  'contexts_of',
  'context_map',
  'initial_state',
  'next_state',
  'noisy_targets',
]

Targets = collections.namedtuple(
  'Targets',
  ['first', 'contexts', 'later', 'times', 'first_log_det', 'later_log_det'],
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


def noisy_targets(
  model, frames, seed, clips, subset_size=None, context_noise=0.0
):
  """Noisy targets and the contexts they are predicted from.

  Args:
    model: `VideoGlow`.
    frames: uint8 or float `[B, T, H, W, C]`.
    seed: Python `int` or int32 `[2]`, of the noise.
    clips: int `[B]`, the clips' identities in the noise.
    subset_size: Python `int` n: only that many random frames of 1..T-1; None:
      all of them.
    context_noise: Float, in levels: half of the clips get contexts with
      Gaussian noise of a deviation up to it, back on the grid of levels; the
      deviation is the context's last channel, as a share. The targets get none.

  Returns:
    `Targets`:
    first: `[B, H, W, C]`, frame 0.
    contexts: `[B, n, H, W, C_ctx]`; None without a tail.
    later: `[B, n, H, W, C]`, the frames that the contexts belong to.
    times: int32 `[n]`, their indices.
    first_log_det: `[B]`, nats, of learned noise, see `FlowNoise`; else 0. To be
      added to the log-density.
    later_log_det: `[B, n]`, the same of `later`.

  Raises:
    ValueError: for clips of one frame, if the model has a tail.
  """
  if model.tail is not None and frames.shape[1] == 1:
    raise ValueError('A model with a tail needs at least two frames a clip.')
  num_frames = tf.shape(frames)[1]
  times = tf.range(1, num_frames)
  if subset_size is not None:
    order = tf.random.experimental.stateless_shuffle(
      times, likelihood.fold_in(likelihood.as_seed(seed), -1), alg='philox'
    )
    times = order[:subset_size]
  draw = _legacy_frames if model.dequantisation == 'legacy' else _matched_frames
  clean, first, later = draw(model, frames, seed, clips, times)
  contexts = None
  if model.tail is not None:
    seen, share = clean, None
    if context_noise:
      seen, share = _corrupted(model, clean, seed, clips, context_noise)
    contexts = tf.gather(contexts_of(model, seen, share), times - 1, axis=1)
  log_dets = [0.0, 0.0]
  if model.head_noise is not None:
    first, log_dets[0] = model.head_noise(first, clean[:, 0])
  if model.tail_noise is not None:
    later, log_dets[1] = model.tail_noise(
      later, tf.gather(clean, times, axis=1), contexts
    )
  return Targets(first, contexts, later, times, *log_dets)


def _matched_frames(model, frames, seed, clips, times):
  """Noise of a bin's width on quantised targets; contexts at bin centres."""
  clean = likelihood.quantise(frames, model.n_bits)
  drawn = tf.concat([[0], times], axis=0)
  noise = likelihood.frame_noise(seed, clips, drawn, model.frame_shape)
  noisy = likelihood.dequantise(
    tf.gather(clean, drawn, axis=1), model.n_bits, noise
  )
  return clean, noisy[:, 0], noisy[:, 1:]


def _legacy_frames(model, frames, seed, clips, times):
  """The paper's: the same noise on 8-bit frames, in targets and contexts."""
  noise = likelihood.frame_noise(
    seed, clips, tf.range(tf.shape(frames)[1]), model.frame_shape
  )
  noisy = likelihood.to_unit(frames) - 0.5 + noise / 2.0**model.n_bits
  return noisy, noisy[:, 0], tf.gather(noisy, times, axis=1)


def _corrupted(model, clean, seed, clips, context_noise):
  """Frames with noise, and its deviation's share of `context_noise`: `[B]`."""
  seed = likelihood.fold_in(likelihood.as_seed(seed), -3)
  shape = tf.shape(clean)[1:]

  def of_clip(clip):
    of_share, of_noise = (
      likelihood.fold_in(likelihood.fold_in(seed, clip), i) for i in range(2)
    )
    share = tf.nn.relu(
      tf.random.stateless_uniform([], of_share, -1.0, 1.0, alg='philox')
    )
    noise = tf.random.stateless_normal(shape, of_noise, alg='philox')
    return share * noise, share

  noise, share = tf.map_fn(
    of_clip, clips, fn_output_signature=(clean.dtype, clean.dtype)
  )
  noisy = clean + noise * (context_noise / 2.0**model.n_bits)
  # Clips without noise stay as they are, bit for bit.
  noisy = tf.where(
    share[:, tf.newaxis, tf.newaxis, tf.newaxis, tf.newaxis] > 0,
    clean_generated(model, noisy),
    clean,
  )
  return noisy, share


def contexts_of(model, clean, noise_share=None):
  """Context maps of frames 1..T-1, from clean frames `[B, T, H, W, C]`.

  Args:
    model: `VideoGlow`.
    clean: Frames as contexts have them.
    noise_share: `[B]`, what a model with `context_noise` is told of their
      noise; None: there is none.

  Returns:
    `[B, T - 1, H, W, C_ctx]`.
  """
  recent = [clean[:, :-1]]
  if model.previous_frames == 2:
    # Before the first frame, time stands still.
    before = tf.concat([clean[:, :1], clean[:, :-2]], axis=1)
    recent.append(before[:, : tf.shape(clean)[1] - 1])
  if model.processor is not None:
    recent.append(model.processor.scan(recent[0]))
  if noise_share is not None:
    noise_share = noise_share[:, tf.newaxis, tf.newaxis, tf.newaxis, tf.newaxis]
  return context_map(model, recent, noise_share)


def context_map(model, maps, noise_share=None):
  """Joins what a context is made of.

  Args:
    model: `VideoGlow`.
    maps: The previous frames, newest first, and the state, if there is one.
    noise_share: As of `contexts_of`, to be broadcast against the maps.

  Returns:
    `[..., H, W, C_ctx]`.
  """
  if model.context_noise:
    told = tf.zeros_like(maps[0][..., :1])
    maps = [*maps, told if noise_share is None else told + noise_share]
  return tf.concat(maps, axis=-1)


def initial_state(model, given):
  """The state before the last of the given frames `[B, T0, H, W, C]`.

  Returns:
    `[state]`, or `[]` without a processor.
  """
  if model.processor is None:
    return []
  by_time = tf.transpose(given[:, :-1], [1, 0, 2, 3, 4])
  zeros = model.processor.initial_state(given[:, 0])
  return [tf.foldl(model.processor, by_time, initializer=zeros)]


def next_state(model, state, frame):
  """The state (a list as in `initial_state`) after one more frame."""
  return [model.processor(s, frame) for s in state]


def clean_given(model, frames):
  """Given frames as context: bin centres, or with 'legacy' as they are."""
  if model.dequantisation == 'legacy':
    return likelihood.to_unit(frames) - 0.5
  return likelihood.quantise(frames, model.n_bits)


def clean_generated(model, frame):
  """A generated frame as context and result."""
  if model.dequantisation == 'legacy':
    return tf.clip_by_value(frame, -0.5, 0.5 - 2.0**-9)
  return likelihood.requantise(frame, model.n_bits)
