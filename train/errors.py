"""The errors that a user can put right; the command line shows one line."""

from train.ablation import grid
from train.config import configs
from train.data import sources
from train.loop import recovery
from train.storage import checkpoint_files
from train.storage import run_folder

__all__ = ['USER_ERRORS']

USER_ERRORS = (
  grid.AblationError,
  checkpoint_files.CheckpointError,
  configs.ConfigError,
  recovery.DivergedError,
  run_folder.RunFolderError,
  sources.DataError,
)
