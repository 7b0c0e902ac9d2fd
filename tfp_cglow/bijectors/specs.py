"""The parts of a `Glow`: frozen dataclasses that `build_glow` takes.

Each option is a field of the part that it belongs to. An absent part is None,
so options of an absent part cannot be given.
"""

from collections.abc import Callable
import dataclasses
from typing import Any
from typing import Literal
from typing import Optional
from typing import Union

from tfp_cglow.internal import settings

__all__ = [
  'AdditiveSteps',
  'AffineSteps',
  'AutoregressiveBase',
  'Context',
  'FrameAffine',
  'GlowSpec',
  'LabelEmbedding',
  'LabelImages',
  'LabelPriors',
  'LevelMixture',
  'MovedFrame',
  'Networks',
  'PreviousFrame',
  'Pyramid',
]


@dataclasses.dataclass(frozen=True)
class Context:
  """The condition `context`: a map `[..., H, W, channels]`.

  Attributes:
    channels: Python `int`, channels of the map.
    frames: Python `int`, number of frames that the map begins with, the newest
      first, each with the C channels of the modelled frame. Only `LevelMixture`
      reads this number. 0: the map holds no frame.
  """

  channels: int
  frames: int = 1


@dataclasses.dataclass(frozen=True)
class _Steps:
  """The fields that `AdditiveSteps` and `AffineSteps` share."""

  num_steps: int = settings.number(4, 1, 1000)
  hidden_channels: int = settings.number(64, 1, 2**14)
  context_injection: Literal['input', 'last'] = settings.hidden('input')
  gradients: Literal['reversible', 'stored', 'unrolled'] = 'reversible'
  network: Any = None


@dataclasses.dataclass(frozen=True)
class AdditiveSteps(_Steps):
  """Steps with additive couplings, as in the paper.

  Attributes:
    num_steps: Python `int`, at least 1, steps of each block.
    hidden_channels: Python `int`, hidden channels of the coupling networks.
    context_injection: 'input' or 'last', see `conv_network`.
    gradients: 'reversible' or 'stored', see `Scan`; or 'unrolled': separate
      `FlowStep`s instead of a `Scan`, with ordinary backpropagation.
    network: The coupling networks. None: Glow's convolutional network,
      `conv_network`. A pair `(init, apply)`: see `Network`. A callable
      `(in_channels, out_channels) -> network`, only with 'unrolled' gradients:
      its result, a Keras layer for example, is called as
      `network(kept, context)`; `in_channels` includes the channels of the
      block's context. Leave `hidden_channels` and `context_injection` at their
      defaults if you give a network.
  """


@dataclasses.dataclass(frozen=True)
class AffineSteps(_Steps):
  """Steps with affine couplings.

  Attributes:
    scale: 'tanh': exp(2 tanh(s / 2)); or 'sigmoid': sigmoid(s + 2), as in Glow,
      whose scales start at 0.88.
    num_steps: See `AdditiveSteps`; so are the other attributes.
  """

  scale: Literal['tanh', 'sigmoid'] = settings.hidden('tanh')


@dataclasses.dataclass(frozen=True)
class PreviousFrame:
  """Mean of a `FrameAffine`: the context's first C channels."""


@dataclasses.dataclass(frozen=True)
class MovedFrame:
  """Mean of a `FrameAffine`: the previous frame with its pixels moved.

  Attributes:
    radius: Python `int`, at least 1, the largest motion in pixels along rows
      and columns.
  """

  radius: int = settings.number(2, 1, 16)


@dataclasses.dataclass(frozen=True)
class FrameAffine:
  """A first bijector that shifts and scales frames, see `ContextAffine`.

  Attributes:
    mean: `PreviousFrame()` or `MovedFrame(radius)`; None: zero. The network's
      output is added to it.
    hidden_channels: Python `int`, hidden channels of the network.
  """

  mean: Union[None, PreviousFrame, MovedFrame] = PreviousFrame()
  hidden_channels: int = settings.number(32, 1, 2**14)


# Channels of a head of the attention of an `AutoregressiveBase`.
HEAD_CHANNELS = 16


@dataclasses.dataclass(frozen=True)
class AutoregressiveBase:
  """The coarsest pixels of a `LevelMixture`, see `AutoregressiveLevels`.

  They are modelled one after another by a small transformer, so that what must
  be decided once, such as the number of objects, is.

  Attributes:
    hidden_channels: Python `int`, a multiple of 16.
    num_blocks: Python `int`, number of blocks of the transformer.
  """

  hidden_channels: int = settings.number(80, 16, 2**14)
  num_blocks: int = settings.hidden(3)


