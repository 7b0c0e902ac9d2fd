"""What the context processor costs the training of a tail.

  python benchmarks/speed/processor_share.py --preset=paper
  python benchmarks/speed/processor_share.py --preset=cglow_small --steps=20

The paper calls its processor of about 10,000 parameters "very lightweight".
Here a preset's tail takes training steps (random frames, no labels, no input
pipeline), with each processor of `tfp_cglow` and without:

  none               no state: the tail sees the previous frame alone
  residual, gru      a state: the paper's processor, and ConvGRU
  ..._width          a learned constant in place of the state, as many channels

Without a state the tail's context is narrower, and with it the context pyramid
(where `pyramid_channels` is None, the paper's way: every coupling network) and
ContextAffine. So there are two shares, each 1 - without / with:

  of_state      against `none`: the processor and all that its state widens
  of_processor  against `..._width`: the processor alone, forward and backward

A processor has the preset's `state_channels`, or if that has none of its kind
16 (residual, as 'paper') or 4 (gru, as 'cglow'). Each variant runs in a process
of its own, `--rounds` times in turn. A step's seconds are the shortest and the
median of all rounds; memory is the peak of resident memory, smallest of the
rounds, also without what is resident after the imports. The head, which has no
context, is not built. Differences of a few per cent need a quiet machine.
Prints JSON.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time

from absl import app
from absl import flags

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

_VARIANTS = ('none', 'residual_width', 'residual', 'gru_width', 'gru')
_STATE_CHANNELS = {'residual': 16, 'gru': 4}
_COSTS = (
  'best_step_seconds',
  'median_step_seconds',
  'peak_bytes',
  'peak_bytes_above_imports',
)

_PRESET = flags.DEFINE_enum(
  'preset', 'paper', ['paper', 'paper_small', 'cglow_small'], 'Of the tail.'
)
_FRAME_SIZE = flags.DEFINE_integer('frame_size', None, "If not the preset's.")
_NUM_FRAMES = flags.DEFINE_integer('num_frames', None, "If not the preset's.")
_BATCH_SIZE = flags.DEFINE_integer('batch_size', None, "If not the preset's.")
_STEPS = flags.DEFINE_integer('steps', 10, 'Timed, after two others.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Processes of each variant.')
_RUN = flags.DEFINE_string('run', None, 'Internal: one variant, as JSON.')


def _peak_bytes():
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _config(variant):
  from train.config import configs
  from train.config import presets

  config = presets.PRESETS[_PRESET.value]
  processor, _, _ = variant.partition('_')
  state_channels = _STATE_CHANNELS.get(processor, 0)
  if processor == config.processor and config.state_channels:
    state_channels = config.state_channels
  values = {
    'model': 'tail',
    'use_labels': False,
    'processor': config.processor if variant == 'none' else processor,
    'state_channels': state_channels,
    'frame_size': _FRAME_SIZE.value or config.frame_size,
    'num_frames': _NUM_FRAMES.value or config.num_frames,
    'batch_size': _BATCH_SIZE.value or config.batch_size,
  }
  return configs.override(config, [f'{k}={v}' for k, v in values.items()])


def _constant_state(state_channels):
  """In place of a processor: the same learned vector, always, everywhere."""
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
    model.flow.memory = _constant_state(config.state_channels)
    model.compile(tfk.optimizers.legacy.Adam(1e-4, epsilon=1e-8))
  return config, model


def _measure(variant):
  """One variant, in this process."""
  import numpy as np
  import tensorflow as tf

  import_bytes = _peak_bytes()
  config, model = _build(variant)
  rng = np.random.default_rng(0)
  shape = [config.batch_size, config.num_frames, *model.flow.frame_shape]
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
    'state_channels': config.state_channels,
    'parameters': {k: _num_parameters(v) for k, v in groups.items()},
    'step_seconds': seconds[2:],
    'peak_bytes': _peak_bytes(),
    'import_bytes': import_bytes,
  }


def _num_parameters(variables):
  return sum(int(v.shape.num_elements()) for v in variables)


def _run_alone(variant):
  """Runs `_measure` in a fresh process, with this one's flags."""
  command = [sys.executable, os.path.abspath(__file__), *sys.argv[1:]]
  done = subprocess.run(
    [*command, f'--run={variant}'], capture_output=True, text=True, check=False
  )
  if done.returncode:
    raise RuntimeError(f'{variant} failed:\n{done.stderr[-2000:]}')
  return json.loads(done.stdout.splitlines()[-1])


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
    {variant: _run_alone(variant) for variant in _VARIANTS}
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
  sizes = ('preset', 'frame_size', 'num_frames', 'batch_size')
  return {
    **{name: getattr(config, name) for name in sizes},
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
