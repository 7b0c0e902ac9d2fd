"""Tests of `signatures`, `frozen` and `request_checks`."""

import dataclasses
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.video import likelihood
from train.serving import frozen
from train.serving import request_checks
from train.serving import signatures as signatures_lib

_SHAPE = [4, 4, 1]
_LIMITS = request_checks.Limits(max_frames=5, max_rows=3)
_STEPS = tfp_cglow.AdditiveSteps(2, 4)
_HEAD = tfp_cglow.GlowSpec(1, _STEPS, labels=tfp_cglow.LabelPriors(2))
_TAIL = tfp_cglow.TailSpec(
  1,
  _STEPS,
  tfp_cglow.FrameAffine(),
  tfp_cglow.LabelPriors(2),
  previous_frames=2,
  memory=tfp_cglow.ResidualMemory(2),
)


def _head(**fields):
  return dataclasses.replace(_HEAD, **fields)


def _tail(**fields):
  return dataclasses.replace(_TAIL, **fields)


def _flow(head=_HEAD, tail=_TAIL, **kwargs):
  flow = tfp_cglow.build_video_flow(_SHAPE, head, tail, seed=0, **kwargs)
  rng = np.random.default_rng(0)
  for variable in flow.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  if flow.label_counts is not None:
    flow.label_counts.assign([1.0, 4.0])
  return flow


def _signatures(flow, left_out=()):
  all_of = signatures_lib._bodies

  def bodies(flow):
    return {k: v for k, v in all_of(flow).items() if k not in left_out}

  with mock.patch.object(signatures_lib, '_bodies', bodies):
    return signatures_lib.build_signatures(frozen.frozen(flow), _LIMITS)


def _videos(num_rows=3, num_frames=4):
  values = np.random.default_rng(1).integers(
    0, 256, [num_rows, num_frames, *_SHAPE]
  )
  return tf.constant(values.astype(np.uint8))


def _node_types(function):
  definition = function.graph.as_graph_def()
  nodes = [
    *definition.node,
    *(n for f in definition.library.function for n in f.node_def),
  ]
  return {n.op for n in nodes}


