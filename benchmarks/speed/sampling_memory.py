"""Memory of sampling, by the number of frames.

  python benchmarks/speed/sampling_memory.py --preset=paper --frame_size=64

The paper notes that generating frame by frame "can save memory if previous glow
generations are freed". Here `VideoFlow.sample` makes videos of several lengths
from random weights. Each length has its own process and a warm-up of two
frames: the same graph serves every length, so the warm-up traces it and fills
the allocator. Then the kernel's record of the peak of resident memory is reset,
which needs Linux, and the whole length is sampled.

Prints JSON:

- `peak_bytes` of that call, `start_bytes`, the resident memory before it, and
  `result_bytes` of its uint8 frames;
- `growth_bytes_per_frame`, the slope of `peak_bytes` between two lengths, and
  `result_bytes_per_frame`;
- `float_bytes_per_frame`, one float32 copy of the frames and the state, and
  `hidden_bytes_per_frame`, one hidden layer of the tail's first block. A flow
  that kept its generations would grow at least by the first.

The result exists more than once at the end (gathered, transposed, joined), so a
slope of a few times its bytes is due to the result. Processes differ by one or
two MiB, so results must be larger than that. Neither training's memory is
measured nor the weights', which are the same at every length.
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

from benchmarks import own_process  # noqa: E402

_PRESET = flags.DEFINE_string('preset', 'paper', 'Preset of the model.')
_FRAME_SIZE = flags.DEFINE_integer('frame_size', None, "Default: the preset's.")
_NUM_FRAMES = flags.DEFINE_list(
  'num_frames', ['30', '120', '480'], 'Lengths of the videos.'
)
_NUM_VIDEOS = flags.DEFINE_integer('num_videos', 8, 'Videos sampled at a time.')
_RUN = flags.DEFINE_integer('run', None, 'Internal: one length.')

_MIB = 2**20
_NUM_LABELS = 4


def _config():
  from train.config import overrides
  from train.config import presets

  config = presets.PRESETS[_PRESET.value]
  size = _FRAME_SIZE.value or config.data.frame_size
  return overrides.override(config, [f'data.frame_size={size}'])


def _measure(num_frames):
  """One length, in this process."""
  import tensorflow as tf

  from train.systems.flow import models

  flow = models.build_model(_config(), _NUM_LABELS).flow
  labels = None
  if flow.takes_labels:
    labels = tf.range(_NUM_VIDEOS.value) % _NUM_LABELS

  def sample(length):
    return flow.sample(
      labels=labels,
      num_frames=length,
      num_videos=None if labels is not None else _NUM_VIDEOS.value,
      seed=0,
    )

  sample(2)
  own_process.reset_peak()
  start_bytes = own_process.status_bytes('VmRSS')
  videos = sample(num_frames)
  peak_bytes = own_process.status_bytes('VmHWM')
  return {
    'num_frames': num_frames,
    'start_bytes': start_bytes,
    'peak_bytes': peak_bytes,
    'result_bytes': int(tf.size(videos)) * videos.dtype.size,
  }


def _per_frame(config):
  """Bytes of a frame of all videos: result, floats, hidden layer."""
  data, tail = config.data, config.model.tail
  pixels = _NUM_VIDEOS.value * data.frame_size**2
  floats = data.channels
  if tail.memory is not None:
    floats += tail.memory.channels
  return {
    'result_bytes_per_frame': pixels * data.channels,
    'float_bytes_per_frame': 4 * pixels * floats,
    # The first block's maps are a quarter of the frame.
    'hidden_bytes_per_frame': pixels * tail.steps.hidden_channels,
  }


def _growth(before, after, per_frame):
  num_frames = after['num_frames'] - before['num_frames']
  growth = (after['peak_bytes'] - before['peak_bytes']) / num_frames
  return {
    'from_frames': before['num_frames'],
    'to_frames': after['num_frames'],
    'growth_bytes_per_frame': growth,
    **{
      f'growth_to_{name}': growth / value for name, value in per_frame.items()
    },
  }


def _compare():
  config = _config()
  results = [
    own_process.run_again(f'--run={n}')
    for n in sorted(map(int, _NUM_FRAMES.value))
  ]
  per_frame = _per_frame(config)
  pairs = list(zip(results, results[1:]))
  if len(results) > 2:
    pairs.append((results[0], results[-1]))
  return {
    'preset': _PRESET.value,
    'frame_size': config.data.frame_size,
    'num_videos': _NUM_VIDEOS.value,
    **per_frame,
    'results': [
      {
        **r,
        'peak_mib': r['peak_bytes'] / _MIB,
        'result_mib': r['result_bytes'] / _MIB,
      }
      for r in results
    ],
    'growth': [_growth(*pair, per_frame) for pair in pairs],
  }


def main(argv):
  del argv
  result = _compare() if _RUN.value is None else _measure(_RUN.value)
  print(json.dumps(result, indent=2 if _RUN.value is None else None))


if __name__ == '__main__':
  app.run(main)
