"""Start-up, training step, sampled frame and memory of level mixtures.

  python benchmarks/speed/mixture_step.py --size=32 --json=mixture_step.json

The head and the tail of a preset with level mixtures, each in its own process,
one after the other:

- `startup_seconds`: from the config to the end of the first training step;
- `step_seconds`: a training step (`VideoGlow`, with its guard and averages);
- `floor_seconds`: the step's convolutions and matrix products alone, forward
  and backward, in the same process. Their shapes are read from the graph;
- `forward_seconds` and `frame_seconds`, for 1 and 8 rows: the forward pass of
  the same convolutions and products, and one frame drawn by the SavedModel
  (`first_frame` or `next_frame`) and by Python;
- `peak_bytes`: the largest memory until the end of training steps;
- the same of `mixture_twin.py`, the networks written plainly in PyTorch, if
  PyTorch is installed: start-up, step, peak.

With both parts, `video_seconds`: 16 frames, one row, drawn by the SavedModel.
Compare ratios within one run; seconds depend on the machine.
"""

import dataclasses
import functools
import importlib.util
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

from benchmarks import own_process  # noqa: E402

_PRESET = flags.DEFINE_string('preset', 'demo', 'Preset of the model.')
_SIZE = flags.DEFINE_integer('size', 32, 'Height and width of the frames.')
_BATCH = flags.DEFINE_integer('batch', 8, 'Clips in a step.')
_REPEATS = flags.DEFINE_integer('repeats', 10, 'Timed calls; the median.')
_JSON = flags.DEFINE_string('json', None, 'File for the result.')
_RUN = flags.DEFINE_string('run', None, 'Internal: one measurement.')

_NUM_LABELS = 4
_NUM_FRAMES = 8  # Of a clip.
_PRODUCTS = ('Conv2D', 'MatMul', 'BatchMatMulV2')


def _median_seconds(function):
  times = []
  for _ in range(_REPEATS.value):
    start = time.perf_counter()
    function()
    times.append(time.perf_counter() - start)
  return statistics.median(times)


def _config(part):
  """The preset's config with one part alone; `part` 'both': as it is."""
  from train.config import overrides
  from train.config import presets

  config = presets.PRESETS[_PRESET.value]
  config = overrides.override(config, [f'data.frame_size={_SIZE.value}'])
  if part == 'both':
    return config
  other = {'head': 'tail', 'tail': 'head'}[part]
  model = dataclasses.replace(config.model, **{other: None})
  return dataclasses.replace(config, model=model)


def _batch(num_clips):
  import numpy as np
  import tensorflow as tf

  rng = np.random.default_rng(0)
  shape = [num_clips, _NUM_FRAMES, _SIZE.value, _SIZE.value, 3]
  frames = tf.constant(rng.integers(0, 256, shape, np.uint8))
  return frames, tf.range(num_clips) % _NUM_LABELS


def _measure_ours(part):
  start = time.perf_counter()
  from train.systems.flow import models

  config = _config(part)
  model = models.build_model(config, _NUM_LABELS)
  frames, labels = _batch(_BATCH.value)
  model.adapt(frames, labels)
  step = model.make_train_function()
  batches = _forever((frames, labels))
  step(batches)
  result = {'startup_seconds': time.perf_counter() - start}
  result['step_seconds'] = _median_seconds(lambda: float(step(batches)['loss']))
  result['peak_bytes'] = own_process.status_bytes('VmHWM')
  num_frames = getattr(config.model, part).frames_per_step * _BATCH.value
  result['frames_a_step'] = num_frames
  products = _products(model.flow, part, num_frames)
  result['floor_seconds'] = _floor(products, backward=True)
  for rows in (1, 8):
    products = _products(model.flow, part, rows)
    result[f'forward_seconds_{rows}'] = _floor(products, backward=False)
  result.update(_frame_seconds(model.flow, part))
  return result


def _forever(batch):
  import tensorflow as tf

  return iter(tf.data.Dataset.from_tensors(batch).repeat())


