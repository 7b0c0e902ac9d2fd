"""The architecture diagram (the paper's Fig. 1), made from the built model.

`structure` walks the model's objects, so the diagram shows what the model has;
each parameter is counted in one box.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors import flow_step
from tfp_cglow.bijectors import scan
from tfp_cglow.bijectors import split
from train.report import diagram
from train.report import figures

__all__ = ['figure', 'structure']


def figure(model):
  """Draws a model, a panel for each part.

  Args:
    model: `VideoFlow` or `VideoGan`.

  Returns:
    A `Figure`.
  """
  total = _count(model.trainable_variables)
  parts = structure(model)
  kind = (
    'Training and likelihood go down, from frames to latents; sampling goes up.'
  )
  if not hasattr(model, 'head'):
    kind = 'Data go down.'
  return figures.Figure(
    'architecture',
    'Architecture',
    f'Made from the model that was built. {kind} Green: frames and latents; '
    f'orange: conditions; blue: computations. The model has {total:,} '
    'trainable parameters.',
    'Fig. 1',
    tuple(diagram.image(name, boxes) for name, boxes in parts.items()),
  )


def structure(model):
  """The parts of a model as boxes.

  Args:
    model: `VideoFlow` or `VideoGan`.

  Returns:
    `dict` from the names of its parts to lists of `diagram.Box`es, data first.
  """
  parts = {}
  for name, part in model.submodels().items():
    if not hasattr(model, 'head'):
      parts[name] = _network_boxes(part)
    elif name in ('head', 'tail'):
      parts[name] = _glow_boxes(part, model)
    else:
      parts[name] = _memory_boxes(part, model)
  return parts


def _count(variables):
  return int(sum(np.prod(v.shape.as_list()) for v in variables))


def _parameters(thing):
  return _count(getattr(thing, 'trainable_variables', ()))


def _size(shape):
  return '×'.join(str(d) for d in shape)


def _class(thing):
  return type(thing).__name__


def _memory_boxes(memory, model):
  seen, size = 'previous frame, and state', _size(model.frame_shape)
  state = _size((*model.frame_shape[:2], memory.state_channels))
  kind = 'once a frame'
  return [
    diagram.Box(seen, size, colour=diagram.DATA),
    diagram.Box(_class(memory), kind, _parameters(memory)),
    diagram.Box('state', state, colour=diagram.CONDITION),
  ]


def _glow_boxes(glow, model):
  height, width, _ = glow.output_shape
  boxes = [diagram.Box('frame', _size(glow.output_shape), colour=diagram.DATA)]
  if 'context' in glow.conditions or glow.label_maps is not None:
    boxes.append(_context_box(glow, model))
  if glow.first is not None:
    kind = 'of the frame, given the context'
    boxes.append(diagram.Box(_class(glow.first), kind, _parameters(glow.first)))
  shapes = glow.level_shapes()
  for number, (block, shape) in enumerate(zip(glow.blocks, shapes), 1):
    boxes += _block_boxes(number, block, shape, number == len(shapes))
  if glow.label_prior is not None:
    boxes.append(
      diagram.Box(
        _class(glow.label_prior),
        f'shift and scale of {glow.num_labels} labels',
        _parameters(glow.label_prior),
        colour=diagram.CONDITION,
      )
    )
  size = int(np.prod(glow.output_shape))
  return [
    *boxes,
    diagram.Box('latent', f'{size:,} normal values', colour=diagram.DATA),
  ]


def _context_box(glow, model):
  """The context of the couplings, and the network that makes its pyramid."""
  names = []
  if 'context' in glow.conditions:
    several = model.previous_frames > 1
    names.append(
      f'{model.previous_frames} frames before' if several else 'frame before'
    )
    if model.memory is not None:
      names.append('state')
  parameters = _parameters(glow.context_network)
  if glow.label_maps is not None:
    names.append(f'map of {glow.num_labels} labels')
    parameters += _count([glow.label_maps])
  network = 'no pyramid: no step takes it'
  if glow.context_network is not None:
    network = f'{_class(glow.context_network)}: a map for each block'
  return diagram.Box(
    f'context: {", ".join(names)}',
    network,
    parameters,
    colour=diagram.CONDITION,
  )


def _block_boxes(number, block, shape, is_last):
  """A box for squeeze and steps, then one for the split."""
  height, width, channels = shape
  inside = (height, width, channels if is_last else 2 * channels)
  steps = [b for b in block if isinstance(b, (scan.Scan, flow_step.FlowStep))]
  others = [b for b in block if b not in steps]
  num_steps = sum(getattr(b, 'num_steps', 1) for b in steps)
  members = []
  if steps:
    step = _one_step(steps[0])
    members = [_class(m) for m in (step.actnorm, step.conv, step.coupling)]
  before = [_class(b) for b in others if not isinstance(b, split.Split)]
  boxes = [
    diagram.Box(
      f'block {number}: {", ".join(before)}, {num_steps} × FlowStep',
      f'{", ".join(members) or "nothing learned"}\n{_size(inside)}',
      sum(_parameters(b) for b in steps),
    )
  ]
  splits = [b for b in others if isinstance(b, split.Split)]
  for bijector in splits:
    beside = f'latent {_size(shape)}'
    detail = f'{_size(shape)} goes on'
    count = _parameters(bijector)
    boxes.append(diagram.Box(_class(bijector), detail, count, beside))
  return boxes


def _one_step(bijector):
  if isinstance(bijector, flow_step.FlowStep):
    return bijector
  slices = tf.nest.map_structure(lambda p: p[0], bijector.stacks)
  return bijector.make_step(slices)


def _network_boxes(part):
  """A GAN's network: a box for each layer that has variables."""
  by_layer = {}
  for variable in part.trainable_variables:
    path = variable.name.partition(':')[0].split('/')
    layer = path[1] if len(path) > 1 else path[0]
    by_layer.setdefault(layer, []).append(variable)
  label = by_layer.pop('label_table', [])
  boxes = []
  if label:
    detail = f'{label[0].shape[0]} labels, {label[0].shape[1]} values each'
    boxes.append(
      diagram.Box(
        'label table', detail, _count(label), colour=diagram.CONDITION
      )
    )
  for name, variables in by_layer.items():
    kernels = [v for v in variables if v.shape.rank > 1]
    boxes.append(
      diagram.Box(
        name.replace('_', ' '),
        f'{len(kernels)} layers' if len(kernels) > 1 else '1 layer',
        _count(variables),
      )
    )
  return boxes
