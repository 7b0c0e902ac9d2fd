"""Models training on many GPUs, from parts of which some are measured.

  python benchmarks/speed/scaling_model.py --output=markdown

- Counted, for each of `--presets`: the bytes of its gradients.
- Measured on this machine's processor: the seconds of a training step of
  `--measured_preset` by batch size.
- Given by flags, as measured elsewhere (docs/speed.md): decoded clips a second.
- Assumed, because no GPU was measured: the seconds of a GPU's step and the
  links' bandwidths.

Modelled: a step is the GPU's own step, then a ring all-reduce of the gradients,
2 (n - 1) / n times their bytes over the slowest link, without overlap. Latency,
small exchanges, stragglers, evaluation and checkpoints are left out, so the
times are lower bounds.

Prints JSON, or the table of docs/scaling.md.
"""

import json
import math
import os
import sys
import time

from absl import app
from absl import flags
import numpy as np

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from train.config import presets as presets_lib  # noqa: E402

_PRESETS = flags.DEFINE_list(
  'presets', ['paper', 'cglow'], 'The first is modelled.'
)
_LABELS = flags.DEFINE_integer('labels', 200, 'Labels of Moments in Time Mini.')
_CLIPS = flags.DEFINE_integer('clips', 100_000, 'Clips of an epoch.')
_MEASURED_PRESET = flags.DEFINE_string(
  'measured_preset', 'cglow_small', 'Preset whose steps are timed.'
)
_MEASURED_BATCHES = flags.DEFINE_list(
  'measured_batches', ['2', '4', '8'], 'Clips a step; none: no timing.'
)
_MEASURED_STEPS = flags.DEFINE_integer(
  'measured_steps', 5, 'Timed steps; the best counts.'
)
_GPUS = flags.DEFINE_list(
  'gpus', ['1', '8', '16', '32', '64'], 'Numbers of GPUs.'
)
_GPUS_A_NODE = flags.DEFINE_integer('gpus_a_node', 8, 'Most GPUs of a machine.')
_CLIPS_A_GPU = flags.DEFINE_integer('clips_a_gpu', 8, "Clips of a GPU's step.")
_GPU_SECONDS = flags.DEFINE_list(
  'gpu_step_seconds', ['0.2', '1'], 'ASSUMED, a step of `clips_a_gpu`.'
)
_BETWEEN = flags.DEFINE_list('between_gbit', ['25', '100'], 'ASSUMED, Gbit/s.')
_WITHIN = flags.DEFINE_float('within_gbyte', 300.0, 'ASSUMED, GB/s in a node.')
_DECODED = flags.DEFINE_float(
  'decoded', 110 / 2, 'Clips a second and core: 110 on 2 cores.'
)
_OUTPUT = flags.DEFINE_enum(
  'output', 'json', ['json', 'markdown'], 'Output format.'
)


def _gradient_bytes(preset):
  from train.systems.flow import models

  model = models.build_model(presets_lib.PRESETS[preset], _LABELS.value)
  sizes = [math.prod(v.shape) * v.dtype.size for v in model.trainable_variables]
  return sum(sizes)


def _step_seconds(preset, batch_size):
  """Seconds of the best of a few steps, after the one that compiles.

  Args:
    preset: Name in `presets.PRESETS`.
    batch_size: Python `int`, clips of random pixels.

  Returns:
    `dict`: seconds, and those of all the processor's threads together, which
    other programs disturb less.
  """
  import tensorflow as tf
  import tf_keras as tfk

  from train.systems.flow import models

  config = presets_lib.PRESETS[preset]
  data = config.data
  size = [data.frame_size, data.frame_size, data.channels]
  shape = [batch_size, data.num_frames, *size]
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, shape).astype(np.uint8)
  labels = np.arange(batch_size, dtype=np.int32) % 4
  model = models.build_model(config, num_labels=4)
  times = []
  # Keras passes numbers to a callback, so the step has ended.
  clock = tfk.callbacks.LambdaCallback(
    on_batch_end=lambda batch, logs: times.append(
      (time.perf_counter(), time.process_time())
    )
  )
  model.fit(
    tf.data.Dataset.from_tensors((frames, labels)).repeat(),
    steps_per_epoch=1 + _MEASURED_STEPS.value,
    verbose=0,
    callbacks=[clock],
  )
  best = np.diff(times, axis=0).min(axis=0)
  return dict(zip(('seconds', 'processor_seconds'), map(float, best)))


