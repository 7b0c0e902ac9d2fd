"""The console command `tfp-cglow`, which is `python -m train.main`."""

import runpy

__all__ = ['main']


def main():
  """Runs `train.main` as the program, with its flags and exit codes."""
  runpy.run_module('train.main', run_name='__main__', alter_sys=True)
