"""Tests of continuations.py."""

import dataclasses
import json
from unittest import mock

import numpy as np
import tensorflow as tf

import tfp_cglow
from train.samples import continuations
from train.samples import sample_files

_STEPS = tfp_cglow.AdditiveSteps(1, 4)
_HEAD = tfp_cglow.GlowSpec(1, _STEPS)
_LABELLED = tfp_cglow.GlowSpec(1, _STEPS, labels=tfp_cglow.LabelPriors(2))
_TAIL = tfp_cglow.TailSpec(1, _STEPS, memory=tfp_cglow.ResidualMemory(2))
_SHAPE = [4, 4, 3]


def build_flow(head=None, tail=_TAIL, **kwargs):
  flow = tfp_cglow.build_video_flow(_SHAPE, head, tail, seed=0, **kwargs)
  rng = np.random.default_rng(1)
  for variable in flow.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return flow


def clips(num_clips=3, num_frames=3, shape=_SHAPE):
  rng = np.random.default_rng(2)
  shape = [num_clips, num_frames, *shape]
  frames = rng.integers(256, size=shape).astype(np.uint8)
  return frames, np.arange(num_clips, dtype=np.int32) % 2


def batched(frames, label):
  return tf.data.Dataset.from_tensor_slices((frames, label)).batch(2)


def levels(*values, shape=(4, 4, 1)):
  """Frames `[..., 4, 4, 1]` of one level each."""
  values = np.array(values, np.uint8)
  return np.tile(values.reshape([*values.shape, 1, 1, 1]), shape)


def psnr(difference):
  return 10.0 * np.log10(255.0**2 / difference**2)


def flat_ssim(a, b):
  """SSIM of frames without variance: the luminance's term."""
  c = (0.01 * 255.0) ** 2
  return (2.0 * a * b + c) / (a**2 + b**2 + c)


class ContinueClipsTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.flow = build_flow()
    self.frames, self.label = clips()

  def continued(self, num_clips, num_samples, **kwargs):
    return continuations.continue_clips(
      self.flow,
      self.frames[:num_clips],
      self.label[:num_clips],
      num_samples,
      **kwargs,
    )

  def test_given_frames_come_first(self):
    result = self.continued(3, 2, num_given=2, num_frames=5)
    self.assertEqual(result.dtype, np.uint8)
    self.assertEqual(result.shape, (2, 3, 5, *_SHAPE))
    centres = self.frames[:, :2] // 8 * 8 + 4
    self.assertAllEqual(result[:, :, :2], [centres, centres])

  def test_a_sample_does_not_depend_on_how_many_are_asked_for(self):
    result = self.continued(3, 3)
    self.assertAllEqual(self.continued(2, 2), result[:2, :2])
    self.assertAllEqual(self.continued(3, 1, num_frames=7)[0, :, :3], result[0])
    self.assertNotAllEqual(self.continued(3, 3, seed=1), result)

  def test_samples_and_clips_have_noise_of_their_own(self):
    self.frames[:] = self.frames[:1]
    result = self.continued(2, 2).reshape([4, -1])
    self.assertLen(np.unique(result, axis=0), 4)

  def test_temperature(self):
    cold = self.continued(3, 2, temperature=0.0)
    self.assertAllEqual(cold[0], cold[1])

  def test_labels_are_the_models(self):
    self.flow = build_flow(
      tail=dataclasses.replace(_TAIL, labels=tfp_cglow.LabelPriors(2))
    )
    self.frames[:] = self.frames[:1]
    by_label = [self.continued(3, 1) for self.label in np.eye(2, 3, dtype=int)]
    self.assertNotAllEqual(by_label[0][0, 0], by_label[1][0, 0])
    self.assertAllEqual(by_label[0][0, 2], by_label[1][0, 2])


