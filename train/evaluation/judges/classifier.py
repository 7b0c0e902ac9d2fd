"""A classifier, trained on real videos only, that judges samples.

- Its accuracy on samples of label y says whether they are recognisable as y.
- A second classifier, trained on samples and tested on real videos, says
  whether samples are varied, too (the classification accuracy score of Ravuri
  and Vinyals, 2019).
- The Frechet distance of its features compares two sets (Heusel et al., 2017).
  The features are this classifier's, not a published network's, so compare
  distances of the same classifier only. A hash of its weights identifies it.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import tensorflow as tf
import tf_keras as tfk

from train.evaluation.judges import base

__all__ = [
  'Classifier',
  'ClassifierJudge',
  'frechet_distance',
  'train_classifier',
]

_WIDTHS = (32, 64, 128)
_SIZE = 32  # Pixels.
_BATCH_SIZE = 64
_LEARNING_RATE = 1e-3


class Classifier:
  """A trained classifier.

  Attributes:
    weights_hash: `str`, 12 hexadecimal digits of the SHA-256 of its weights.
  """

  def __init__(self, network):
    """Wraps a network; `train_classifier` makes one.

    Args:
      network: Keras model from prepared videos to features `[B, F]` and logits
        `[B, num_labels]`.
    """
    self._network = network
    digest = hashlib.sha256()
    for weight in network.get_weights():
      digest.update(np.ascontiguousarray(weight).tobytes())
    self.weights_hash = digest.hexdigest()[:12]

  def features_and_logits(self, videos):
    """Features `[N, F]` and logits `[N, num_labels]` of `[N, T, H, W, C]`."""
    return self._network.predict(
      _prepared(videos), batch_size=_BATCH_SIZE, verbose=0
    )

  def features(self, videos):
    return self.features_and_logits(videos)[0]

  def is_recognised(self, videos, labels):
    """Whether videos `[N, T, H, W, C]` are assigned to their labels `[N]`."""
    _, logits = self.features_and_logits(videos)
    return np.argmax(logits, axis=-1) == np.asarray(labels)

  def accuracy(self, videos, labels):
    """Share of videos `[N, T, H, W, C]` assigned to their labels `[N]`."""
    return float(np.mean(self.is_recognised(videos, labels)))


class ClassifierJudge(base.Judge):
  """Judges frames by whether a classifier of frames recognises their labels."""

  name = 'classifier'

  def __init__(self, classifier):
    """Creates the judge.

    Args:
      classifier: `Classifier`, trained on videos of one frame.
    """
    self._classifier = classifier

  def judge(self, videos, labels=None, num_given=0):
    """See `Judge.judge`.

    Returns:
      `dict`: num_videos, num_given; `first_frames`, with the rate `recognised`
      of the first frames that are not given; and `frames_recognised_at`, rates
      by number of frames. They are None for videos without labels.
    """
    videos = np.asarray(videos)
    ends = [h for h in base.horizons(videos.shape[1]) if h > num_given]
    recognised = functools.partial(self._recognised, videos, labels)
    return {
      'num_videos': len(videos),
      'num_given': num_given,
      'first_frames': {'recognised': recognised(num_given)},
      'frames_recognised_at': {str(h): recognised(h - 1) for h in ends},
    }

  def _recognised(self, videos, labels, index):
    if labels is None or not len(videos):
      return base.rate([])
    frames = videos[:, index : index + 1]
    return base.rate(self._classifier.is_recognised(frames, labels))


def train_classifier(
  videos, labels, num_labels, steps=2000, seed=0, flip=False
):
  """Trains a classifier of videos, or of images as videos of one frame.

  Frames of a video are stacked, with the differences of neighbours: three
  convolutions, the mean over places, one dense layer.

  Args:
    videos: uint8 `[N, T, H, W, C]`.
    labels: int `[N]`.
    num_labels: Python `int`.
    steps: Python `int`, batches of 64.
    seed: Python `int`, of weights and order.
    flip: Python `bool`: half of the videos mirrored, in training.

  Returns:
    A `Classifier`.

  Raises:
    ValueError: if videos and labels are not as many, or none.
  """
  videos, labels = np.asarray(videos), np.asarray(labels)
  if len(videos) != len(labels) or not len(videos):
    raise ValueError(
      f'Expected a label a video, but got {len(videos)} videos and '
      f'{len(labels)} labels.'
    )
  network = _network(_prepared(videos[:1]).shape[1:], num_labels, seed)
  network.compile(
    tfk.optimizers.legacy.Adam(
      tfk.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps)
    ),
    # The features have no loss.
    loss=[None, tfk.losses.SparseCategoricalCrossentropy(from_logits=True)],
  )
  network.fit(_batches(videos, labels, steps, seed, flip), epochs=1, verbose=0)
  return Classifier(network)


def frechet_distance(a, b):
  """Frechet distance between Gaussians fitted to two sets of features.

  Args:
    a: Float `[N, F]`.
    b: Float `[M, F]`.

  Returns:
    `float`, |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) of the covariances.

  Raises:
    ValueError: for fewer than two rows, or unequal sizes.
  """
  a, b = (np.asarray(x, np.float64) for x in (a, b))
  if a.ndim != 2 or a.shape[1:] != b.shape[1:] or min(len(a), len(b)) < 2:
    raise ValueError(
      'Expected features [N, F] and [M, F] of at least two videos each, but '
      f'got {a.shape} and {b.shape}.'
    )
  means = [x.mean(axis=0) for x in (a, b)]
  covariances = [np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b)]
  # tr (A B)^(1/2) = tr (A^(1/2) B A^(1/2))^(1/2), which is symmetric.
  values, vectors = np.linalg.eigh(covariances[0])
  root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
  of_product = np.linalg.eigvalsh(root @ covariances[1] @ root)
  shared = np.sum(np.sqrt(np.maximum(of_product, 0.0)))
  total = sum(np.trace(c) for c in covariances)
  return float(np.sum((means[0] - means[1]) ** 2) + total - 2.0 * shared)


def _network(shape, num_labels, seed):
  inputs = tfk.Input(shape)
  h = inputs
  for i, width in enumerate(_WIDTHS):
    h = tfk.layers.Conv2D(
      width,
      3,
      strides=1 + (i > 0),
      padding='same',
      kernel_initializer=_initializer(seed, i),
    )(h)
    h = tfk.layers.ReLU()(h)
  features = tfk.layers.GlobalAveragePooling2D()(h)
  logits = tfk.layers.Dense(
    num_labels, kernel_initializer=_initializer(seed, len(_WIDTHS))
  )(features)
  return tfk.Model(inputs, [features, logits])


def _initializer(seed, layer):
  return tfk.initializers.GlorotUniform(seed * (len(_WIDTHS) + 1) + layer)


def _prepared(videos):
  """float32 `[N, H, W, (2 T - 1) C]`: frames, then differences.

  Frames of at least twice `_SIZE` are averaged down, which bounds the time.
  """
  frames = tf.cast(videos, tf.float32) / 127.5 - 1.0
  few = max(min(frames.shape[2:4]) // _SIZE, 1)
  frames = tf.nn.avg_pool3d(frames, [1, few, few], [1, few, few], 'VALID')
  maps = [*tf.unstack(frames, axis=1)]
  maps += [after - before for before, after in zip(maps, maps[1:])]
  return tf.concat(maps, axis=-1)


def _batches(videos, labels, steps, seed, flip):
  def augment(batch, label):
    if flip:
      is_mirrored = (
        tf.random.uniform([tf.shape(batch)[0], 1, 1, 1, 1], seed=seed) < 0.5
      )
      batch = tf.where(is_mirrored, tf.reverse(batch, [3]), batch)
    return _prepared(batch), label

  dataset = tf.data.Dataset.from_tensor_slices((videos, labels))
  dataset = dataset.shuffle(len(labels), seed=seed).repeat()
  return dataset.batch(_BATCH_SIZE).map(augment).take(steps).prefetch(1)
