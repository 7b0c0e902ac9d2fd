"""Tests that public functions have type hints, as `py.typed` promises."""

import inspect
import typing

from absl.testing import absltest
from absl.testing import parameterized

import tfp_cglow


def _functions():
  """Public functions, and the methods of VideoFlow and VideoGlow."""
  for name, member in vars(tfp_cglow).items():
    if inspect.isfunction(member):
      yield name, member
  of_keras = ('train_step', 'test_step')
  for cls in (tfp_cglow.VideoFlow, tfp_cglow.VideoGlow):
    for name, member in vars(cls).items():
      is_private = name.startswith('_') and name != '__init__'
      if inspect.isfunction(member) and not is_private and name not in of_keras:
        yield f'{cls.__name__}.{name}', member
  for name in ('log_prob_by_label', 'split_latent', 'tempered'):
    yield f'Glow.{name}', getattr(tfp_cglow.Glow, name)
  yield 'Conditioned', tfp_cglow.Conditioned.__init__


class TypeHintsTest(parameterized.TestCase):
  @parameterized.named_parameters(_functions())
  def test_all_parameters_and_the_result(self, function):
    hints = typing.get_type_hints(function)  # Evaluates them.
    parameters = set(inspect.signature(function).parameters) - {'self'}
    self.assertEqual(parameters | {'return'}, set(hints))

  def test_none_is_allowed_where_it_is_the_default(self):
    for name, function in _functions():
      hints = typing.get_type_hints(function)
      for parameter in inspect.signature(function).parameters.values():
        if parameter.default is None and hints[parameter.name] != typing.Any:
          options = typing.get_args(hints[parameter.name])
          self.assertIn(type(None), options, f'{name}: {parameter}')


if __name__ == '__main__':
  absltest.main()
