"""Tests of the convolutional GRU."""

import numpy as np
import tensorflow as tf

import tfp_cglow


def _set(variable, value):
  variable.assign(tf.broadcast_to(tf.cast(value, tf.float32), variable.shape))


class ConvGRUTest(tf.test.TestCase):
  def _gru(self):
    gru = tfp_cglow.build_conv_gru(3, 2, seed=0)
    frames = np.random.default_rng(0).uniform(-0.5, 0.5, [2, 5, 8, 8, 3])
    return gru, tf.constant(frames, tf.float32)

  def test_scan_is_the_steps(self):
    gru, frames = self._gru()
    self.assertEqual(gru.state_channels, 2)
    states = gru.scan(frames)
    state = gru.initial_state(frames[:, 0])
    for t in range(5):
      state = gru(state, frames[:, t])
      self.assertAllClose(states[:, t], state)

  def test_one_step_by_hand(self):
    gru, _ = self._gru()
    for variable in gru.trainable_variables:
      _set(variable, 0.0)
    _set(gru.gate_bias, 1.0)
    _set(gru.candidate_bias, 0.5)
    update = 1 / (1 + np.exp(-1))
    expected = 0.2 + update * (np.tanh(0.5) - 0.2)
    state = gru(tf.fill([1, 4, 4, 2], 0.2), tf.ones([1, 4, 4, 3]))
    self.assertAllClose(state, np.full([1, 4, 4, 2], expected))

  def test_reset_gate_hides_the_state_from_the_candidate(self):
    gru, frames = self._gru()
    gru.gate_bias.assign([1e3, 1e3, -1e3, -1e3])  # Update, then reset.
    frame = frames[:, 0]
    states = [gru(tf.fill([2, 8, 8, 2], v), frame) for v in (-0.9, 0.9)]
    self.assertAllClose(*states)

  def test_closed_update_gate_remembers(self):
    gru, frames = self._gru()
    _set(gru.gate_kernel, 0.0)
    _set(gru.gate_bias, -1e3)
    state = tf.constant(
      np.random.default_rng(1).uniform(-1, 1, [2, 8, 8, 2]), tf.float32
    )
    self.assertAllClose(gru(state, frames[:, 0]), state)

  def test_first_channels_begin_as_an_average_of_frames(self):
    gru = tfp_cglow.build_conv_gru(3, 5, seed=0)
    _set(gru.gate_bias, 1e3)
    frame = tf.random.uniform([2, 4, 4, 3], -0.5, 0.5)
    state = gru(gru.initial_state(frame), frame)
    self.assertAllClose(state[..., :3], tf.tanh(frame))

  def test_state_stays_bounded_over_long_videos(self):
    gru, frames = self._gru()
    for variable in gru.trainable_variables:
      variable.assign(10.0 * variable)
    state = gru.initial_state(frames[:, 0])
    for t in range(100):
      state = gru(state, frames[:, t % 5])
    self.assertLessEqual(np.abs(state).max(), 1.0)

  def test_every_parameter_has_a_gradient(self):
    gru, frames = self._gru()
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(gru.scan(frames) ** 2)
    gradients = tape.gradient(loss, gru.trainable_variables)
    self.assertLen(gradients, 4)
    self.assertTrue(all(np.any(g.numpy()) for g in gradients))

  def test_wrap_is_periodic(self):
    processor = tfp_cglow.build_conv_gru(1, 2, 0, padding='wrap')
    rng = np.random.default_rng(0)
    frame, state = (rng.standard_normal([4, 4, c]) for c in (1, 2))

    def after(shift):
      roll = lambda x: tf.constant(np.roll(x, shift, [0, 1]), tf.float32)
      return processor(roll(state), roll(frame))

    self.assertAllClose(after([1, 2]), np.roll(after([0, 0]), [1, 2], [0, 1]))


if __name__ == '__main__':
  tf.test.main()
