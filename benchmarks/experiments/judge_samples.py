"""What the judge of a run's data set says of its samples.

  python benchmarks/experiments/judge_samples.py --workdir=runs/shapes \\
      --temperature=0.7,1 --frames=32 --png=runs/shapes/judged

Draws videos of every label, and continues held-out clips from their first real
frames, with every combination of `--temperature` and `--sampling`. The judge is
that of `train/evaluation/judges/`: of `shapes` the one that fits the renderer's
shapes, of natvid and Fashion-MNIST a classifier of real frames.

`--sampling=NAME=VALUE[,VALUE...]` passes a keyword to the model's `sample`, for
example `--sampling=min_p=0,0.03`; a value is JSON or else a string.

Several runs, separated by commas, are judged one after another; `over_runs` has
the mean and deviation of each rate.

Prints JSON: for each run, the rates of its real clips, and for each combination
those of `generated` and `continued` videos, each rate with the number judged. A
summary in words goes to stderr. `--png` writes a strip for each combination.
Below a frame of shapes is a bar: green, the video is right up to it; yellow,
the frame is right; red, it is not.
"""

import itertools
import json
import os
import pathlib
import sys
import time

from absl import app
from absl import flags
import numpy as np
from PIL import Image

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from benchmarks import training_runs  # noqa: E402
from train.config import nested  # noqa: E402

_WORKDIR = flags.DEFINE_list(
  'workdir', None, 'Folders of trained runs.', required=True
)
_CHECKPOINT = flags.DEFINE_enum(
  'checkpoint', 'newest', ['newest', 'best'], 'Checkpoint of each run.'
)
_VIDEOS_PER_LABEL = flags.DEFINE_integer(
  'videos_per_label', 8, 'Videos of each label; without labels, in all.'
)
_CLIPS = flags.DEFINE_integer(
  'clips', 48, 'Held-out clips that are continued; 0: none.'
)
_GIVEN = flags.DEFINE_integer(
  'given',
  None,
  'Real frames that a clip is continued from; default: as many '
  'as the tail sees.',
)
_FRAMES = flags.DEFINE_integer('frames', 32, 'Frames of each video.')
_TEMPERATURE = flags.DEFINE_list(
  'temperature', None, "Temperatures; default: the run's."
)
_SAMPLING = flags.DEFINE_multi_string(
  'sampling', [], 'NAME=VALUE[,VALUE...], a keyword of `sample`.'
)
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the samples.')
_BATCH = flags.DEFINE_integer('batch', 48, 'Videos that are drawn at once.')
_PNG = flags.DEFINE_string('png', None, 'Folder of strips.')
_PNG_VIDEOS = flags.DEFINE_integer('png_videos', 24, 'Rows of a strip.')

_SCALE = 3  # Of a strip.
_BAR = 3  # Rows below a frame, before it is enlarged.
_BAR_COLOURS = np.array([[200, 0, 0], [220, 200, 0], [0, 180, 0]], np.uint8)


def combinations(keywords):
  """All combinations of keywords: list of `dict`.

  Args:
    keywords: `dict` from names to lists of values.
  """
  return [
    dict(zip(keywords, values))
    for values in itertools.product(*keywords.values())
  ]


def parse(assignment):
  """('NAME', list of values) from 'NAME=VALUE[,VALUE...]'.

  Raises:
    ValueError: if there is no value.
  """
  name, _, text = assignment.partition('=')
  if not name or not text:
    raise ValueError(f'Expected NAME=VALUE, got {assignment!r}.')
  return name, [_value(part) for part in text.split(',')]


def _value(text):
  try:
    return json.loads(text)
  except json.JSONDecodeError:
    return text