def _products(flow, part, num_frames):
  """The convolutions and matrix products of a density, from its graph.

  Returns:
    List of (operation's type, shape of the input, shape of the kernel, keyword
    arguments).
  """
  import tensorflow as tf

  glow = getattr(flow, part)
  frame = flow.frame_shape
  specs = {'y': tf.TensorSpec([num_frames, *frame])}
  if part == 'tail':
    channels = flow.previous_frames * frame[-1]
    specs['context'] = tf.TensorSpec([num_frames, *frame[:-1], channels])
  if glow.num_labels is not None:
    specs['label'] = tf.TensorSpec([num_frames, flow.num_labels])

  @tf.function(autograph=False)
  def inverse(y, **conditions):
    return glow.inverse_and_log_det(y, **conditions)

  graph = inverse.get_concrete_function(**specs).graph
  inside = [
    n.op for f in graph.as_graph_def().library.function for n in f.node_def
  ]
  if set(inside) & set(_PRODUCTS):
    raise ValueError('Expected no products in loops, but the graph has some.')
  return [
    (op.type, *(t.shape.as_list() for t in op.inputs), _options(op))
    for op in graph.get_operations()
    if op.type in _PRODUCTS
  ]


def _options(op):
  """Keyword arguments of `tf.nn.conv2d` or `tf.linalg.matmul`: `dict`."""
  if op.type == 'Conv2D':
    return {
      'strides': list(op.get_attr('strides')),
      'padding': op.get_attr('padding').decode(),
    }
  names = {
    'MatMul': ('transpose_a', 'transpose_b'),
    'BatchMatMulV2': ('adj_x', 'adj_y'),
  }[op.type]
  return dict(zip(('transpose_a', 'transpose_b'), map(op.get_attr, names)))


def _floor(products, backward):
  """Seconds of the products alone, one after another."""
  import tensorflow as tf

  def call(kind, x, kernel, options):
    function = tf.nn.conv2d if kind == 'Conv2D' else tf.linalg.matmul
    return function(x, kernel, **options)

  arrays = [
    (kind, tf.random.normal(x), tf.random.normal(kernel), options)
    for kind, x, kernel, options in products
  ]

  @tf.function(autograph=False)
  def run(arrays_in):
    total = tf.zeros([])
    for (kind, _, _, options), (x, kernel) in zip(arrays, arrays_in):
      # The sum of one element keeps every call alive, and in order.
      x += 0.0 * total
      with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = call(kind, x, kernel, options)
      kept = [y]
      if backward:
        kept = tape.gradient(y, [x, kernel], output_gradients=y)
      total += sum(tf.reshape(t, [-1])[0] for t in kept)
    return total

  pairs = [(x, kernel) for _, x, kernel, _ in arrays]
  run(pairs).numpy()
  return _median_seconds(lambda: run(pairs).numpy())


def _frame_seconds(flow, part):
  """One frame of the SavedModel and of Python, for 1 and 8 rows."""
  import tensorflow as tf

  result = {}
  with tempfile.TemporaryDirectory() as folder:
    model = _exported(flow, folder)  # Its signatures do not keep it.
    signatures = model.signatures
    for rows in (1, 8):
      draw = _draw(flow, rows)
      frames = tf.zeros(
        [rows, flow.previous_frames, *flow.frame_shape], 'uint8'
      )
      if part == 'head':
        call = functools.partial(signatures['first_frame'], **draw)
        python = functools.partial(flow.sample, num_frames=1, **draw)
      else:
        state = {
          'frame': frames[:, 0],
          'frame_index': tf.zeros([rows], 'int32'),
        }
        if flow.previous_frames == 2:
          state['previous_frame'] = frames[:, 0]
        call = functools.partial(signatures['next_frame'], **state, **draw)
        python = functools.partial(
          flow.sample,
          num_frames=flow.previous_frames + 1,
          first_frames=frames,
          **draw,
        )
      for name, function in (('saved_model', call), ('python', python)):
        function()
        result[f'frame_seconds_{name}_{rows}'] = _median_seconds(function)
  return result


def _exported(flow, folder):
  import tensorflow as tf

  from train.serving import export

  return tf.saved_model.load(export.export_model(flow, folder))


def _draw(flow, rows):
  import tensorflow as tf

  draw = {
    'seed': tf.stack([tf.range(rows), tf.range(rows)], axis=1),
    'temperature': tf.fill([rows], 1.0),
    'min_p': tf.fill([rows], 0.02),
  }
  if flow.num_labels is not None:
    draw['labels'] = tf.range(rows) % _NUM_LABELS
  return draw


