"""Latency and memory of an exported model's signatures.

  python benchmarks/speed/serving.py --preset=demo --repeats=20

Exports a model with random weights and calls, each in its own process:

- the SavedModel's `sample` of 1 and 8 rows, 1 and 30 frames, its `next_frame`
  and `log_prob`;
- the same of the Python model (its next frame is a continuation of one frame by
  one);
- one frame of `tfb.Glow` of the same size (blocks, steps and hidden channels of
  the head), with its own sampling, in a `tf.function`.

Prints JSON:

- the median and the 95th percentile of the seconds after two calls of warm-up;
- `start_mib`, the resident memory after the warm-up, and `peak_mib`, its peak
  during the calls after it, by the kernel's record, which needs Linux;
- `rollout_ratio`: the time of one `sample` of 30 frames over that of 30 single
  samples of the tail and one of the head with cached inverses, all of one row:
  the flows' `forward` alone in `tf.function`s, without context, quantisation
  and checks. Both are measured in turn; the median of the quotients counts;
- `ratios`, measured in the same way: the SavedModel's time over the Python
  model's and tfb.Glow's for the same call. Other work on the machine disturbs
  them less than the medians.
"""

import functools
import json
import os
import sys
import tempfile
import time

from absl import app
from absl import flags
import numpy as np

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from benchmarks import own_process  # noqa: E402

_PRESET = flags.DEFINE_string('preset', 'demo', 'Preset of the model.')
_FRAME_SIZE = flags.DEFINE_integer('frame_size', None, "Default: the preset's.")
_REPEATS = flags.DEFINE_integer('repeats', 20, 'Calls that are timed.')
_ONLY = flags.DEFINE_list(
  'only', [], 'Some of saved_model, python, glow, rollout, ratios.'
)
_RUN = flags.DEFINE_string('run', None, 'Internal: one measurement.')
_EXPORT = flags.DEFINE_string('export', None, 'Internal: the SavedModel.')

_NUM_LABELS = 4
_SAMPLES = [(rows, frames) for rows in (1, 8) for frames in (1, 30)]


def _flow():
  from train.config import overrides
  from train.config import presets
  from train.systems.flow import models

  config = presets.PRESETS[_PRESET.value]
  size = _FRAME_SIZE.value or config.data.frame_size
  config = overrides.override(config, [f'data.frame_size={size}'])
  return models.build_model(config, _NUM_LABELS).flow, config


def _draw(num_rows):
  import tensorflow as tf

  return {
    'labels': tf.range(num_rows) % _NUM_LABELS,
    'seed': tf.stack([tf.range(num_rows), tf.range(num_rows)], axis=1),
    'temperature': tf.fill([num_rows], 1.0),
    'min_p': tf.fill([num_rows], 0.0),
  }


def _zeros(*shape):
  import tensorflow as tf

  return tf.zeros(shape, tf.uint8)


def _saved_model_calls():
  import tensorflow as tf

  loaded = tf.saved_model.load(_EXPORT.value)
  signatures = loaded.signatures
  frame_shape = signatures['first_frame'].structured_outputs['frame'].shape[1:]
  first = signatures['first_frame'](**_draw(1))
  calls = {
    f'sample_{rows}x{frames}': functools.partial(
      signatures['sample'], **_draw(rows), num_frames=tf.fill([rows], frames)
    )
    for rows, frames in _SAMPLES
  }
  calls['next_frame'] = functools.partial(
    signatures['next_frame'], **_draw(1), **first
  )
  calls['log_prob'] = functools.partial(
    signatures['log_prob'],
    frames=_zeros(1, 8, *frame_shape),
    labels=tf.constant([0]),
  )
  return calls, loaded


def _python_calls():
  import tensorflow as tf

  flow, _ = _flow()
  calls = {
    f'sample_{rows}x{frames}': functools.partial(
      flow.sample, num_frames=frames, **_draw(rows)
    )
    for rows, frames in _SAMPLES
  }
  calls['next_frame'] = functools.partial(
    flow.sample,
    num_frames=2,
    first_frames=_zeros(1, 1, *flow.frame_shape),
    **_draw(1),
  )
  calls['log_prob'] = functools.partial(
    tf.function(flow.log_prob),
    _zeros(1, 8, *flow.frame_shape),
    tf.constant([0]),
  )
  return calls, flow


def _glow_calls():
  """`tfb.Glow`, drawing one frame."""
  import tensorflow as tf
  import tensorflow_probability as tfp

  flow, config = _flow()
  head = config.model.head
  glow = tfp.bijectors.Glow(
    output_shape=flow.frame_shape,
    num_glow_blocks=head.num_glow_blocks,
    num_steps_per_block=head.steps.num_steps,
    coupling_bijector_fn=functools.partial(
      tfp.bijectors.GlowDefaultNetwork, num_hidden=head.steps.hidden_channels
    ),
    exit_bijector_fn=tfp.bijectors.GlowDefaultExitNetwork,
  )
  peer = tfp.distributions.TransformedDistribution(flow.base, glow)
  peer.sample(1)  # Creates its variables.
  calls = {
    f'sample_{rows}x1': functools.partial(tf.function(peer.sample), rows)
    for rows in (1, 8)
  }
  return calls, peer


