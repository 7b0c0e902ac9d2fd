"""Counts what a preset's parts cost: parameters, multiplications, memory.

  python benchmarks/speed/sizes.py --presets=paper,cglow_small
  python benchmarks/speed/sizes.py --presets=demo \\
      --set=model.head.steps.hidden_channels=128

Nothing is timed. The parts are built and one frame goes through each, eagerly,
so every convolution is counted as often as it runs:

  parameters     trainable parameters, and those of labels among them
  Mmult          million multiplications (each with an addition) of the
                 convolutions, for one frame in one direction
  MB of maps     results of the convolutions, for one frame, float32: a lower
                 bound of what gradients='stored' keeps of a frame
  MB of weights  the weights, their gradients and Adam's two slots

Prints a table, or with --json the numbers.
"""

import collections
import json
import os
import sys
from unittest import mock

from absl import app
from absl import flags
import numpy as np

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from train.config import overrides  # noqa: E402
from train.config import presets as presets_lib  # noqa: E402

_PRESETS = flags.DEFINE_list(
  'presets',
  ['demo', 'paper_small', 'cglow_small', 'cglow_mixture']
  + ['paper', 'cglow', 'bair'],
  'Presets of flows.',
)
_LABELS = flags.DEFINE_integer('labels', 4, 'Labels of the data.')
_SET = flags.DEFINE_multi_string('set', [], 'key=value, as for train.main.')
_JSON = flags.DEFINE_bool('json', False, 'Print numbers instead of the table.')


class _Counter:
  """Multiplications and results of the convolutions that run."""

  def __init__(self):
    self.multiplications = 0
    self.values = 0

  def wrap(self, convolve):
    def counted(x, kernel, bias=None, strides=1, padding='zeros'):
      y = convolve(x, kernel, bias, strides, padding)
      self._add(y, np.prod(kernel.shape[:-1]))
      return y

    return counted

  def wrap_1x1(self, inverse):
    def counted(bijector, y):
      x, ildj = inverse(bijector, y)
      self._add(x, x.shape[-1])
      return x, ildj

    return counted

  def _add(self, result, terms):
    self.values += int(np.prod(result.shape))
    self.multiplications += int(np.prod(result.shape) * terms)


def _count(function):
  """`function`'s `_Counter`."""
  from tfp_cglow.bijectors import invertible_conv
  from tfp_cglow.networks import convolutional

  counter = _Counter()
  conv1x1 = invertible_conv.InvertibleConv1x1
  convolve = counter.wrap(convolutional.conv2d)
  inverse = counter.wrap_1x1(conv1x1._inverse_and_ildj)
  with mock.patch.object(convolutional, 'conv2d', convolve):  # noqa: SIM117
    with mock.patch.object(conv1x1, '_inverse_and_ildj', inverse):
      function()
  return counter


def _num_parameters(variables):
  return sum(int(np.prod(v.shape)) for v in variables)


def _part(module, function, label_variables=()):
  counter = _count(function)
  parameters = _num_parameters(module.trainable_variables)
  return {
    'parameters': parameters,
    'label_parameters': _num_parameters(label_variables),
    'multiplications': counter.multiplications,
    'map_bytes': 4 * counter.values,
    'weight_bytes': 16 * parameters,
  }


def _conditions(glow):
  import tensorflow as tf

  height, width, _ = glow.output_shape
  conditions = {}
  if 'context' in glow.conditions:
    channels = glow.parameters['context_channels']
    conditions['context'] = tf.zeros([1, height, width, channels])
  if glow.num_labels is not None:
    conditions['label'] = tf.zeros([1], tf.int32)
  return conditions


def sizes(config, num_labels):
  """`dict` of the parts' numbers."""
  import tensorflow as tf

  from train.systems.flow import models

  flow = models.build_model(config, num_labels).flow
  frame = tf.zeros([1, *flow.frame_shape])
  parts = collections.OrderedDict()
  for name in ('head', 'tail'):
    glow = getattr(flow, name)
    if glow is not None:
      parts[name] = _part(
        glow,
        lambda glow=glow: glow.inverse(frame, **_conditions(glow)),
        glow.label_variables,
      )
  if flow.memory is not None:
    state = flow.memory.initial_state(frame)
    parts['memory'] = _part(flow.memory, lambda: flow.memory(state, frame))
  return parts


def _table(results):
  lines = [
    '| preset | part | parameters | of labels | Mmult a frame '
    '| MB of maps a frame | MB of weights |',
    '|' + '---|' * 7,
  ]
  for preset, parts in results.items():
    for name, part in parts.items():
      lines.append(
        f'| `{preset}` | {name} | {part["parameters"]:,} '
        f'| {part["label_parameters"]:,} '
        f'| {part["multiplications"] / 1e6:,.1f} '
        f'| {part["map_bytes"] / 1e6:,.1f} '
        f'| {part["weight_bytes"] / 1e6:,.1f} |'
      )
  return '\n'.join(lines)


def main(argv):
  del argv
  results = {
    preset: sizes(
      overrides.override(presets_lib.PRESETS[preset], _SET.value), _LABELS.value
    )
    for preset in _PRESETS.value
  }
  print(json.dumps(results, indent=2) if _JSON.value else _table(results))


if __name__ == '__main__':
  app.run(main)
