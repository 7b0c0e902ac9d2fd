"""Chooses the judge of a run's data set, if it has one."""

import numpy as np

from train.config import data_sets
from train.evaluation.judges import classifier
from train.evaluation.judges import shape_fit
from train.evaluation.judges import shapes
from train.samples import continuations

__all__ = ['judge_of']

_LEAST_BITS = 4  # With fewer, colours and background are not told apart.
_CLASSIFIED = (data_sets.Natvid, data_sets.FashionMnist)
# The classifier takes about half a minute on one core.
_STEPS = 300
_MAX_FRAMES = 4096


def judge_of(config, inputs, model):
  """The judge of a config's data set.

  `shapes` has a `ShapesJudge`, apart from the variants that hide the object,
  grey, small or coarsely quantised frames. Natvid and Fashion-MNIST have a
  classifier, which is trained here on real first frames.

  Args:
    config: `Config`.
    inputs: The run's `Inputs`.
    model: `VideoFlow` or `VideoGan`, as whose contexts real frames are
      quantised for the classifier.

  Returns:
    A `Judge`, or None if there is none.
  """
  data = config.data
  if isinstance(data, data_sets.Shapes):
    is_judged = (
      data.name in shapes.VARIANTS
      and data.channels == 3
      and data.frame_size >= shape_fit.MIN_SIZE
      and config.model.n_bits >= _LEAST_BITS
    )
    if not is_judged:
      return None
    return shapes.ShapesJudge(data.name, inputs.label_names)
  if isinstance(data, _CLASSIFIED) and _has_labels(data, inputs):
    return _classifier(inputs, model)
  return None


def _has_labels(data, inputs):
  """Whether frames of every label are there to be learned."""
  # A film that is held out has no frame in training, and fixed clips few.
  is_whole = not data.overfit_clips and getattr(data, 'left_out', None) is None
  return is_whole and len(inputs.label_names) > 1


def _classifier(inputs, model):
  videos, labels, count = [], [], 0
  for frames, label in inputs.train_dataset(0):
    videos.append(continuations.as_context(model, frames[:, :1]))
    labels.append(label.numpy())
    count += len(labels[-1])
    if count >= _MAX_FRAMES:
      break
  return classifier.ClassifierJudge(
    classifier.train_classifier(
      np.concatenate(videos),
      np.concatenate(labels),
      len(inputs.label_names),
      _STEPS,
    )
  )
