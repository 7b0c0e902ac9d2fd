"""Runs the examples of README and of the library's docstrings as written."""

import inspect
import pathlib
import re
import textwrap

from absl.testing import parameterized
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

import tfp_cglow

_README = pathlib.Path(__file__).parents[1] / 'README.md'


def _blocks(text):
  return re.findall(r'```python\n(.*?)```', text, flags=re.DOTALL)


def _docstring_examples():
  for name, member in vars(tfp_cglow).items():
    for block in _blocks(inspect.getdoc(member) or ''):
      if not inspect.ismodule(member):
        yield name, block


class ExamplesTest(parameterized.TestCase, tf.test.TestCase):
  @parameterized.named_parameters(
    (str(i), block) for i, block in enumerate(_blocks(_README.read_text()))
  )
  def test_readme(self, block):
    exec(compile(block, 'README.md', 'exec'), {})  # pylint: disable=exec-used

  @parameterized.named_parameters(_docstring_examples())
  def test_docstring(self, block):
    tfd = tfp.distributions
    names = {
      'tf': tf,
      'tfd': tfd,
      'tf_keras': tf_keras,
      'tfp_cglow': tfp_cglow,
      'frames': tf.random.uniform([2, 32, 32, 3]),
      'y': tf.constant([0, 1]),
      'c': tf.zeros([2, 32, 32, 3]),
      'base': tfd.Sample(tfd.Normal(0.0, 1.0), [32 * 32 * 3]),
      'glow': tfp_cglow.build_glow(
        [32, 32, 3],
        num_glow_blocks=1,
        steps=tfp_cglow.AdditiveSteps(1, hidden_channels=2),
        context=tfp_cglow.Context(3),
        labels=tfp_cglow.LabelPriors(10),
      ),
    }
    code = compile(textwrap.dedent(block), 'docstring', 'exec')
    exec(code, names)  # pylint: disable=exec-used

  def test_there_are_examples(self):
    self.assertLen(_blocks(_README.read_text()), 2)
    self.assertNotEmpty(list(_docstring_examples()))


if __name__ == '__main__':
  tf.test.main()
