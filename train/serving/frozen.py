"""Freezes a flow for serving: values that requests share become constants."""

import tensorflow as tf

import tfp_cglow
from tfp_cglow.bijectors import flow_step
from tfp_cglow.bijectors import invertible_conv
from tfp_cglow.bijectors import labels
from tfp_cglow.bijectors import scan

__all__ = ['frozen']


def frozen(flow):
  """A copy of a `VideoFlow` for serving, which cannot be trained.

  The parameters of the 1x1 convolutions, their inverses, and the parameters of
  labels become constants with the present values. Networks keep their
  variables, which signatures share.

  Args:
    flow: `VideoFlow`; it is not changed.

  Returns:
    A `VideoFlow`.
  """
  counts = flow.label_counts
  return tfp_cglow.VideoFlow(
    flow.frame_shape,
    _frozen_glow(flow.head),
    _frozen_glow(flow.tail),
    flow.memory,
    label_counts=None if counts is None else _constant(counts),
    n_bits=flow.n_bits,
    previous_frames=flow.previous_frames,
    dequantisation=flow.dequantisation,
  )


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
  """Makes the 1x1 convolutions of a `Scan` or `FlowStep` constant."""
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
  """The convolution's parameters and its inverse, as constants: `dict`."""
  values = {k: _constant(v) for k, v in conv.items()}
  inverse = invertible_conv.InvertibleConv1x1(**values).inverse_matrix()
  return {**values, 'inverse_matrix': inverse}


def _constant(value):
  return tf.constant(tf.convert_to_tensor(value).numpy())
