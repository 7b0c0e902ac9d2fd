"""Do the sets that a program draws have the numbers that others report?

  python benchmarks/experiments/set_protocols.py

Prints JSON, see docs/benchmarks.md:

- `balls`: squared error a frame of copying the last frame, over all frames but
  the first of the held-out videos.
- `movement`: the levels of the pixels, and the entropy of a video given its
  first frame. The direction has 3 bits. The size is seen in the first frame up
  to rounding: of sizes that give equal first frames, the later frames may
  differ. That entropy is measured on a dense grid of sizes.
- `moving_mnist`: the mean entropy of the last ten frames' pixels, each taken as
  the probability of a bright one: no model's cross entropy is lower.
"""

import collections
import json
import os
import sys

import numpy as np

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from train.data.sets import balls  # noqa: E402
from train.data.sets import movement  # noqa: E402
from train.data.sets import moving_mnist  # noqa: E402
from train.evaluation import grey_levels  # noqa: E402

_CHUNK = 50  # Videos.
_FIRST_SIZES = (0.6, 1.0, 1.4)
_STEPS, _STEP = 1600, 5e-7  # Sizes beside each of the first ones.


def _chunks(render, num_videos):
  for first in range(0, num_videos, _CHUNK):
    yield render('valid', range(first, first + _CHUNK))


def _balls():
  errors = [
    grey_levels.squared_errors(frames[:, 1:], frames[:, :-1])
    for frames in _chunks(balls.render, 200)
  ]
  return {'copy_squared_error': float(np.mean(errors))}


def _movement():
  counts = sum(
    np.bincount(frames.ravel(), minlength=256)
    for frames in _chunks(movement.render, 1000)
  )
  shares = counts / counts.sum()
  return {
    'share_of_level': {
      int(level): round(float(shares[level]), 6)
      for level in np.argsort(-shares)[:8]
    },
    'num_levels': int((counts > 0).sum()),
    'direction_bits': 3.0,
    'size_bits_given_first_frame': {
      shape: _size_bits(shape) for shape in movement.SHAPES
    },
  }


def _size_bits(shape):
  """Mean over directions and sizes of H(later frames | first), of sizes."""
  bits = []
  for direction in movement.DIRECTIONS:
    for first in _FIRST_SIZES:
      frames = movement.render_scenes(
        [
          movement.Scene(direction, 2, shape, first + _STEP * i)
          for i in range(_STEPS)
        ]
      )
      bits.append(_conditional_entropy(frames[:, 0], frames[:, 1:]))
  return round(float(np.mean(bits)), 3)


def _conditional_entropy(given, values):
  """H(values | given) of rows of arrays, bits; each row counts the same."""
  pairs = [(g.tobytes(), v.tobytes()) for g, v in zip(given, values)]
  return _entropy(pairs) - _entropy([pair[0] for pair in pairs])


def _entropy(rows):
  share = np.array(list(collections.Counter(rows).values())) / len(rows)
  return -float((share * np.log2(share)).sum())


def _moving_mnist():
  render = moving_mnist.make_videos(moving_mnist.fetch_digits()).render
  entropies = [
    grey_levels.entropy(frames[:, 10:]) for frames in _chunks(render, 1000)
  ]
  return {'entropy_of_targets_nats': float(np.mean(entropies))}


def main():
  results = {
    'balls': _balls(),
    'movement': _movement(),
    'moving_mnist': _moving_mnist(),
  }
  print(json.dumps(results, indent=2))


if __name__ == '__main__':
  main()
