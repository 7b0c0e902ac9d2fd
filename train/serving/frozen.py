"""A model for serving: what a request need not compute is a constant."""

import tensorflow as tf

from tfp_cglow.bijectors import flow_step
from tfp_cglow.bijectors import invertible_conv
from tfp_cglow.bijectors import labels
from tfp_cglow.bijectors import scan

__all__ = ['FrozenModel']


class FrozenModel:
  """A `VideoGlow` as it is when this is made, without training.

  The 1x1 convolutions (with their inverses) and everything of the labels are
  constants; networks keep their variables, which signatures share. It has the
  attributes that `rollout`, `densities` and `video_targets` read.
  """

  def __init__(self, model):
    """Reads the values; the model's own flows stay as they are.

    Args:
      model: `VideoGlow`.
    """
    self.frame_shape = model.frame_shape
    self.num_dims = model.num_dims
    self.num_labels = model.num_labels
    self.n_bits = model.n_bits
    self.previous_frames = model.previous_frames
    self.dequantisation = model.dequantisation
    self.takes_labels = model.takes_labels
    self.processor = model.processor
    self.base = model.base
    self.label_kwargs = model.label_kwargs
    self.head = _frozen_glow(model.head)
    self.tail = _frozen_glow(model.tail)
    self._label_log_prior = None
    if model.num_labels is not None:
      self._label_log_prior = _constant(model.label_log_prior())

  def label_log_prior(self):
    """`[num_labels]`, as of `VideoGlow`."""
    return self._label_log_prior


def _frozen_glow(glow):
  if glow is None:
    return None
  blocks = [[_frozen_step(b) for b in block] for block in glow.blocks]
  prior, maps = glow.label_prior, glow.label_maps
  if prior is not None:
    tables = prior.parameters
    prior = labels.LabelPrior(
      _constant(tables['mean']), _constant(tables['raw_log_scale'])
    )
  if maps is not None:
    maps = _constant(maps)
  return glow.copy(blocks=blocks, label_prior=prior, label_maps=maps)


def _frozen_step(bijector):
  """A `Scan` or `FlowStep` whose 1x1 convolutions are constants."""
  if isinstance(bijector, flow_step.FlowStep):
    conv = _with_inverse(
      {k: bijector.conv.parameters[k] for k in _CONV_PARAMETERS}
    )
    return flow_step.FlowStep(
      bijector.actnorm,
      invertible_conv.InvertibleConv1x1(**conv),
      bijector.coupling,
      name=bijector.name,
    )
  if not isinstance(bijector, scan.Scan):
    return bijector
  if not isinstance(bijector.make_step, flow_step.FlowStepMaker):
    return bijector.prepared()
  stacks = {**bijector.stacks, 'conv': _with_inverse(bijector.stacks['conv'])}
  return bijector.copy(parameters=stacks)


_CONV_PARAMETERS = ('lower', 'upper', 'log_diag', 'sign', 'permutation')


def _with_inverse(conv):
  """The convolution's parameters and its inverse, constants."""
  values = {k: _constant(v) for k, v in conv.items()}
  inverse = invertible_conv.InvertibleConv1x1(**values).inverse_matrix()
  return {**values, 'inverse_matrix': inverse}


def _constant(value):
  return tf.constant(tf.convert_to_tensor(value).numpy())
