"""Do more films confuse a tail? One, two and all four of natvid's films.

  python benchmarks/experiments/variety.py --workdir=runs/variety --seeds=3
  python benchmarks/experiments/variety.py \\
      --workdir=runs/variety --seeds=3 --controls

The paper: "the variety of the dataset tended to confuse" its model. Here tails
are trained on every film alone, on two pairs and on all four, with the same
number of steps and of training frames in all. Each film's held-out clips are
measured: the same clips in every run. The number of frames is the largest that
every single film has, that splits evenly over the films, and that the loader
can cut to exactly (its pieces are never shorter than a clip).

So a film that shares has fewer frames of its own, and they end earlier, so its
held-out clips are also further away in time. Both raise its bits/dim without
any confusion. `--controls` also trains every film alone on a half and a quarter
of the frames. The effect of the other films (`effect_of_others`) is then the
result of a run with others minus that of the control with as many own frames.

Every run is `python -m train.main` in its own process and its own folder under
`--workdir`. The same command again reuses finished runs and continues the
others. The tail takes no label. Prints JSON: bits/dim by film and number of
films, and the mean over films, both with mean and sample standard deviation
over seeds. A seed sets weights, noise and data order; the films' split is
always the same.
"""

import dataclasses
import json
import os
import pathlib
import sys

from absl import app
from absl import flags
from absl import logging

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
_ROOT = os.path.dirname(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
)
sys.path.insert(0, _ROOT)

from benchmarks import training_runs  # noqa: E402

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of all runs.', required=True
)
_PRESET = flags.DEFINE_string('preset', 'cglow_small', 'Preset of the tail.')
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs of each set of films.')
_STEPS = flags.DEFINE_integer('steps', None, "Default: the preset's.")
_CONTROLS = flags.DEFINE_bool(
  'controls', False, "Also train on each film's share alone."
)
_SET = flags.DEFINE_multi_string('set', [], 'key=value, for every run.')

_FILMS = ('bikes', 'bunny', 'carphone', 'parrot')
_SINGLES = tuple((film,) for film in _FILMS)
_PAIRS = (('bikes', 'bunny'), ('carphone', 'parrot'))
_SETS = (*_SINGLES, *_PAIRS, _FILMS)


@dataclasses.dataclass(frozen=True)
class Run:
  """A tail trained on some films."""

  films: tuple[str, ...]
  num_frames: int
  seed: int

  @property
  def name(self):
    return f'{"_".join(self.films)}_{self.num_frames}_frames'

  @property
  def path(self):
    return pathlib.Path(_WORKDIR.value) / self.name / f'seed_{self.seed}'

  def assignments(self):
    return [
      'model.head=none',
      'model.tail.labels=none',
      f'seed={self.seed}',
      *([] if _STEPS.value is None else [f'run.steps={_STEPS.value}']),
      *_SET.value,
      f'data.only_labels={",".join(self.films)}',
      f'data.max_train_frames={self.num_frames}',
      *training_runs.NUMBERS_ONLY,
    ]

  def config(self):
    from train.config import overrides
    from train.config import presets

    preset = presets.PRESETS[_PRESET.value]
    return overrides.override(preset, self.assignments())


def _training(config, films, num_frames):
  """Frames, and clips of an epoch, of training on films."""
  from train.data import datasets

  data = dataclasses.replace(
    config.data, only_labels=','.join(films), max_train_frames=num_frames
  )
  source = datasets.make_source(data)
  return {
    'frames': sum(region.stop - region.start for region in source.train),
    'clips': source.num_train_clips,
  }


def _is_exact(config, films, num_frames):
  return _training(config, films, num_frames)['frames'] == num_frames


def _num_frames(config):
  """The largest number of frames that every set of films can be cut to."""
  parts, length = len(_FILMS), config.data.num_frames
  most = min(_training(config, s, 10**9)['frames'] for s in _SINGLES)
  for num in range(most - most % parts, parts * length - 1, -parts):
    if all(_is_exact(config, films, num) for films in _SETS):
      return num
  raise ValueError(
    f'Expected training frames for {parts} clips of {length} frames in every '
    f'film, but the shortest has {most}.'
  )


def _train(run):
  """The run's held-out bits/dim by film; trains it if necessary."""
  folder = training_runs.train(run.path, _PRESET.value, run.assignments())
  metrics = folder.read_metrics_file()
  return metrics['tail_bits_per_dim_by_label']


def _train_all(sets):
  """`dict` from (films, frames) to a list, one per seed, of bits by film."""
  results = {key: [] for key in sets}
  for seed in range(_SEEDS.value):
    for films, num_frames in sets:
      bits = _train(Run(films, num_frames, seed))
      results[films, num_frames].append(bits)
  return results


def _table(by_film):
  """Table of each film and the mean, from bits/dim by film and seed."""
  by_seed = [sum(bits) / len(bits) for bits in zip(*by_film.values())]
  rows = {
    film: training_runs.over_seeds(bits) for film, bits in by_film.items()
  }
  return {**rows, 'mean_over_films': training_runs.over_seeds(by_seed)}


def _minus(ours, theirs):
  return {
    film: [a - b for a, b in zip(bits, theirs[film])]
    for film, bits in ours.items()
  }


def _report(results, total):
  """Tables by number of films, and differences paired by seed."""

  def bits(film, films, num_frames):
    return [by_film[film] for by_film in results[films, num_frames]]

  sizes = sorted({len(films) for films in _SETS})
  shared, alone = {}, {}
  for size in sizes:
    sets = [films for films in _SETS if len(films) == size]
    shared[size] = {f: bits(f, s, total) for s in sets for f in s}
    if _CONTROLS.value:
      alone[size] = {f: bits(f, (f,), total // size) for f in _FILMS}
  report = {
    'tail_bits_per_dim': {size: _table(shared[size]) for size in sizes},
    'more_than_one_film': {
      size: _table(_minus(shared[size], shared[1])) for size in sizes[1:]
    },
  }
  if alone:
    report['alone_on_its_share'] = {s: _table(alone[s]) for s in sizes[1:]}
    report['effect_of_others'] = {
      size: _table(_minus(shared[size], alone[size])) for size in sizes[1:]
    }
  return report


def _compare():
  config = Run(_FILMS, 0, 0).config()
  total = _num_frames(config)
  sets = [(films, total) for films in _SETS]
  if _CONTROLS.value:
    sets += [(films, total // n) for n in (2, 4) for films in _SINGLES]
  results = _train_all(sets)
  return {
    'preset': _PRESET.value,
    'steps': config.run.steps,
    'batch_size': config.run.batch_size,
    'training_frames': total,
    'training_clips': {
      Run(*key, 0).name: _training(config, *key)['clips'] for key in sets
    },
    **_report(results, total),
  }


def main(argv):
  del argv
  logging.set_verbosity(logging.INFO)
  print(json.dumps(_compare(), indent=2))


if __name__ == '__main__':
  app.run(main)