@dataclasses.dataclass(frozen=True)
class LevelMixture:
  """A first bijector that models the levels of frames, see `ContextMixture`.

  Attributes:
    levels: Python `int`, number of levels of the frames, `2**n_bits`. None:
      `build_video_flow` sets it; `build_glow` needs a number.
    halvings: Python `int`, how often the frame is divided into four groups of
      pixels that are modelled one after another. 0: all pixels at once, given
      the context alone. 1: the four places of every 2x2 pixels in turn. 2: the
      pixels of the first place are divided in the same way; and so on. 'all':
      until a side of the coarsest group is odd; with a `base`, until that has
      at most 64 pixels.
    base: `AutoregressiveBase`, which models the coarsest group of at most 64
      pixels; None: its pixels are modelled like those of other groups.
    components: Python `int`, number of components of each mixture.
    hidden_channels: Python `int`, hidden channels of the networks.
    num_blocks: Python `int`, number of gated residual blocks of each network.
    strip_pooling: Python `bool`: whether networks also see means of whole rows
      and columns, so that an object can leave the frame on one side and enter
      on another.
    motion_radius: Python `int`, how far the previous frame's pixels may move
      along rows and columns before mixtures are centred on them; 0: they do not
      move.
  """

  levels: Optional[int] = settings.hidden(None)
  halvings: Union[int, Literal['all']] = settings.number(0, 0, 13)
  base: Optional[AutoregressiveBase] = None
  components: int = settings.hidden(5)
  hidden_channels: int = settings.number(64, 1, 2**14)
  num_blocks: int = settings.number(2, 1, 64)
  strip_pooling: bool = False
  motion_radius: int = settings.number(0, 0, 16)


@dataclasses.dataclass(frozen=True)
class _Labels:
  """The field that the three ways to condition on a label share."""

  num_labels: Optional[int] = settings.hidden(None)


@dataclasses.dataclass(frozen=True)
class LabelPriors(_Labels):
  """A label shifts and scales the latents, see `LabelPrior`.

  One pass of the flow gives the likelihood of every label.

  Attributes:
    num_labels: Python `int`, number of labels. None: `build_video_flow` sets
      it; `build_glow` needs a number.
  """


@dataclasses.dataclass(frozen=True)
class LabelEmbedding(_Labels):
  """A learned vector for each label, joined to the context at every pixel.

  It suits labels whose effect is the same everywhere in a frame, such as a
  direction of motion.

  Attributes:
    channels: Python `int`, size of the vector.
    init_std: Float, standard deviation of the initial values.
    num_labels: See `LabelPriors`.
  """

  channels: int = settings.number(16, 1, 2**14)
  init_std: float = settings.hidden(1.0)


@dataclasses.dataclass(frozen=True)
class LabelImages(_Labels):
  """A learned image for each label, joined to the context, as in the paper.

  Attributes:
    init_std: Float, standard deviation of the initial values. With the paper's
      value, 1.0, a model of 200 labels did not train.
    num_labels: See `LabelPriors`.
  """

  init_std: float = settings.number(0.01, 0.0, 1e3)


@dataclasses.dataclass(frozen=True)
class Pyramid:
  """The network that gives each block its context, see `ContextPyramid`.

  Attributes:
    channels: Python `int`, channels of every map; None: those of the context,
      as in the paper.
  """

  channels: Optional[int] = settings.number(None, 1, 2**14)


@dataclasses.dataclass(frozen=True)
class Networks:
  """What all networks of a flow have in common.

  Attributes:
    dtype: `tf.DType` in which they compute, or its name ('bfloat16', for
      example); None: the dtype of the frames.
    padding: What a network sees beyond the edges of a frame. 'zeros': nothing;
      motion mirrors the frame. 'wrap': the opposite side, for frames of a
      periodic domain, such as a lattice.
  """

  dtype: Any = None
  padding: Literal['zeros', 'wrap'] = 'zeros'


@dataclasses.dataclass(frozen=True)
class GlowSpec:
  """Arguments of `build_glow` that do not depend on the frame's size.

  Attributes:
    num_glow_blocks: Python `int`, levels of the multi-scale architecture.
    steps: `AdditiveSteps` or `AffineSteps`; None: no steps.
    first: `FrameAffine` or `LevelMixture`; None: no first bijector.
    labels: `LabelPriors`, `LabelEmbedding` or `LabelImages`; None: the flow
      takes no label.
    pyramid: `Pyramid`, or a callable, see `build_glow`.
    networks: `Networks`.
  """

  num_glow_blocks: int = settings.number(3, 1, 13)
  steps: Union[None, AdditiveSteps, AffineSteps] = AffineSteps()
  first: Union[None, FrameAffine, LevelMixture] = None
  labels: Union[None, LabelPriors, LabelEmbedding, LabelImages] = None
  pyramid: Union[Pyramid, Callable] = Pyramid()
  networks: Networks = settings.hidden(Networks())
