"""Memory of training by the number of frames: GAN and flow.

  python benchmarks/speed/training_memory.py --num_frames=8,16,30,60

The paper argues for next-frame flows because they need not hold a whole video
in memory. Here each system takes three training steps on random clips of
several lengths, each length in its own process. The kernel's record gives the
peak of resident memory, which needs Linux:

- gan: `gan_paper`, which trains through all frames of a clip.
- flow: `cglow_small`, head and tail, on all frames of a clip at once.
- flow_subset: the same, with the tail on `--subset` random frames of a clip in
  each step (`model.tail.frames_per_step`; an unbiased gradient estimate).

Prints JSON: `peak_mib` and `seconds_per_step` (of the third step) by system and
length, and `mib_per_frame`, the slope of `peak_mib` from the shortest to the
longest. Draws `--figure`, a PNG, if that is given.
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

from benchmarks import own_process  # noqa: E402

_NUM_FRAMES = flags.DEFINE_list(
  'num_frames', ['8', '16', '30', '60'], 'Frames of a clip.'
)
_FRAME_SIZE = flags.DEFINE_integer('frame_size', 32, 'Frame size of the clips.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 8, 'Clips of a batch.')
_SUBSET = flags.DEFINE_integer('subset', 7, 'Frames of a clip a step.')
_FIGURE = flags.DEFINE_string('figure', None, 'A file for the PNG.')
_RUN = flags.DEFINE_list('run', None, 'Internal: a system and a length.')

_SYSTEMS = ('gan', 'flow', 'flow_subset')
_NUM_LABELS = 4


def _measure(system, num_frames):
  """Three steps, in this process."""
  import numpy as np
  import tensorflow as tf

  from train.config import overrides
  from train.config import presets
  from train.systems import systems

  preset = 'gan_paper' if system == 'gan' else 'cglow_small'
  assignments = [
    f'data.frame_size={_FRAME_SIZE.value}',
    f'data.num_frames={num_frames}',
    f'run.batch_size={_BATCH_SIZE.value}',
  ]
  if system == 'flow_subset':
    assignments.append(f'model.tail.frames_per_step={_SUBSET.value}')
  config = overrides.override(presets.PRESETS[preset], assignments)
  model = systems.of(config).build_model(_NUM_LABELS)
  size = _FRAME_SIZE.value
  rng = np.random.default_rng(0)
  frames = rng.integers(
    0, 256, [_BATCH_SIZE.value, num_frames, size, size, 3], dtype=np.uint8
  )
  label = np.arange(_BATCH_SIZE.value, dtype=np.int32) % _NUM_LABELS
  batch = tf.data.Dataset.from_tensors((frames, label)).repeat()
  model.fit(batch, steps_per_epoch=2, verbose=0)
  start = time.perf_counter()
  model.fit(batch, steps_per_epoch=1, verbose=0)
  return {
    'system': system,
    'num_frames': num_frames,
    'peak_mib': own_process.status_bytes('VmHWM') / 2**20,
    'seconds_per_step': time.perf_counter() - start,
  }


def _slope(rows):
  first, last = rows[0], rows[-1]
  num = max(last['num_frames'] - first['num_frames'], 1)
  return (last['peak_mib'] - first['peak_mib']) / num


def _draw(by_system, path):
  from matplotlib import figure as figure_lib

  drawing = figure_lib.Figure(figsize=(5, 3.5), layout='constrained')
  panel = drawing.subplots()
  for system, rows in by_system.items():
    panel.plot(
      [row['num_frames'] for row in rows],
      [row['peak_mib'] for row in rows],
      'o-',
      label=system.replace('_', ' '),
    )
  panel.set(
    xlabel='frames of a clip', ylabel='peak memory (MiB)', ylim=(0, None)
  )
  panel.legend()
  drawing.savefig(path, dpi=120)


def main(argv):
  del argv
  if _RUN.value is not None:
    system, num_frames = _RUN.value
    print(json.dumps(_measure(system, int(num_frames))))
    return
  lengths = sorted(map(int, _NUM_FRAMES.value))
  by_system = {
    s: [own_process.run_again(f'--run={s},{n}') for n in lengths]
    for s in _SYSTEMS
  }
  result = {
    'frame_size': _FRAME_SIZE.value,
    'batch_size': _BATCH_SIZE.value,
    'subset': _SUBSET.value,
    'rows': [row for rows in by_system.values() for row in rows],
    'mib_per_frame': {s: _slope(rows) for s, rows in by_system.items()},
  }
  print(json.dumps(result, indent=2))
  if _FIGURE.value:
    _draw(by_system, _FIGURE.value)


if __name__ == '__main__':
  app.run(main)
