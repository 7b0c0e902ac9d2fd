"""Tests of the numbers that the literature reports, and how they are shown."""

import logging
import types

from absl import logging as absl_logging
from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train.config import overrides
from train.config import presets
from train.evaluation import grey_levels
from train.evaluation import protocol_lines
from train.evaluation import protocols

_SETS = ('balls', 'movement', 'moving_mnist')


class _Flow:
  """Predicts that each frame is like the one before, and half as bright."""

  tail, takes_labels, dequantisation = 'a tail', False, 'drawn'

  def __init__(self, frame_shape, gives_predictive_mean=True):
    self.num_dims = int(np.prod(frame_shape))
    self.gives_predictive_mean = gives_predictive_mean

  def predictive_mean(self, frames, label, num_samples, seed):
    del label, seed
    assert self.gives_predictive_mean == (num_samples is None)
    return tf.cast(frames[:, :-1], tf.float32) / 2 + 1


def _measure(name, frame_shape, num_frames=12, scores=None, **flow):
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, [5, num_frames, *frame_shape], np.uint8)
  dataset = tf.data.Dataset.from_tensor_slices((frames, np.zeros(5, np.int32)))
  inputs = types.SimpleNamespace(valid_dataset=lambda: dataset.batch(2))
  config = presets.PRESETS[name]
  result = protocols.measure(
    _Flow(frame_shape, **flow), config, inputs, scores or {}
  )
  return result, frames


class MeasureTest(parameterized.TestCase):
  @parameterized.parameters(True, False)
  def test_balls(self, is_exact):
    result, frames = _measure(
      'balls', [4, 4, 1], gives_predictive_mean=is_exact
    )
    frames = frames / 255.0
    predicted = frames[:, :-1] / 2 + 1 / 255
    errors = ((frames[:, 1:] - predicted) ** 2).sum((2, 3, 4)).mean(1)
    self.assertAlmostEqual(result['value'], errors.mean(), places=5)
    self.assertAlmostEqual(
      result['standard_error'], errors.std(ddof=1) / 5**0.5, places=5
    )
    copied = (np.diff(frames, axis=1) ** 2).sum((2, 3, 4)).mean()
    self.assertAlmostEqual(result['references'][0]['value'], copied, places=6)
    self.assertIn('exact' if is_exact else '16 draws', result['how'])

  def test_movement_is_the_mean_of_all_later_frames(self):
    bits = np.arange(10.0).reshape([5, 2])
    result, _ = _measure('movement', [4, 4, 3], scores={'tail': bits})
    self.assertAlmostEqual(result['value'], 4.5)

  def test_moving_mnist_counts_the_last_ten_frames(self):
    bits = np.zeros([5, 19])
    bits[:, 9:] = 2.0  # Frames 10 to 19.
    bits[:, 9] = 3.0
    result, frames = _measure(
      'moving_mnist', [4, 4, 1], 20, scores={'tail': bits}
    )
    nats = 2.1 * 16 * np.log(2)
    bound = grey_levels.entropy(frames[:, 10:]).mean()
    self.assertAlmostEqual(result['value'], nats)
    self.assertAlmostEqual(result['above_bound'], nats - bound)
    exact = grey_levels.cross_entropy(
      frames[:, 10:], frames[:, 9:-1] / 2 + 1
    ).mean()
    self.assertAlmostEqual(result['references'][1]['value'], exact, places=3)

  def test_moving_mnist_of_a_short_clip_has_no_number(self):
    result, _ = _measure(
      'moving_mnist', [4, 4, 1], 8, scores={'tail': np.zeros([5, 7])}
    )
    self.assertIsNone(result)

  def test_other_sets_have_no_number(self):
    result, _ = _measure('demo', [4, 4, 3])
    self.assertIsNone(result)


class PublishedTest(parameterized.TestCase):
  @parameterized.parameters(*_SETS)
  def test_presets_have_figures_beside_theirs(self, name):
    figures = protocols.published(presets.PRESETS[name])
    self.assertNotEmpty(figures)
    for figure in figures:
      self.assertTrue(figure['source'] and figure['note'])
      self.assertFalse(figure['is_seen'])

  @parameterized.parameters(
    ('balls', 'data.frame_size=32', 'data.frame_size is 32, there 30'),
    ('balls', 'data.num_frames=20', 'data.num_frames is 20, there 100'),
    ('balls', 'model.n_bits=5', 'model.n_bits is 5, there 8'),
    ('movement', 'model.n_bits=5', 'model.n_bits is 5, there 8'),
    ('moving_mnist', 'data.channels=3', 'data.channels is 3, there 1'),
  )
  def test_other_frames_have_none_and_the_log_says_so(
    self, name, assignment, words
  ):
    config = overrides.override(presets.PRESETS[name], [assignment])
    with self.assertLogs(absl_logging.get_absl_logger(), logging.INFO) as log:
      self.assertEmpty(protocols.published(config))
    (line,) = log.output
    self.assertIn(words, line)
    self.assertIn('No published figures', line)


class LinesTest(absltest.TestCase):
  def lines(self, name, **changes):
    found = {
      'number': 'nats a frame',
      'how': 'a way',
      'value': 123.456,
      'standard_error': 1.25,
      'above_bound': 35.0,
      'references': [{'title': 'lower bound', 'value': 88.456}],
      'published': protocols.published(presets.PRESETS[name]),
      **changes,
    }
    return protocol_lines.protocol_lines({'protocol': found})

  def test_ours_then_theirs(self):
    lines = self.lines('moving_mnist')
    self.assertEqual(
      lines[0],
      'Nats a frame: 123.5 ± 1.2 (a way), 35.0 above the lower bound.',
    )
    self.assertEqual(lines[1], 'Lower bound: 88.46.')
    self.assertIn('ConvLSTM: 367.2, 280.9 above its own lower bound', lines[2])
    self.assertIn('VPN: 87.6, 1.3 above', lines[5])
    self.assertIn('lower bound of the original set: 86.3 (*)', lines[6])
    self.assertIn('not read', lines[-1])

  def test_figures_that_were_read_have_no_mark(self):
    figure = {
      'title': 'A',
      'value': 1.0,
      'source': 'B',
      'note': 'C',
      'is_seen': True,
    }
    lines = self.lines('balls', published=[figure], standard_error=None)
    self.assertEqual(lines[-1], 'Published, A: 1; B; C.')
    self.assertNotIn('±', lines[0])

  def test_without_a_protocol(self):
    self.assertEmpty(protocol_lines.protocol_lines({'protocol': None}))
    self.assertEmpty(protocol_lines.protocol_lines({}))


if __name__ == '__main__':
  absltest.main()