class Samples:
  """Samples of a loaded run, and its judge."""

  def __init__(self, run):
    """Loads the run's held-out clips, and makes its judge.

    Args:
      run: `loading.Run`.

    Raises:
      ValueError: if its data set has no judge.
    """
    from train.evaluation.judges import choice
    from train.samples import continuations

    inputs = run.inputs()
    self.model, self.system = run.sampler, run.system
    self.judge = choice.judge_of(run.config, inputs, self.model)
    if self.judge is None:
      raise ValueError(f'{run.config.data.name} has no judge.')
    frames, self.labels = continuations.even_clips(
      inputs.valid_dataset(), max(_CLIPS.value, 1)
    )
    self.clips = continuations.as_context(self.model, frames)
    self.num_given = _GIVEN.value or self.system.num_given

  def real(self):
    return self.judge.judge(self.clips, self.labels)

  def generated(self, sampling):
    """Videos and labels; None if the model draws no first frames."""
    if not self.system.has_head:
      return None
    count, num_labels = _VIDEOS_PER_LABEL.value, self.model.num_labels
    num_frames = _FRAMES.value if self.system.has_tail else 1
    if num_labels is None:
      draw = lambda rows: {'num_videos': len(rows)}
      return self._sample(draw, count, num_frames, sampling), None
    labels = np.tile(np.arange(num_labels, dtype=np.int32), count)
    draw = lambda rows: {'labels': labels[rows]}
    return self._sample(draw, len(labels), num_frames, sampling), labels

  def continued(self, sampling):
    """Videos and labels; None if the model does not continue clips."""
    if not self.system.has_tail or not _CLIPS.value:
      return None
    given = self.clips[:, : self.num_given]

    def draw(rows):
      has_labels = self.model.num_labels is not None
      labels = self.labels[rows] if has_labels else None
      return {'first_frames': given[rows], 'labels': labels}

    num = len(self.clips)
    return self._sample(draw, num, _FRAMES.value, sampling), self.labels

  def _sample(self, draw, num_videos, num_frames, sampling):
    """Draws in batches, whose keywords `draw` returns for an array of rows."""
    num_batches = -(-num_videos // _BATCH.value)
    parts = np.array_split(np.arange(num_videos), num_batches)
    return np.concatenate(
      [
        self.model.sample(
          **draw(rows),
          num_frames=num_frames,
          seed=_SEED.value * num_batches + number,
          **sampling,
        ).numpy()
        for number, rows in enumerate(parts)
      ]
    )


def judged(samples, sampling, stem=None):
  """The rates of one combination.

  Args:
    samples: `Samples`.
    sampling: `dict`, keywords of `sample`.
    stem: Path of the strips without ending, or None.

  Returns:
    `dict` for JSON: sampling, seconds, generated and continued.
  """
  start = time.perf_counter()
  result = {'sampling': sampling}
  for kind, num_given in (('generated', 0), ('continued', samples.num_given)):
    drawn = getattr(samples, kind)(sampling)
    result[kind] = None
    if drawn is None:
      continue
    result[kind] = samples.judge.judge(*drawn, num_given)
    if stem is not None:
      save_strip(f'{stem}_{kind}.png', samples.judge, *drawn)
  return {**result, 'seconds': round(time.perf_counter() - start, 1)}


def save_strip(path, judge, videos, labels):
  """Writes the first videos as rows, with the judge's marks below the frames.

  Args:
    path: Path of a PNG file.
    judge: `Judge`.
    videos: uint8 `[N, T, H, W, C]`.
    labels: int `[N]`, or None.
  """
  from train.samples import sample_files

  videos = sample_files.as_rgb(videos[: _PNG_VIDEOS.value])
  marks = judge.marks(videos, None if labels is None else labels[: len(videos)])
  if marks is not None:
    bars = np.zeros([*videos.shape[:2], _BAR, *videos.shape[3:]], np.uint8)
    bars[:, :, :-1, 1:-1] = _BAR_COLOURS[marks][:, :, None, None]
    videos = np.concatenate([videos, bars], axis=2)
  rows = [np.concatenate(list(video), axis=1) for video in videos]
  image = Image.fromarray(np.concatenate(rows))
  size = (image.width * _SCALE, image.height * _SCALE)
  image.resize(size, Image.Resampling.NEAREST).save(path)


def over_runs(runs):
  """Mean and deviation of every rate over runs: list of `dict`.

  Args:
    runs: List of the results of runs with the same combinations.
  """
  results = []
  for rows in zip(*(run['rows'] for run in runs)):
    rates = [dict(_rates(row)) for row in rows]
    shared = [name for name in rates[0] if all(name in r for r in rates)]
    results.append(
      {
        'sampling': rows[0]['sampling'],
        **{
          name: training_runs.over_seeds([r[name] for r in rates])
          for name in shared
        },
      }
    )
  return results


def _rates(row):
  """Pairs of a rate's path and its value, of what was judged."""
  for name, value in nested.flat(row):
    if name.endswith('.rate') and value is not None:
      yield name[: -len('.rate')], value


def _stem(run, sampling):
  if _PNG.value is None:
    return None
  folder = pathlib.Path(_PNG.value)
  folder.mkdir(parents=True, exist_ok=True)
  name = run.folder.path.resolve().name
  return folder / '_'.join([name, *(f'{k}_{v}' for k, v in sampling.items())])


def _judge_run(workdir, keywords):
  from train.evaluation.judges import verdict_lines
  from train.runs import loading

  run = loading.load(workdir, _CHECKPOINT.value)
  keywords = {'temperature': [run.config.run.temperature], **keywords}
  samples = Samples(run)
  real = samples.real()
  rows = []
  for sampling in combinations(keywords):
    rows.append(judged(samples, sampling, _stem(run, sampling)))
    said = {'name': samples.judge.name, 'real': real, **sampling, **rows[-1]}
    for line in verdict_lines.verdict_lines({'judge': said}):
      print(line, file=sys.stderr, flush=True)
  return {
    'workdir': str(workdir),
    'step': run.step,
    'judge': samples.judge.name,
    'real': real,
    'rows': rows,
  }


def main(argv):
  del argv
  keywords = dict(map(parse, _SAMPLING.value))
  if _TEMPERATURE.value:
    keywords['temperature'] = [float(text) for text in _TEMPERATURE.value]
  runs = [_judge_run(workdir, keywords) for workdir in _WORKDIR.value]
  result = {'runs': runs}
  if len(runs) > 1:
    result['over_runs'] = over_runs(runs)
  print(json.dumps(result, indent=2))


if __name__ == '__main__':
  app.run(main)
