import unittest.mock

import numpy as np
import tensorflow as tf

import tfp_cglow
from train.config import fields
from train.config import overrides
from train.config import presets
from train.systems.flow import models


class ModelsTest(tf.test.TestCase):
  def _rates(self, *assignments):
    config = overrides.override(presets.PRESETS['smoke'], assignments)
    rate = models.build_model(config, 2).optimizer.learning_rate
    return [
      float(rate(i)) if callable(rate) else float(rate)
      for i in range(config.run.steps + 1)
    ]

  def test_schedule_warms_up_and_decays(self):
    rates = self._rates(
      'run.steps=20',
      'optimiser.warmup_steps=10',
      'optimiser.learning_rate=1e-2',
      'optimiser.final_learning_rate=1e-3',
    )
    self.assertAllClose(rates[:11], np.linspace(0, 1e-2, 11), atol=1e-8)
    self.assertAllClose(rates[15], 5.5e-3)  # Half of the cosine.
    self.assertAllClose(rates[-1], 1e-3)

  def test_constant_rate(self):
    rates = self._rates(
      'optimiser.warmup_steps=0',
      'optimiser.learning_rate=1e-4',
      'optimiser.final_learning_rate=1e-4',
    )
    self.assertAllClose(rates, [1e-4] * 7)

  def test_parts(self):
    for assignments, parts in (
      (['model.tail=none'], ['head']),
      (['model.head=none'], ['tail', 'memory']),
      ([], ['head', 'tail', 'memory']),
    ):
      config = overrides.override(presets.PRESETS['smoke'], assignments)
      model = models.build_model(config, 2)
      self.assertEqual(list(model.submodels()), parts)

  def test_what_config_and_model_have_in_common(self):
    config = overrides.override(
      presets.PRESETS['smoke'],
      [
        'model.n_bits=6',
        'model.dequantisation=legacy',
        'model.tail.previous_frames=2',
        'model.tail.labels=label_priors',
        'model.head.frames_per_step=4',
        'model.head.clips_per_step=2',
        'model.tail.frames_per_step=1',
        'model.tail.clips_per_step=3',
        'model.tail.context_warp=0.5',
        'model.label_weight=3',
        'model.label_dropout=0.25',
      ],
    )
    model = models.build_model(config, 3)
    self.assertEqual(model.flow.tail.num_labels, 3)
    self.assertEqual(
      model.train_loss,
      tfp_cglow.VideoLoss(
        label_weight=3.0,
        label_dropout=0.25,
        head_frames_per_step=4,
        head_clips_per_step=2,
        tail_frames_per_step=1,
        tail_clips_per_step=3,
        tail_context_warp=tfp_cglow.ContextWarp(0.5, 'wrap'),
      ),
    )
    # Held-out bits/dim are those of all clips and of real contexts.
    self.assertEqual(model.test_loss, tfp_cglow.VideoLoss(label_weight=3.0))
    self.assertEqual(model.flow.n_bits, 6)
    self.assertEqual(model.flow.previous_frames, 2)
    self.assertEqual(model.flow.dequantisation, 'legacy')

  def test_networks_of_all_parts(self):
    config = overrides.override(
      presets.PRESETS['smoke'], ['model.network_dtype=bfloat16']
    )
    with unittest.mock.patch.object(tfp_cglow, 'build_video_flow') as build:
      build.side_effect = ValueError('stop')
      with self.assertRaisesRegex(fields.ConfigError, 'stop'):
        models.build_model(config, 2)
    for part in ('head', 'tail'):
      self.assertEqual(
        build.call_args.kwargs[part].networks,
        tfp_cglow.Networks('bfloat16', padding='wrap'),
      )

  def test_library_errors_become_config_errors(self):
    config = overrides.override(
      presets.PRESETS['smoke'], ['data.frame_size=17']
    )
    with self.assertRaisesRegex(fields.ConfigError, 'divisible by 2.*17x17'):
      models.build_model(config, 2)


if __name__ == '__main__':
  tf.test.main()
