"""Models of the next frame, not from this library, as a comparison.

  python benchmarks/experiments/reference_models.py \\
      --model=mixture --seconds=200 --seeds=3

- mixture: four convolutions from two previous frames to a mixture of five
  logistics over the levels, separate for each pixel and channel (PixelCNN++'s
  likelihood without its autoregression). There is no flow; the code length of
  the levels is exact, and no noise is drawn.
- videoflow: the priors of VideoFlow (Kumar et al. 2020, section 4). Every frame
  goes through the same unconditional multi-scale flow. Each level of its
  latents is Gaussian given the same level of the last two frames and the
  coarser levels of its own frame. Gated residual convolutions over the two
  latents replace the dilated 3-D residual networks.

Trained on the training clips of `--dataset`, mirrored at random, on random
frames of each; tested on the held-out clips, with uniform noise if the model is
a flow. Both see what the library's tails see: before a clip its first frame is
repeated. A run trains for `--seconds` after its graph is built; its first steps
determine how many steps fit.

Prints JSON: bits/dim, steps and seconds of training by seed; mean and
deviation.
"""

import json
import os
import sys
import time

from absl import app
from absl import flags

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

_MODEL = flags.DEFINE_enum(
  'model', 'mixture', ['mixture', 'videoflow'], 'The model.'
)
_DATASET = flags.DEFINE_string('dataset', 'natvid', 'Data set of clips.')
_SECONDS = flags.DEFINE_float('seconds', 200.0, 'Training seconds.')
_SEEDS = flags.DEFINE_list('seeds', ['0', '1', '2'], 'Seeds, a run for each.')
_HIDDEN = flags.DEFINE_integer(
  'hidden_channels', 64, 'Hidden channels of the networks.'
)
_FRAMES = flags.DEFINE_integer(
  'frames_per_step', 2, 'Frames of each clip in a step.'
)
_RATE = flags.DEFINE_float(
  'learning_rate', 3e-3, 'Initial rate; a cosine to 2e-4.'
)

_NUM_COMPONENTS = 5
_N_BITS = 5
_SIZE = [32, 32, 3]
_NUM_BLOCKS = 3
_PROBE_STEPS = 30
_WARMUP_STEPS = 50


