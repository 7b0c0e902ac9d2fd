"""The parts of a `VideoFlow`: frozen dataclasses for `build_video_flow`."""

from __future__ import annotations

import dataclasses
from typing import Union

from tfp_cglow.bijectors import specs
from tfp_cglow.internal import settings

__all__ = ['GruMemory', 'ResidualMemory', 'TailSpec']


@dataclasses.dataclass(frozen=True)
class _Memory:
  """The field that all memories share."""

  channels: int = settings.number(16, 1, 2**14)


@dataclasses.dataclass(frozen=True)
class ResidualMemory(_Memory):
  """A state to which each frame adds, as in the paper: `ContextProcessor`.

  Attributes:
    channels: Python `int`, channels of the state.
  """


@dataclasses.dataclass(frozen=True)
class GruMemory(_Memory):
  """A state with gates, which stays bounded: `ConvGRU`.

  Attributes:
    channels: Python `int`, channels of the state.
  """


@dataclasses.dataclass(frozen=True)
class TailSpec(specs.GlowSpec):
  """The `GlowSpec` of a tail, with the parts of its context.

  Attributes:
    previous_frames: 1 or 2, number of previous frames in the tail's context.
    memory: `ResidualMemory` or `GruMemory`; None: the tail has no memory.
    num_glow_blocks: See `GlowSpec`; so are the other attributes.
  """

  previous_frames: int = settings.number(1, 1, 2)
  memory: Union[None, ResidualMemory, GruMemory] = None
