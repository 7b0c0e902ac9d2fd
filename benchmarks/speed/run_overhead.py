"""What guards, logs and checkpoints cost, as shares of a step's time.

  python benchmarks/speed/run_overhead.py --blocks=60

Trains the preset cglow_small on natvid with one batch in memory. Blocks of two
kinds of steps alternate on the same model:

  bare     loss, gradients, clipping and the optimiser's update in a tf.function
  guarded  Keras' own training function: `VideoGlow.train_step`, which also
           judges each step, skips it if necessary and updates the metrics

Then the parts outside a step are timed: the callbacks of a step where nothing
is due; a line of logs (metrics.jsonl, TensorBoard, progress, the parameters'
movement); and a checkpoint (written, synced, read back, compared, hashed). They
are spread over `log_every` and `checkpoint_every` steps. Evaluation is left
out, because the user asks for it.

All is measured by the wall clock and by processor time. Other programs disturb
processor time less, but it does not include waiting for the disk. The step's
ratio is the median over neighbouring blocks. Prints JSON.
"""

import json
import os
import statistics
import sys
import tempfile
import time

from absl import app
from absl import flags

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

_BLOCKS = flags.DEFINE_integer('blocks', 60, 'Blocks of each kind of step.')
_BLOCK_STEPS = flags.DEFINE_integer('block_steps', 3, 'Steps of a block.')
_REPEATS = flags.DEFINE_integer('repeats', 15, 'Logs and checkpoints timed.')
_PRESET = flags.DEFINE_string('preset', 'cglow_small', 'Preset of the model.')
_DATASET = flags.DEFINE_string(
  'dataset', 'natvid', 'Data set of the one batch.'
)
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Where logs and checkpoints go; else a temporary folder.'
)
_OUTPUT = flags.DEFINE_string(
  'output', None, 'A file to write the JSON to, too.'
)

# As in `VideoGlow.compile`.
_CLIP_NORMS = {'head': 50.0, 'tail': 5.0, 'processor': 5.0}
_CLOCKS = {'wall': time.perf_counter, 'processor': time.process_time}


def _build(folder):
  from train.config import configs
  from train.config import overrides
  from train.config import presets
  from train.data import inputs as inputs_lib
  from train.systems.flow import models

  config = overrides.override(
    presets.PRESETS[_PRESET.value],
    configs.dataset_assignments(_DATASET.value),
  )
  config = inputs_lib.resolve(config)
  inputs = inputs_lib.make_inputs(config, folder.skipped_log)
  return config, inputs, models.build_model(config, len(inputs.label_names))


def _bare_step(model):
  """A training step of an iterator: without guard, metrics and tf.cond."""
  import tensorflow as tf

  from tfp_cglow.video import likelihood
  from tfp_cglow.video import objective

  submodels = model.submodels()
  groups = {k: list(m.trainable_variables) for k, m in submodels.items()}
  seed = likelihood.as_seed(0)

  @tf.function
  def step(iterator):
    frames, label = next(iterator)
    with tf.GradientTape() as tape:
      losses = objective.loss_terms(
        model.flow,
        model.train_loss,
        frames,
        label,
        likelihood.fold_in(seed, tf.cast(model.optimizer.iterations, tf.int32)),
        tf.range(tf.shape(frames)[0]),
      )
    gradients = tape.gradient(losses['loss'], groups)
    pairs = []
    for name, variables in groups.items():
      clipped, _ = tf.clip_by_global_norm(gradients[name], _CLIP_NORMS[name])
      pairs += zip(clipped, variables)
    model.optimizer.apply_gradients(pairs)
    return losses['loss']

  return step


def _seconds(function, *args):
  """Seconds of a call by each of `_CLOCKS`."""
  before = [clock() for clock in _CLOCKS.values()]
  function(*args)
  return [clock() - b for clock, b in zip(_CLOCKS.values(), before)]


def _by_clock(average, seconds):
  """`dict` from a clock's name to its average."""
  return {c: average(values) for c, values in zip(_CLOCKS, zip(*seconds))}


def _time_steps(steps):
  """Medians of two alternating kinds of steps, and of the blocks' ratios."""

  def block(step):
    return [_seconds(step) for _ in range(_BLOCK_STEPS.value)]

  for step in steps.values():  # Traces.
    step()
    step()
  blocks = {name: [] for name in steps}
  for n in range(_BLOCKS.value):
    # The order alternates, so a drift favours neither.
    for name in list(steps)[:: 1 if n % 2 else -1]:
      blocks[name].append(block(steps[name]))
  result = {}
  for k, clock in enumerate(_CLOCKS):
    by_block = {
      name: [statistics.median(s[k] for s in b) for b in rows]
      for name, rows in blocks.items()
    }
    ratios = [
      g / b for b, g in zip(by_block['bare'], by_block['guarded'], strict=True)
    ]
    quarters = statistics.quantiles(ratios, n=4)
    result[clock] = {
      **{f'{k}_seconds': statistics.median(v) for k, v in by_block.items()},
      'ratio': quarters[1],
      'ratio_quartiles': [quarters[0], quarters[2]],
    }
  return result


