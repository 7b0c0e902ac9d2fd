"""Tests of `likelihood`: constants, noise, and the identity flow's bits/dim."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.video import likelihood


def _random_frames(shape):
  return np.random.default_rng(0).integers(256, size=shape).astype(np.uint8)


def _smooth_frames(shape):
  """A bright patch of a gradient that moves to the right."""
  batch, time, height, width, _ = shape
  b, t, i, j = np.meshgrid(
    *map(np.arange, (batch, time, height, width)), indexing='ij'
  )
  wave = np.sin((j - t) / 3.0 + b) * np.cos(i / 4.0)
  frames = np.stack([wave, 0.5 * wave, -wave], -1)[..., : shape[-1]]
  return np.round(127.5 + 100 * frames).astype(np.uint8)


class UntrainedBitsPerDimTest(tf.test.TestCase, parameterized.TestCase):
  """bits/dim = 5 + log2(2 pi) / 2 + E[x^2] / (2 ln 2) for an isometry."""

  SHAPE = [3, 4, 8, 8, 3]

  def _flow(self, make_steps, first=None):
    parts = {'num_glow_blocks': 2, 'steps': make_steps(2, 4)}
    return tfp_cglow.build_video_flow(
      self.SHAPE[2:],
      tfp_cglow.GlowSpec(labels=tfp_cglow.LabelPriors(), **parts),
      tfp_cglow.TailSpec(
        first=first, memory=tfp_cglow.ResidualMemory(2), **parts
      ),
      num_labels=2,
      seed=0,
    )

  def _noisy(self, frames, seed):
    """`[B, T, H, W, C]` in [-0.5, 0.5), with the noise of `log_prob`."""
    batch, time = frames.shape[:2]
    noise = tfp_cglow.video.likelihood.frame_noise(
      seed, tf.range(batch), tf.range(time), self.SHAPE[2:]
    )
    levels = np.floor(frames / 256.0 * 32)
    return (levels + noise.numpy().astype(np.float64)) / 32 - 0.5

  def _expected(self, x):
    energy = np.mean(x**2, axis=(-3, -2, -1))
    return 5 + 0.5 * np.log2(2 * np.pi) + energy / (2 * np.log(2))

  def _bits(self, log_prob):
    return tfp_cglow.bits_per_dim(log_prob, self.SHAPE[2:], 5)

  @parameterized.product(
    frames=[_random_frames, _smooth_frames],
    make_steps=[tfp_cglow.AdditiveSteps, tfp_cglow.AffineSteps],
  )
  def test_head_and_paper_way_tail(self, frames, make_steps):
    frames = frames(self.SHAPE)
    flow = self._flow(make_steps)
    head, tail = flow.log_prob(frames, tf.constant([0, 1, 0]), seed=7)
    x = self._noisy(frames, seed=7)
    self.assertAllInRange(x, -0.5, 0.5)
    self.assertAllClose(self._bits(head), self._expected(x[:, 0]), 0, 1e-4)
    self.assertAllClose(self._bits(tail), self._expected(x[:, 1:]), 0, 1e-4)

  @parameterized.product(
    frames=[_random_frames, _smooth_frames],
    make_steps=[tfp_cglow.AdditiveSteps, tfp_cglow.AffineSteps],
  )
  def test_residual_tail(self, frames, make_steps):
    frames = frames(self.SHAPE)
    flow = self._flow(make_steps, tfp_cglow.FrameAffine())
    _, tail = flow.log_prob(frames, tf.constant([0, 1, 0]), seed=7)
    x = self._noisy(frames, seed=7)
    clean = (np.floor(frames / 256.0 * 32) + 0.5) / 32 - 0.5
    self.assertAllClose(
      self._bits(tail), self._expected(x[:, 1:] - clean[:, :-1]), 0, 1e-4
    )

  def test_another_noise_draw_is_seen(self):
    frames = _random_frames(self.SHAPE)
    flow = self._flow(tfp_cglow.AdditiveSteps)
    head, _ = flow.log_prob(frames, [0, 1, 0], seed=8)
    x = self._noisy(frames, seed=7)
    self.assertNotAllClose(self._bits(head), self._expected(x[:, 0]), 0, 1e-4)

  def test_range_of_the_paper(self):
    flow = self._flow(tfp_cglow.AdditiveSteps)
    for value, low, high in ((128, 6.32, 6.33), (0, 6.49, 6.51)):
      frames = np.full(self.SHAPE, value, np.uint8)
      head, _ = flow.log_prob(frames, [0, 1, 0])
      self.assertAllInRange(self._bits(head), low, high)


class ConstantsTest(tf.test.TestCase, parameterized.TestCase):
  def test_bits_per_dim_of_the_uniform_density_is_zero_gain(self):
    # Density 1 on [-0.5, 0.5)^N: every level costs n_bits.
    self.assertAllClose(
      tfp_cglow.bits_per_dim(tf.zeros([2]), [4, 4, 3], 5), [5.0, 5.0]
    )
    self.assertAllClose(
      tfp_cglow.bits_per_dim(tf.constant(48 * np.log(2.0)), [4, 4, 3], 5), 4.0
    )

  @parameterized.parameters(
    (1, [0, 127, 128, 255], [-0.25, -0.25, 0.25, 0.25]),
    (2, [0, 64, 128, 255], [-0.375, -0.125, 0.125, 0.375]),
    (8, [0, 255], [-0.5 + 1 / 512, 0.5 - 1 / 512]),
  )
  def test_quantise(self, n_bits, values, expected):
    frames = tf.constant(values, tf.uint8)
    self.assertAllClose(tfp_cglow.quantise(frames, n_bits), expected, 0, 1e-7)

  def test_floats_and_bytes_agree(self):
    values = np.arange(256).astype(np.uint8)
    for n_bits in range(1, 9):
      self.assertAllEqual(
        tfp_cglow.quantise(values, n_bits),
        tfp_cglow.quantise((values / 256).astype(np.float32), n_bits),
      )
    self.assertAllClose(tfp_cglow.quantise([1.0], 1), [0.25])

  def test_dequantised_values_stay_in_their_bins(self):
    values = np.arange(256).astype(np.uint8)
    for n_bits in (1, 5, 8):
      centres = tfp_cglow.quantise(values, n_bits)
      for noise in (0.0, 0.5, 1 - 2**-10):
        noisy = tfp_cglow.dequantise(centres, n_bits, tf.fill([256], noise))
        self.assertAllInRange(noisy, -0.5, 0.5)
        self.assertAllEqual(likelihood.requantise(noisy, n_bits), centres)

  def test_bytes_of_bin_centres_quantise_to_themselves(self):
    for n_bits in range(1, 9):
      centres = tfp_cglow.quantise(np.arange(256).astype(np.uint8), n_bits)
      frames = likelihood.to_uint8(centres)
      self.assertEqual(frames.dtype, tf.uint8)
      self.assertAllEqual(tfp_cglow.quantise(frames, n_bits), centres)

  def test_values_out_of_range_are_clipped_to_the_outer_bins(self):
    values = tf.constant([-9.0, 9.0])
    self.assertAllClose(likelihood.requantise(values, 2), [-0.375, 0.375])
    self.assertAllEqual(likelihood.to_uint8(values), [0, 255])

  def test_bad_input(self):
    with self.assertRaisesRegex(ValueError, '1..8, but got 9'):
      tfp_cglow.quantise(tf.zeros([1], tf.uint8), 9)
    with self.assertRaisesRegex(ValueError, 'uint8.*float.*but got int32'):
      tfp_cglow.quantise(tf.zeros([1], tf.int32), 5)
    for bad in (1.5, -0.1, np.inf):
      with self.assertRaisesRegex(tf.errors.InvalidArgumentError, r'\[0, 1\]'):
        tfp_cglow.quantise([bad], 5)

  def test_nan_stays_nan(self):
    self.assertAllEqual(
      tf.math.is_nan(tfp_cglow.quantise([0.5, np.nan], 5)), [False, True]
    )


class NoiseTest(tf.test.TestCase):
  def _noise(self, seed=0, clips=(0, 1), times=(0, 1, 2)):
    return likelihood.frame_noise(seed, list(clips), list(times), [2, 2, 1])

  def test_is_a_function_of_seed_clip_and_time(self):
    noise = self._noise()
    self.assertEqual(noise.shape, [2, 3, 2, 2, 1])
    self.assertAllEqual(noise, self._noise())
    self.assertAllEqual(noise[1:], self._noise(clips=[1]))
    self.assertAllEqual(noise[:, 2:], self._noise(times=[2]))
    flat = noise.numpy().reshape([6, -1])
    self.assertLen(np.unique(flat, axis=0), 6)
    self.assertNotAllEqual(noise, self._noise(seed=1))
    self.assertNotAllEqual(noise, self._noise(seed=tf.constant([1, 0])))

  def test_times_of_each_clip(self):
    noise = likelihood.frame_noise(0, [0, 1], [[2], [0]], [2, 2, 1])
    self.assertAllEqual(noise[0, 0], self._noise()[0, 2])
    self.assertAllEqual(noise[1, 0], self._noise()[1, 0])

  def test_is_uniform(self):
    noise = likelihood.frame_noise(3, [0], [0], [100, 100, 1]).numpy()
    self.assertAllInRange(noise, 0.0, 1.0)
    self.assertAllClose(np.histogram(noise, 10)[0], [1000] * 10, rtol=0.15)

  def test_latents_depend_on_the_row_seed_and_time_only(self):
    seeds = tf.constant([[0, 1], [0, 2], [0, 1]])
    z = likelihood.latent_noise(seeds, 0, 5)
    self.assertEqual(z.shape, [3, 5])
    self.assertAllEqual(z[0], z[2])
    self.assertNotAllEqual(z[0], z[1])
    self.assertAllEqual(z[1:2], likelihood.latent_noise(seeds[1:2], 0, 5))
    self.assertNotAllEqual(z, likelihood.latent_noise(seeds, 1, 5))

  def test_seed_of_an_int(self):
    self.assertAllEqual(likelihood.as_seed(5), [0, 5])
    self.assertAllEqual(likelihood.as_seed([3, 4]), [3, 4])


if __name__ == '__main__':
  tf.test.main()