class QualityTest(tf.test.TestCase):
  def test_by_hand(self):
    # At 8 bits a level is its bin's centre.
    real = levels([100, 110, 120], [50, 50, 50])
    sampled = np.stack(
      [
        levels([100, 114, 140], [50, 60, 60]),
        levels([100, 130, 126], [50, 50, 51]),
      ]
    )
    result = continuations.quality(real, sampled)

    def check(name, of_clips, metric):
      expected = np.mean([[metric(*f) for f in c] for c in of_clips], axis=0)
      self.assertAllClose(result[name], expected, rtol=2e-4)  # float32.

    floor = 10.0 * np.log10(255.0**2 / 1e-10)

    def of_difference(a, b):
      return psnr(a - b) if a != b else floor

    # Over time clip 0's sample 0 has 36.1 + 22.1 dB, sample 1 22.1 + 32.6 dB.
    best = [[(110, 114), (120, 140)], [(50, 50), (50, 51)]]
    mean = [[(110, 122), (120, 133)], [(50, 55), (50, 55.5)]]
    copy = [[(110, 100), (120, 100)], [(50, 50), (50, 50)]]
    check('continuation_psnr_best_of_samples', best, of_difference)
    check('continuation_psnr_mean_of_samples', mean, of_difference)
    check('copy_psnr', copy, of_difference)
    # SSIM: clip 0's sample 0 has .9994 + .9882, sample 1 .9862 + .9988.
    check('continuation_ssim_best_of_samples', best, flat_ssim)
    check('continuation_ssim_mean_of_samples', mean, flat_ssim)
    check('copy_ssim', copy, flat_ssim)

  def test_the_best_sample_is_one_for_the_whole_clip(self):
    real = levels([100, 100, 100])
    sampled = np.stack([levels([100, 100, 120]), levels([100, 140, 100])])
    result = continuations.quality(real, sampled)
    best = result['continuation_psnr_best_of_samples']
    self.assertAllClose(best[1], psnr(20))
    self.assertGreater(best[0], 100.0)

  def test_each_metric_chooses_its_own(self):
    # A shift costs PSNR, a small unrelated texture costs SSIM.
    rng = np.random.default_rng(0)
    real = np.full([1, 2, 16, 16, 1], 100, np.uint8)
    real[:, 1] += (4 * rng.integers(2, size=[16, 16, 1])).astype(np.uint8)
    shifted, flat = real + np.uint8(20), np.full_like(real, 100)
    result = continuations.quality(real, np.stack([shifted, flat]))
    targets = real[:, 1]
    self.assertAllClose(
      result['continuation_psnr_best_of_samples'],
      sample_files.psnr(targets, flat[:, 1]),
    )
    self.assertAllClose(
      result['continuation_ssim_best_of_samples'],
      tf.image.ssim(
        tf.constant(targets, tf.float32),
        tf.constant(shifted[:, 1], tf.float32),
        255.0,
      ),
    )
    self.assertAllClose(
      result['copy_ssim'],
      tf.image.ssim(tf.constant(targets), tf.constant(flat[:, 1]), 255),
      rtol=5e-4,
    )

  def test_ssim_of_small_frames(self):
    real, sampled = clips(2, 2)[0], clips(4, 2)[0][2:]
    result = continuations.quality(real, sampled[np.newaxis])
    # One window, as large as the frame: a Gaussian of 1.5 pixels.
    g = np.exp(-((np.arange(4) - 1.5) ** 2) / (2 * 1.5**2))
    weights = np.outer(g, g)[..., np.newaxis] / np.outer(g, g).sum()

    def moment(x):
      return np.sum(weights * x, axis=(1, 2))

    x, y = real[:, 1].astype(float), sampled[:, 1].astype(float)
    mx, my = moment(x), moment(y)
    variances = moment(x * x) - mx**2 + moment(y * y) - my**2
    covariance = moment(x * y) - mx * my
    c = (0.03 * 255.0) ** 2
    expected = flat_ssim(mx, my) * (2 * covariance + c) / (variances + c)
    self.assertAllClose(
      result['continuation_ssim_best_of_samples'],
      [expected.mean()],
      rtol=1e-4,
    )

  def test_real_frames_are_as_the_model_sees_them(self):
    frames = levels([0, 31, 17, 255])
    seen = continuations.as_context(build_flow(n_bits=3), frames)
    self.assertAllEqual(seen, levels([16, 16, 16, 240]))
    legacy = build_flow(n_bits=3, dequantisation='legacy')
    self.assertAllEqual(continuations.as_context(legacy, frames), frames)

  def test_the_mean_is_not_quantised(self):
    sampled = np.stack([levels([4, 4]), levels([4, 12])])
    result = continuations.quality(levels([4, 4]), sampled)
    self.assertAllClose(result['continuation_psnr_mean_of_samples'], [psnr(4)])

  def test_given_frames(self):
    real = levels([0, 100, 103, 109])
    result = continuations.quality(real, real[np.newaxis], num_given=2)
    self.assertAllClose(result['copy_psnr'], [psnr(3), psnr(9)])

  def test_shapes_must_fit(self):
    frames, _ = clips()
    with self.assertRaisesRegex(ValueError, 'but got'):
      continuations.quality(frames, frames[np.newaxis, :, :2])
    with self.assertRaisesRegex(ValueError, 'than the 3 given'):
      continuations.quality(frames, frames[np.newaxis], num_given=3)


