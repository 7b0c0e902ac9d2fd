"""Tests of recovering from training that has gone wrong."""

import json
import types

import tensorflow as tf

from train.loop import recovery
from train.storage import run_folder


class _Checkpoints:
  def __init__(self, steps):
    self._steps = list(steps)

  def steps(self):
    return self._steps

  def discard_after(self, step):
    self._steps = [s for s in self._steps if s <= step]


class RecoverTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = run_folder.RunFolder(self.create_tempdir())
    self.folder.create()

  def create_tempdir(self):
    return self.get_temp_dir() + '/' + self.id().split('.')[-1]

  def _recover(self, checkpoints, step, max_restores=3):
    return recovery.recover(
      recovery.Diverged(step, 'all skipped'),
      recovery.Recoveries(self.folder),
      checkpoints,
      self.folder,
      max_restores,
    )

  def test_goes_back_to_the_newest_at_half_the_rate(self):
    for step in (100, 110):
      self.folder.append_metrics('train', step, loss=1.0)
    checkpoints = _Checkpoints([0, 50, 100])
    self.assertEqual(self._recover(checkpoints, 115), 100)
    self.assertEqual(checkpoints.steps(), [0, 50, 100])
    recoveries = recovery.Recoveries(self.folder)
    self.assertEqual(recoveries.learning_rate_scale, 0.5)
    first, second = self.folder.read_metrics()
    self.assertEqual(first['step'], 100)
    self.assertEqual(
      [second[k] for k in ('kind', 'event', 'step', 'restored_step')],
      ['event', 'restore', 115, 100],
    )

  def test_goes_further_back_where_that_did_not_help(self):
    checkpoints = _Checkpoints([0, 50, 100])
    self._recover(checkpoints, 115)
    self.assertEqual(self._recover(checkpoints, 115), 50)
    self.assertEqual(checkpoints.steps(), [0, 50])
    self.assertEqual(recovery.Recoveries(self.folder).learning_rate_scale, 0.25)
    checkpoints = _Checkpoints([0, 50, 150])  # It came on, and failed again.
    self.assertEqual(self._recover(checkpoints, 160), 150)

  def test_damage_halves_the_second_time_only(self):
    checkpoints = _Checkpoints([0, 50])
    for scale in (1.0, 0.5):
      recoveries = recovery.Recoveries(self.folder)
      failure = recovery.Diverged(60, 'NaN', is_damage=True)
      recovery.recover(failure, recoveries, checkpoints, self.folder, 3)
      recoveries = recovery.Recoveries(self.folder)
      self.assertEqual(recoveries.learning_rate_scale, scale)

  def test_gives_up_with_an_explanation(self):
    checkpoints = _Checkpoints([0])
    self._recover(checkpoints, 10, max_restores=1)
    with self.assertRaisesRegex(
      recovery.DivergedError, 'Step 20: .* 1 times before.*lower'
    ):
      self._recover(checkpoints, 20, max_restores=1)
    with self.assertRaisesRegex(recovery.DivergedError, 'steps none'):
      self._recover(_Checkpoints([]), 20)

  def test_the_file_is_json(self):
    self._recover(_Checkpoints([0]), 10)
    rows = json.loads((self.folder.path / 'recoveries.json').read_text())
    self.assertEqual(
      rows,
      [
        {
          'failed_step': 10,
          'restored_step': 0,
          'reason': 'all skipped',
          'is_halved': True,
        }
      ],
    )


class SkipWatchTest(tf.test.TestCase):
  def test_raises_for_skips_in_a_row_alone(self):
    watch = recovery.SkipWatch(initial_step=3, patience=5)
    skipped = tf.Variable(4)
    weight = tf.Variable(1.0)
    model = types.SimpleNamespace(
      step_guard=types.SimpleNamespace(num_skipped_in_a_row=skipped),
      trainable_variables=[weight],
      optimizer=types.SimpleNamespace(variables=[skipped]),
    )
    watch.set_model(model)
    watch.on_train_batch_end(1)  # Step 5.
    skipped.assign(6)
    watch.on_train_batch_end(2)
    with self.assertRaisesRegex(recovery.Diverged, 'Step 10: the last 6') as e:
      watch.on_train_batch_end(6)
    self.assertFalse(e.exception.is_damage)
    weight.assign(float('nan'))
    with self.assertRaisesRegex(recovery.Diverged, 'not finite') as e:
      watch.on_train_batch_end(6)
    self.assertTrue(e.exception.is_damage)


if __name__ == '__main__':
  tf.test.main()
