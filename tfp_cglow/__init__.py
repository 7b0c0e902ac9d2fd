"""Conditional normalising flows for TensorFlow Probability, and video models.

The bijectors compose with any TFP code; `build_glow` creates a conditional
Glow; `VideoGlow` is the Keras model of Donahue, "Label-Conditioned Next-Frame
Video Generation with Neural Flows" (2019).
"""

from tfp_cglow.actnorm import ActNorm
from tfp_cglow.actnorm import build_actnorm
from tfp_cglow.adaptation import adapt
from tfp_cglow.build import build_glow
from tfp_cglow.conditional_bijector import ConditionalBijector
from tfp_cglow.conditioned import Conditioned
from tfp_cglow.context_affine import ContextAffine
from tfp_cglow.context_affine import build_context_affine
from tfp_cglow.context_mixture import ContextMixture
from tfp_cglow.context_mixture import build_context_mixture
from tfp_cglow.context_processor import ContextProcessor
from tfp_cglow.context_processor import StateProcessor
from tfp_cglow.context_processor import build_context_processor
from tfp_cglow.context_pyramid import ContextPyramid
from tfp_cglow.context_pyramid import build_context_pyramid
from tfp_cglow.conv_gru import ConvGRU
from tfp_cglow.conv_gru import build_conv_gru
from tfp_cglow.coupling import AdditiveCoupling
from tfp_cglow.coupling import AffineCoupling
from tfp_cglow.diagnostics import invertibility_report
from tfp_cglow.diagnostics import round_trip_error
from tfp_cglow.flow_step import FlowStep
from tfp_cglow.flow_step import build_flow_step
from tfp_cglow.glow import Glow
from tfp_cglow.interpolation import interpolate
from tfp_cglow.interpolation import interpolate_latents
from tfp_cglow.invertible_conv import InvertibleConv1x1
from tfp_cglow.invertible_conv import build_invertible_conv1x1
from tfp_cglow.labels import LabelPrior
from tfp_cglow.labels import build_label_prior
from tfp_cglow.likelihood import bits_per_dim
from tfp_cglow.likelihood import dequantise
from tfp_cglow.likelihood import quantise
from tfp_cglow.networks import conv_network
from tfp_cglow.scan import Scan
from tfp_cglow.split import Split
from tfp_cglow.split import build_split
from tfp_cglow.squeeze import Squeeze
from tfp_cglow.video_glow import VideoGlow
