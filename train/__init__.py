"""The program: `python -m train.main`."""
