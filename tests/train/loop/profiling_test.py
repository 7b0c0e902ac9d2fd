import pathlib
import unittest.mock

import tensorflow as tf
import tf_keras as tfk

from train.loop import profiling

_PROFILER = tf.profiler.experimental


class ProfilingTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def _fit(self, first, last, initial_step=0, num_steps=6, **kwargs):
    model = tfk.Sequential([tfk.layers.Dense(1)])
    model.compile('sgd', 'mse')
    callback = profiling.Profiling(
      initial_step, first, last, self.folder, **kwargs
    )
    data = tf.data.Dataset.from_tensors((tf.ones([2, 3]), tf.ones([2, 1])))
    model.fit(
      data.repeat(),
      steps_per_epoch=num_steps - initial_step,
      verbose=0,
      callbacks=[callback],
    )

  def _profiles(self):
    return list(self.folder.rglob('*.xplane.pb'))

  def test_writes_a_profile(self):
    self._fit(2, 4)
    self.assertLen(self._profiles(), 1)

  def test_profiles_these_steps(self):
    calls = []
    with (
      unittest.mock.patch.object(_PROFILER, 'start') as start,
      unittest.mock.patch.object(_PROFILER, 'stop') as stop,
    ):
      callback = profiling.Profiling(10, 12, 13, self.folder)
      start.side_effect = lambda _: calls.append('start')
      stop.side_effect = lambda: calls.append('stop')
      callback.on_train_begin()
      for batch in range(5):
        callback.on_train_batch_begin(batch)
        calls.append(10 + batch + 1)
        callback.on_train_batch_end(batch, {'loss': tf.constant(1.0)})
      callback.on_train_end()
    self.assertEqual(calls, [11, 'start', 12, 13, 'stop', 14, 15])

  def test_training_that_ends_earlier(self):
    self._fit(5, 100)
    self.assertLen(self._profiles(), 1)
    with self.assertLogs(level='WARNING') as logs:
      self._fit(50, 100)
    self.assertRegex(logs.output[0], 'ended before 50')

  def test_a_resume_in_their_midst_and_behind_them(self):
    self._fit(2, 5, initial_step=3)
    self.assertLen(self._profiles(), 1)
    with self.assertLogs(level='WARNING') as logs:
      self._fit(2, 3, initial_step=3)
    self.assertRegex(logs.output[0], 'steps 2 to 3 were done before step 3')
    self.assertLen(self._profiles(), 1)

  def test_another_profiler_is_running(self):
    _PROFILER.start(str(self.folder / 'other'))
    self.addCleanup(_PROFILER.stop, save=False)
    with self.assertLogs(level='WARNING') as logs:
      self._fit(2, 3)
    self.assertRegex(logs.output[0], 'did not start.*Another profiler')

  def test_only_the_chief_profiles(self):
    self._fit(2, 4, is_chief=False)
    self.assertEmpty(self._profiles())


if __name__ == '__main__':
  tf.test.main()
