"""Tests of `context_processor`."""

import numpy as np
import tensorflow as tf

import tfp_cglow


def _build(channels, state_channels):
  """A memory with a random last layer, so that its state is not zero."""
  processor = tfp_cglow.build_context_processor(channels, state_channels, 0)
  kernel = tf.random.stateless_normal(processor.kernel_2.shape, [0, 1])
  processor.kernel_2.assign(0.1 * kernel)
  return processor


class ContextProcessorTest(tf.test.TestCase):
  def test_parameter_count_of_the_paper(self):
    processor = tfp_cglow.build_context_processor(3, 16, seed=0)
    sizes = {v.name: int(np.prod(v.shape)) for v in processor.variables}
    norm = sum(int(np.prod(v.shape)) for v in processor.norm.variables)
    self.assertEqual(norm, 2 * 19)
    total = sum(int(np.prod(v.shape)) for v in processor.variables)
    self.assertEqual(total - norm, 10128, sizes)

  def test_first_state_is_zero(self):
    processor = tfp_cglow.build_context_processor(3, 4, seed=0)
    state = processor.initial_state(tf.ones([2, 4, 6, 3]))
    self.assertAllEqual(state, tf.zeros([2, 4, 6, 4]))

  def test_states_start_at_zero_and_can_learn(self):
    processor = tfp_cglow.build_context_processor(1, 2, seed=0)
    frames = tf.random.normal([1, 3, 4, 4, 1])
    with tf.GradientTape() as tape:
      states = processor.scan(frames)
      loss = tf.reduce_sum(states * tf.random.normal(states.shape))
    self.assertAllEqual(states, tf.zeros([1, 3, 4, 4, 2]))
    self.assertGreater(tf.norm(tape.gradient(loss, processor.kernel_2)), 0.0)

  def test_skip_connection(self):
    processor = tfp_cglow.build_context_processor(1, 2, seed=0)
    processor.bias_2.assign([1.0, 2.0])
    state = tf.random.normal([2, 4, 4, 2])
    self.assertAllClose(
      processor(state, tf.ones([2, 4, 4, 1])), state + [1.0, 2.0]
    )

  def test_scan_is_the_loop_by_hand(self):
    processor = _build(1, 2)
    frames = tf.random.normal([2, 3, 4, 4, 1])
    states = processor.scan(frames)
    state = processor.initial_state(frames[:, 0])
    for t in range(3):
      state = processor(state, frames[:, t])
      self.assertAllClose(states[:, t], state, rtol=1e-5, atol=1e-5)

  def test_state_sees_every_past_frame_and_no_later_one(self):
    processor = _build(1, 2)
    frames = tf.random.normal([1, 4, 4, 4, 1]).numpy()
    before = processor.scan(tf.constant(frames)).numpy()
    frames[:, 1] += 1.0
    after = processor.scan(tf.constant(frames)).numpy()
    self.assertAllEqual(before[:, 0], after[:, 0])
    for t in (1, 2, 3):
      self.assertNotAllClose(before[:, t], after[:, t])

  def test_adapt_touches_the_frame_channels_only(self):
    processor = tfp_cglow.build_context_processor(2, 3, seed=0)
    frames = tf.constant(
      np.random.default_rng(0).normal([1.0, -2.0], [3.0, 0.1], [4, 3, 4, 4, 2])
    )
    processor.adapt(tf.cast(frames, tf.float32))
    std = tf.math.reduce_std(frames, [0, 1, 2, 3])
    self.assertAllClose(processor.norm.log_scale[:2], -tf.math.log(std), 1e-4)
    self.assertAllEqual(processor.norm.log_scale[2:], [0.0] * 3)
    self.assertAllEqual(processor.norm.shift[2:], [0.0] * 3)

  def test_equal_seeds_give_equal_weights(self):
    a, b, c = (
      tfp_cglow.build_context_processor(1, 2, seed=s) for s in (0, 0, 1)
    )
    self.assertAllEqual(a.kernel_1, b.kernel_1)
    self.assertNotAllEqual(a.kernel_1, c.kernel_1)

  def test_wrap_is_periodic(self):
    processor = tfp_cglow.build_context_processor(1, 2, 0, padding='wrap')
    processor.kernel_2.assign(tf.ones_like(processor.kernel_2))
    rng = np.random.default_rng(0)
    frame, state = (rng.standard_normal([4, 4, c]) for c in (1, 2))

    def after(shift):
      roll = lambda x: tf.constant(np.roll(x, shift, [0, 1]), tf.float32)
      return processor(roll(state), roll(frame))

    self.assertAllClose(after([1, 2]), np.roll(after([0, 0]), [1, 2], [0, 1]))


if __name__ == '__main__':
  tf.test.main()
