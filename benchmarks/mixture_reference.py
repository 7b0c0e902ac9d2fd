"""What a plain network makes of the next frame: a reference without a flow.

  python benchmarks/mixture_reference.py --steps=3000 --seeds=3

Four convolutions from two previous frames to a mixture of five logistics over
the levels of each pixel and channel, each for itself (PixelCNN++'s likelihood
without its autoregression; `GridMixture`). Trained on natvid's training clips,
mirrored at random, on random frames of each; tested on the held-out clips. The
levels' code length is exact: no noise is drawn.

Prints JSON: bits/dim and seconds of training by seed, mean and deviation.
"""

import json
import os
import sys
import time

from absl import app
from absl import flags

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_STEPS = flags.DEFINE_integer('steps', 3000, 'Of training.')
_SEEDS = flags.DEFINE_integer('seeds', 3, 'How many runs.')
_HIDDEN = flags.DEFINE_integer('hidden_channels', 64, 'Of three layers.')
_FRAMES = flags.DEFINE_integer('frames_per_step', 2, 'Of each clip.')
_RATE = flags.DEFINE_float('learning_rate', 3e-3, 'At first; a cosine to 2e-4.')

_NUM_COMPONENTS = 5
_N_BITS = 5


def _network(channels):
  import tf_keras as tfk

  from tfp_cglow import grid_mixture

  outputs = channels * grid_mixture.NUM_PARAMETERS * _NUM_COMPONENTS
  hidden = [
    tfk.layers.Conv2D(_HIDDEN.value, 3, padding='same', activation='relu')
    for _ in range(3)
  ]
  last = tfk.layers.Conv2D(
    outputs, 3, padding='same', kernel_initializer='zeros'
  )
  return tfk.Sequential([*hidden, last])


def _bits(network, frames, times):
  """Mean bits/dim of the frames of uint8 `[B, T, H, W, C]` at `times`."""
  import tensorflow as tf

  import tfp_cglow
  from tfp_cglow import grid_mixture
  from tfp_cglow import shapes

  clean = tfp_cglow.quantise(frames, _N_BITS)
  size = clean.shape[2:].as_list()
  take = lambda lag: tf.reshape(
    tf.gather(clean, tf.maximum(times - lag, 0), axis=1), [-1, *size]
  )
  frame, previous, before = take(0), take(1), take(2)
  levels = 2.0**_N_BITS
  raw = network(tf.concat([2 * previous, levels * (previous - before)], -1))
  mixture = grid_mixture.GridMixture(
    shapes.reshape_trailing(raw, 1, [size[-1], raw.shape[-1] // size[-1]]),
    (previous + 0.5) * levels - 0.5,
    int(levels),
  )
  log_prob = tf.reduce_sum(mixture.log_density(frame), [-3, -2, -1])
  return tf.reduce_mean(tfp_cglow.bits_per_dim(log_prob, size, _N_BITS))


def _run(seed):
  """Held-out bits/dim, and seconds of training."""
  import numpy as np
  import tensorflow as tf
  import tf_keras as tfk

  from train import configs
  from train import inputs as inputs_lib

  tfk.utils.set_random_seed(seed)
  config = configs.Config(dataset='natvid', flip=True, seed=seed)
  inputs = inputs_lib.make_inputs(inputs_lib.resolve(config), os.devnull)
  network = _network(config.channels)
  network.build([None, config.frame_size, config.frame_size, 6])
  optimizer = tfk.optimizers.legacy.Adam(
    tfk.optimizers.schedules.CosineDecay(
      _RATE.value, _STEPS.value, alpha=2e-4 / _RATE.value
    ),
    epsilon=1e-8,
  )

  @tf.function
  def step(frames):
    times = tf.random.shuffle(tf.range(1, config.num_frames))
    with tf.GradientTape() as tape:
      bits = _bits(network, frames, times[: _FRAMES.value])
    variables = network.trainable_variables
    gradients, _ = tf.clip_by_global_norm(tape.gradient(bits, variables), 5.0)
    optimizer.apply_gradients(zip(gradients, variables))

  batches = inputs.train_dataset(0)
  start = None
  for frames, _ in batches.take(_STEPS.value):
    step(frames)
    start = start or time.perf_counter()  # The first step is the graph's.
  seconds = time.perf_counter() - start
  times = tf.range(1, config.num_frames)
  batches = [(f, len(f)) for f, _ in inputs.valid_dataset()]
  bits = np.average(
    [_bits(network, frames, times) for frames, _ in batches],
    weights=[size for _, size in batches],
  )
  return float(bits), seconds


def main(_):
  from benchmarks import training_runs

  bits, seconds = zip(*map(_run, range(_SEEDS.value)))
  result = {
    'command': ' '.join(['python', *sys.argv]),
    'bits_per_dim': training_runs.over_seeds(list(bits)),
    'seconds': list(seconds),
  }
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  app.run(main)
