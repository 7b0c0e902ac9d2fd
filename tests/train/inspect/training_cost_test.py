"""Tests of measuring what training costs."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from train.config import fields
from train.config import overrides
from train.config import presets
from train.data.records import worker_pool
from train.inspect import training_cost

_SMOKE = overrides.override(presets.PRESETS['smoke'], ['run.batch_size=2'])


class _Pool:
  """Runs tasks here, or gives made results."""

  def __init__(self, results=None):
    self._results = results

  def __call__(self, function, num_workers, max_seconds, start):
    self.limit = max_seconds
    self._function = function
    return self

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    pass

  def map(self, tasks):
    for task, result in zip(tasks, self._results or [None, None]):
      yield task, result or self._function(task)


class TrainingCostTest(parameterized.TestCase):
  def _measure(self, config=_SMOKE, results=None, max_seconds=5.0):
    with mock.patch.object(
      worker_pool, 'WorkerPool', _Pool(results)
    ) as self.pool:
      return training_cost.measure(config, 3, max_seconds)

  def test_measures_steps(self):
    with mock.patch.object(training_cost, '_ENOUGH_SECONDS', 0.0):
      cost = self._measure()
    self.assertEqual(self.pool.limit, 5.0)
    self.assertEqual(cost.problem, '')
    self.assertBetween(cost.num_parameters, 1000, 100_000)
    self.assertGreater(cost.step_seconds, 0.0)
    self.assertGreater(cost.start_seconds, cost.step_seconds)
    self.assertGreater(cost.peak_bytes, 2**20)

  @parameterized.parameters(
    (
      worker_pool.WorkerCrash('takes too long'),
      'Building the model, or steps, took more than 5 s.',
    ),
    (
      worker_pool.WorkerCrash('the worker died of signal 9'),
      'The worker died of signal 9. Is there enough memory?',
    ),
    (ValueError('odd\nmore'), 'ValueError: odd'),
  )
  def test_parameters_are_known_if_a_step_fails(self, error, words):
    cost = self._measure(results=[training_cost.Cost(7), error])
    self.assertEqual(cost, training_cost.Cost(7, problem=words))

  def test_nothing_is_measured_in_no_time(self):
    cost = self._measure(max_seconds=0.0)
    self.assertEqual(cost, training_cost.Cost())

  def test_bad_configs(self):
    error = fields.ConfigError('no such model')
    with self.assertRaisesRegex(fields.ConfigError, 'no such model'):
      self._measure(results=[error])
    huge = overrides.override(_SMOKE, ['run.batch_size=1000000'])
    with mock.patch.object(
      training_cost.memory, 'available_bytes', return_value=2**30
    ):
      cost = self._measure(huge)
    self.assertStartsWith(
      cost.problem, 'Training would be refused. This config'
    )

  @parameterized.parameters(
    (0.2, '1 s'),
    (8.4, '8 s'),
    (61, '1 min'),
    (300, '5 min'),
    (3600, '1 h'),
    (4200, '1 h 10 min'),
    (7100, '2 h'),
    (86400, '1 day'),
    (273600, '3 days 4 h'),
  )
  def test_duration(self, seconds, words):
    self.assertEqual(training_cost.duration(seconds), words)


if __name__ == '__main__':
  absltest.main()
