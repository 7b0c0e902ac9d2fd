"""The models that a run can name: a flow, or the paper's GAN."""

from __future__ import annotations

import dataclasses
from typing import Literal
from typing import Optional

import tfp_cglow
from train.config import fields

__all__ = ['Flow', 'Gan', 'Tail']

_number = fields.number


@dataclasses.dataclass(frozen=True)
class Tail(tfp_cglow.TailSpec):
  """A tail, and how it is trained.

  Attributes:
    frames_per_step: Train on that many random frames of a clip a step; None: on
      all.
  """

  frames_per_step: Optional[int] = _number(None, least=1)


@dataclasses.dataclass(frozen=True)
class Flow:
  """A video model of conditional flows, see `tfp_cglow.build_video_flow`.

  Attributes:
    n_bits: Of the quantised frames.
    dequantisation: 'matched', or 'legacy': the paper's.
    head: The model of first frames; None: there is none.
    tail: The model of the frames after the first; None: there is none.
    label_weight: Of the label's cross entropy in the loss, see
      `tfp_cglow.VideoLoss`.
    label_dropout: The part of the clips that is trained without its label.
    network_dtype: Of the networks' computation, such as 'bfloat16'; None: that
      of the frames.
    export_max_frames: That a request to the SavedModel may ask for; None: no
      SavedModel is written.
  """

  n_bits: int = _number(5, least=1, below=9)
  dequantisation: Literal['matched', 'legacy'] = 'matched'
  head: Optional[tfp_cglow.GlowSpec] = None
  tail: Optional[Tail] = None
  label_weight: float = _number(1.0, least=0.0)
  label_dropout: float = _number(0.0, least=0.0, below=1.0)
  network_dtype: Optional[str] = None
  export_max_frames: Optional[int] = _number(256, least=1)

  @property
  def parts(self):
    """The names of its parts: a tuple of 'head' and 'tail', or of one."""
    both = {'head': self.head, 'tail': self.tail}
    return tuple(name for name, part in both.items() if part is not None)

  @property
  def takes_labels(self):
    """Python `bool`, whether the head or the tail takes a label."""
    return any(getattr(self, part).labels is not None for part in self.parts)


@dataclasses.dataclass(frozen=True)
class Gan:
  """The GAN that the paper gave up, see `train.systems.gan`.

  Attributes:
    n_bits: Of the quantised frames.
    use_labels: Whether it takes labels.
    num_levels: Of the pyramids, the frame not counted.
    base_channels: Of the first of them; each has twice the last's.
    num_first_view_nets: Of the generator, before the first frame.
    continued_fraction: Of generated clips, from real first frames.
    loss: 'least_squares' or 'hinge'.
    diversity_weight: Of the generator's loss.
    saturation_weight: Of the generator's loss.
    spectral_normalisation: Of all kernels.
    zero_start: The generator's View-Nets add nothing at first.
    discriminator_rate_factor: Of its learning rate to the generator's.
    beta_1: Of Adam.
  """

  n_bits: int = _number(5, least=1, below=9)
  use_labels: bool = True
  num_levels: int = _number(3, least=1)
  base_channels: int = _number(16, least=1)
  num_first_view_nets: int = _number(2, least=0)
  continued_fraction: float = _number(0.0, least=0.0)
  loss: Literal['least_squares', 'hinge'] = 'least_squares'
  diversity_weight: float = _number(0.0, least=0.0)
  saturation_weight: float = _number(0.0, least=0.0)
  spectral_normalisation: bool = False
  zero_start: bool = False
  discriminator_rate_factor: float = _number(1.0, above=0.0)
  beta_1: float = _number(0.9, least=0.0, below=1.0)