class SignaturesTest(tf.test.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.flow = _flow()
    cls.signatures = _signatures(cls.flow)
    cls.drawn = {
      'labels': tf.constant([0, 1, 1]),
      'seed': tf.constant([[1, 2], [-3, 4], [5, 2**31 - 1]]),
      'temperature': tf.constant([1.0, 0.5, 0.0]),
      'min_p': tf.constant([0.0, 0.1, 0.0]),
    }
    cls.requests = {
      'sample': {**cls.drawn, 'num_frames': tf.constant([5, 5, 5])},
      'continue': {
        **cls.drawn,
        'frames': _videos(num_frames=2),
        'num_frames': tf.constant([5, 5, 5]),
      },
      'first_frame': cls.drawn,
      'next_frame': {
        **cls.drawn,
        'frame': _videos()[:, 1],
        'previous_frame': _videos()[:, 0],
        'frame_index': tf.constant([0, 1, 7]),
        'state_map': tf.random.stateless_normal([3, 4, 4, 2], [0, 0]),
      },
      'log_prob': {'frames': _videos(), 'labels': cls.drawn['labels']},
      'classify': {'frames': _videos()},
      'encode': {'frames': _videos(), 'labels': cls.drawn['labels']},
      'decode': {
        'latents': tf.random.stateless_normal([3, 4, 16], [0, 0]),
        'labels': cls.drawn['labels'],
      },
    }

  def _call(self, name, **changes):
    return self.signatures[name](**{**self.requests[name], **changes})

  def test_there_are_all(self):
    self.assertSameElements(self.signatures, self.requests)
    self.assertSameElements(self.signatures, signatures_lib.DESCRIPTIONS)
    self.assertEqual(
      signatures_lib.default_signature(self.signatures), 'sample'
    )

  def test_documented_names_dtypes_and_shapes(self):
    for name, request in self.requests.items():
      _, specs = self.signatures[name].structured_input_signature
      self.assertSameElements(specs, request)
      for key, value in request.items():
        self.assertEqual(specs[key].dtype, value.dtype)
        self.assertTrue(specs[key].shape.is_compatible_with(value.shape))
        self.assertIsNone(specs[key].shape[0])  # Servers join requests there.
    state = self._call('first_frame')
    self.assertEqual(
      {k: (v.dtype, v.shape) for k, v in state.items()},
      {
        'frame': (tf.uint8, [3, 4, 4, 1]),
        'frame_index': (tf.int32, [3]),
        'previous_frame': (tf.uint8, [3, 4, 4, 1]),
        'state_map': (tf.float32, [3, 4, 4, 2]),
      },
    )

  def test_sample_is_the_model_s(self):
    expected = self.flow.sample(num_frames=5, **self.drawn)
    self.assertAllEqual(self._call('sample')['frames'], expected)

  def test_continue_is_the_model_s(self):
    expected = self.flow.sample(
      num_frames=5, first_frames=_videos(num_frames=2), **self.drawn
    )
    self.assertAllEqual(self._call('continue')['frames'], expected)

  def test_stream_is_sample(self):
    answer = self._call('first_frame')
    frames = [answer['frame']]
    for index in range(1, 5):
      answer = self.signatures['next_frame'](**self.drawn, **answer)
      self.assertAllEqual(answer['frame_index'], [index] * 3)
      frames.append(answer['frame'])
    video = self._call('sample')['frames']
    self.assertAllEqual(tf.stack(frames, axis=1), video)
    self.assertNotAllEqual(video[:, 3], video[:, 4])

  def test_continue_goes_on_with_sample(self):
    video = self._call('sample')['frames']
    again = self._call('continue', frames=video[:, :3])['frames']
    self.assertAllEqual(again, video)

  def test_rows_are_independent(self):
    for name, request in self.requests.items():
      together = self.signatures[name](**request)
      for row in range(3):
        alone = self.signatures[name](
          **{k: v[row : row + 1] for k, v in request.items()}
        )
        for key, value in together.items():
          expected = value[row : row + 1]
          if value.dtype == tf.float32:
            self.assertAllClose(alone[key], expected, rtol=1e-5, atol=1e-5)
          else:
            self.assertAllEqual(alone[key], expected)

  def test_log_prob_and_classify_are_the_model_s(self):
    bits = self._call('log_prob')
    scores = self._call('classify')['log_probs']
    for row in range(3):  # Noise depends on a row's place in the model's.
      video = _videos()[row : row + 1]
      expected = self.flow.log_prob(video, self.drawn['labels'][row : row + 1])
      for name, value in zip(('head', 'tail'), expected):
        self.assertAllClose(
          bits[f'{name}_bits_per_dim'][row : row + 1],
          tfp_cglow.bits_per_dim(value, _SHAPE, 5),
          rtol=1e-5,
        )
      self.assertAllClose(
        scores[row : row + 1], self.flow.classify(video), rtol=1e-5, atol=1e-5
      )

  def test_decode_inverts_encode(self):
    latents = self._call('encode')['latents']
    self.assertEqual(latents.shape, [3, 4, 16])
    decoded = self._call('decode', latents=latents)['frames']
    quantised = likelihood.to_uint8(likelihood.quantise(_videos(), 5))
    self.assertAllEqual(decoded, quantised)
    other = self._call('decode', latents=latents + 0.5)['frames']
    self.assertNotAllEqual(other, quantised)

  def test_graphs_hold_constants_for_inverses_and_labels(self):
    variables = {id(v) for v in self.flow.head.label_variables}
    for name, function in self.signatures.items():
      for node_type in _node_types(function):
        self.assertNotIn('TriangularSolve', node_type, name)
        self.assertNotIn('Inverse', node_type, name)
      self.assertEmpty(variables & {id(v) for v in function.variables}, name)

  def test_bad_requests(self):
    limit = r'\[1, 5\], but got.*'
    for name, changes, words in (
      ('sample', {'labels': [0, 1, 2]}, r'labels must be in \[0, 1\].*0 1 2'),
      ('sample', {'labels': [0, -1, 0]}, r'labels must be in \[0, 1\]'),
      ('sample', {'num_frames': [0] * 3}, f'num_frames must be in {limit}0'),
      ('sample', {'num_frames': [6] * 3}, f'num_frames must be in {limit}6'),
      ('sample', {'num_frames': [5, 5, 4]}, 'the same in all rows.*5 5 4'),
      ('sample', {'num_frames': [5]}, r'same number of rows, but got.*3 1'),
      ('sample', {'num_frames': 5}, r'num_frames must have the shape \[\?\]'),
      ('sample', {'temperature': [1.0, -0.1, 0]}, 'temperature must be finite'),
      ('sample', {'temperature': [1, np.nan, 0]}, 'temperature must be finite'),
      ('sample', {'min_p': [0.0, 1.0, 0.0]}, 'min_p must be in'),
      ('sample', {'min_p': [0.0, np.nan, 0.0]}, 'min_p must be in'),
      ('sample', {'temperature': [1, 1e38, 0]}, 'frame must be finite'),
      ('sample', {'seed': [[1, 2]]}, r'same number of rows, but got.*3 1 3'),
      ('sample', {'seed': [[1], [2], [3]]}, r'seed must have the shape.*3 1'),
      ('continue', {'num_frames': [1] * 3}, r'num_frames must be in .*, 5\]'),
      ('continue', {'num_frames': [4, 5, 5]}, 'the same in all rows.*4 5 5'),
      ('continue', {'frames': _videos(3, 6)}, 'number of frames must be in'),
      ('continue', {'frames': _videos(3, 0)}, 'number of frames must be in'),
      ('next_frame', {'frame_index': [0, -1, 0]}, 'frame_index must be in'),
      ('next_frame', {'frame_index': [0, 2**31 - 1, 0]}, 'frame_index must be'),
      (
        'next_frame',
        {'state_map': np.full([3, 4, 4, 2], np.nan, np.float32)},
        'state_map must be finite',
      ),
      ('log_prob', {'frames': _videos(3, 1)}, r'of frames must be in \[2, 5\]'),
      ('log_prob', {'frames': _videos(2)}, 'same number of rows'),
      ('classify', {'frames': _videos(3, 6)}, r'of frames must be in \[2, 5\]'),
      ('classify', {'frames': _videos(4)}, r'of rows must be in \[1, 3\].*4'),
      ('classify', {'frames': _videos(0)}, r'of rows must be in \[1, 3\].*0'),
      (
        'classify',
        {'frames': np.zeros([3, 2, 8, 8, 1], np.uint8)},
        r'shape \[\?, \?, 4, 4, 1\], but got.*3 2 8 8 1',
      ),
      (
        'decode',
        {'latents': np.full([3, 4, 16], np.inf, np.float32)},
        'latents must be finite',
      ),
      ('decode', {'latents': np.zeros([3, 6, 16], np.float32)}, 'of latents'),
      ('decode', {'latents': np.zeros([3, 4, 9], np.float32)}, 'the shape'),
      ('classify', {'frames': np.zeros([3, 2, 4, 4, 1], np.float32)}, 'uint8'),
    ):
      with (
        self.subTest(name, changes=list(changes), words=words),
        self.assertRaisesRegex(tf.errors.InvalidArgumentError, words),
      ):
        self._call(name, **{k: tf.constant(v) for k, v in changes.items()})
    self._call('sample')  # It goes on.


class PartsTest(parameterized.TestCase, tf.test.TestCase):
  def test_without_a_tail(self):
    flow = _flow(tail=None)
    signatures = _signatures(flow)
    self.assertSameElements(
      signatures,
      ['sample', 'first_frame', 'log_prob', 'classify', 'encode', 'decode'],
    )
    drawn = {
      'labels': tf.constant([1]),
      'seed': tf.constant([[1, 2]]),
      'temperature': tf.constant([1.0]),
      'min_p': tf.constant([0.0]),
    }
    frame = signatures['first_frame'](**drawn)
    self.assertEqual(list(frame), ['frame'])
    video = signatures['sample'](num_frames=tf.constant([1]), **drawn)['frames']
    self.assertAllEqual(video[:, 0], frame['frame'])
    self.assertAllEqual(video, flow.sample(num_frames=1, **drawn))
    latents = signatures['encode'](frames=video, labels=drawn['labels'])
    decoded = signatures['decode'](labels=drawn['labels'], **latents)
    self.assertAllEqual(decoded['frames'], video)
    with self.assertRaisesRegex(tf.errors.InvalidArgumentError, r'\[1, 1\]'):
      signatures['sample'](num_frames=tf.constant([2]), **drawn)

  def test_without_a_head_and_labels(self):
    flow = _flow(None, _tail(labels=None, previous_frames=1))
    signatures = _signatures(flow)
    self.assertSameElements(
      signatures, ['continue', 'next_frame', 'log_prob', 'encode', 'decode']
    )
    self.assertEqual(signatures_lib.default_signature(signatures), 'continue')
    drawn = {
      'seed': tf.constant([[1, 2]]),
      'temperature': tf.constant([1.0]),
      'min_p': tf.constant([0.0]),
    }
    start = _videos(1, 1)
    video = signatures['continue'](
      frames=start, num_frames=tf.constant([4]), **drawn
    )['frames']
    answer = {
      'frame': start[:, 0],
      'frame_index': tf.constant([0]),
      'state_map': tf.zeros([1, 4, 4, 2]),
    }
    for t in range(1, 4):
      answer = signatures['next_frame'](**drawn, **answer)
      self.assertAllEqual(answer['frame'], video[:, t])
    latents = signatures['encode'](frames=video)['latents']
    self.assertEqual(latents.shape, [1, 3, 16])
    decoded = signatures['decode'](latents=latents, first_frame=video[:, 0])
    self.assertAllEqual(decoded['frames'], video)

  @parameterized.named_parameters(
    (
      'legacy_without_state',
      {
        'dequantisation': 'legacy',
        'head': _head(labels=tfp_cglow.LabelImages(2)),
        'tail': _tail(labels=None, memory=None),
      },
    ),
    (
      'gru_unrolled',
      {
        'n_bits': 8,
        'head': _head(steps=dataclasses.replace(_STEPS, gradients='unrolled')),
        'tail': _tail(memory=tfp_cglow.GruMemory(2)),
      },
    ),
    (
      'mixture',
      {'tail': _tail(first=tfp_cglow.LevelMixture(halvings=1))},
    ),
  )
  def test_stream_is_the_model_s_sample(self, changes):
    flow = _flow(**changes)
    # Of the same steps, in loops that take seconds to trace.
    signatures = _signatures(flow, ('sample', 'continue', 'classify'))
    drawn = {
      'labels': tf.constant([0, 1]),
      'seed': tf.constant([[1, 2], [3, 4]]),
      'temperature': tf.constant([1.0, 0.5]),
      'min_p': tf.constant([0.0, 0.1]),
    }
    answer = signatures['first_frame'](**drawn)
    frames = [answer['frame']]
    for _ in range(3):
      answer = signatures['next_frame'](**drawn, **answer)
      frames.append(answer['frame'])
    video = tf.stack(frames, axis=1)
    self.assertAllEqual(video, flow.sample(num_frames=4, **drawn))
    latents = signatures['encode'](frames=video, labels=drawn['labels'])
    decoded = signatures['decode'](labels=drawn['labels'], **latents)
    self.assertAllEqual(decoded['frames'], video)
    for name in ('first_frame', 'next_frame', 'decode'):
      self.assertNotIn('MatrixTriangularSolve', _node_types(signatures[name]))


if __name__ == '__main__':
  tf.test.main()