def _callbacks(config, folder, inputs, model, board):
  """Callbacks of an endless run, by what is timed."""
  from train.loop import callbacks
  from train.loop import interrupts
  from train.loop import parameter_watch
  from train.loop import recovery

  endless = 10**9
  watch = parameter_watch.ParameterWatch(model.parameter_groups())
  evaluation = callbacks.Evaluation(0, endless, endless, lambda step: None)
  logging_callback = callbacks.Logging(
    0, endless, config.run.log_every, folder, inputs, watch, board
  )
  others = [
    recovery.SkipWatch(0, config.run.skips_to_restore),
    callbacks.Interruption(0, endless, interrupts.Interrupts()),
    evaluation,
    callbacks.Checkpointing(0, endless, endless, None, evaluation),
  ]
  for callback in (logging_callback, *others):
    callback.set_model(model)
  return logging_callback, others


def _time_callbacks(config, folder, inputs, model, logs):
  """Seconds of a line of logs, median, and of other steps' callbacks, mean."""
  from train.loop import tensorboard_log

  with tensorboard_log.TensorBoardLog(folder.tensorboard) as board:
    log, others = _callbacks(config, folder, inputs, model, board)
    log.on_train_begin()

    def step(batch):
      for callback in (log, *others):
        callback.on_train_batch_begin(batch)
        callback.on_train_batch_end(batch, logs)

    num_batches = config.run.log_every * _REPEATS.value
    idle = [_seconds(step, n) for n in range(num_batches)]
    log.on_train_end()
  due = idle[config.run.log_every - 1 :: config.run.log_every]
  del idle[config.run.log_every - 1 :: config.run.log_every]
  return _by_clock(statistics.median, due), _by_clock(statistics.fmean, idle)


def _time_checkpoints(config, folder, model):
  """Median seconds of a checkpoint, and its size in megabytes."""
  from train.storage import checkpoints as checkpoints_lib

  checkpoints = checkpoints_lib.Checkpoints(
    checkpoints_lib.parts_of(model),
    folder.checkpoints,
    config.run.keep_checkpoints,
  )
  seconds = [_seconds(checkpoints.save, n) for n in range(_REPEATS.value)]
  newest = max(folder.checkpoints.glob('step_*'))
  size = sum(path.stat().st_size for path in newest.iterdir())
  return _by_clock(statistics.median, seconds), size / 1e6


def _measure(path):
  import tensorflow as tf

  from train.storage import run_folder

  folder = run_folder.RunFolder(path)
  folder.create()
  config, inputs, model = _build(folder)
  batch = next(iter(inputs.train_dataset(0)))
  model.adapt(*batch)
  iterator = iter(tf.data.Dataset.from_tensors(batch).repeat())
  bare = _bare_step(model)
  guarded = model.make_train_function()
  logs = {}

  def guarded_step():
    logs.update(guarded(iterator))
    logs['loss'].numpy()

  steps = _time_steps(
    {'bare': lambda: bare(iterator).numpy(), 'guarded': guarded_step}
  )
  log, idle = _time_callbacks(config, folder, inputs, model, logs)
  checkpoint, megabytes = _time_checkpoints(config, folder, model)
  return {
    'preset': _PRESET.value,
    'log_every': config.run.log_every,
    'checkpoint_every': config.run.checkpoint_every,
    'checkpoint_megabytes': megabytes,
    **{
      clock: {
        **steps[clock],
        'callbacks_seconds': idle[clock],
        'log_seconds': log[clock],
        'checkpoint_seconds': checkpoint[clock],
        'percent_of_a_step': _percents(
          steps[clock],
          callbacks=idle[clock],
          logs=log[clock] / config.run.log_every,
          checkpoints=checkpoint[clock] / config.run.checkpoint_every,
        ),
      }
      for clock in _CLOCKS
    },
  }


def _percents(steps, **seconds):
  """Percents that each part adds to a bare step, and the sum: `dict`."""
  percents = {k: 100 * v / steps['bare_seconds'] for k, v in seconds.items()}
  percents = {'guards_and_metrics': 100 * (steps['ratio'] - 1), **percents}
  return {**percents, 'all': sum(percents.values())}


def main(argv):
  del argv
  with tempfile.TemporaryDirectory() as temporary:
    result = _measure(_WORKDIR.value or temporary)
  text = json.dumps(result, indent=2)
  print(text)
  if _OUTPUT.value:
    with open(_OUTPUT.value, 'w', encoding='utf-8') as f:
      f.write(text + '\n')


if __name__ == '__main__':
  app.run(main)
