"""Tests of memory.py: the estimate is a lower bound, and is compared."""

import dataclasses
import unittest.mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from train.config import fields
from train.config import memory
from train.config import overrides
from train.config import presets
from train.systems import systems


class MemoryTest(parameterized.TestCase):
  @parameterized.parameters(
    'smoke', 'demo', 'cglow_mixture', 'fashion', 'gan_paper', 'overfit'
  )
  def test_weights_are_a_lower_bound(self, name):
    config = presets.PRESETS[name]
    (least,) = memory.of_weights(config).values()
    model = systems.of(config).build_model(2)
    actual = 4 * sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    self.assertBetween(least, actual / 50, actual)

  def test_presets_fit_into_little_memory(self):
    with unittest.mock.patch.object(
      memory, 'available_bytes', return_value=4 * 2**30
    ):
      for preset in presets.PRESETS.values():
        memory.check(memory.of_training(preset))

  def test_each_part_grows_with_its_settings(self):
    base = presets.PRESETS['paper_small']
    least = lambda *sets: memory.of_training(overrides.override(base, sets))
    before = list(least().values())
    for assignment, part in (
      ('run.batch_size=80', 0),
      ('data.num_frames=80', 0),
      ('run.sample_frames=500', 1),
      ('run.quality_samples=500', 1),
      ('model.head.steps.num_steps=80', 2),
      ('run.batch_size=80', 3),
      ('model.head.steps.hidden_channels=4000', 3),
    ):
      after = list(least(assignment).values())
      self.assertGreater(after[part], 2 * before[part], assignment)

  def test_a_batch_is_shared_by_machines_and_accelerators_have_their_own(self):
    config = presets.PRESETS['paper_small']
    alone = list(memory.of_training(config).values())
    shared = list(memory.of_training(config, num_workers=4).values())
    self.assertEqual(alone[0], 4 * shared[0])
    self.assertLen(memory.of_training(config, has_gpu=True), 2)

  def test_too_much_is_refused_in_one_line(self):
    config = presets.PRESETS['paper_small']
    run = dataclasses.replace(config.run, batch_size=10**6)
    config = dataclasses.replace(config, run=run)
    with self.assertRaisesRegex(
      fields.ConfigError,
      r'needs at least [\d,]+ GiB of memory, and this machine has '
      r'[\d,]+ [GM]iB; the largest part is the activations',
    ) as e:
      memory.check(memory.of_training(config))
    self.assertLen(str(e.exception).splitlines(), 1)

  def test_the_machine_has_memory(self):
    self.assertBetween(memory.available_bytes(), 2**28, 2**50)


if __name__ == '__main__':
  absltest.main()
