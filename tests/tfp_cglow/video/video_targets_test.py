"""Tests of `video_targets`."""

import dataclasses

import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.video import video_targets

_SHAPE = [4, 4, 1]
_HEAD = tfp_cglow.GlowSpec(1, tfp_cglow.AdditiveSteps(1, 4))
_TAIL = tfp_cglow.TailSpec(1, tfp_cglow.AdditiveSteps(1, 4))
_MEMORY = tfp_cglow.ResidualMemory(2)


def _flow(head=_HEAD, tail=_TAIL, **kwargs):
  flow = tfp_cglow.build_video_flow(_SHAPE, head, tail, seed=0, **kwargs)
  if flow.memory is not None:  # Or all states are zero.
    kernel = flow.memory.kernel_2
    kernel.assign(0.1 * tf.random.stateless_normal(kernel.shape, [0, 1]))
  return flow


def _frames(batch=2, time=4):
  rng = np.random.default_rng(0)
  frames = rng.integers(256, size=[batch, time, *_SHAPE])
  return tf.constant(frames.astype(np.uint8))


def _targets(flow, frames, seed=0, subset_size=None, warp=None):
  clips = tf.range(frames.shape[0])
  return video_targets.noisy_targets(
    flow, frames, seed, clips, subset_size, warp
  )


class NoisyTargetsTest(tf.test.TestCase):
  def test_noise_is_on_targets_and_not_on_contexts(self):
    frames = _frames()
    clean = tfp_cglow.quantise(frames, 5)
    first, contexts, later, times = _targets(_flow(), frames)
    self.assertAllEqual(times, [1, 2, 3])
    self.assertAllEqual(contexts, clean[:, :-1])
    noise = tf.concat([first[:, tf.newaxis], later], 1) - clean
    self.assertAllInRange(noise, -0.5 / 32, 0.5 / 32)
    self.assertAllClose(
      tf.math.reduce_std(noise), 1 / 32 / np.sqrt(12), rtol=0.2
    )

  def test_two_previous_frames_newest_first(self):
    frames = _frames()
    clean = tfp_cglow.quantise(frames, 5)
    _, contexts, _, _ = _targets(
      _flow(tail=dataclasses.replace(_TAIL, previous_frames=2)), frames
    )
    newest, before = tf.split(contexts, 2, axis=-1)
    self.assertAllEqual(newest, clean[:, :-1])
    # The first frame stands for the frame before it.
    self.assertAllEqual(before, tf.gather(clean, [0, 0, 1], axis=1))

  def test_deformed_contexts(self):
    warp = tfp_cglow.ContextWarp(1.0, 'wrap')
    for dequantisation in ('matched', 'drawn'):
      flow = _flow(
        n_bits=1 if dequantisation == 'drawn' else 5,
        dequantisation=dequantisation,
        tail=dataclasses.replace(
          _TAIL, memory=_MEMORY, pyramid=tfp_cglow.Pyramid(4)
        ),
      )
      frames = _frames(batch=8)
      first, contexts, later, _ = _targets(flow, frames)
      same, deformed, later_too, _ = _targets(flow, frames, warp=warp)
      self.assertAllEqual(first, same)
      self.assertAllEqual(later, later_too)
      changed = np.any(contexts != deformed, axis=(2, 3))  # [8, 3, 1 + 2]
      clips = changed.any(axis=(1, 2))
      self.assertIn(sum(clips), range(1, 8))
      # The memory has seen the deformed frames.
      self.assertTrue(changed[clips, 1:].all())
      if dequantisation == 'matched':  # As a rollout's frames are.
        seen = deformed[..., :1]
        centres = tfp_cglow.quantise(seen + 0.5, 5)
        self.assertAllClose(seen, centres, atol=1e-6)

  def test_state_has_seen_the_previous_frame(self):
    frames, flow = (
      _frames(),
      _flow(tail=dataclasses.replace(_TAIL, memory=_MEMORY)),
    )
    clean = tfp_cglow.quantise(frames, 5)
    _, contexts, _, _ = _targets(flow, frames)
    states = flow.memory.scan(clean[:, :-1])
    self.assertAllClose(contexts, tf.concat([clean[:, :-1], states], -1))

  def test_a_subset_is_a_random_part_of_all(self):
    frames = _frames()
    flow = _flow(
      tail=dataclasses.replace(_TAIL, memory=_MEMORY, previous_frames=2)
    )
    seen = set()
    for seed in range(6):
      _, every_context, every, _ = _targets(flow, frames, seed)
      first, contexts, later, times = _targets(flow, frames, seed, 2)
      self.assertLen(times, 2)
      self.assertAllEqual(later, tf.gather(every, times - 1, axis=1))
      self.assertAllEqual(contexts, tf.gather(every_context, times - 1, axis=1))
      seen |= set(times.numpy())
    self.assertEqual(seen, {1, 2, 3})

  def test_legacy_contexts_and_targets_share_their_noise(self):
    frames = _frames()
    first, contexts, later, _ = _targets(_flow(dequantisation='legacy'), frames)
    noisy = tf.concat([first[:, tf.newaxis], later], 1)
    self.assertAllEqual(contexts, noisy[:, :-1])
    noise = (noisy + 0.5 - tf.cast(frames, tf.float32) / 256.0) * 32.0
    self.assertAllInRange(noise, 0.0, 1.0 + 1e-5)
    self.assertGreater(tf.math.reduce_std(noise), 0.2)

  def test_tail_alone_needs_two_frames(self):
    with self.assertRaisesRegex(ValueError, 'two frames'):
      _targets(_flow(head=None), _frames(2, 1))

  def test_head_alone_has_no_context(self):
    _, contexts, _, _ = _targets(_flow(tail=None), _frames(2, 1))
    self.assertIsNone(contexts)


class CleanTest(tf.test.TestCase):
  def test_given_and_generated_frames(self):
    values = tf.constant([-0.7, -0.26, 0.0, 0.9])
    matched, legacy = _flow(n_bits=1), _flow(dequantisation='legacy')
    self.assertAllClose(
      video_targets.clean_generated(matched, values), [-0.25, -0.25, 0.25, 0.25]
    )
    self.assertAllClose(
      video_targets.clean_generated(legacy, values),
      [-0.5, -0.26, 0.0, 0.5 - 1 / 512],
    )
    given = tf.constant([0, 100, 255], tf.uint8)
    self.assertAllClose(
      video_targets.clean_given(matched, given), [-0.25, -0.25, 0.25]
    )
    self.assertAllClose(
      video_targets.clean_given(legacy, given),
      [-0.5, 100 / 256 - 0.5, 255 / 256 - 0.5],
    )

  def test_initial_state_stops_before_the_last_frame(self):
    flow = _flow(tail=dataclasses.replace(_TAIL, memory=_MEMORY))
    given = tfp_cglow.quantise(_frames(), 5)
    (state,) = video_targets.initial_state(flow, given)
    self.assertAllClose(state, flow.memory.scan(given)[:, -2], 1e-5, 1e-5)
    (state,) = video_targets.initial_state(flow, given[:, :1])
    self.assertAllEqual(state, tf.zeros([2, 4, 4, 2]))
    self.assertEmpty(video_targets.initial_state(_flow(), given))


if __name__ == '__main__':
  tf.test.main()