def _all_reduce_seconds(num_bytes, num_gpus, between_gbit):
  is_one_node = num_gpus <= _GPUS_A_NODE.value
  bandwidth = _WITHIN.value * 1e9 if is_one_node else between_gbit * 1e9 / 8
  return 2 * (num_gpus - 1) / num_gpus * num_bytes / bandwidth


def _row(preset, num_bytes, gpu_seconds, num_gpus, between_gbit):
  data = presets_lib.PRESETS[preset].data
  clip_bytes = data.num_frames * data.frame_size**2 * data.channels
  exchange = _all_reduce_seconds(num_bytes, num_gpus, between_gbit)
  clips_per_second = num_gpus * _CLIPS_A_GPU.value / (gpu_seconds + exchange)
  return {
    'gpus': num_gpus,
    'assumed_gpu_step_seconds': gpu_seconds,
    'assumed_between_gbit': between_gbit,
    'batch_size': num_gpus * _CLIPS_A_GPU.value,
    'all_reduce_seconds': exchange,
    'efficiency': gpu_seconds / (gpu_seconds + exchange),
    'clips_per_second': clips_per_second,
    'epoch_minutes': _CLIPS.value / clips_per_second / 60,
    'decoding_cores': math.ceil(clips_per_second / _DECODED.value),
    # Each process reads all records, and decodes its own.
    'raw_record_mb_per_second_and_process': clips_per_second * clip_bytes / 1e6,
  }


def _model(preset, num_bytes):
  return [
    _row(preset, num_bytes, float(seconds), int(n), float(between))
    for seconds in _GPU_SECONDS.value
    for n in _GPUS.value
    for between in _BETWEEN.value
  ]


def _markdown(rows):
  """One line for each step time and number of GPUs, links side by side."""
  links = [float(b) for b in _BETWEEN.value]
  shown = ' / '.join(f'{b:g}' for b in links)
  lines = [
    '| GPU time a step, assumed | GPUs | batch, clips '
    f'| all-reduce at {shown} Gbit/s | efficiency | clips/s | time an epoch '
    '| decoding cores | records read by each process |',
    '|' + '---|' * 9,
  ]
  for k in range(0, len(rows), len(links)):
    group = rows[k : k + len(links)]
    first = group[0]

    def side(key, form, group=group):
      # Within a node the links between nodes do not matter.
      texts = [f'{row[key]:{form}}' for row in group]
      return ' / '.join(texts if len({*texts}) > 1 else texts[:1])

    lines.append(
      f'| {first["assumed_gpu_step_seconds"]:g} s | {first["gpus"]} '
      f'| {first["batch_size"]} | {side("all_reduce_seconds", ".3f")} s '
      f'| {side("efficiency", ".0%")} | {side("clips_per_second", ",.0f")} '
      f'| {side("epoch_minutes", ",.0f")} min | {side("decoding_cores", "d")} '
      f'| {side("raw_record_mb_per_second_and_process", ",.0f")} MB/s |'
    )
  return '\n'.join(lines)


def main(argv):
  del argv
  num_bytes = {preset: _gradient_bytes(preset) for preset in _PRESETS.value}
  preset = _PRESETS.value[0]
  rows = _model(preset, num_bytes[preset])
  if _OUTPUT.value == 'markdown':
    print(_markdown(rows))
    return
  steps = {
    batch: _step_seconds(_MEASURED_PRESET.value, int(batch))
    for batch in _MEASURED_BATCHES.value
  }
  result = {
    'counted_gradient_bytes': num_bytes,
    'measured_step_by_batch': {_MEASURED_PRESET.value: steps},
    'given': {
      'decoded_clips_per_second_and_core': _DECODED.value,
      'clips_an_epoch': _CLIPS.value,
    },
    'modelled_preset': preset,
    'modelled': rows,
  }
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  app.run(main)
