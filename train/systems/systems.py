"""Chooses the system that a config trains."""

from train.config import models
from train.systems.flow import system as flow_system
from train.systems.gan import system as gan_system

__all__ = ['of']

_SYSTEMS = {
  models.Flow: flow_system.FlowSystem,
  models.Gan: gan_system.GanSystem,
}


def of(config):
  """The `System` of a `Config`."""
  return _SYSTEMS[type(config.model)](config)
