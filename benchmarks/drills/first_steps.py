"""Do a preset's first steps, at its own size, improve on its start?

  python benchmarks/drills/first_steps.py --preset=paper --steps=50 --seeds=3 \\
      --set=data=natvid --set=data.frame_size=64 --set=data.num_frames=4

Builds the model, adapts it to a batch and trains it, without evaluations,
samples or files. `--set` is that of the training program.

Prints JSON: for each seed, the bits/dim of head and tail on held-out clips
after adaptation and after the steps, those of the steps' batches, the norms of
their gradients, the skipped steps, and for each of head and tail:

- `largest_over_first`: the largest loss of a step divided by the first one. The
  start is adapted to the first batch, so a deep flow may be much worse on the
  second one, whatever the step between them;
- `has_learned`: whether the held-out loss is lower after the steps.
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

_PRESET = flags.DEFINE_string('preset', 'paper', 'Preset of a flow.')
_SET = flags.DEFINE_multi_string('set', [], 'key=value of the config.')
_STEPS = flags.DEFINE_integer('steps', 50, 'Training steps.')
_SEEDS = flags.DEFINE_integer('seeds', 1, 'Seeds 0, 1, ...')
_FIRST_SEED = flags.DEFINE_integer('first_seed', 0, 'The first seed.')
_HELD_OUT_CLIPS = flags.DEFINE_integer('held_out', 8, 'Held-out clips.')


def _losses(logs):
  return {k: float(v) for k, v in logs.items() if 'bits_per_dim' in k}


def _run(seed):
  """The numbers of one seed: `dict`."""
  import tf_keras as tfk

  from train import commands
  from train.data import inputs as inputs_lib
  from train.loop import workers as workers_lib
  from train.systems.flow import models

  config = inputs_lib.resolve(
    commands.make_config(_PRESET.value, [*_SET.value, f'seed={seed}'])
  )
  inputs = inputs_lib.make_inputs(config, None)
  model = models.build_model(config, len(inputs.label_names))
  rows = workers_lib.Workers('default').rows(config.run.batch_size)
  batches = inputs.train_dataset(0, rows)
  model.adapt(*next(iter(batches)))
  held_out = inputs.valid_dataset().unbatch().take(_HELD_OUT_CLIPS.value)
  held_out = held_out.batch(1)
  steps = []

  class Recorder(tfk.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
      self.model.reset_metrics()  # So that the means are of this step.

    def on_train_batch_end(self, batch, logs=None):
      steps.append(dict(logs))
      print(seed, batch + 1, _losses(logs), file=sys.stderr, flush=True)

  evaluated = lambda: _losses(
    model.evaluate(held_out, return_dict=True, verbose=0)
  )
  adapted, start = evaluated(), time.perf_counter()
  model.fit(
    batches,
    steps_per_epoch=_STEPS.value,
    verbose=0,
    callbacks=[Recorder()],
  )
  seconds = time.perf_counter() - start
  after = evaluated()
  names = [k for k in steps[0] if 'bits_per_dim' in k or 'norm' in k]
  by_step = {k: [float(s[k]) for s in steps] for k in names}
  return {
    'seed': seed,
    'adapted': adapted,
    'by_step': by_step,
    'after': after,
    'skipped': sum(float(s['skipped_steps']) for s in steps),
    'largest_over_first': {k: max(by_step[k]) / by_step[k][0] for k in adapted},
    'has_learned': {k: after[k] < adapted[k] for k in adapted},
    'seconds_per_step': seconds / _STEPS.value,
  }


def main(argv):
  del argv
  first = _FIRST_SEED.value
  runs = [_run(seed) for seed in range(first, first + _SEEDS.value)]
  print(json.dumps({'preset': _PRESET.value, 'set': _SET.value, 'runs': runs}))


if __name__ == '__main__':
  app.run(main)