class DiversityTest(tf.test.TestCase):
  def test_by_hand(self):
    sampled = np.stack(
      [
        levels([9, 0, 250], [9, 7, 1]),
        levels([9, 3, 255], [9, 7, 1]),
        levels([9, 9, 245], [9, 7, 4]),
      ]
    )
    # Clip 0: (3 + 9 + 6) / 3, (5 + 5 + 10) / 3; clip 1: 0, (0 + 3 + 3) / 3.
    self.assertAllClose(
      continuations.diversity(sampled), [6 / 2, (20 / 3 + 2) / 2]
    )
    self.assertLen(continuations.diversity(sampled, num_given=2), 1)
    self.assertIsNone(continuations.diversity(sampled[:1]))

  def test_is_a_root_mean_square(self):
    sampled = np.zeros([2, 1, 2, 2, 2, 1], np.uint8)
    sampled[1, 0, 1, 0, 0] = 8
    self.assertAllClose(continuations.diversity(sampled), [np.sqrt(64 / 4)])


class StatisticsTest(tf.test.TestCase):
  def test_by_hand(self):
    # Two clips of one frame, then of another, [2, 2, 2, 2, 1].
    first = [[[1, 3], [1, 7]], [[5, 5], [5, 5]]]
    second = [[[0, 255], [0, 255]], [[0, 0], [4, 4]]]
    frames = np.array([first, second], np.uint8)[..., np.newaxis]
    result = continuations.frame_statistics(frames.swapaxes(0, 1))
    self.assertAllClose(result['means'], [(3 + 5) / 2, (127.5 + 2) / 2])
    self.assertAllClose(
      result['deviations'], [np.sqrt(6.0) / 2, (127.5 + 2) / 2]
    )
    # Horizontal, then vertical, each a mean over clips and pairs.
    self.assertAllClose(
      result['gradient_energies'],
      [
        (4 + 36 + 0 + 0) / 4 + (0 + 16 + 0 + 0) / 4,
        (255**2 * 2 + 0 + 0) / 4 + (0 + 0 + 16 + 16) / 4,
      ],
    )

  def test_drift(self):
    real = levels([10, 20], [30, 40], shape=(2, 2, 1))
    real[..., 0, :, :] += 4  # Of rows, 0 and 1: deviation 2, energy 16.
    generated = levels([25, 27, 54], shape=(2, 2, 1))
    generated[:, 2, 0] += 2
    result = continuations.drift(real, generated)
    self.assertEqual(
      result,
      {
        'means': [27.0, 55.0],
        'deviations': [0.0, 1.0],
        'gradient_energies': [0.0, 4.0],
        'data': {'means': 27.0, 'deviations': 2.0, 'gradient_energies': 16.0},
        'ratios': {
          'means': [1.0, 55 / 27],
          'deviations': [0.0, 0.5],
          'gradient_energies': [0.0, 0.25],
        },
      },
    )
    flat = continuations.drift(levels([10, 20]), generated, num_given=2)
    self.assertIsNone(flat['ratios']['deviations'])
    self.assertEqual(flat['ratios']['means'], [55 / 15])


