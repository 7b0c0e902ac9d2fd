"""Checks of requests: a server refuses those that it cannot answer."""

import dataclasses

import tensorflow as tf

__all__ = ['Limits', 'check_finite', 'checked']

# The index of the next frame must also fit into an int32.
_LAST_INDEX = 2**31 - 2


@dataclasses.dataclass(frozen=True)
class Limits:
  """Limits on the size of a request, because of the server's memory.

  Attributes:
    max_frames: `int`, most frames of a video, including given ones.
    max_rows: `int`, most videos.
  """

  max_frames: int = 256
  max_rows: int = 64


def checked(flow, limits, specs, inputs):
  """Checks the inputs of a request; raises InvalidArgumentError.

  Servers feed tensors of any shape, whatever the signature says. Shapes are
  therefore checked, too, before values.

  Args:
    flow: `VideoFlow`.
    limits: `Limits`.
    specs: `dict` from names to `tf.TensorSpec`s.
    inputs: `dict` from the same names to tensors.

  Returns:
    `dict` of the same tensors.
  """
  inputs = _after(
    [_check_shape(specs[k], v) for k, v in inputs.items()], inputs
  )
  inputs = _after(_check_rows(limits, inputs), inputs)
  return _after(_check_values(flow, limits, inputs), inputs)


def check_finite(what):
  """A function that returns a tensor if all of its values are finite."""

  def check(values):
    ok = tf.reduce_all(tf.math.is_finite(values))
    words = f'{what} must be finite, but overflowed: the inputs are too extreme'
    with tf.control_dependencies([tf.debugging.Assert(ok, [words])]):
      return tf.identity(values)

  return check


def _after(checks, inputs):
  with tf.control_dependencies([c for c in checks if c is not None]):
    return {k: tf.identity(v) for k, v in inputs.items()}


def _check(condition, words, value):
  return tf.debugging.Assert(condition, [words, value], summarize=8)


def _check_shape(spec, value):
  # Forget the static shape: TensorFlow trusts the spec and would not check it.
  value = tf.raw_ops.PlaceholderWithDefault(
    input=value, shape=tf.TensorShape(None)
  )
  rank, shape = spec.shape.rank, tf.shape(value)
  expected = tf.constant(
    [-1 if d is None else d for d in spec.shape], tf.int32, [rank]
  )
  seen = tf.concat([shape, tf.fill([rank], -2)], axis=0)[:rank]
  ok = tf.equal(tf.size(shape), rank) & tf.reduce_all(
    (expected == -1) | (expected == seen)
  )
  described = ', '.join('?' if d is None else str(d) for d in spec.shape)
  return _check(
    ok, f'{spec.name} must have the shape [{described}], but got', shape
  )


def _check_rows(limits, inputs):
  rows = tf.stack([tf.shape(v)[0] for v in inputs.values()])
  return [
    _check(
      tf.reduce_all(rows == rows[0]),
      f'{", ".join(inputs)} must have the same number of rows, but got',
      rows,
    ),
    _check(
      (rows[0] >= 1) & (rows[0] <= limits.max_rows),
      f'The number of rows must be in [1, {limits.max_rows}], but is',
      rows[0],
    ),
  ]


def _check_values(flow, limits, inputs):
  checks = []
  for name, value in inputs.items():
    if name == 'labels':
      checks.append(_check_range(name, value, 0, flow.num_labels - 1))
    elif name == 'frame_index':
      checks.append(_check_range(name, value, 0, _LAST_INDEX))
    elif name == 'temperature':
      ok = tf.reduce_all(tf.math.is_finite(value) & (value >= 0))
      words = 'temperature must be finite and >= 0, but got'
      checks.append(_check(ok, words, value))
    elif name == 'min_p':
      ok = tf.reduce_all((value >= 0) & (value < 1))
      checks.append(_check(ok, 'min_p must be in [0, 1), but got', value))
    elif name in ('latents', 'state_map'):
      ok = tf.reduce_all(tf.math.is_finite(value))
      checks.append(_check(ok, f'{name} must be finite, but got', value))
  return checks + _check_lengths(flow, limits, inputs)


def _check_range(name, value, low, high):
  ok = tf.reduce_all((value >= low) & (value <= high))
  return _check(ok, f'{name} must be in [{low}, {high}], but got', value)


def _check_lengths(flow, limits, inputs):
  """Checks of numbers of frames; a model without a tail has one."""
  high = 1 if flow.tail is None else limits.max_frames
  frames, num_frames = inputs.get('frames'), inputs.get('num_frames')
  checks = []
  if frames is not None:
    # A video to continue may have one frame. Other videos need two if there is
    # a tail, which scores the second.
    low = 1 if flow.tail is None or num_frames is not None else 2
    length = tf.shape(frames)[1]
    checks.append(_check_range('The number of frames', length, low, high))
  if num_frames is not None:
    low = 1 if frames is None else tf.shape(frames)[1]
    ok = tf.reduce_all((num_frames >= low) & (num_frames <= high))
    least = '1' if frames is None else 'the number of frames'
    words = f'num_frames must be in [{least}, {high}], but got'
    checks.append(_check(ok, words, num_frames))
    ok = tf.reduce_all(num_frames == num_frames[0])
    words = 'num_frames must be the same in all rows, but got'
    checks.append(_check(ok, words, num_frames))
  if 'latents' in inputs:
    length = tf.shape(inputs['latents'])[1]
    high = high - 1 if flow.head is None else high
    checks.append(_check_range('The number of latents', length, 1, high))
  return checks
