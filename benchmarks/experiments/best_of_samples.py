"""Continuations in VideoFlow's measure: the best of 100, by horizon.

  python benchmarks/experiments/best_of_samples.py --runs=runs/a,runs/b,runs/c

Takes runs of one setting from several seeds, each with a tail, and continues
held-out clips from `--given` frames, `--samples` times each. The best
continuation of a clip has the highest PSNR, or SSIM, averaged over the frames
(Kumar et al. 2020, section 5; one sample for the whole clip, chosen for each
metric separately). More samples improve it for any model, so the mean of all
samples and the last given frame, repeated, are reported, too.

Prints JSON: for each temperature PSNR (dB) and SSIM by horizon, means over runs
with standard deviations, and the distance between two samples (levels of 255).
"""

import json
import os
import sys

from absl import app
from absl import flags
import numpy as np

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

_RUNS = flags.DEFINE_list(
  'runs', None, 'Run folders of one setting.', required=True
)
_SAMPLES = flags.DEFINE_integer('samples', 100, 'Samples of each clip.')
_CLIPS = flags.DEFINE_integer('clips', 16, 'Held-out clips, spread evenly.')
_GIVEN = flags.DEFINE_integer('given', 2, 'Number of given frames.')
_TEMPERATURES = flags.DEFINE_list(
  'temperatures', ['0.5', '0.7', '1'], 'Temperatures of the samples.'
)


def _of_run(path):
  """`dict` from temperature to numbers by horizon."""
  from train.runs import loading
  from train.samples import continuations

  run = loading.load(path)
  frames, label = continuations.even_clips(
    run.inputs().valid_dataset(), _CLIPS.value
  )
  real = continuations.as_context(run.sampler, frames)
  results = {}
  for temperature in map(float, _TEMPERATURES.value):
    sampled = continuations.continue_clips(
      run.sampler,
      frames,
      label,
      _SAMPLES.value,
      num_given=_GIVEN.value,
      temperature=temperature,
    )
    results[temperature] = {
      **continuations.quality(real, sampled, _GIVEN.value),
      'diversity': continuations.diversity(sampled[:10], _GIVEN.value),
    }
    print(path, temperature, results[temperature], file=sys.stderr, flush=True)
  return results


def main(argv):
  del argv
  of_runs = [_of_run(path) for path in _RUNS.value]
  rows = []
  for temperature, first in of_runs[0].items():
    row = {'temperature': temperature}
    for name in first:
      values = np.array([run[temperature][name] for run in of_runs])
      row[name] = {
        'mean': values.mean(axis=0).round(4).tolist(),
        'standard_deviation': (
          values.std(axis=0, ddof=1).round(4).tolist()
          if len(values) > 1
          else None
        ),
      }
    rows.append(row)
  result = {
    'runs': len(of_runs),
    'clips': _CLIPS.value,
    'samples': _SAMPLES.value,
    'rows': rows,
  }
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  app.run(main)
