"""Memory of models that were built, used and dropped; prints JSON.

    python -m benchmarks.drills.memory_of_dropped_models

It builds flows, calls `log_prob` of each in a `tf.function` and drops them, and
then does the same with `VideoGlow.fit`. What a process still holds after that
should not grow: TFP's own cache kept every bijector (142 MiB for 31 flows).
"""

import gc
import json
import os
import weakref

from absl import app
from absl import flags
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as tfk

import tfp_cglow

tfd = tfp.distributions

_NUM_GLOWS = flags.DEFINE_integer('num_glows', 200, 'Flows to build.')
_NUM_FITS = flags.DEFINE_integer('num_fits', 20, 'Models to fit.')


def _mib():
  with open('/proc/self/statm') as f:
    pages = int(f.read().split()[1])
  return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def _use_glow(seed):
  glow = tfp_cglow.build_glow(
    [8, 8, 3], 2, tfp_cglow.AdditiveSteps(2, 8), seed=seed
  )
  base = tfd.Sample(tfd.Normal(0.0, 1.0), [192])
  flow = tfd.TransformedDistribution(base, glow)
  tf.function(flow.log_prob, autograph=False)(tf.zeros([2, 8, 8, 3]))
  return weakref.ref(glow)


def _fit(seed):
  steps = tfp_cglow.AdditiveSteps(1, 4)
  flow = tfp_cglow.build_video_flow(
    [8, 8, 3],
    tfp_cglow.GlowSpec(1, steps),
    tfp_cglow.TailSpec(1, steps),
    seed=seed,
  )
  model = tfp_cglow.VideoGlow(flow, seed=seed)
  model.compile(tfk.optimizers.legacy.Adam(1e-3))
  model.fit(np.zeros([2, 2, 8, 8, 3], np.uint8), verbose=0)
  tfk.backend.clear_session()
  return weakref.ref(flow)


def _measure(use, count):
  references, memory = [], []
  for i in range(count):
    references.append(use(i))
    gc.collect()
    memory.append(_mib())
  return {
    'count': count,
    'alive': sum(reference() is not None for reference in references),
    'mib_after_10': round(memory[min(9, count - 1)], 1),
    'mib_at_most': round(max(memory[9:], default=memory[-1]), 1),
    'mib_at_the_end': round(memory[-1], 1),
  }


def main(argv):
  del argv
  results = {
    'glows': _measure(_use_glow, _NUM_GLOWS.value),
    'fits': _measure(_fit, _NUM_FITS.value),
  }
  print(json.dumps(results, indent=2))


if __name__ == '__main__':
  app.run(main)
