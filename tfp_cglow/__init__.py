"""Conditional normalising flows for TensorFlow Probability, and video models.

The bijectors compose with other TFP code; `build_glow` creates a conditional
Glow. `VideoFlow` is the video model of Donahue, "Label-Conditioned Next-Frame
Video Generation with Neural Flows" (2019). `build_video_flow` creates it, and
the Keras model `VideoGlow` trains it.
"""

from tfp_cglow.bijectors.actnorm import ActNorm
from tfp_cglow.bijectors.actnorm import build_actnorm
from tfp_cglow.bijectors.adaptation import adapt
from tfp_cglow.bijectors.build import build_glow
from tfp_cglow.bijectors.conditional_bijector import ConditionalBijector
from tfp_cglow.bijectors.conditioned import Conditioned
from tfp_cglow.bijectors.context_affine import ContextAffine
from tfp_cglow.bijectors.context_affine import build_context_affine
from tfp_cglow.bijectors.coupling import AdditiveCoupling
from tfp_cglow.bijectors.coupling import AffineCoupling
from tfp_cglow.bijectors.diagnostics import invertibility_report
from tfp_cglow.bijectors.diagnostics import round_trip_error
from tfp_cglow.bijectors.flow_step import FlowStep
from tfp_cglow.bijectors.flow_step import build_flow_step
from tfp_cglow.bijectors.glow import Glow
from tfp_cglow.bijectors.invertible_conv import InvertibleConv1x1
from tfp_cglow.bijectors.invertible_conv import build_invertible_conv1x1
from tfp_cglow.bijectors.labels import LabelPrior
from tfp_cglow.bijectors.labels import build_label_prior
from tfp_cglow.bijectors.levels.autoregressive_levels import (
  AutoregressiveLevels,
)
from tfp_cglow.bijectors.levels.autoregressive_levels import (
  build_autoregressive_levels,
)
from tfp_cglow.bijectors.levels.context_mixture import ContextMixture
from tfp_cglow.bijectors.levels.context_mixture import build_context_mixture
from tfp_cglow.bijectors.scan import Scan
from tfp_cglow.bijectors.specs import AdditiveSteps
from tfp_cglow.bijectors.specs import AffineSteps
from tfp_cglow.bijectors.specs import AutoregressiveBase
from tfp_cglow.bijectors.specs import Context
from tfp_cglow.bijectors.specs import FrameAffine
from tfp_cglow.bijectors.specs import GlowSpec
from tfp_cglow.bijectors.specs import LabelEmbedding
from tfp_cglow.bijectors.specs import LabelImages
from tfp_cglow.bijectors.specs import LabelPriors
from tfp_cglow.bijectors.specs import LevelMixture
from tfp_cglow.bijectors.specs import MovedFrame
from tfp_cglow.bijectors.specs import Networks
from tfp_cglow.bijectors.specs import PreviousFrame
from tfp_cglow.bijectors.specs import Pyramid
from tfp_cglow.bijectors.split import Split
from tfp_cglow.bijectors.split import build_split
from tfp_cglow.bijectors.squeeze import Squeeze
from tfp_cglow.networks.context_pyramid import ContextPyramid
from tfp_cglow.networks.context_pyramid import build_context_pyramid
from tfp_cglow.networks.convolutional import conv_network
from tfp_cglow.training.keras_saving import SavesModules
from tfp_cglow.video.build import build_video_flow
from tfp_cglow.video.context_processor import ContextProcessor
from tfp_cglow.video.context_processor import StateProcessor
from tfp_cglow.video.context_processor import build_context_processor
from tfp_cglow.video.context_warp import ContextWarp
from tfp_cglow.video.conv_gru import ConvGRU
from tfp_cglow.video.conv_gru import build_conv_gru
from tfp_cglow.video.interpolation import interpolate
from tfp_cglow.video.interpolation import interpolate_latents
from tfp_cglow.video.likelihood import bits_per_dim
from tfp_cglow.video.likelihood import dequantise
from tfp_cglow.video.likelihood import quantise
from tfp_cglow.video.objective import VideoLoss
from tfp_cglow.video.specs import GruMemory
from tfp_cglow.video.specs import ResidualMemory
from tfp_cglow.video.specs import TailSpec
from tfp_cglow.video.video_flow import VideoFlow
from tfp_cglow.video.video_glow import VideoGlow
