"""Tries an installed wheel: `cd EMPTY; ENV/bin/python try_wheel.py README.md`.

In a folder without the source tree: README's first Python example, the smallest
preset of the command `tfp-cglow`, which is `python -m train.main`, and the
package's metadata.
"""

import importlib.metadata
import pathlib
import re
import subprocess
import sys

EXTRAS = {'beam', 'dev', 'serving', 'tfds', 'tfio'}


def main():
  readme = pathlib.Path(sys.argv[1]).read_text('utf-8')
  metadata = importlib.metadata.metadata('tfp-cglow')
  extras = set(metadata.get_all('Provides-Extra'))
  assert extras >= EXTRAS, f'Expected the extras {EXTRAS}, got {extras}.'

  example = re.search(r'```python\n(.*?)```', readme, re.DOTALL)[1]
  names = {}
  exec(compile(example, 'README.md', 'exec'), names)
  package = pathlib.Path(names['tfp_cglow'].__file__).parent
  assert 'site-packages' in package.parts, package
  assert (package / 'py.typed').is_file(), package
  print('README example:', names['nats'].shape, names['samples'].shape)

  command = pathlib.Path(sys.executable).with_name('tfp-cglow')
  helps = [_help(command), _help(sys.executable, '-m', 'train.main')]
  assert helps[0] == helps[1], helps
  subprocess.run([command, '--preset=smoke', '--workdir=run'], check=True)
  assert pathlib.Path('run/export/1/saved_model.pb').is_file()
  print(f'{command} trained and exported with {package.parent}.')


def _help(*command):
  """What a program prints with --help."""
  done = subprocess.run([*command, '--help'], capture_output=True, check=False)
  return done.stdout


if __name__ == '__main__':
  main()
