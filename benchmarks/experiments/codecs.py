"""Bits/dim that lossless video codecs need for held-out frames.

  python benchmarks/experiments/codecs.py
  python benchmarks/experiments/codecs.py --dataset=shapes

FFV1 (version 3, range coder with large contexts) and H.264 (`-qp 0`, preset
veryslow, RGB 4:4:4), through PyAV. All held-out clips of 32x32 at 5 bits are
one stream, as levels 0..31 of 8-bit samples; each clip's first frame is a
keyframe of H.264. The size is that of the packets of frames 1.. of each clip,
which a tail models: without container and first frames. The streams are decoded
and compared.

The codecs adapt to the stream only; the models of this project have seen
training clips. Prints JSON.
"""

import fractions
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

_DATASET = flags.DEFINE_string('dataset', 'natvid', 'Data set of clips.')

_N_BITS = 5
_CODECS = {
  'FFV1': (
    'ffv1',
    'bgr0',
    {'level': '3', 'coder': '1', 'context': '1', 'slices': '4'},
  ),
  'H.264': (
    'libx264rgb',
    'rgb24',
    {
      'qp': '0',
      'preset': 'veryslow',
      'bf': '0',
      'x264-params': 'keyint={0}:min-keyint={0}:scenecut=0',
    },
  ),
}


def _held_out_levels():
  """uint8 `[N, T, H, W, C]`, 0..31."""
  import numpy as np

  from train.config import configs
  from train.config import overrides
  from train.data import inputs as inputs_lib

  assignments = configs.dataset_assignments(_DATASET.value)
  config = overrides.override(configs.Config(), assignments)
  config = inputs_lib.resolve(config)
  inputs = inputs_lib.make_inputs(config, os.devnull)
  clips = np.concatenate([f.numpy() for f, _ in inputs.valid_dataset()])
  return clips >> (8 - _N_BITS)


def _encode(codec, pixel_format, options, frames, clip_length):
  """Packets in order, each with its frame's number; and the codec context."""
  import av

  context = av.CodecContext.create(codec, 'w')
  context.height, context.width = frames.shape[1:3]
  context.pix_fmt = pixel_format
  context.framerate = 30
  context.time_base = fractions.Fraction(1, 30)
  context.gop_size = clip_length
  context.options = {k: v.format(clip_length) for k, v in options.items()}
  context.open()
  packets = []
  for i, pixels in enumerate(frames):
    frame = av.VideoFrame.from_ndarray(pixels, format='rgb24')
    if pixel_format != 'rgb24':
      frame = frame.reformat(format=pixel_format)
    frame.pts = i
    packets += context.encode(frame)
  packets += context.encode(None)
  return [p for p in packets if p.size], context


def _decode(codec, packets, encoder):
  import av
  import numpy as np

  name = 'h264' if codec == 'libx264rgb' else codec
  decoder = av.CodecContext.create(name, 'r')
  decoder.extradata = encoder.extradata
  if name == 'ffv1':
    decoder.height, decoder.width = encoder.height, encoder.width
    decoder.pix_fmt = encoder.pix_fmt
  frames = [f for p in [*packets, None] for f in decoder.decode(p)]
  return np.stack([f.to_ndarray(format='rgb24') for f in frames])


def main(_):
  import numpy as np

  clips = _held_out_levels()
  length = clips.shape[1]
  frames = clips.reshape([-1, *clips.shape[2:]])
  dims = (length - 1) * len(clips) * np.prod(clips.shape[2:])
  result = {}
  for name, (codec, pixel_format, options) in _CODECS.items():
    packets, encoder = _encode(codec, pixel_format, options, frames, length)
    if not np.array_equal(_decode(codec, packets, encoder), frames):
      raise RuntimeError(f'{name} did not give back the frames.')
    later = [p.size for p in packets if p.pts % length]
    first = [p.size for p in packets if not p.pts % length]
    result[name] = {
      'bits_per_dim': 8.0 * sum(later) / dims,
      'first_frames_bits_per_dim': 8.0
      * sum(first)
      / (len(clips) * np.prod(clips.shape[2:])),
    }
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  app.run(main)
