"""Continuations of the one clip that a tail was trained on: the paper's, ours.

  python benchmarks/experiments/overfit_rollout.py \\
      --workdir=runs/overfit --seeds=3

The paper's Fig. 8: does a model that is overfit to one video reproduce it? Two
tails are trained on the same clip, for the same number of steps: that of preset
`overfit` ("ours"), and that of `paper_small` in its place ("paper": every key
of the tail, with a memory of 16 channels of the paper's kind). Everything else
is the preset's for both, such as the learning rate.
`--paper_set=optimiser.learning_rate=1e-3` changes it to `paper_small`'s.

Both continue the clip from its real first frame, on their own frames, at
temperatures 0 and 0.7:

  psnr               dB by horizon, against the real frames at the centres of
                     the model's bins; of each sample, mean over samples
  copy_psnr          of the first frame, repeated
  drift              for four times the clip's length: a generated frame's
                     mean, standard deviation and gradient energy divided by
                     those of the real frames, mean over samples, at the end of
                     the clip and of the whole
  tail_bits_per_dim  of the clip

The head is not used and not trained: head and tail share no variables. Neither
tail takes a label. Nothing here is about unseen clips. A frame that is
reproduced exactly counts 148 dB.

Each run is trained and measured in its own process and its own folder under
`--workdir`; the same command again reuses trained runs. Writes strips and GIFs
of seed 0 (real, black after its end; the paper's; ours) to
`<workdir>/strip_temperature_<t>` and every run's numbers, with drift by
horizon, to `<workdir>/results.json`. Prints JSON: means over seeds.
"""

import json
import os
import pathlib
import sys

from absl import app
from absl import flags

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from benchmarks import own_process  # noqa: E402
from benchmarks import training_runs  # noqa: E402

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of all runs.', required=True
)
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs of each tail.')
_STEPS = flags.DEFINE_integer('steps', None, "Default: the preset's.")
_NUM_FRAMES = flags.DEFINE_integer(
  'num_frames', None, "Frames of the clip; default: the preset's."
)
_SAMPLES = flags.DEFINE_integer('samples', 10, 'Samples at temperature 0.7.')
_SET = flags.DEFINE_multi_string('set', [], 'key=value, for every run.')
_PAPER_SET = flags.DEFINE_multi_string(
  'paper_set', [], "key=value, for runs of the paper's tail only."
)
_RUN = flags.DEFINE_string('run', None, 'Internal: a tail and a seed.')

_TAILS = ('paper', 'ours')
_TEMPERATURES = (0.0, 0.7)
_DRIFT_FACTOR = 4


def _paper_tail():
  """Assignments that give a config `paper_small`'s tail."""
  import dataclasses

  from train.config import overrides
  from train.config import presets

  base = presets.PRESETS['overfit']
  tail = presets.PRESETS['paper_small'].model.tail
  wanted = dataclasses.replace(
    base, model=dataclasses.replace(base.model, tail=tail)
  )
  return overrides.changes(wanted, base)


def _assignments(tail, seed):
  given = {'run.steps': _STEPS.value, 'data.num_frames': _NUM_FRAMES.value}
  assignments = [f'{k}={v}' for k, v in given.items() if v is not None]
  assignments += _SET.value
  if tail == 'paper':
    assignments += [*_paper_tail(), *_PAPER_SET.value]
  assignments += ['model.head=none', f'seed={seed}']
  return [*assignments, *training_runs.NUMBERS_ONLY]


def _folder(tail, seed):
  return pathlib.Path(_WORKDIR.value) / tail / f'seed_{seed}'


def _load(path):
  """A trained run's flow, its clip `[1, T, H, W, C]` and label `[1]`."""
  from train.runs import loading

  run = loading.load(path)
  frames, label = next(iter(run.inputs().valid_dataset()))
  return run.sampler, frames.numpy(), label.numpy()


def _measure(tail, seed):
  """One run: trained, then continued."""
  path = _folder(tail, seed)
  folder = training_runs.train(path, 'overfit', _assignments(tail, seed))
  metrics = folder.read_metrics_file()
  flow, frames, label = _load(path)
  return {
    'tail_bits_per_dim': metrics['tail_bits_per_dim'],
    'training_seconds': metrics['seconds'],
    'parameters': {
      k: sum(int(v.shape.num_elements()) for v in group)
      for k, group in flow.parameter_groups().items()
    },
    'temperatures': {
      str(t): _continue(flow, frames, label, t, path) for t in _TEMPERATURES
    },
  }


