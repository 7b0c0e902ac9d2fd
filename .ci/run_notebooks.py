"""Runs notebooks; the executed copies go into build/notebooks.

    python .ci/run_notebooks.py examples/*.ipynb

Exits with an error at the first cell that fails. The notebooks themselves stay
without outputs: these change with every run and every machine.
"""

import os
import pathlib
import sys
import time

import nbclient
import nbformat

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUTPUT = ROOT / 'build' / 'notebooks'
SECONDS_A_CELL = 600


def run(path):
  """Runs one notebook in a folder of its own; returns the seconds."""
  start = time.perf_counter()
  notebook = nbformat.read(path, as_version=4)
  nbformat.validate(notebook)
  outputs = [c for c in notebook.cells if c.get('outputs')]
  assert not outputs, f'{path} is to be committed without outputs.'
  client = nbclient.NotebookClient(
    notebook,
    timeout=SECONDS_A_CELL,
    kernel_name='python3',
    resources={'metadata': {'path': str(OUTPUT)}},
  )
  client.execute()
  nbformat.write(notebook, OUTPUT / pathlib.Path(path).name)
  return time.perf_counter() - start


def main():
  OUTPUT.mkdir(parents=True, exist_ok=True)
  paths = [str(ROOT), os.environ.get('PYTHONPATH')]
  os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  for path in sys.argv[1:]:
    print(f'{path}: {run(path):.0f} s')


if __name__ == '__main__':
  main()
