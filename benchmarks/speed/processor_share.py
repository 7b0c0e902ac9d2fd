"""What a context processor costs in the training of a tail.

  python benchmarks/speed/processor_share.py --preset=paper
  python benchmarks/speed/processor_share.py --preset=cglow_small --steps=20

The paper calls its processor of about 10,000 parameters "very lightweight".
Here a preset's tail takes training steps (random frames, no labels, no input
pipeline), with each processor of `tfp_cglow` and without:

  none               no state: the tail sees the previous frame alone
  residual, gru      a state: the paper's processor, and ConvGRU
  ..._width          a learned constant instead of the state, as many channels

Without a state the tail's context is narrower, and so are the context pyramid
(if `pyramid.channels` is None, as in the paper, also every coupling network)
and ContextAffine. So there are two shares, each 1 - without / with:

  of_state      against `none`: the processor and all that its state widens
  of_processor  against `..._width`: the processor alone, forward and backward

A processor has as many channels as the preset's memory. If the preset has no
memory of its kind, it has 16 (residual, as 'paper') or 8 (gru, as 'cglow').
Each variant runs in its own process, `--rounds` times in turn. A step's seconds
are the shortest and the median of all rounds. Memory is the peak of resident
memory, the smallest of the rounds, also without what is resident after the
imports. The head, which has no context, is not built. Differences of a few per
cent need a quiet machine. Prints JSON.
"""

import json
import os
import statistics
import sys
import time

from absl import app
from absl import flags

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from benchmarks import own_process  # noqa: E402

_VARIANTS = ('none', 'residual_width', 'residual', 'gru_width', 'gru')
_STATE_CHANNELS = {'residual': 16, 'gru': 8}
_COSTS = (
  'best_step_seconds',
  'median_step_seconds',
  'peak_bytes',
  'peak_bytes_above_imports',
)

_PRESET = flags.DEFINE_enum(
  'preset',
  'paper',
  ['paper', 'paper_small', 'cglow_small'],
  'Preset of the tail.',
)
_FRAME_SIZE = flags.DEFINE_integer('frame_size', None, "Default: the preset's.")
_NUM_FRAMES = flags.DEFINE_integer('num_frames', None, "Default: the preset's.")
_BATCH_SIZE = flags.DEFINE_integer('batch_size', None, "Default: the preset's.")
_STEPS = flags.DEFINE_integer('steps', 10, 'Steps timed, after two others.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Processes of each variant.')
_RUN = flags.DEFINE_string('run', None, 'Internal: one variant, as JSON.')


def _config(variant):
  from train.config import configs
  from train.config import overrides
  from train.config import presets

  config = presets.PRESETS[_PRESET.value]
  values = {
    'model.head': 'none',
    'model.tail.labels': 'none',
    **_memory(config.model.tail.memory, variant),
    'data.frame_size': _FRAME_SIZE.value,
    'data.num_frames': _NUM_FRAMES.value,
    'run.batch_size': _BATCH_SIZE.value,
  }
  assignments = [f'{k}={v}' for k, v in values.items() if v is not None]
  return configs.check(overrides.override(config, assignments))


def _memory(of_preset, variant):
  """A variant's assignments of `model.tail.memory`: `dict`."""
  from train.config import fields

  if variant == 'none':
    return {'model.tail.memory': 'none'}
  processor, _, _ = variant.partition('_')
  kind = f'{processor}_memory'
  channels = _STATE_CHANNELS[processor]
  if of_preset is not None and fields.kind_name(type(of_preset)) == kind:
    channels = of_preset.channels
  return {
    'model.tail.memory': kind,
    'model.tail.memory.channels': channels,
  }


def _state_channels(config):
  memory = config.model.tail.memory
  return 0 if memory is None else memory.channels


def _constant_state(state_channels):
  """Replaces a processor: the same learned vector at every time and place."""
  import tensorflow as tf

  from tfp_cglow.video import context_processor

  class ConstantState(context_processor.StateProcessor):
    def __init__(self):
      super().__init__(name='constant_state')
      self.value = tf.Variable(tf.zeros([state_channels]), name='value')

    @property
    def state_channels(self):
      return state_channels

    def scan(self, frames):
      return self.value + tf.zeros_like(frames[..., :1])

  return ConstantState()


def _build(variant):
  import tf_keras as tfk

  from train.systems.flow import models

  config = _config(variant)
  model = models.build_model(config, num_labels=1)
  if variant.endswith('_width'):
    model.flow.memory = _constant_state(_state_channels(config))
    model.compile(tfk.optimizers.legacy.Adam(1e-4, epsilon=1e-8))
  return config, model


def _measure(variant):
  """One variant, in this process."""
  import numpy as np
  import tensorflow as tf

  import_bytes = own_process.status_bytes('VmHWM')
  config, model = _build(variant)
  rng = np.random.default_rng(0)
  shape = [
    config.run.batch_size,
    config.data.num_frames,
    *model.flow.frame_shape,
  ]
  frames = tf.constant(rng.integers(0, 256, shape, np.uint8))
  model.adapt(frames)
  step = tf.function(model.train_step)
  seconds = []
  for _ in range(2 + _STEPS.value):
    start = time.perf_counter()
    logs = step((frames,))
    float(logs['loss'])
    seconds.append(time.perf_counter() - start)
  if float(logs['skipped_steps']):
    raise RuntimeError(f'{variant}: steps were skipped, so they cost less.')
  groups = model.parameter_groups()
  return {
    'state_channels': _state_channels(config),
    'parameters': {k: _num_parameters(v) for k, v in groups.items()},
    'step_seconds': seconds[2:],
    'peak_bytes': own_process.status_bytes('VmHWM'),
    'import_bytes': import_bytes,
  }


def _num_parameters(variables):
  return sum(int(v.shape.num_elements()) for v in variables)


def _merge(rounds):
  """One variant's rounds as one result."""
  seconds = [s for r in rounds for s in r['step_seconds']]
  result = {k: rounds[0][k] for k in ('state_channels', 'parameters')}
  result['best_step_seconds'] = min(seconds)
  result['median_step_seconds'] = statistics.median(seconds)
  result['peak_bytes'] = min(r['peak_bytes'] for r in rounds)
  result['peak_bytes_above_imports'] = min(
    r['peak_bytes'] - r['import_bytes'] for r in rounds
  )
  return result


def _shares(with_state, without):
  return {key: 1 - without[key] / with_state[key] for key in _COSTS}


def _compare():
  rounds = [
    {v: own_process.run_again(f'--run={v}') for v in _VARIANTS}
    for _ in range(_ROUNDS.value)
  ]
  results = {v: _merge([r[v] for r in rounds]) for v in _VARIANTS}
  shares = {}
  for name in _STATE_CHANNELS:
    parameters = results[name]['parameters']
    shares[name] = {
      'parameters': parameters['memory'],
      'share_of_parameters': parameters['memory'] / sum(parameters.values()),
      'of_state': _shares(results[name], results['none']),
      'of_processor': _shares(results[name], results[f'{name}_width']),
    }
  config = _config('none')
  return {
    'preset': config.preset,
    'frame_size': config.data.frame_size,
    'num_frames': config.data.num_frames,
    'batch_size': config.run.batch_size,
    'steps': _STEPS.value,
    'rounds': _ROUNDS.value,
    'cores': os.cpu_count(),
    'results': results,
    'shares': shares,
  }


def main(argv):
  del argv
  result = _measure(_RUN.value) if _RUN.value else _compare()
  print(json.dumps(result, indent=None if _RUN.value else 2))


if __name__ == '__main__':
  app.run(main)
