"""Tests of `VideoFlow.predictive_mean`, and of targets drawn from greys."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow

_SIZE = 4


def _flow(channels=1, dequantisation='matched', n_bits=3, **tail):
  tail = {'first': tfp_cglow.LevelMixture(hidden_channels=8), **tail}
  flow = tfp_cglow.build_video_flow(
    [_SIZE, _SIZE, channels],
    tail=tfp_cglow.TailSpec(
      **{'num_glow_blocks': 1, 'steps': None, 'previous_frames': 2, **tail}
    ),
    num_labels=3 if 'labels' in tail else None,
    n_bits=n_bits,
    dequantisation=dequantisation,
    seed=0,
  )
  rng = np.random.default_rng(0)
  for variable in flow.trainable_variables:
    variable.assign(0.3 * rng.standard_normal(variable.shape))
  return flow


def _frames(channels=1, num_frames=3):
  rng = np.random.default_rng(1)
  shape = [2, num_frames, _SIZE, _SIZE, channels]
  return rng.integers(0, 256, shape, np.uint8)


class PredictiveMeanTest(parameterized.TestCase, tf.test.TestCase):
  @parameterized.named_parameters(
    ('bits', {}, None),
    ('motion', {'first': tfp_cglow.LevelMixture(motion_radius=1)}, None),
    ('label', {'labels': tfp_cglow.LabelEmbedding(channels=2)}, [0, 2]),
    ('memory', {'memory': tfp_cglow.GruMemory(2)}, None),
    ('drawn', {'dequantisation': 'drawn', 'n_bits': 1}, None),
  )
  def test_exact_mean_is_that_of_samples(self, options, label):
    flow, frames = _flow(**options), _frames()
    exact = flow.predictive_mean(frames, label)
    self.assertEqual(exact.shape, [2, 2, _SIZE, _SIZE, 1])
    mean = tf.function(
      lambda seed: flow.predictive_mean(frames, label, 200, seed)
    )
    sampled = [mean(tf.constant([0, k])) for k in range(8)]
    error = np.std(sampled, axis=0) / 8**0.5
    distance = (np.mean(sampled, axis=0) - exact) / (error + 0.5)
    self.assertLess(np.abs(distance).max(), 5)
    self.assertLess(np.sqrt(np.mean(distance**2)), 1.5)
    self.assertGreater(np.std(exact), 5)

  def test_drawn_frames_are_decoded(self):
    flow = _flow(dequantisation='drawn', n_bits=1)
    frames = _frames(num_frames=4)
    decoded = flow.decode(flow.encode(frames), first_frames=frames[:, 0])
    self.assertAllEqual(decoded[:, 1:] > 127, frames[:, 1:] > 127)

  def test_only_what_has_a_mean_gives_it(self):
    flow = _flow()
    context = tf.zeros([2, _SIZE, _SIZE, 2])
    self.assertTrue(flow.tail.gives_mean_levels)
    with self.assertRaisesRegex(ValueError, 'without tempering'):
      flow.tail.tempered(0.5, 0.1).mean_levels(context=context)
    glow = tfp_cglow.build_glow(
      [_SIZE, _SIZE, 1], 1, None, first=tfp_cglow.LevelMixture(4)
    )
    with self.assertRaisesRegex(ValueError, 'takes a context'):
      glow.mean_levels()

  def test_samples_are_those_of_the_model(self):
    flow, frames = _flow(), _frames(num_frames=2)
    drawn = flow.sample(
      num_frames=2, first_frames=np.repeat(frames[:1, :1], 2000, 0), seed=0
    )
    self.assertAllClose(
      np.mean(drawn[:, 1], axis=0),
      flow.predictive_mean(frames[:1])[0, 0],
      atol=8,
    )
    (one,) = flow.predictive_mean(frames[:1], num_samples=1)
    self.assertAllInSet(one % 32, [16.0])  # Centres of bins of 32 levels.

  def test_past_frames_alone_are_used(self):
    flow, frames = _flow(), _frames()
    changed = frames.copy()
    changed[:, 2] = 255 - changed[:, 2]
    self.assertAllEqual(
      flow.predictive_mean(frames), flow.predictive_mean(changed)
    )

  @parameterized.named_parameters(
    ('steps', {'steps': tfp_cglow.AffineSteps(1, hidden_channels=4)}),
    ('halvings', {'first': tfp_cglow.LevelMixture(halvings=1)}),
    ('colours', {'channels': 3}),
    ('affine', {'first': tfp_cglow.FrameAffine()}),
    ('prior', {'labels': tfp_cglow.LabelPriors()}),
  )
  def test_other_tails_need_samples(self, options):
    flow = _flow(**options)
    frames = _frames(options.get('channels', 1))
    label = [0, 1] if 'labels' in options else None
    self.assertFalse(flow.gives_predictive_mean)
    with self.assertRaisesRegex(ValueError, 'set `num_samples`'):
      flow.predictive_mean(frames, label)
    mean = flow.predictive_mean(frames, label, num_samples=3)
    self.assertEqual(mean.shape, frames[:, 1:].shape)
    self.assertAllInRange(mean, 0.0, 255.0)

  def test_bad_requests(self):
    flow = _flow()
    with self.assertRaisesRegex(ValueError, 'from the second frame on'):
      flow.predictive_mean(_frames(num_frames=1))
    with self.assertRaisesRegex(ValueError, 'num_samples.*at least 1, but got'):
      flow.predictive_mean(_frames(), num_samples=0)
    head = tfp_cglow.build_video_flow(
      [_SIZE, _SIZE, 1], head=tfp_cglow.GlowSpec(1, None)
    )
    with self.assertRaisesRegex(ValueError, 'without a tail'):
      head.predictive_mean(_frames())


class DrawnTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.flow = _flow(dequantisation='drawn', n_bits=1)

  def test_code_length_is_the_cross_entropy_with_the_grey_levels(self):
    frames = _frames()
    log_prob = tf.function(lambda seed: self.flow.log_prob(frames, None, seed))
    nats = [-log_prob(tf.constant([0, k]))[1] for k in range(200)]
    # A density of two levels of width 1/2 is twice their probability.
    nats = np.array(nats) + _SIZE**2 * np.log(2)
    grey, mean = (
      np.asarray(x, np.float64) / 255
      for x in (frames[:, 1:], self.flow.predictive_mean(frames))
    )
    expected = -(grey * np.log(mean) + (1 - grey) * np.log(1 - mean))
    expected = expected.sum((2, 3, 4))
    error = nats.std(0) / len(nats) ** 0.5
    self.assertLess(np.abs((nats.mean(0) - expected) / error).max(), 4)
    self.assertLess(error.max(), 0.1 * expected.min())

  def test_black_and_white_are_never_changed(self):
    frames = 255 * (_frames() > 99).astype(np.uint8)
    nats = [self.flow.log_prob(frames, seed=k)[1] for k in range(2)]
    self.assertAllClose(nats[0], nats[1], rtol=1e-3)

  def test_contexts_keep_the_grey(self):
    frames = _frames()
    frames[:, 0] = 140
    brighter = frames.copy()
    brighter[:, 0] = 200  # Quantised to one bit they would be equal.
    self.assertNotAllClose(
      self.flow.predictive_mean(frames)[:, 0],
      self.flow.predictive_mean(brighter)[:, 0],
      atol=1.0,
    )

  def test_samples_are_black_and_white_and_given_frames_grey(self):
    frames = _frames()
    video = self.flow.sample(num_frames=5, first_frames=frames, seed=0)
    self.assertAllEqual(video[:, :3], frames)
    self.assertAllInSet(video[:, 3:], [0, 255])

  def test_one_bit_only(self):
    with self.assertRaisesRegex(ValueError, '`n_bits` must be 1, but got 5'):
      _flow(dequantisation='drawn', n_bits=5)


if __name__ == '__main__':
  tf.test.main()
