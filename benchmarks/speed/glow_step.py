"""Start-up, step, sampling and memory of Glow, tfb.Glow and their convolutions.

  python benchmarks/speed/glow_step.py --size=paper --json=glow_step.json
  python benchmarks/speed/glow_step.py --size=small --sweep=depth

Every variant runs in its own process, one after the other. The convolution
floor is the time of exactly this model's convolutions, forward and backward
(or forward, for sampling), run one after another in the process of the variant
that it is compared with. Compare ratios within one run; seconds depend on the
machine.
"""

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Size:
  image: int
  blocks: int
  steps: int
  hidden: int
  coupling: str
  batch: int = 8


_SIZES = {
  'paper': Size(64, 4, 32, 512, 'additive'),
  'small': Size(32, 3, 8, 128, 'affine'),
}
_VARIANTS = ('reversible', 'stored', 'tfb.Glow')
_DEPTHS = (4, 8, 16, 32, 64)

_SIZE = flags.DEFINE_enum('size', 'small', list(_SIZES), 'Size of the model.')
_SWEEP = flags.DEFINE_enum(
  'sweep',
  'none',
  ['none', 'depth', 'batch'],
  'depth: 4 to 64 steps a block, reversible; batch: until 20 GB would end.',
)
_JSON = flags.DEFINE_string('json', None, 'File for the result.')
_REPEATS = flags.DEFINE_integer('repeats', 5, 'Timed steps; the median counts.')
_RUN = flags.DEFINE_string('run', None, 'Internal: one variant, as JSON.')


def _median_seconds(function, repeats):
  times = []
  for _ in range(repeats):
    start = time.perf_counter()
    function()
    times.append(time.perf_counter() - start)
  return statistics.median(times)


def _measure(size, variant, repeats, with_floor):
  """One variant, in this process."""
  import numpy as np
  import tensorflow as tf
  import tensorflow_probability as tfp
  import tf_keras as tfk

  rng = np.random.default_rng(0)
  shape = [size.image, size.image, 3]
  frames = tf.constant(
    rng.uniform(-0.5, 0.5, [size.batch, *shape]).astype(np.float32)
  )
  base_bytes = own_process.status_bytes('VmHWM')
  start = time.perf_counter()
  glow = _build_peer(size) if variant == 'tfb.Glow' else _build(size, variant)
  tfd = tfp.distributions
  num_dims = int(np.prod(shape))
  flow = tfd.TransformedDistribution(
    tfd.Sample(tfd.Normal(0.0, 1.0), [num_dims]), glow
  )
  if variant == 'tfb.Glow':
    flow.log_prob(frames)  # Its first call creates the variables.
  else:
    import tfp_cglow

    tfp_cglow.adapt(glow, frames)
  variables = list(glow.trainable_variables)
  optimizer = tfk.optimizers.legacy.Adam(1e-4, epsilon=1e-8)
  optimizer._create_all_weights(variables)  # Both, or they would trace twice.

  @tf.function
  def step(frames):
    with tf.GradientTape() as tape:
      loss = -tf.reduce_mean(flow.log_prob(frames)) / num_dims
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    return loss

  step(frames).numpy()
  result = {'startup_seconds': time.perf_counter() - start}
  result['step_seconds'] = _median_seconds(
    lambda: step(frames).numpy(), repeats
  )
  result['peak_bytes'] = own_process.status_bytes('VmHWM')
  result['import_bytes'] = base_bytes
  result['parameter_bytes'] = 4 * sum(int(np.prod(v.shape)) for v in variables)

  @tf.function
  def sample(seed):
    return flow.sample(size.batch, seed=seed)

  seed = tf.constant([1, 2])
  sample(seed).numpy()
  result['sample_seconds'] = _median_seconds(
    lambda: sample(seed).numpy(), repeats
  )
  if with_floor:
    result.update(_floor(size, repeats))
  return result


def _build(size, gradients):
  import tfp_cglow

  steps = {
    'additive': tfp_cglow.AdditiveSteps,
    'affine': tfp_cglow.AffineSteps,
  }[size.coupling]
  return tfp_cglow.build_glow(
    [size.image, size.image, 3],
    num_glow_blocks=size.blocks,
    steps=steps(size.steps, hidden_channels=size.hidden, gradients=gradients),
    seed=0,
  )


def _build_peer(size):
  """tfb.Glow with the same coupling networks, as Keras layers."""
  import tensorflow_probability as tfp
  import tf_keras as tfk

  outputs = 1 if size.coupling == 'additive' else 2

  def network(input_shape):
    conv = tfk.layers.Conv2D
    return tfk.Sequential(
      [
        tfk.layers.Input(input_shape),
        conv(size.hidden, 3, padding='same', activation='relu'),
        conv(size.hidden, 1, padding='same', activation='relu'),
        conv(
          outputs * input_shape[-1],
          3,
          padding='same',
          kernel_initializer='zeros',
        ),
      ]
    )

  def exit_network(input_shape, output_chan):
    conv = tfk.layers.Conv2D(
      2 * output_chan, 3, padding='same', kernel_initializer='zeros'
    )
    return tfk.Sequential([tfk.layers.Input(input_shape), conv])

  return tfp.bijectors.Glow(
    output_shape=[size.image, size.image, 3],
    num_glow_blocks=size.blocks,
    num_steps_per_block=size.steps,
    coupling_bijector_fn=network,
    exit_bijector_fn=exit_network,
    use_actnorm=True,
  )


