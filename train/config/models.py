"""The models that a config can choose: a flow, or the paper's GAN."""

from __future__ import annotations

import dataclasses
from typing import Literal
from typing import Optional

import tfp_cglow
from train.config import fields

__all__ = ['Flow', 'Gan', 'Head', 'Tail']

_number = fields.number


@dataclasses.dataclass(frozen=True)
class Head(tfp_cglow.GlowSpec):
  """A head, and how it is trained.

  Attributes:
    frames_per_step: Number of random frames of each clip to train on in a step,
      if first frames look like any other; None: the first frame alone.
    clips_per_step: Number of clips of the batch to train on in a step; None, or
      more than there are: all. An `AutoregressiveBase` trains on all.
  """

  frames_per_step: Optional[int] = _number(None, least=1, most=10_000)
  clips_per_step: Optional[int] = _number(None, least=1, most=10_000)


@dataclasses.dataclass(frozen=True)
class Tail(tfp_cglow.TailSpec):
  """A tail, and how it is trained.

  Attributes:
    frames_per_step: Number of random frames of each clip to train on in a step;
      None: all frames.
    clips_per_step: Number of clips of the batch to train on in a step; None, or
      more than there are: all.
    context_warp: Largest standard deviation, in pixels, by which contexts are
      deformed in training, so that the tail mends outlines, see
      `tfp_cglow.ContextWarp`; 0: they are not.
  """

  frames_per_step: Optional[int] = _number(None, least=1, most=10_000)
  clips_per_step: Optional[int] = _number(None, least=1, most=10_000)
  context_warp: float = _number(0.0, least=0.0, most=64.0)


@dataclasses.dataclass(frozen=True)
class Flow:
  """A video model of conditional flows, see `tfp_cglow.build_video_flow`.

  Attributes:
    n_bits: Bits of the quantised frames' values.
    dequantisation: 'matched', 'legacy' (the paper's) or 'drawn' (grey levels
      are probabilities of white; n_bits 1), see `tfp_cglow.VideoFlow`.
    head: The model of first frames, or None.
    tail: The model of the frames after the first, or None.
    label_weight: Weight of the label's cross entropy in the loss, see
      `tfp_cglow.VideoLoss`.
    min_p: Levels less probable than `min_p` times the likeliest are not drawn,
      see `tfp_cglow.Glow.tempered`.
    label_dropout: Fraction of the training clips whose label is hidden from
      the model.
    network_dtype: dtype in which the networks compute, such as 'bfloat16';
      None: the frames' dtype.
    export_max_frames: Most frames that one request to the SavedModel may ask
      for; None: no SavedModel is written.
  """

  n_bits: int = _number(5, least=1, below=9)
  dequantisation: Literal['matched', 'legacy', 'drawn'] = 'matched'
  head: Optional[Head] = None
  tail: Optional[Tail] = None
  label_weight: float = _number(1.0, least=0.0, most=1e6)
  min_p: float = _number(0.0, least=0.0, below=1.0)
  label_dropout: float = _number(0.0, least=0.0, below=1.0)
  network_dtype: Optional[Literal['bfloat16', 'float16', 'float32']] = None
  export_max_frames: Optional[int] = _number(256, least=1, most=10_000)

  @property
  def parts(self):
    """Tuple of the names of the parts that are not None: 'head', 'tail'."""
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
    n_bits: Bits of the quantised frames' values.
    use_labels: Whether the networks take labels.
    num_levels: Number of levels of the pyramids, not counting the frame.
    base_channels: Channels of the first level; each next level has twice as
      many.
    num_first_view_nets: Number of the generator's View-Nets before the first
      frame.
    continued_fraction: Fraction of generated training clips that continue a
      real first frame.
    loss: 'least_squares' or 'hinge'.
    diversity_weight: Weight of `losses.diversity_shortfall` in the generator's
      loss.
    saturation_weight: Weight of `losses.excess` in the generator's loss.
    spectral_normalisation: Whether the spectral norm of all kernels is bounded.
    zero_start: Whether the generator's View-Nets add nothing at first.
    discriminator_rate_factor: The discriminator's learning rate divided by the
      generator's.
    beta_1: Adam's beta_1.
  """

  n_bits: int = _number(5, least=1, below=9)
  use_labels: bool = True
  num_levels: int = _number(3, least=1, most=13)
  base_channels: int = _number(16, least=1, most=4096)
  num_first_view_nets: int = _number(2, least=0, most=64)
  continued_fraction: float = _number(0.0, least=0.0, most=1.0)
  loss: Literal['least_squares', 'hinge'] = 'least_squares'
  diversity_weight: float = _number(0.0, least=0.0, most=1e6)
  saturation_weight: float = _number(0.0, least=0.0, most=1e6)
  spectral_normalisation: bool = False
  zero_start: bool = False
  discriminator_rate_factor: float = _number(1.0, least=1e-6, most=1e6)
  beta_1: float = _number(0.9, least=0.0, below=1.0)

  @property
  def takes_labels(self):
    """Python `bool`, whether the networks take labels."""
    return self.use_labels
