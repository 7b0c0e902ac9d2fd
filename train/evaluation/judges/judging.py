"""What the judge of a run's data set says of its videos, for metrics.json."""

from __future__ import annotations

import numpy as np

from train.evaluation.judges import choice
from train.samples import continuations

__all__ = ['MAX_VIDEOS', 'judge_run', 'labels_to_draw']

MAX_VIDEOS = 48
_MAX_PER_LABEL = 8


def judge_run(model, config, inputs, num_frames=None, continued=None):
  """Judges real clips, videos of the labels, and continuations.

  At most `MAX_VIDEOS` of each, drawn as the config says.

  Args:
    model: `VideoFlow` or `VideoGan`.
    config: The run's `Config`.
    inputs: Its `Inputs`.
    num_frames: Python `int`, length of the videos that are drawn for labels;
      None: none are drawn.
    continued: `continuations.Continued`, already drawn, or None.

  Returns:
    `dict` of the key `judge`: name, sampling, and the result of
    `Judge.judge` for `real`, `generated` and `continued`, None of what there is
    none. The `dict` is empty if the data set has no judge.
  """
  judge = choice.judge_of(config, inputs, model)
  if judge is None:
    return {}
  real, labels = continuations.even_clips(inputs.valid_dataset(), MAX_VIDEOS)
  result = {
    'name': judge.name,
    'sampling': config.sampling,
    'real': judge.judge(continuations.as_context(model, real), labels),
    'generated': None,
    'continued': None,
  }
  if num_frames is not None:
    labels = labels_to_draw(model.num_labels)
    videos = model.sample(
      labels=labels,
      num_videos=MAX_VIDEOS if labels is None else None,
      num_frames=num_frames,
      seed=config.seed,
      **config.sampling,
    )
    result['generated'] = judge.judge(videos.numpy(), labels)
  if continued is not None:
    result['continued'] = judge.judge(
      continued.videos, continued.label, continued.num_given
    )
  return {'judge': result}


def labels_to_draw(num_labels, per_label=_MAX_PER_LABEL, most=MAX_VIDEOS):
  """Labels, the same number of each, or of more than `most` labels some.

  Args:
    num_labels: Python `int`, or None for a model without labels.
    per_label: Python `int`, videos of each label, at most.
    most: Python `int`, videos in all, at most.

  Returns:
    int32 `[N]`, or None.
  """
  if num_labels is None:
    return None
  if num_labels > most:
    return np.linspace(0, num_labels - 1, most).round().astype(np.int32)
  count = min(per_label, most // num_labels)
  return np.tile(np.arange(num_labels, dtype=np.int32), count)
