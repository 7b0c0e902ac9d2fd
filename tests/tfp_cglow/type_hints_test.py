"""The public functions have type hints, as `py.typed` says."""

import inspect
import typing

from absl.testing import absltest
from absl.testing import parameterized

import tfp_cglow


def _functions():
  """Public functions, and the methods that VideoGlow itself defines."""
  for name, member in vars(tfp_cglow).items():
    if inspect.isfunction(member):
      yield name, member
  of_keras = ('train_step', 'test_step')
  of_training = ('submodels', 'parameter_groups', 'label_kwargs')
  for name, member in vars(tfp_cglow.VideoGlow).items():
    is_private = name.startswith('_') and name != '__init__'
    if is_private or name in of_keras + of_training:
      continue
    if inspect.isfunction(member):
      yield f'VideoGlow.{name}', member
  for name in ('log_prob_by_label', 'log_prob_terms_by_label', 'split_latent'):
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
