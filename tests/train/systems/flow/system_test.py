"""Tests of `FlowSystem`."""

import dataclasses

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import tfp_cglow
from train.config import models
from train.config import presets
from train.systems import systems

_MIXTURE = models.Head(
  num_glow_blocks=1,
  steps=None,
  first=tfp_cglow.LevelMixture(num_blocks=1, hidden_channels=4),
)


class DetailsTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters(
    (presets.PRESETS['smoke'].model, ['head', 'tail']),
    (models.Flow(head=_MIXTURE), []),
  )
  def test_scales_are_measured_where_steps_have_them(self, model, expected):
    config = dataclasses.replace(presets.PRESETS['smoke'], model=model)
    system = systems.of(config)
    size = config.data.frame_size
    frames = np.zeros([1, 2, size, size, config.data.channels], np.uint8)
    data = tf.data.Dataset.from_tensors((frames, np.zeros([1], np.int32)))
    details = system.details(system.build_model(4), data)
    self.assertEqual(list(details.get('invertibility', {})), expected)
    for part in details.get('invertibility', {}).values():
      self.assertLess(part['mean_round_trip_error_levels'], 1e-3)


if __name__ == '__main__':
  tf.test.main()
