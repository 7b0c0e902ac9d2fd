"""Builds a model's signatures, the functions that a server calls."""

import tensorflow as tf

from tfp_cglow.video import densities
from tfp_cglow.video import likelihood
from tfp_cglow.video import rollout
from tfp_cglow.video import video_targets
from train.serving import request_checks

__all__ = ['DESCRIPTIONS', 'build_signatures', 'default_signature']

# Descriptions for model cards.
DESCRIPTIONS = {
  'sample': 'Videos from labels.',
  'continue': 'Videos from their first frames; num_frames counts these.',
  'first_frame': 'The first frame of a stream, and the state for next_frame.',
  'next_frame': 'The next frame of a stream, and the next state.',
  'log_prob': 'Bits per dimension of the first frame (head) and of each later '
  'one (tail).',
  'classify': 'Log-probability of each label, in nats.',
  'encode': 'The latents of videos.',
  'decode': 'The videos of latents, encoded or mixed.',
}

_finite_frame = request_checks.check_finite('The frame')


def build_signatures(flow, limits):
  """The signatures that a model can have.

  ```none
  sample:       labels, DRAW, num_frames -> frames
  continue:     frames, labels, DRAW, num_frames -> frames
  first_frame:  labels, DRAW -> frame, STATE
  next_frame:   frame, STATE, labels, DRAW -> frame, STATE
  log_prob:     frames, labels -> head_bits_per_dim, tail_bits_per_dim
  classify:     frames -> log_probs
  encode:       frames, labels -> latents
  decode:       latents, labels -> frames

  labels int32 [B]         frame, first_frame uint8 [B, H, W, C]
  num_frames int32 [B]     frames uint8 [B, T, H, W, C]
  log_probs float [B, num_labels]    latents float [B, T, N], N = H * W * C
  head_bits_per_dim float [B], tail_bits_per_dim float [B, T - 1]
  DRAW: seed int32 [B, 2], temperature float [B], min_p float [B], see
        `Glow.tempered`
  STATE: frame_index int32 [B], index of `frame` in its video;
         state_map float [B, H, W, S], memory before `frame` (frame 0: zeros);
         previous_frame uint8 [B, H, W, C], before `frame` (frame 0: itself)
  ```

  A model without labels has no input `labels` and no `classify`. A model
  without a head has no `sample` and no `first_frame`; its latents are those of
  frames 1, 2, ..., and `decode` takes frame 0 as the input `first_frame`. For a
  model without a tail T is 1; it has no `continue`, no `next_frame` and no
  STATE. STATE has `state_map` if the model has a memory, and `previous_frame`
  if its tail sees two frames.

  The answer for a row depends on that row only. All values of `num_frames` must
  be equal; it has one for each row, so that servers can join requests.

  Args:
    flow: `VideoFlow`, made by `frozen.frozen`; otherwise each request would
      compute the inverses of the 1x1 convolutions.
    limits: `request_checks.Limits`.

  Returns:
    `dict` from names to `ConcreteFunction`s.
  """
  signatures = {}
  for name, (body, inputs) in _bodies(flow).items():
    signatures[name] = _build(flow, limits, name, body, inputs)
  return signatures


def default_signature(signatures):
  """The name of the signature that is `serving_default`: `str`."""
  return 'sample' if 'sample' in signatures else 'continue'


def _bodies(flow):
  """`dict` from signatures' names to (function, names of inputs)."""
  labels = [] if flow.num_labels is None else ['labels']
  draw = [*labels, 'seed', 'temperature', 'min_p']
  state = ['frame_index']
  state += ['state_map'] if flow.memory is not None else []
  state += ['previous_frame'] if flow.previous_frames == 2 else []
  bodies = {}
  if flow.head is not None:
    bodies['sample'] = (_sample, [*draw, 'num_frames'])
    bodies['first_frame'] = (_first_frame, draw)
  if flow.tail is not None:
    bodies['continue'] = (_continue, ['frames', *draw, 'num_frames'])
    bodies['next_frame'] = (_next_frame, ['frame', *state, *draw])
  bodies['log_prob'] = (_log_prob, ['frames', *labels])
  if flow.takes_labels:
    bodies['classify'] = (_classify, ['frames'])
  bodies['encode'] = (_encode, ['frames', *labels])
  first = ['first_frame'] if flow.head is None else []
  bodies['decode'] = (_decode, ['latents', *first, *labels])
  return bodies