_CALLS = {
  'saved_model': _saved_model_calls,
  'python': _python_calls,
  'glow': _glow_calls,
}


def _seconds(call):
  import tensorflow as tf

  start = time.perf_counter()
  tf.nest.map_structure(lambda t: t.numpy(), call())
  return time.perf_counter() - start


def _measure(who, name):
  calls, _kept = _CALLS[who]()  # A function does not keep its model alive.
  call = calls[name]
  for _ in range(2):
    call()
  own_process.reset_peak()
  start_mib = own_process.status_bytes('VmRSS') / 2**20
  seconds = [_seconds(call) for _ in range(_REPEATS.value)]
  return {
    'median_seconds': float(np.median(seconds)),
    'p95_seconds': float(np.percentile(seconds, 95)),
    'start_mib': start_mib,
    'peak_mib': own_process.status_bytes('VmHWM') / 2**20,
  }


def _flow_call(glow, num_channels):
  """One sample of a flow, by its `forward`."""
  import tensorflow as tf

  height, width, _ = glow.output_shape
  num_dims = int(np.prod(glow.output_shape))
  conditions = {}
  if 'context' in glow.conditions:
    conditions['context'] = tf.zeros([1, height, width, num_channels])
  if 'label' in glow.conditions:
    conditions['label'] = tf.constant([0])

  @tf.function
  def forward(z):
    return glow.forward(z, **conditions)

  z = tf.random.stateless_normal([1, num_dims], [0, 0])
  return functools.partial(forward, z)


def _measure_rollout():
  from train.serving import frozen

  calls, _kept = _saved_model_calls()
  flow = frozen.frozen(_flow()[0])
  state = 0 if flow.memory is None else flow.memory.state_channels
  channels = flow.frame_shape[-1] * flow.previous_frames + state
  head, tail = (_flow_call(g, channels) for g in (flow.head, flow.tail))
  rollout = calls['sample_1x30']
  for call in (head, tail, rollout):
    call()
    call()
  ours, theirs = [], []
  for _ in range(_REPEATS.value):
    ours.append(_seconds(rollout))
    theirs.append(_seconds(head) + sum(_seconds(tail) for _ in range(30)))
  return {
    'rollout_seconds': float(np.median(ours)),
    'single_samples_seconds': float(np.median(theirs)),
    'rollout_ratio': float(np.median(np.divide(ours, theirs))),
  }


def _measure_ratios():
  made = {who: make() for who, make in _CALLS.items()}
  ours, _kept = made.pop('saved_model')
  ratios = {who: {} for who in made}
  for who, (calls, _) in made.items():
    for name, call in calls.items():
      pair = (ours[name], call)
      for warm_up in pair * 2:
        warm_up()
      turns = [[_seconds(c) for c in pair] for _ in range(_REPEATS.value)]
      ratios[who][name] = float(np.median([a / b for a, b in turns]))
  return {'ratios': ratios}


_IN_TURN = {'rollout': _measure_rollout, 'ratios': _measure_ratios}


def _run_alone(what, path):
  """One measurement in a fresh process, with this one's flags."""
  result = own_process.run_again(f'--run={what}', f'--export={path}')
  text = json.dumps(result)
  print(
    what, text, file=sys.stderr, flush=True
  )  # All calls together take minutes.
  return result


def _compare(folder):
  from train.serving import export

  flow, config = _flow()
  start = time.perf_counter()
  path = export.export_model(flow, folder)
  seconds = time.perf_counter() - start
  names = [f'sample_{r}x{f}' for r, f in _SAMPLES]
  cases = {
    'saved_model': [*names, 'next_frame', 'log_prob'],
    'python': [*names, 'next_frame', 'log_prob'],
    'glow': ['sample_1x1', 'sample_8x1'],
  }
  only = _ONLY.value or [*cases, *_IN_TURN]
  results = {
    who: {name: _run_alone(f'{who}:{name}', path) for name in cases[who]}
    for who in cases
    if who in only
  }
  for what in _IN_TURN:
    if what in only:
      results.update(_run_alone(what, path))
  return {
    'preset': _PRESET.value,
    'frame_size': config.data.frame_size,
    'repeats': _REPEATS.value,
    'export_seconds': seconds,
    **results,
  }


def main(argv):
  del argv
  if _RUN.value in _IN_TURN:
    print(json.dumps(_IN_TURN[_RUN.value]()))
  elif _RUN.value:
    print(json.dumps(_measure(*_RUN.value.split(':'))))
  else:
    with tempfile.TemporaryDirectory() as folder:
      print(json.dumps(_compare(folder), indent=2))


if __name__ == '__main__':
  app.run(main)
