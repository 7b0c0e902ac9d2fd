"""Tests of `rollout`."""

import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow import likelihood
from tfp_cglow import rollout

_SHAPE = [4, 4, 1]


def _model(**kwargs):
  glow = {'num_glow_blocks': 1, 'num_steps_per_block': 2, 'hidden_channels': 4}
  model = tfp_cglow.VideoGlow(
    _SHAPE,
    num_labels=2,
    state_channels=2,
    head=glow,
    tail={**glow, 'context_affine': 'residual'},
    tail_labels=True,
    previous_frames=2,
    seed=0,
    **kwargs,
  )
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return model


class RolloutTest(tf.test.TestCase):
  def test_is_the_loop_by_hand(self):
    model = _model()
    label, seeds = tf.constant([0, 1]), rollout.row_seeds(3, 2)
    temperature = tf.constant([0.7, 1.0])
    actual = rollout.rollout(model, label, None, 4, temperature, seeds)

    def draw(glow, time, **conditions):
      z = likelihood.latent_noise(seeds, time, 16) * temperature[:, tf.newaxis]
      return likelihood.requantise(
        glow.forward(z, label=label, **conditions), 5
      )

    frames = [draw(model.head, 0)]
    state = model.processor.initial_state(frames[0])
    for time in range(1, 4):
      state = model.processor(state, frames[-1])
      before = frames[max(time - 2, 0)]
      context = tf.concat([frames[-1], before, state], -1)
      frames.append(draw(model.tail, time, context=context))
    expected = likelihood.to_uint8(tf.stack(frames, axis=1))
    self.assertAllEqual(actual, expected)

  def test_one_loop_in_one_graph_inverts_once(self):
    model = _model()

    @tf.function
    def sample(num_frames):
      return rollout.rollout(
        model,
        tf.constant([0]),
        None,
        num_frames,
        tf.ones([1]),
        rollout.row_seeds(0, 1),
      )

    graph = sample.get_concrete_function(tf.TensorSpec([], tf.int32)).graph
    solves = lambda nodes: sum('TriangularSolve' in node.op for node in nodes)
    definition = graph.as_graph_def()
    # Two solves each for the head's and the tail's block, outside the loop.
    self.assertEqual(solves(definition.node), 4)
    self.assertEqual(
      sum(solves(f.node_def) for f in definition.library.function), 0
    )


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
