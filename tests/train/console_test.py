import os
import pathlib
import re
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

from train import console
from train import main

ROOT = pathlib.Path(main.__file__).parents[1]
_SCRIPT = 'import sys; from train import console; sys.exit(console.main())'


def _run(*command):
  """Exit code, standard output and standard error of a program."""
  done = subprocess.run(
    [sys.executable, *command],
    cwd=ROOT,
    env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    capture_output=True,
    text=True,
    check=False,
  )
  return done.returncode, done.stdout, done.stderr


class ConsoleTest(parameterized.TestCase):
  @parameterized.parameters('--help', '--rows=x', '--mode=none', 'word')
  def test_is_the_program(self, argument):
    ours = _run('-c', _SCRIPT, argument)
    self.assertEqual(ours, _run('-m', 'train.main', argument))
    self.assertIn('--mode', ours[1] + ours[2])

  def test_the_wheel_names_it(self):
    text = (ROOT / 'setup.py').read_text('utf-8')
    (found,) = re.findall(r"'tfp-cglow = (\S+)'", text)
    self.assertEqual(found, f'{console.__name__}:{console.main.__name__}')


if __name__ == '__main__':
  absltest.main()