class Mixture:
  """`log_prob` of a mixture of logistics whose parameters a network gives."""

  def __init__(self, seed):
    import tf_keras as tfk

    from tfp_cglow.bijectors.levels import grid_mixture

    tfk.utils.set_random_seed(seed)
    hidden = [
      tfk.layers.Conv2D(_HIDDEN.value, 3, padding='same', activation='relu')
      for _ in range(3)
    ]
    last = tfk.layers.Conv2D(
      _SIZE[-1] * grid_mixture.NUM_PARAMETERS * _NUM_COMPONENTS,
      3,
      padding='same',
      kernel_initializer='zeros',
    )
    self._network = tfk.Sequential([*hidden, last])
    self._network.build([None, *_SIZE[:2], 6])

  @property
  def variables(self):
    return self._network.trainable_variables

  def adapt(self, frame, previous, before):
    """Nothing to adapt."""

  def log_prob(self, frame, previous, before):
    """Of noisy frames `[N, H, W, C]` given clean ones: `[N]`, nats."""
    import tensorflow as tf

    from tfp_cglow.bijectors.levels import grid_mixture
    from tfp_cglow.internal import shapes

    levels = 2.0**_N_BITS
    raw = self._network(
      tf.concat([2 * previous, levels * (previous - before)], -1)
    )
    mixture = grid_mixture.GridMixture(
      shapes.reshape_trailing(raw, 1, [_SIZE[-1], raw.shape[-1] // _SIZE[-1]]),
      (previous + 0.5) * levels - 0.5,
      int(levels),
    )
    return tf.reduce_sum(mixture.log_density(frame), [-3, -2, -1])


class VideoFlow:
  """An unconditional flow of frames, latents given those of frames before."""

  def __init__(self, seed):
    import tensorflow as tf
    import tf_keras as tfk

    import tfp_cglow

    tfk.utils.set_random_seed(seed)
    self._glow = tfp_cglow.build_glow(
      _SIZE,
      _NUM_BLOCKS,
      tfp_cglow.AffineSteps(
        4, hidden_channels=_HIDDEN.value, gradients='stored'
      ),
      seed=seed,
    )
    self._networks = []
    coarser = 0
    for height, width, channels in reversed(self._glow.level_shapes()):
      inputs = tfk.Input([height, width, 3 * channels + coarser])
      h = tfk.layers.Conv2D(_HIDDEN.value, 3, padding='same')(inputs)
      for _ in range(3):
        update = tf.nn.relu(
          tfk.layers.Conv2D(_HIDDEN.value, 3, padding='same')(tf.nn.relu(h))
        )
        u, v = tf.split(tfk.layers.Conv2D(2 * _HIDDEN.value, 1)(update), 2, -1)
        h += u * tf.sigmoid(v)
      outputs = tfk.layers.Conv2D(
        2 * channels, 3, padding='same', kernel_initializer='zeros'
      )(tf.nn.relu(h))
      self._networks.insert(0, tfk.Model(inputs, outputs))
      coarser += channels

  @property
  def variables(self):
    of_priors = [v for n in self._networks for v in n.trainable_variables]
    return [*self._glow.trainable_variables, *of_priors]

  def adapt(self, frame, previous, before):
    import tfp_cglow

    del previous, before
    tfp_cglow.adapt(self._glow, frame)

  def log_prob(self, frame, previous, before):
    """Of noisy frames `[N, H, W, C]` given clean ones: `[N]`, nats."""
    import tensorflow as tf
    import tensorflow_probability as tfp

    frames = tf.stack([frame, previous, before])
    latents, log_det = (
      self._glow.inverse(frames),
      self._glow.inverse_log_det_jacobian(frames, 3)[0],
    )
    total, coarser = log_det, []
    levels = list(zip(self._networks, self._glow.split_latent(latents)))
    for network, level in reversed(levels):
      now, last, other = tf.unstack(level)
      size = now.shape[1:3].as_list()
      above = [tf.image.resize(c, size, 'nearest') for c in coarser]
      told = tf.concat([last, last - other, 0.5 * (last + other), *above], -1)
      shift, raw = tf.split(network(told), 2, -1)
      log_scale = 4.0 * tf.tanh(raw / 4.0)
      prior = tfp.distributions.Normal(last + shift, tf.exp(log_scale))
      total += tf.reduce_sum(prior.log_prob(now), [-3, -2, -1])
      coarser.append(now)
    return total


_MODELS = {'mixture': Mixture, 'videoflow': VideoFlow}


def _inputs(seed):
  from train.config import configs
  from train.config import overrides
  from train.data import inputs as inputs_lib

  assignments = configs.dataset_assignments(_DATASET.value)
  assignments += ['data.symmetry=mirror', f'seed={seed}']
  config = overrides.override(configs.Config(), assignments)
  return inputs_lib.make_inputs(inputs_lib.resolve(config), os.devnull)


def _triples(frames, times, seed):
  """Noisy frames at `times`, and the two clean ones before each."""
  import tensorflow as tf

  import tfp_cglow

  clean = tfp_cglow.quantise(frames, _N_BITS)
  take = lambda lag: tf.reshape(
    tf.gather(clean, tf.maximum(times - lag, 0), axis=1), [-1, *_SIZE]
  )
  frame = take(0)
  noise = tf.random.stateless_uniform(tf.shape(frame), seed)
  return tfp_cglow.dequantise(frame, _N_BITS, noise), take(1), take(2)


def _bits(model, *triples):
  import tensorflow as tf

  import tfp_cglow

  return tf.reduce_mean(
    tfp_cglow.bits_per_dim(model.log_prob(*triples), _SIZE, _N_BITS)
  )


def _train(model, inputs, num_steps, seed):
  """Trains; returns the seconds, without the first step's."""
  import tensorflow as tf
  import tf_keras as tfk

  optimizer = tfk.optimizers.legacy.Adam(
    tfk.optimizers.schedules.CosineDecay(
      0.0,
      max(num_steps - _WARMUP_STEPS, 1),
      alpha=2e-4 / _RATE.value,
      warmup_target=_RATE.value,
      warmup_steps=_WARMUP_STEPS,
    ),
    epsilon=1e-8,
  )
  start = None

  @tf.function
  def step(frames, i):
    times = tf.random.shuffle(tf.range(1, frames.shape[1]))[: _FRAMES.value]
    with tf.GradientTape() as tape:
      bits = _bits(model, *_triples(frames, times, [seed, i]))
    gradients, _ = tf.clip_by_global_norm(
      tape.gradient(bits, model.variables), 5.0
    )
    optimizer.apply_gradients(zip(gradients, model.variables))
    return bits

  for i, (frames, _) in enumerate(inputs.train_dataset(0).take(num_steps)):
    if not i:
      model.adapt(*_triples(frames, tf.constant([1, 2]), [seed, 0]))
    bits = step(frames, tf.constant(i)).numpy()
    start = start or time.perf_counter()
  seconds = time.perf_counter() - start
  print(f'{num_steps} steps, {seconds:.0f} s: {bits:.3f}', file=sys.stderr)
  return seconds


def _run(seed):
  """Held-out bits/dim, steps, and seconds of training."""
  import numpy as np
  import tensorflow as tf

  inputs = _inputs(seed)
  make = _MODELS[_MODEL.value]
  per_step = _train(make(seed), inputs, _PROBE_STEPS, seed) / (_PROBE_STEPS - 1)
  num_steps = max(round(_SECONDS.value / per_step), 1)
  model = make(seed)
  seconds = _train(model, inputs, num_steps, seed)
  evaluate = tf.function(
    lambda frames: _bits(
      model, *_triples(frames, tf.range(1, frames.shape[1]), [0, 0])
    )
  )
  batches = [(frames, len(frames)) for frames, _ in inputs.valid_dataset()]
  bits = np.average(
    [evaluate(frames) for frames, _ in batches],
    weights=[size for _, size in batches],
  )
  return float(bits), num_steps, seconds


def main(_):
  from benchmarks import training_runs

  bits, steps, seconds = zip(*(_run(int(seed)) for seed in _SEEDS.value))
  result = {
    'command': ' '.join(['python', *sys.argv]),
    'bits_per_dim': training_runs.over_seeds(list(bits)),
    'steps': list(steps),
    'seconds': list(seconds),
  }
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  app.run(main)
