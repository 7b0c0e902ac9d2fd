import json
import types
import unittest.mock

import tensorflow as tf

from train import callbacks
from train import parameter_watch
from train import run_folder


class LoggingTest(tf.test.TestCase):
  def _callback(self, initial_step=10, num_steps=16, every=4):
    folder = run_folder.RunFolder(self.create_tempdir().full_path)
    inputs = types.SimpleNamespace(check_skips=lambda: 3, wait_seconds=0.0)
    watch = parameter_watch.ParameterWatch({'tail': [tf.Variable([1.0])]})
    callback = callbacks.Logging(
      initial_step, num_steps, every, folder, inputs, watch
    )
    callback.set_model(unittest.mock.MagicMock())
    callback.model.optimizer.learning_rate = 0.5
    callback.on_train_begin()
    return callback, folder

  def _logs(self, skipped=0.0):
    return {'loss': 1.0, 'clips': 8.0, 'skipped_steps': skipped}

  def test_steps_count_on_after_a_resume(self):
    callback, folder = self._callback()
    for batch in range(6):
      callback.on_train_batch_end(batch, self._logs())
    callback.on_train_end()
    rows = [json.loads(t) for t in folder.metrics_log.read_text().splitlines()]
    self.assertEqual([r['step'] for r in rows], [12, 16])
    self.assertEqual(rows[0]['kind'], 'train')
    self.assertEqual(rows[0]['skipped_files'], 3)
    self.assertEqual(rows[0]['learning_rate'], 0.5)
    self.assertEqual(rows[0]['tail_relative_update'], 0.0)
    self.assertEqual(callback.model.reset_metrics.call_count, 2)

  def test_ends_when_every_step_is_skipped(self):
    callback, _ = self._callback()
    callback.on_train_batch_end(1, self._logs(skipped=1.0))  # 1 of 2.
    for batch in range(2, 5):
      callback.on_train_batch_end(batch, self._logs(skipped=4.0))
    with self.assertRaisesRegex(callbacks.DivergedError, 'last 4 steps'):
      callback.on_train_batch_end(5, self._logs(skipped=4.0))


if __name__ == '__main__':
  tf.test.main()
