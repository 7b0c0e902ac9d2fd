"""The numbers that the literature reports on three public sets.

- balls: the squared error a frame of the predictive mean, from the second frame
  on.
- movement: the bits of a pixel and channel, from the second frame on.
- moving_mnist: the cross entropy with the grey levels, in nats a frame, of the
  last ten of twenty frames.

All frames before a predicted one are true.
"""

from __future__ import annotations

from absl import logging
import numpy as np
import tensorflow as tf

from tfp_cglow.internal import any_rows
from train.config import fields
from train.evaluation import grey_levels
from train.evaluation import protocol_figures

__all__ = ['NUM_SAMPLES', 'measure', 'published']

NUM_SAMPLES = 16  # Of the predictive mean, if the model does not give it.
_GIVEN = 10  # Frames of moving_mnist that are given.


def measure(flow, config, inputs, scores):
  """Measures the number of a set's protocol.

  Args:
    flow: `VideoFlow`.
    config: `Config`.
    inputs: `Inputs`.
    scores: From `breakdown.clip_scores`.

  Returns:
    `dict` for JSON: 'number' (its name), 'value', 'standard_error' (over
    clips), 'how', 'references' (`dict`s of 'title' and 'value') and 'published'
    (see `protocol_figures`); None for sets without a protocol and models that
    have no such number.
  """
  measured = _MEASURES.get(config.data.name)
  if measured is None or flow.tail is None:
    return None
  result = measured(flow, inputs, scores)
  if result is None:
    return None
  values = result.pop('values')  # [N], of clips.
  error = None
  if len(values) > 1:
    error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
  return {
    **result,
    'value': float(np.mean(values)),
    'standard_error': error,
    'published': published(config),
  }


def published(config):
  """The published figures for a config's set; [] if its frames are others.

  Args:
    config: `Config`.

  Returns:
    List of `dict`s, see `protocol_figures`.
  """
  name = config.data.name
  if name not in protocol_figures.FIGURES:
    return []
  ours = fields.flat(config)
  different = [
    f'{key} is {ours.get(key)}, there {value}'
    for key, value in protocol_figures.KEYS[name].items()
    if ours.get(key) != value
  ]
  if different:
    logging.info(
      'No published figures are shown: %s is not as in the literature (%s).',
      name,
      '; '.join(different),
    )
    return []
  return [dict(figure) for figure in protocol_figures.FIGURES[name]]


def _measure_balls(flow, inputs, scores):
  del scores
  num_samples = None if flow.gives_predictive_mean else NUM_SAMPLES
  errors, copied = [], []
  for frames, predicted in _predictions(flow, inputs, num_samples):
    errors.append(grey_levels.squared_errors(frames[:, 1:], predicted))
    copied.append(grey_levels.squared_errors(frames[:, 1:], frames[:, :-1]))
  how = 'exact mean' if num_samples is None else f'mean of {num_samples} draws'
  return {
    'number': 'squared error a frame',
    'how': how,
    'values': np.concatenate(errors).mean(1),
    'references': [
      {
        'title': 'the last frame, copied',
        'value': float(np.concatenate(copied).mean()),
      }
    ],
  }


def _measure_movement(flow, inputs, scores):
  del flow, inputs
  return {
    'number': 'bits a pixel and channel',
    'how': 'given the true frames before',
    'values': scores['tail'].mean(1),
    'references': [],
  }


def _measure_moving_mnist(flow, inputs, scores):
  if flow.dequantisation != 'drawn' or scores['tail'].shape[1] < _GIVEN:
    logging.info(
      'The nats a frame of moving_mnist are measured with '
      'model.dequantisation=drawn and data.num_frames of more than %d.',
      _GIVEN,
    )
    return None
  nats = scores['tail'][:, _GIVEN - 1 :] * flow.num_dims * np.log(2.0)
  entropy = np.concatenate(
    [
      grey_levels.entropy(frames.numpy()[:, _GIVEN:])
      for frames, _ in inputs.valid_dataset()
    ]
  )
  references = [{'title': 'lower bound', 'value': float(entropy.mean())}]
  if flow.gives_predictive_mean:
    exact = [
      grey_levels.cross_entropy(frames[:, _GIVEN:], predicted[:, _GIVEN - 1 :])
      for frames, predicted in _predictions(flow, inputs, None)
    ]
    references.append(
      {
        'title': 'the same, from the exact mean',
        'value': float(np.concatenate(exact).mean()),
      }
    )
  return {
    'number': 'nats a frame',
    'how': 'code length of draws from the grey levels',
    'values': nats.mean(1),
    'above_bound': float(nats.mean() - entropy.mean()),
    'references': references,
  }


def _predictions(flow, inputs, num_samples):
  """Yields frames uint8 `[B, T, H, W, C]` and means of frames 1..T-1."""
  mean = any_rows.AnyRows(
    lambda frames, label, seed: flow.predictive_mean(
      frames, label, num_samples, seed
    )
  )
  for number, (frames, label) in enumerate(inputs.valid_dataset()):
    label = label if flow.takes_labels else None
    predicted = mean(frames, label, seed=tf.constant([0, number]))
    yield frames.numpy(), predicted.numpy()


_MEASURES = {
  'balls': _measure_balls,
  'movement': _measure_movement,
  'moving_mnist': _measure_moving_mnist,
}
