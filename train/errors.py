"""The errors that a user can put right; the command line shows one line."""

from train import ablation
from train import checkpoint_files
from train import configs
from train import recovery
from train import run_folder
from train import sources

__all__ = ['USER_ERRORS']

USER_ERRORS = (
  ablation.AblationError,
  checkpoint_files.CheckpointError,
  configs.ConfigError,
  recovery.DivergedError,
  run_folder.RunFolderError,
  sources.DataError,
)