def _build(flow, limits, name, body, inputs):
  specs = {k: s for k, s in _specs(flow).items() if k in inputs}

  def signature(**inputs):
    return body(flow, **request_checks.checked(flow, limits, specs, inputs))

  function = tf.function(signature, autograph=False)
  with tf.name_scope(name):
    return function.get_concrete_function(**specs)


def _specs(flow):
  frame = flow.frame_shape
  rows = {
    'labels': (tf.int32, []),
    'seed': (tf.int32, [2]),
    'temperature': (tf.float32, []),
    'min_p': (tf.float32, []),
    'frames': (tf.uint8, [None, *frame]),
    'frame': (tf.uint8, frame),
    'first_frame': (tf.uint8, frame),
    'previous_frame': (tf.uint8, frame),
    'frame_index': (tf.int32, []),
    'latents': (tf.float32, [None, flow.num_dims]),
    'num_frames': (tf.int32, []),
  }
  if flow.memory is not None:
    channels = flow.memory.state_channels
    rows['state_map'] = (tf.float32, [*frame[:2], channels])
  return {
    name: tf.TensorSpec([None, *shape], dtype, name)
    for name, (dtype, shape) in rows.items()
  }


# The signatures' bodies: functions of the model and of checked inputs.


def _sample(flow, seed, temperature, min_p, num_frames, labels=None):
  frames = rollout.rollout(
    flow, labels, None, temperature, min_p, seed, num_frames[0], _finite_frame
  )
  return {'frames': frames}


def _continue(flow, frames, seed, temperature, min_p, num_frames, labels=None):
  given = video_targets.clean_given(flow, frames)
  frames = rollout.rollout(
    flow, labels, given, temperature, min_p, seed, num_frames[0], _finite_frame
  )
  return {'frames': frames}


def _first_frame(flow, seed, temperature, min_p, labels=None):
  latent = rollout.noise(flow, seed, 0)
  frame = rollout.first_frame(
    flow, labels, latent, _finite_frame, (temperature, min_p)
  )
  if flow.tail is None:
    return {'frame': frame}
  state = video_targets.initial_state(
    flow, video_targets.clean_given(flow, frame[:, tf.newaxis])
  )
  index = tf.zeros(tf.shape(seed)[:1], tf.int32)
  return _with_state(flow, frame, index, state, frame)


def _next_frame(
  flow,
  frame,
  frame_index,
  seed,
  temperature,
  min_p,
  state_map=None,
  previous_frame=None,
  labels=None,
):
  recent = [frame] if previous_frame is None else [frame, previous_frame]
  state = [] if state_map is None else [state_map]
  index = frame_index + 1
  latent = rollout.noise(flow, seed, index)
  tail = flow.tail.tempered(temperature, min_p)
  following, state = rollout.next_frame(
    flow, tail, labels, recent, state, latent, _finite_frame
  )
  return _with_state(flow, following, index, state, frame)


def _with_state(flow, frame, index, state, previous):
  result = {'frame': frame, 'frame_index': index}
  if flow.memory is not None:
    result['state_map'] = state[0]
  if flow.previous_frames == 2:
    result['previous_frame'] = previous
  return result


def _log_prob(flow, frames, labels=None):
  bits = {}
  values = densities.log_prob(flow, frames, labels, 0, _same_noise(frames))
  for name, value in zip(('head', 'tail'), values):
    if value is not None:
      bits[f'{name}_bits_per_dim'] = _finite_density(
        likelihood.bits_per_dim(value, flow.frame_shape, flow.n_bits)
      )
  return bits


def _classify(flow, frames):
  log_probs = densities.classify(flow, frames, 0, _same_noise(frames))
  return {'log_probs': _finite_density(log_probs)}


_finite_density = request_checks.check_finite('The log-density')


def _same_noise(frames):
  """Equal clip identities, so that a row's noise does not depend on others."""
  return tf.zeros(tf.shape(frames)[:1], tf.int32)


def _encode(flow, frames, labels=None):
  return {'latents': _finite_latents(rollout.encode(flow, frames, labels))}


_finite_latents = request_checks.check_finite('The latents')


def _decode(flow, latents, labels=None, first_frame=None):
  return {
    'frames': rollout.decode(flow, latents, labels, first_frame, _finite_frame)
  }
