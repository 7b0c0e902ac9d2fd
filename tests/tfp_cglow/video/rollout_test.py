"""Tests of `rollout`."""

import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.video import likelihood
from tfp_cglow.video import rollout

_SHAPE = [4, 4, 1]
_AFFINE = tfp_cglow.FrameAffine()


def _flow(first=_AFFINE, **kwargs):
  parts = {
    'num_glow_blocks': 1,
    'steps': tfp_cglow.AdditiveSteps(2, 4),
    'labels': tfp_cglow.LabelPriors(),
  }
  flow = tfp_cglow.build_video_flow(
    _SHAPE,
    tfp_cglow.GlowSpec(**parts),
    tfp_cglow.TailSpec(
      first=first,
      previous_frames=2,
      memory=tfp_cglow.ResidualMemory(2),
      **parts,
    ),
    num_labels=2,
    seed=0,
    **kwargs,
  )
  rng = np.random.default_rng(0)
  for variable in flow.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return flow


class RolloutTest(tf.test.TestCase):
  def test_is_the_loop_by_hand(self):
    flow = _flow()
    label, seeds = tf.constant([0, 1]), rollout.row_seeds(3, 2)
    temperature = tf.constant([0.7, 1.0])
    actual = rollout.rollout(
      flow, label, None, temperature, tf.zeros([2]), seeds, 4
    )

    def draw(glow, time, **conditions):
      z = likelihood.latent_noise(seeds, time, 16) * temperature[:, tf.newaxis]
      return likelihood.requantise(
        glow.forward(z, label=label, **conditions), 5
      )

    frames = [draw(flow.head, 0)]
    state = flow.memory.initial_state(frames[0])
    for time in range(1, 4):
      state = flow.memory(state, frames[-1])
      before = frames[max(time - 2, 0)]
      context = tf.concat([frames[-1], before, state], -1)
      frames.append(draw(flow.tail, time, context=context))
    expected = likelihood.to_uint8(tf.stack(frames, axis=1))
    self.assertAllEqual(actual, expected)

  def test_one_loop_in_one_graph_inverts_once(self):
    flow = _flow()

    @tf.function
    def sample(num_frames):
      return rollout.rollout(
        flow,
        tf.constant([0]),
        None,
        tf.ones([1]),
        tf.zeros([1]),
        rollout.row_seeds(0, 1),
        num_frames,
      )

    graph = sample.get_concrete_function(tf.TensorSpec([], tf.int32)).graph
    solves = lambda nodes: sum('TriangularSolve' in node.op for node in nodes)
    definition = graph.as_graph_def()
    # Two solves each for the head's and the tail's block, outside the loop.
    self.assertEqual(solves(definition.node), 4)
    self.assertEqual(
      sum(solves(f.node_def) for f in definition.library.function), 0
    )

  def test_a_part_of_the_result_continues_to_the_rest(self):
    for dequantisation in ('matched', 'legacy'):
      flow = _flow(dequantisation=dequantisation)
      request = {'labels': [0, 1], 'num_frames': 5, 'seed': 3}
      videos = flow.sample(temperature=[0.7, 1.0], **request)
      again = flow.sample(
        temperature=[0.7, 1.0], first_frames=videos[:, :2], **request
      )
      self.assertAllEqual(again, videos)

  def test_guard_sees_every_generated_frame(self):
    seen = []

    def guard(frame):
      seen.append(frame)
      return tf.zeros_like(frame)

    args = tf.ones([1]), tf.zeros([1]), rollout.row_seeds(0, 1)
    videos = rollout.rollout(_flow(), [0], None, *args, 3, guard)
    self.assertLen(seen, 3)
    self.assertAllEqual(videos, tf.fill([1, 3, *_SHAPE], 132))


class EncodeTest(tf.test.TestCase):
  def _videos(self):
    values = np.random.default_rng(0).integers(0, 256, [2, 4, *_SHAPE])
    return values.astype(np.uint8)

  def test_decode_gives_the_quantised_frames(self):
    for dequantisation, levels in (('matched', 32), ('legacy', 256)):
      flow, label = _flow(dequantisation=dequantisation), [0, 1]
      latents = rollout.encode(flow, self._videos(), label)
      self.assertEqual(latents.shape, [2, 4, 16])
      width = 256 // levels
      expected = self._videos() // width * width + width // 2
      self.assertAllEqual(rollout.decode(flow, latents, label), expected)

  def test_decode_gives_the_quantised_frames_of_a_mixture(self):
    flow, label = _flow(tfp_cglow.LevelMixture(halvings=1)), [0, 1]
    latents = rollout.encode(flow, self._videos(), label)
    expected = self._videos() // 8 * 8 + 4
    self.assertAllEqual(rollout.decode(flow, latents, label), expected)

  def test_latents_are_the_flows_own(self):
    flow, label = _flow(), tf.constant([0, 1])
    latents = rollout.encode(flow, self._videos(), label)
    centres = likelihood.quantise(self._videos(), 5)
    self.assertAllClose(
      latents[:, 0], flow.head.inverse(centres[:, 0], label=label)
    )
    state = flow.memory(flow.memory.initial_state(centres[:, 0]), centres[:, 0])
    context = tf.concat([centres[:, 0], centres[:, 0], state], -1)
    self.assertAllClose(
      latents[:, 1],
      flow.tail.inverse(centres[:, 1], context=context, label=label),
      atol=1e-5,
    )

  def test_one_frame(self):
    latents = rollout.encode(_flow(), self._videos()[:, :1], [0, 1])
    self.assertEqual(latents.shape, [2, 1, 16])
    decoded = rollout.decode(_flow(), latents, [0, 1])
    self.assertAllEqual(decoded, self._videos()[:, :1] // 8 * 8 + 4)


class RowSeedsTest(tf.test.TestCase):
  def test_rows_differ_and_do_not_depend_on_the_batch_size(self):
    seeds = rollout.row_seeds(5, 4)
    self.assertEqual(seeds.shape, [4, 2])
    self.assertLen(np.unique(seeds, axis=0), 4)
    self.assertAllEqual(seeds[:2], rollout.row_seeds(5, 2))
    self.assertNotAllEqual(seeds, rollout.row_seeds(6, 4))

  def test_seeds_of_rows_stay(self):
    seeds = tf.constant([[1, 2], [3, 4]])
    self.assertAllEqual(rollout.row_seeds(seeds, 2), seeds)


if __name__ == '__main__':
  tf.test.main()
