"""Tests that importing the library imports only what it needs."""

import subprocess
import sys

import tensorflow as tf

import tfp_cglow

_FORBIDDEN = ('train', 'tensorflow_io', 'matplotlib', 'av')

_CODE = f"""
import sys
# TensorFlow itself imports a plotting library where there is one.
import tensorflow, tensorflow_probability, tf_keras
before = set(sys.modules)
import tfp_cglow
roots = {{name.split('.')[0] for name in set(sys.modules) - before}}
print(sorted(roots & set({_FORBIDDEN})))
"""


class ImportTest(tf.test.TestCase):
  def test_imports_neither_train_nor_plotting_nor_decoders(self):
    process = subprocess.run(
      [sys.executable, '-c', f'import sys; sys.path[:] = {sys.path}\n{_CODE}'],
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(process.returncode, 0, process.stderr)
    self.assertEqual(process.stdout.strip().splitlines()[-1], '[]')

  def test_every_public_name_has_a_docstring(self):
    for name, value in vars(tfp_cglow).items():
      if callable(value):
        self.assertTrue(value.__doc__, name)


if __name__ == '__main__':
  tf.test.main()