def _continue(flow, frames, label, temperature, path):
  """Numbers of continuations of one clip; the first is kept for the strip."""
  import numpy as np

  from train.samples import continuations
  from train.samples import sample_files

  num_frames = frames.shape[1]
  real = continuations.as_context(flow, frames)
  sampled = continuations.continue_clips(
    flow,
    frames,
    label,
    num_samples=_SAMPLES.value if temperature else 1,
    num_frames=_DRIFT_FACTOR * num_frames,
    temperature=temperature,
  )  # [N, 1, 4 T, H, W, C]
  np.save(path / f'continued_{temperature}.npy', sampled[0])
  np.save(path / 'real.npy', real)
  psnr = sample_files.psnr(real[:, 1:], sampled[:, :, 1:num_frames])
  copied = np.broadcast_to(real[:, :1], real[:, 1:].shape)
  drift = continuations.drift(real, sampled[:, 0])
  return {
    'psnr': psnr.mean(axis=(0, 1)).tolist(),
    'copy_psnr': sample_files.psnr(real[:, 1:], copied).mean(axis=0).tolist(),
    'drift': drift['ratios'],
  }


def _write_strip(temperature):
  """Rows of seed 0: real, the paper's, ours."""
  import numpy as np

  from train.samples import sample_files

  paths = [_folder(tail, 0) for tail in _TAILS]
  real = np.load(paths[0] / 'real.npy')[0]
  rows = [np.load(p / f'continued_{temperature}.npy')[0] for p in paths]
  missing = len(rows[0]) - len(real)
  real = np.pad(real, [(0, missing), (0, 0), (0, 0), (0, 0)])
  stem = pathlib.Path(_WORKDIR.value) / f'strip_temperature_{temperature}'
  return sample_files.save_videos(stem, np.stack([real, *rows]))


def _over_seeds(values):
  """Mean and sample standard deviation of numbers, or of lists by place."""
  import numpy as np

  values = np.asarray(values, np.float64)
  deviation = values.std(axis=0, ddof=1) if len(values) > 1 else None
  return {
    'mean': values.mean(axis=0).round(4).tolist(),
    'standard_deviation': None if deviation is None else deviation.tolist(),
  }


def _summary(runs, num_frames):
  """One tail's runs, means over seeds."""
  ends = {'of_clip': num_frames - 2, 'of_whole': -1}  # Frame 1 has index 0.
  result = {
    key: _over_seeds([run[key] for run in runs])
    for key in ('tail_bits_per_dim', 'training_seconds')
  }
  result['parameters'] = runs[0]['parameters']
  for temperature in map(str, _TEMPERATURES):
    rows = [run['temperatures'][temperature] for run in runs]
    result[f'temperature_{temperature}'] = {
      'psnr': _over_seeds([row['psnr'] for row in rows]),
      'copy_psnr': rows[0]['copy_psnr'],
      'drift': {
        key: {
          end: _over_seeds([row['drift'][key][place] for row in rows])
          for end, place in ends.items()
        }
        for key in rows[0]['drift']
      },
    }
  return result


def _compare():
  from train.storage import run_folder

  runs = {tail: [] for tail in _TAILS}
  for seed in range(_SEEDS.value):
    for tail in _TAILS:
      runs[tail].append(own_process.run_again(f'--run={tail} {seed}'))
  results = pathlib.Path(_WORKDIR.value) / 'results.json'
  results.write_text(json.dumps(runs, indent=1) + '\n')
  strips = [path for t in _TEMPERATURES for path in _write_strip(t)]
  config = run_folder.RunFolder(_folder('ours', 0)).read_config()
  return {
    'steps': config.run.steps,
    'num_frames': config.data.num_frames,
    'seeds': _SEEDS.value,
    'samples': _SAMPLES.value,
    **{t: _summary(runs[t], config.data.num_frames) for t in _TAILS},
    'strips': strips,
  }


def main(argv):
  del argv
  if _RUN.value:
    tail, seed = _RUN.value.split()
    print('\n' + json.dumps(_measure(tail, int(seed))))
    return
  print(json.dumps(_compare(), indent=2))


if __name__ == '__main__':
  app.run(main)