def _measure_video():
  """Videos of some lengths, one row, drawn by the SavedModel."""
  import tensorflow as tf

  from train.systems.flow import models

  model = models.build_model(_config('both'), _NUM_LABELS)
  model.adapt(*_batch(_BATCH.value))
  with tempfile.TemporaryDirectory() as folder:
    exported = _exported(model.flow, folder)
    signatures = exported.signatures
    draw = _draw(model.flow, 1)
    result = {}
    for frames in (1, 2, 16, 32):
      call = functools.partial(
        signatures['sample'], num_frames=tf.constant([frames]), **draw
      )
      call()
      result[f'video_seconds_{frames}'] = _median_seconds(call)
    result['operations'] = _num_operations(signatures['sample'])
  return result


def _num_operations(function):
  """Of a graph and of the functions that it calls."""
  definition = function.graph.as_graph_def()
  inner = sum(len(f.node_def) for f in definition.library.function)
  return len(definition.node) + inner


def _measure_twin(part):
  """The same training step in PyTorch: forward, backward and Adam."""
  start = time.perf_counter()
  import torch

  from benchmarks.speed import mixture_twin
  from tfp_cglow.bijectors import specs
  from tfp_cglow.bijectors.levels import context_mixture

  config = _config(part)
  spec, size = getattr(config.model, part), _SIZE.value
  frames = spec.previous_frames if part == 'tail' else 0
  torch.manual_seed(0)
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  vector = spec.labels.channels if spec.labels else 0
  levels = 2**config.model.n_bits
  twin = mixture_twin.Twin(
    (3, size, size),
    spec.first,
    context_mixture.num_halvings(spec.first, (size, size)),
    frames,
    vector,
    levels,
    specs.HEAD_CHANNELS,
  )
  twin = twin.to(memory_format=torch.channels_last)
  optimizer = torch.optim.Adam(twin.parameters(), lr=1e-3)
  rows = spec.frames_per_step * _BATCH.value
  draw = lambda channels: torch.randint(
    0, levels, (rows, channels, size, size)
  ).float()
  target = draw(3)
  context = draw(3 * frames) if frames else None
  told = torch.randn(rows, vector) if vector else None

  def step():
    optimizer.zero_grad()
    loss = -twin(target, context, told).mean()
    loss.backward()
    optimizer.step()
    return loss.item()

  step()
  return {
    'startup_seconds': time.perf_counter() - start,
    'step_seconds': _median_seconds(step),
    'peak_bytes': own_process.status_bytes('VmHWM'),
    'parameters': sum(p.numel() for p in twin.parameters()),
  }


_MEASUREMENTS = {
  'ours': _measure_ours,
  'twin': _measure_twin,
  'video': lambda part: _measure_video(),
}


def _compare(part):
  ours = _alone('ours', part)
  ratios = {
    'step_to_floor': ours['step_seconds'] / ours['floor_seconds'],
    **{
      f'frame_to_forward_{rows}': ours[f'frame_seconds_saved_model_{rows}']
      / ours[f'forward_seconds_{rows}']
      for rows in (1, 8)
    },
  }
  results = {'ours': ours, 'ratios': ratios}
  if importlib.util.find_spec('torch'):
    twin = results['twin'] = _alone('twin', part)
    for key in ('startup_seconds', 'step_seconds', 'peak_bytes'):
      ratios[f'{key}_to_twin'] = ours[key] / twin[key]
  return results


def _alone(kind, part):
  """A measurement in a fresh process."""
  result = own_process.run_again(f'--run={kind} {part}')
  print(kind, part, json.dumps(result, indent=2), flush=True)
  return result


def main(argv):
  del argv
  if _RUN.value:
    kind, part = _RUN.value.split()
    print(json.dumps(_MEASUREMENTS[kind](part)))
    return
  config = _config('both')
  parts = [p for p in ('head', 'tail') if getattr(config.model, p) is not None]
  result = {part: _compare(part) for part in parts}
  if len(parts) == 2:
    result['video'] = _alone('video', 'both')
  result.update(
    preset=_PRESET.value,
    size=_SIZE.value,
    batch=_BATCH.value,
    cores=len(os.sched_getaffinity(0)),
  )
  for part in parts:
    print(part, json.dumps(result[part]['ratios'], indent=2))
  if _JSON.value:
    with open(_JSON.value, 'w', encoding='utf-8') as f:
      json.dump(result, f, indent=2)


if __name__ == '__main__':
  app.run(main)