class EvenClipsTest(tf.test.TestCase):
  def test_spread_over_the_data_set(self):
    frames, label = clips(7)[0], np.arange(7)
    dataset = batched(frames, label)
    result = continuations.even_clips(dataset, 3)
    self.assertAllEqual(result[1], [0, 3, 6])
    self.assertAllEqual(result[0], frames[[0, 3, 6]])
    self.assertAllEqual(
      continuations.even_clips(dataset, 5)[1], [0, 2, 3, 4, 6]
    )
    self.assertAllEqual(continuations.even_clips(dataset, 1)[1], [0])
    self.assertAllEqual(continuations.even_clips(dataset, 9)[1], np.arange(7))


class SummaryTest(tf.test.TestCase):
  def test_puts_the_parts_together(self):
    flow = build_flow(_LABELLED)
    frames, label = clips(5)
    result, continued = continuations.summary(
      flow,
      batched(frames, label),
      num_samples=2,
      max_clips=3,
      seed=4,
      temperature=0.7,
    )
    self.assertEqual(json.loads(json.dumps(result)), result)
    frames, label = frames[::2], label[::2]
    kwargs = {'temperature': 0.7, 'seed': 4}
    sampled = continuations.continue_clips(flow, frames, label, 2, **kwargs)
    real = continuations.as_context(flow, frames)
    for key, value in continuations.quality(real, sampled).items():
      self.assertLen(value, 2)
      self.assertEqual(result[key], value)
    self.assertEqual(result['diversity'], continuations.diversity(sampled))
    long = continuations.continue_clips(
      flow, frames, label, 1, num_frames=12, **kwargs
    )
    self.assertEqual(
      result['drift'], continuations.drift(frames // 8 * 8 + 4, long[0])
    )
    self.assertLen(result['drift']['means'], 11)
    self.assertAllEqual(continued.videos, long[0])
    self.assertAllEqual(continued.label, label)
    self.assertEqual(continued.num_given, 1)
    self.assertEqual(result['continuation_num_clips'], 3)
    self.assertEqual(result['continuation_num_samples'], 2)
    self.assertEqual(result['continuation_num_given'], 1)
    self.assertEqual(result['continuation_temperature'], 0.7)

  def test_of_a_model_without_labels(self):
    result, _ = continuations.summary(
      build_flow(), batched(*clips()), num_samples=1, drift_factor=1
    )
    self.assertIsNone(result['diversity'])
    self.assertLen(result['drift']['means'], 2)
    for name in ('psnr', 'ssim'):
      self.assertEqual(
        result[f'continuation_{name}_mean_of_samples'],
        result[f'continuation_{name}_best_of_samples'],
      )


class IsExactTest(tf.test.TestCase):
  def test_of_each_kind_of_model(self):
    frames, label = clips()
    for parts in ((_LABELLED, _TAIL), (_HEAD, None), (None, _TAIL)):
      with self.subTest(str(parts)):
        flow = build_flow(*parts)
        compute = continuations.densities_and_samples(flow, frames, label)
        self.assertTrue(continuations.is_exact(compute))

  def test_finds_noise(self):
    frames, label = clips()
    flow = build_flow(_HEAD)
    exact_log_prob, exact_sample = flow.log_prob, flow.sample

    def log_prob(*args, **kwargs):
      head, tail = exact_log_prob(*args, **kwargs)
      return head, tail * (1.0 + 1e-5 * tf.random.uniform(tf.shape(tail)))

    def sample(**kwargs):
      return exact_sample(**{**kwargs, 'seed': None})

    for name, noisy in (('log_prob', log_prob), ('sample', sample)):
      with self.subTest(name), mock.patch.object(flow, name, noisy):
        compute = continuations.densities_and_samples(flow, frames, label)
        self.assertFalse(continuations.is_exact(compute))


if __name__ == '__main__':
  tf.test.main()
