"""The parts of a `VideoFlow`, beside those of `tfp_cglow.bijectors.specs`."""

from __future__ import annotations

import dataclasses
from typing import Union

from tfp_cglow.bijectors import specs

__all__ = ['GruMemory', 'ResidualMemory', 'TailSpec']


@dataclasses.dataclass(frozen=True)
class _Memory:
  """The field that all memories share."""

  channels: int = 16


@dataclasses.dataclass(frozen=True)
class ResidualMemory(_Memory):
  """A state that adds up what it sees, as in the paper: `ContextProcessor`.

  Attributes:
    channels: Python `int`, of the state's map.
  """


@dataclasses.dataclass(frozen=True)
class GruMemory(_Memory):
  """A state with gates, which stays bounded: `ConvGRU`.

  Attributes:
    channels: Python `int`, of the state's map.
  """


@dataclasses.dataclass(frozen=True)
class TailSpec(specs.GlowSpec):
  """A `GlowSpec` of a tail, and what its context is made of.

  Attributes:
    previous_frames: 1 or 2, how many frames before its own the tail sees.
    memory: `ResidualMemory`, `GruMemory`, or None: the tail sees no state.
    num_glow_blocks: See `GlowSpec`, also for the other attributes.
  """

  previous_frames: int = 1
  memory: Union[None, ResidualMemory, GruMemory] = None
