"""The parts of a `Glow`: frozen dataclasses that `build_glow` takes.

An option is a field of the part that it belongs to. A part that is absent is
None, so its options cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Any
from typing import Literal
from typing import Optional
from typing import Union

__all__ = [
  'AdditiveSteps',
  'AffineSteps',
  'Context',
  'FrameAffine',
  'GlowSpec',
  'LabelEmbedding',
  'LabelImages',
  'LabelPriors',
  'LevelMixture',
  'MovedFrame',
  'PreviousFrame',
  'Pyramid',
]


def _not_a_setting(default):
  """A field that programs do not offer as a setting."""
  return dataclasses.field(default=default, metadata={'is_setting': False})


@dataclasses.dataclass(frozen=True)
class Context:
  """The condition `context`: a map `[..., H, W, channels]`.

  Attributes:
    channels: Python `int`, channels of the map.
    frames: Python `int`, number of frames at the start of the map, the newest
      first, each of the modelled frame's C channels. `LevelMixture` reads them;
      0: the map holds no frame.
  """

  channels: int
  frames: int = 1


@dataclasses.dataclass(frozen=True)
class _Steps:
  """The fields that `AdditiveSteps` and `AffineSteps` share."""

  num_steps: int = 4
  hidden_channels: int = 64
  context_injection: Literal['input', 'last'] = 'input'
  gradients: Literal['reversible', 'stored', 'unrolled'] = 'reversible'
  network: Any = None


@dataclasses.dataclass(frozen=True)
class AdditiveSteps(_Steps):
  """Steps with additive couplings, as in the paper.

  Attributes:
    num_steps: Python `int`, at least 1, steps of each block.
    hidden_channels: Python `int`, of the coupling networks.
    context_injection: 'input' or 'last', see `conv_network`.
    gradients: 'reversible' or 'stored', see `Scan`; or 'unrolled': stored
      gradients, and separate `FlowStep`s instead of a `Scan`.
    network: None: Glow's convolutional network. Or `(init, apply)`, see
      `Network`; or, with 'unrolled' gradients only, a callable
      `(in_channels, out_channels) -> network` whose result is called as
      `network(kept, context)` (Keras layers, for example). `in_channels` counts
      the channels of the block's context. A network excludes `hidden_channels`
      and `context_injection`.
  """


@dataclasses.dataclass(frozen=True)
class AffineSteps(_Steps):
  """Steps with affine couplings.

  Attributes:
    scale: 'tanh': exp(2 tanh(s / 2)); or 'sigmoid': sigmoid(s + 2), as in Glow,
      whose scales start at 0.88.
    num_steps: See `AdditiveSteps`, also for the other attributes.
  """

  scale: Literal['tanh', 'sigmoid'] = _not_a_setting('tanh')


@dataclasses.dataclass(frozen=True)
class PreviousFrame:
  """Mean of a `FrameAffine`: the context's first C channels."""


@dataclasses.dataclass(frozen=True)
class MovedFrame:
  """Mean of a `FrameAffine`: the previous frame, each pixel moved.

  Attributes:
    radius: Python `int`, at least 1, the largest motion in pixels.
  """

  radius: int = 2


@dataclasses.dataclass(frozen=True)
class FrameAffine:
  """A first bijector that shifts and scales frames, see `ContextAffine`.

  Attributes:
    mean: `PreviousFrame()` or `MovedFrame(radius)`, to which the network's
      shift is added; None: zero.
    hidden_channels: Python `int`, of the network.
  """

  mean: Union[None, PreviousFrame, MovedFrame] = PreviousFrame()
  hidden_channels: int = 32


@dataclasses.dataclass(frozen=True)
class LevelMixture:
  """A first bijector that models the levels of frames, see `ContextMixture`.

  Attributes:
    levels: Python `int`, number of levels: `2**n_bits` of quantised frames.
      None: `build_video_flow` sets it; `build_glow` needs a number.
    halvings: Python `int`: 0 models every pixel given the context alone; 1
      models the four places of every 2x2 pixels one after another; 2 cuts the
      first of these places in four again, and so on. Or 'all': until a side of
      the first place is odd.
    components: Python `int`, of each mixture.
    hidden_channels: Python `int`, of the networks.
    num_blocks: Python `int`, gated residual blocks of each network.
    strip_pooling: Python `bool`: networks also see means of whole rows and
      columns, so that what leaves the frame on one side can enter on another.
    motion_radius: Python `int`: mixtures are centred on the previous frame,
      moved by at most this many pixels; 0: not moved.
  """

  levels: Optional[int] = _not_a_setting(None)
  halvings: Union[int, Literal['all']] = 0
  components: int = _not_a_setting(5)
  hidden_channels: int = 64
  num_blocks: int = _not_a_setting(2)
  strip_pooling: bool = False
  motion_radius: int = 0


@dataclasses.dataclass(frozen=True)
class _Labels:
  """The field that all ways to condition on a label share."""

  num_labels: Optional[int] = _not_a_setting(None)


@dataclasses.dataclass(frozen=True)
class LabelPriors(_Labels):
  """A label shifts and scales the latents, see `LabelPrior`.

  One pass then gives the likelihood of every label.

  Attributes:
    num_labels: Python `int`. None: `build_video_flow` sets it; `build_glow`
      needs a number.
  """


@dataclasses.dataclass(frozen=True)
class LabelEmbedding(_Labels):
  """A learned vector for each label, joined to the context at every place.

  It suits what is the same everywhere in a frame, such as a motion.

  Attributes:
    channels: Python `int`, of the vector.
    init_std: Float, standard deviation of the initial values.
    num_labels: See `LabelPriors`.
  """

  channels: int = 16
  init_std: float = 1.0


@dataclasses.dataclass(frozen=True)
class LabelImages(_Labels):
  """A learned image for each label, joined to the context, as in the paper.

  Attributes:
    init_std: Float, standard deviation of the initial values. The paper's is
      1.0, from which 200 labels do not train.
    num_labels: See `LabelPriors`.
  """

  init_std: float = 0.01


@dataclasses.dataclass(frozen=True)
class Pyramid:
  """The network that gives each block its context, see `ContextPyramid`.

  Attributes:
    channels: Python `int`, of every map; None: as many as the context has, as
      in the paper.
  """

  channels: Optional[int] = None


@dataclasses.dataclass(frozen=True)
class GlowSpec:
  """Arguments of `build_glow` that do not depend on the frame's size.

  Attributes:
    num_glow_blocks: Python `int`, levels of the multi-scale architecture.
    steps: `AdditiveSteps`, `AffineSteps`, or None: no steps.
    first: `FrameAffine`, `LevelMixture`, or None: no first bijector.
    labels: `LabelPriors`, `LabelEmbedding`, `LabelImages`, or None: the flow
      takes no label.
    pyramid: `Pyramid`, or a callable, see `build_glow`.
    network_dtype: Python `str`, name of the dtype in which networks compute
      ('bfloat16'); None: that of the frames.
  """

  num_glow_blocks: int = 3
  steps: Union[None, AdditiveSteps, AffineSteps] = AffineSteps()
  first: Union[None, FrameAffine, LevelMixture] = None
  labels: Union[None, LabelPriors, LabelEmbedding, LabelImages] = None
  pyramid: Union[Pyramid, Callable] = Pyramid()
  network_dtype: Optional[str] = _not_a_setting(None)
