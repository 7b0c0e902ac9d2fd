"""The errors that a user can put right; the command line shows one line."""

from train import ablation
from train import checkpoints
from train import configs
from train import recovery
from train import run_folder
from train import sources

__all__ = ['USER_ERRORS']

USER_ERRORS = (
  ablation.AblationError,
  checkpoints.CheckpointError,
  configs.ConfigError,
  recovery.DivergedError,
  run_folder.RunFolderError,
  sources.DataError,
)