def _floor(size, repeats):
  """Seconds of the model's convolutions alone, without recomputation."""
  import tensorflow as tf

  outputs = 1 if size.coupling == 'additive' else 2
  calls, channels, side = [], 3, size.image
  for _ in range(size.blocks):
    side, channels = side // 2, channels * 4
    half = channels // 2
    x = tf.random.normal([size.batch, side, side, half])
    kernels = [
      tf.random.normal([3, 3, half, size.hidden]),
      tf.random.normal([1, 1, size.hidden, size.hidden]),
      tf.random.normal([3, 3, size.hidden, half * outputs]),
    ]
    calls.append((x, kernels))
    channels = half

  def convolve(x, kernels):
    for kernel in kernels:
      x = tf.nn.conv2d(x, kernel, 1, 'SAME')
    return x

  def repeat(function):
    """`function` on every block, as often as the block has steps."""

    def run():
      total = tf.zeros([])
      for x, kernels in calls:
        for _ in tf.range(size.steps):
          # The sum of one element keeps every call alive, and in order.
          total += function(x + 0.0 * total, kernels)
      return total

    return tf.function(run)

  def both(x, kernels):
    with tf.GradientTape() as tape:
      tape.watch([x, kernels])
      y = convolve(x, kernels)
    gradients = tape.gradient(y, [x, *kernels], output_gradients=y)
    return sum(tf.reshape(g, [-1])[0] for g in gradients)

  def forward(x, kernels):
    return tf.reshape(convolve(x, kernels), [-1])[0]

  result = {}
  for name, function in (('step', both), ('sample', forward)):
    run = repeat(function)
    run().numpy()
    seconds = _median_seconds(lambda run=run: run().numpy(), repeats)
    result[f'{name}_floor_seconds'] = seconds
  return result


def _run_alone(size, variant, with_floor=False):
  """Runs `_measure` in a fresh process."""
  request = json.dumps(
    {
      'size': dataclasses.asdict(size),
      'variant': variant,
      'repeats': _REPEATS.value,
      'with_floor': with_floor,
    }
  )
  result = own_process.run_again(f'--run={request}')
  print(
    f'{variant:12}steps {size.steps:3} batch {size.batch:3}  '
    f'start-up {result["startup_seconds"]:6.1f} s  '
    f'step {result["step_seconds"]:6.2f} s  '
    f'sample {result["sample_seconds"]:6.2f} s  '
    f'peak {result["peak_bytes"] / 2**30:5.2f} GiB',
    flush=True,
  )
  return result


def _compare(size):
  results = {v: _run_alone(size, v, with_floor=True) for v in _VARIANTS}
  peer = results['tfb.Glow']
  ratios = {}
  for name in ('reversible', 'stored'):
    ours = results[name]
    ratios[name] = {
      key: ours[key] / peer[key]
      for key in (
        'startup_seconds',
        'step_seconds',
        'sample_seconds',
        'peak_bytes',
      )
    }
    for key in ('step', 'sample'):
      ratios[name][f'{key}_to_floor'] = (
        ours[f'{key}_seconds'] / ours[f'{key}_floor_seconds']
      )
  ratios['reversible']['step_to_stored'] = (
    results['reversible']['step_seconds'] / results['stored']['step_seconds']
  )
  for name, values in ratios.items():
    print(f'{name}, ratios to tfb.Glow and to the floor:')
    for key, value in values.items():
      print(f'  {key:18}{value:6.3f}')
  return {'results': results, 'ratios': ratios}


def _sweep_depth(size):
  results = {
    depth: _run_alone(dataclasses.replace(size, steps=depth), 'reversible')
    for depth in _DEPTHS
  }
  shallow, deep = results[8], results[64]
  added = deep['parameter_bytes'] - shallow['parameter_bytes']
  summary = {
    'startup_64_to_8': deep['startup_seconds'] / shallow['startup_seconds'],
    'overhead_64_to_8': _overhead(deep) / _overhead(shallow),
    'peak_64_bytes': deep['peak_bytes'],
    'peak_bound_bytes': 1.1 * shallow['peak_bytes'] + 6 * added,
  }
  print(json.dumps(summary, indent=2))
  return {'results': results, 'summary': summary}


def _overhead(result):
  """Start-up without its arithmetic: one step, and one pass to adapt."""
  arithmetic = result['step_seconds'] + result['sample_seconds']
  return result['startup_seconds'] - arithmetic


def _sweep_batch(size):
  """Doubles the batch while twice the last peak fits into 20 GB."""
  results = {}
  for variant in _VARIANTS:
    results[variant], batch, peak = {}, size.batch, 0
    while 2 * peak < 20e9:
      result = _run_alone(dataclasses.replace(size, batch=batch), variant)
      results[variant][batch] = result
      batch, peak = 2 * batch, result['peak_bytes']
  return {'results': results}


def main(argv):
  del argv
  if _RUN.value:
    request = json.loads(_RUN.value)
    request['size'] = Size(**request['size'])
    print(json.dumps(_measure(**request)))
    return
  size = _SIZES[_SIZE.value]
  modes = {'none': _compare, 'depth': _sweep_depth, 'batch': _sweep_batch}
  result = modes[_SWEEP.value](size)
  result['size'] = dataclasses.asdict(size)
  result['cores'] = os.cpu_count()
  if _JSON.value:
    with open(_JSON.value, 'w') as f:
      json.dump(result, f, indent=2)


if __name__ == '__main__':
  app.run(main)
