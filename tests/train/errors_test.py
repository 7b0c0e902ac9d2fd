import importlib
import inspect
import pkgutil

from absl.testing import absltest

import train
from train import errors

# What no user can put right, what is caught within the program, and what the
# command line shows in a way of its own.
_OTHERS = {
  # Caught where they are raised.
  'train.config.strict_json._Duplicate',
  'train.data.clips._EndsEarly',
  'train.data.decoding.decode._Disordered',
  'train.data.decoding.readers.DecodeError',  # A file to be skipped.
  'train.data.records.worker_pool.WorkerCrash',  # So is the file it was at.
  'train.loop.interrupts.Interrupted',
  'train.loop.recovery.Diverged',  # Training goes back and on.
  'train.loop.workers.WorkerLost',
  'train.storage.checkpoint_files.DamageError',  # The one before is taken.
  'train.storage.checkpoints.NotFiniteError',
}


def exception_classes():
  """Every exception class of `train`: {name: class}."""
  found = {}
  for module in pkgutil.walk_packages(train.__path__, 'train.'):
    module = importlib.import_module(module.name)
    for name, value in inspect.getmembers(module, inspect.isclass):
      is_own = value.__module__ == module.__name__
      if is_own and issubclass(value, BaseException):
        found[f'{module.__name__}.{name}'] = value
  return found


class ErrorsTest(absltest.TestCase):
  def test_what_the_command_line_shows_as_one_line_is_a_user_error(self):
    classes = exception_classes()
    self.assertIn('train.config.fields.ConfigError', classes)
    others = {
      name
      for name, value in classes.items()
      if not issubclass(value, errors.UserError)
    }
    self.assertEqual(others, _OTHERS)


if __name__ == '__main__':
  absltest.main()
