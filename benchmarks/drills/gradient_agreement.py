"""Difference of reversible and stored gradients of a trained flow.

  python benchmarks/drills/gradient_agreement.py --json=gradient_agreement.json

Trains a Glow of the paper's depth on natvid. Then computes the gradient of the
same batch with `gradients='reversible'` and with 'stored', with the same
weights.
"""

import json
import os
import sys

from absl import app
from absl import flags

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

_STEPS = flags.DEFINE_integer(
  'training_steps', 200, 'Training steps with Adam.'
)
_HIDDEN = flags.DEFINE_integer('hidden', 64, 'Channels of the networks.')
_COUPLING = flags.DEFINE_enum(
  'coupling', 'additive', ['additive', 'affine'], 'Couplings of the steps.'
)
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Number of runs.')
_JSON = flags.DEFINE_string('json', None, 'File for the result.')


def _batches(seed, num):
  from train.config import data_sets
  from train.data import clip_batches
  from train.data import clips
  from train.data import datasets
  from train.data.decoding import decode

  source = datasets.make_source(data_sets.Natvid(num_frames=1))
  decoder = decode.Decoder(64, pixel_aspect=source.pixel_aspect)
  dataset = clip_batches.train_dataset(clips.Clips(source, 1, decoder), 8, seed)
  return dataset.take(num)


def _glows(seed):
  """The same Glow with both kinds of gradients: `dict`."""
  import tfp_cglow

  steps = {
    'additive': tfp_cglow.AdditiveSteps,
    'affine': tfp_cglow.AffineSteps,
  }[_COUPLING.value]
  return {
    gradients: tfp_cglow.build_glow(
      [64, 64, 3],
      num_glow_blocks=4,
      steps=steps(
        num_steps=32, hidden_channels=_HIDDEN.value, gradients=gradients
      ),
      seed=seed,
    )
    for gradients in ('reversible', 'stored')
  }


def _measure(seed):
  import numpy as np
  import tensorflow as tf
  import tensorflow_probability as tfp
  import tf_keras as tfk

  import tfp_cglow

  tfd = tfp.distributions
  glows = _glows(seed)
  flows = {
    k: tfd.TransformedDistribution(tfd.Sample(tfd.Normal(0.0, 1.0), 12288), g)
    for k, g in glows.items()
  }
  variables = {k: g.trainable_variables for k, g in glows.items()}

  def gradient_of(name):
    @tf.function
    def run(frames):
      with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(flows[name].log_prob(frames)) / 12288
      return loss, tape.gradient(loss, variables[name])

    return run

  gradient = {name: gradient_of(name) for name in glows}
  optimizer = tfk.optimizers.legacy.Adam(1e-4)
  noise = np.random.default_rng(seed)
  losses = []
  for frames, _ in _batches(seed, _STEPS.value + 1):
    frames = (frames[:, 0].numpy() + noise.uniform(0, 1, [8, 64, 64, 3])) / 256
    frames = (frames - 0.5).astype(np.float32)
    if not losses:
      tfp_cglow.adapt(glows['stored'], frames)
    if len(losses) < _STEPS.value:
      loss, gradients = gradient['stored'](frames)
      optimizer.apply_gradients(zip(gradients, variables['stored']))
    losses.append(float(loss))
  for a, b in zip(glows['reversible'].variables, glows['stored'].variables):
    a.assign(b)
  pairs = zip(gradient['reversible'](frames)[1], gradient['stored'](frames)[1])
  squares = np.sum(
    [[np.sum((a - b) ** 2), np.sum(b**2)] for a, b in _arrays(pairs)], axis=0
  )
  return {
    'seed': seed,
    'relative_difference': float(np.sqrt(squares[0] / squares[1])),
    'first_loss_nats_per_dim': losses[0],
    'last_loss_nats_per_dim': losses[-1],
  }


def _arrays(pairs):
  for a, b in pairs:
    yield a.numpy().astype('float64'), b.numpy().astype('float64')


def main(argv):
  del argv
  results = []
  for seed in range(_SEEDS.value):
    results.append(_measure(seed))
    print(json.dumps(results[-1]), flush=True)
  if _JSON.value:
    with open(_JSON.value, 'w') as f:
      json.dump({'coupling': _COUPLING.value, 'results': results}, f, indent=2)


if __name__ == '__main__':
  app.run(main)
