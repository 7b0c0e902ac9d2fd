import dataclasses

import numpy as np
import tensorflow as tf

import tfp_cglow
from train.config import configs
from train.config import presets
from train.systems.flow import models


class ModelsTest(tf.test.TestCase):
  def _rates(self, *assignments):
    config = configs.override(presets.PRESETS['smoke'], assignments)
    rate = models.build_model(config, 2).optimizer.learning_rate
    return [
      float(rate(i)) if callable(rate) else float(rate)
      for i in range(config.steps + 1)
    ]

  def test_schedule_warms_up_and_decays(self):
    rates = self._rates(
      'steps=20',
      'warmup_steps=10',
      'learning_rate=1e-2',
      'final_learning_rate=1e-3',
    )
    self.assertAllClose(rates[:11], np.linspace(0, 1e-2, 11), atol=1e-8)
    self.assertAllClose(rates[15], 5.5e-3)  # Half of the cosine.
    self.assertAllClose(rates[-1], 1e-3)

  def test_constant_rate(self):
    rates = self._rates(
      'warmup_steps=0', 'learning_rate=1e-4', 'final_learning_rate=1e-4'
    )
    self.assertAllClose(rates, [1e-4] * 7)

  def test_parts(self):
    for name, parts in (
      ('head', ['head']),
      ('tail', ['tail', 'memory']),
      ('video', ['head', 'tail', 'memory']),
    ):
      config = configs.override(presets.PRESETS['smoke'], [f'model={name}'])
      model = models.build_model(config, 2)
      self.assertEqual(list(model.submodels()), parts)

  def test_what_config_and_model_have_in_common(self):
    values = {
      'n_bits': 6,
      'previous_frames': 2,
      'dequantisation': 'legacy',
    }
    config = dataclasses.replace(
      presets.PRESETS['smoke'],
      tail_labels=True,
      tail_frames_per_step=1,
      label_loss_weight=3.0,
      label_dropout=0.25,
      **values,
    )
    model = models.build_model(config, 3)
    self.assertEqual(model.flow.tail.num_labels, 3)
    self.assertEqual(model.train_loss, tfp_cglow.VideoLoss(3.0, 0.25, 1))
    for name, value in values.items():
      self.assertEqual(getattr(model.flow, name), value, msg=name)

  def test_library_errors_become_config_errors(self):
    config = configs.override(
      presets.PRESETS['smoke'], ['n_bits=9', 'head.coupling=x']
    )
    with self.assertRaisesRegex(configs.ConfigError, "additive.*got 'x'"):
      models.build_model(config, 2)


if __name__ == '__main__':
  tf.test.main()
