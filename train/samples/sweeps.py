"""Videos that show the effect of temperature and latents."""

import numpy as np
import tensorflow as tf

import tfp_cglow
from tfp_cglow.video import rollout

__all__ = ['between_two', 'temperature_sweep']


def temperature_sweep(model, ids, num_frames, temperatures, seed, **sampling):
  """Samples each label at several temperatures, with the same noise.

  Args:
    model: `VideoFlow`.
    ids: List of Python `int`, labels.
    num_frames: Python `int`.
    temperatures: List of floats.
    seed: Python `int`, or None: a random one.
    **sampling: Further arguments of the model's `sample`.

  Returns:
    uint8 `[len(ids) * len(temperatures), T, H, W, C]`, label by label.
  """
  num = len(temperatures)
  seeds = rollout.row_seeds(_seed(seed), len(ids))
  ids = tf.repeat(ids, num)
  return model.sample(
    labels=None if model.num_labels is None else ids,
    num_videos=None if model.num_labels is not None else len(ids),
    num_frames=num_frames,
    temperature=tf.tile(
      tf.constant(temperatures, tf.float32), [len(ids) // num]
    ),
    seed=tf.repeat(seeds, num, axis=0),
    **sampling,
  )


def between_two(model, ids, num_frames, temperature, seed, num):
  """Videos that interpolate between two drawn videos of each label.

  Args:
    model: `VideoFlow`.
    ids: List of Python `int`, labels.
    num_frames: Python `int`.
    temperature: Float.
    seed: Python `int`, or None: a random one.
    num: Python `int`, number of videos for each label, including the two drawn
      ones.

  Returns:
    uint8 `[len(ids) * num, T, H, W, C]`, label by label.

  Raises:
    ValueError: if the model has no head.
  """
  if model.head is None:
    raise ValueError(
      'A model without a head cannot draw videos to interpolate between.'
    )
  labels = None if model.num_labels is None else tf.constant(ids)
  seeds = tf.stack([[_seed(seed), end] for end in (0, 1)])
  ends = [
    tf.random.stateless_normal(
      [len(ids), num_frames, model.num_dims], s, alg='philox'
    )
    for s in seeds
  ]
  videos = tfp_cglow.interpolate(
    model, *(temperature * z for z in ends), num, labels
  )
  return tf.reshape(videos, [-1, *videos.shape[2:]])


def _seed(seed):
  return np.random.default_rng().integers(2**31) if seed is None else seed
