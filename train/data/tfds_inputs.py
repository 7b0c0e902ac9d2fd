"""The batches of a run from TensorFlow Datasets; see `inputs`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from typing import Any

import numpy as np
import tensorflow as tf

from tfp_cglow.internal import plain_paths
from train.data import sequential_inputs
from train.data import sources
from train.data.decoding import pixels
from train.storage import label_names

__all__ = ['TfdsInputs']

_FILES, _SHUFFLE = 0, 1  # Streams of random numbers of one data seed.
_VALID_SPLITS = ('validation', 'test')
_VALID_FRACTION = 0.1
_MARK = 'cannot be trained on: '  # Marks the messages of our own assertions.


class TfdsInputs(sequential_inputs.SequentialInputs):
  """Training and validation batches, with the interface of `inputs.Inputs`.

  A clip is a window of a video, or one image. The training part is the split
  'train'. Held out is the split 'validation', or if the data set has none,
  'test', or if it has neither, the last part of 'train'.
  """

  def __init__(
    self,
    name,
    num_frames,
    frame_size,
    channels,
    batch_size,
    seed,
    data_dir=None,
    feature=None,
    symmetry='none',
    crop='center',
    valid_fraction=None,
    shuffle_bytes=sequential_inputs.SHUFFLE_BYTES,
  ):
    """Downloads and prepares the data set unless `data_dir` has it.

    Args:
      name: `str`, such as 'mnist', 'ucf101/ucf101_1', 'mnist:3.0.1'.
      num_frames: `int`, number of frames of a clip. Reading an example with
        fewer frames is an error.
      frame_size: `int`, height and width of a clip in pixels.
      channels: `int`, 3 (RGB) or 1 (their mean).
      batch_size: `int`.
      seed: `int`, seed of order, windows and symmetries.
      data_dir: `str` or None, TensorFlow Datasets' folder, by default
        ~/tensorflow_datasets.
      feature: `str` or None, path of the video or image feature, for example
        'steps/observation/image'; None: the only one.
      symmetry: 'none', 'mirror' or 'wrap', see `symmetry`.
      crop: 'center' (short side to `frame_size`, the middle of the long side)
        or 'letterbox' (long side to `frame_size`, black beside the short one).
      valid_fraction: `float` in (0, 1) or None (0.1), the fraction of 'train'
        that is held out if the data set has no other split.
      shuffle_bytes: `int`, size of the shuffle buffer in bytes, from the mean
        size of an example.

    Raises:
      DataError: if tensorflow_datasets is not installed, or the data set is
        unknown, cannot be prepared, or has no such feature or split.
    """
    super().__init__(f'tfds:{name}', num_frames, batch_size, seed, symmetry)
    self._tfds = _import_tfds()
    self._frame_size = frame_size
    self._channels = channels
    self._crop = crop
    self._shuffle_bytes = shuffle_bytes
    self._builder = _builder(self._tfds, name, data_dir)
    leaves = _leaves(self._tfds, self._builder.info.features)
    self._video = _choose_video(self._what, leaves, feature)
    self._label = _choose_label(leaves)
    label_names.check(self.label_names, self._what)
    self._check_length()
    self._train, self._valid = self._splits(valid_fraction)

  @property
  def label_names(self):
    return ('all',) if self._label is None else tuple(self._label.feature.names)

  @property
  def num_train_clips(self):
    return self._train.num_examples

  @property
  def num_valid_clips(self):
    return self._valid.num_examples

  @contextlib.contextmanager
  def raising(self):
    """Within, turns a TensorFlow error about the data into a DataError."""
    try:
      with super().raising():
        yield
    except tf.errors.InvalidArgumentError as e:
      found = re.search(
        re.escape(f'{self._what} {_MARK}') + r'[^\]\n]*', str(e.message)
      )
      if not found:
        raise
      raise sources.DataError(found.group()) from None

  def _check_length(self):
    """Raises DataError if the data set's metadata say that clips are short."""
    length = None
    if not self._video.is_sequence:
      length = 1
    elif self._video.path == self._video.stored_path:
      length = _at(self._builder.info.features.shape, self._video.path)[0]
    if length is not None and length < self._num_frames:
      raise sources.DataError(
        f'{self._what} has clips of {length} frames in {self._video.name}, '
        f'expected num_frames={self._num_frames}. For images: --set '
        'data.num_frames=1 --set model.tail=none.'
      )

  def _splits(self, valid_fraction):
    """The training and the held-out `_Split`."""
    splits = self._builder.info.splits
    if 'train' not in splits:
      raise sources.DataError(
        f"Expected a split 'train' in {self._what}, found "
        f'{", ".join(map(repr, splits)) or "none"}.'
      )
    train = splits['train']
    total = train.num_examples
    mean_bytes = max(1, (train.num_bytes or 0) // max(1, total))
    for name in _VALID_SPLITS:
      if name in splits and splits[name].num_examples and total:
        return (
          _Split('train', total, mean_bytes),
          _Split(name, splits[name].num_examples, mean_bytes),
        )
    fraction = _VALID_FRACTION if valid_fraction is None else valid_fraction
    if not 0 < fraction < 1:
      raise sources.DataError(
        f'Expected 0 < valid_fraction < 1, got {fraction}.'
      )
    if total < 2:
      raise sources.DataError(
        f'Expected at least 2 examples in {self._what}, one of them to hold '
        f'out, got {total}.'
      )
    held_out = min(max(1, int(total * fraction)), total - 1)
    first = total - held_out
    return (
      _Split(f'train[:{first}]', first, mean_bytes),
      _Split(f'train[{first}:]', held_out, mean_bytes),
    )

  def _read(self, split, shuffle_seed=None):
    """The examples of a split, without decoding frames."""
    config = self._tfds.ReadConfig(
      try_autocache=False,
      shuffle_seed=shuffle_seed,
      shuffle_reshuffle_each_iteration=False,
      # Read one example, a video, from each file in turn.
      interleave_cycle_length=1 if shuffle_seed is None else 16,
      interleave_block_length=1,
      enable_ordering_guard=False,
      skip_prefetch=True,
    )
    features, decoders = {}, {}
    _insert(features, self._video.stored_path, True)
    _insert(decoders, self._video.stored_path, self._tfds.decode.SkipDecoding())
    if self._label is not None:
      _insert(features, self._label.path, True)
    return self._builder.as_dataset(
      split=split.name,
      shuffle_files=shuffle_seed is not None,
      decoders=self._tfds.decode.PartialDecoding(features, decoders),
      read_config=config,
    ).map(self._pick)

  def _pick(self, example):
    """`dict` of encoded frames, string `[T]`, and label, int32 `[]`."""
    encoded = _at(example, self._video.path)
    if not self._video.is_sequence:
      encoded = encoded[tf.newaxis]
    if self._label is None:
      return {'frames': encoded, 'label': tf.zeros([], tf.int32)}
    label = tf.cast(_at(example, self._label.path), tf.int32)
    return {'frames': encoded, 'label': label}

  def _epoch(self, number):
    dataset = self._read(self._train, self._draw_seed(_FILES, number))
    buffer = self._shuffle_bytes // self._train.mean_bytes
    return dataset.shuffle(
      min(max(1, buffer), self.num_train_clips),
      seed=self._draw_seed(_SHUFFLE, number),
      reshuffle_each_iteration=False,
    )

  def _train_examples(self):
    one = tf.ones([], tf.int64)
    return self._read(self._train).map(lambda example: (example, one))

  def _valid_examples(self):
    return self._read(self._valid)

  def _clip(self, example, start):
    num_frames, encoded = self._num_frames, example['frames']
    length = tf.size(encoded, tf.int64)
    num_labels = len(self.label_names)
    checks = [
      self._expect(
        length >= num_frames,
        f'expected num_frames={num_frames} frames or more in each video, got',
        length,
      ),
      self._expect(
        (example['label'] >= 0) & (example['label'] < num_labels),
        f'expected labels from 0 to {num_labels - 1}, got',
        example['label'],
      ),
    ]
    with tf.control_dependencies(checks):
      first = start(length - num_frames + 1)
    image = self._video.feature
    frames = tf.map_fn(
      image.decode_example,
      encoded[first : first + num_frames],
      fn_output_signature=tf.TensorSpec(image.shape, tf.uint8),
    )
    frames = pixels.frames_in_graph(
      frames, self._frame_size, self._channels, self._crop
    )
    shape = [num_frames, self._frame_size, self._frame_size, self._channels]
    return tf.ensure_shape(frames, shape), example['label']

  def _expect(self, condition, expected, value):
    """An assertion that `raising` turns into a DataError.

    `expected` must not have brackets: the pattern in `raising` ends at one.
    """
    message = tf.strings.format(f'{self._what} {_MARK}{expected} {{}}.', value)
    return tf.debugging.Assert(condition, [message])


@dataclasses.dataclass(frozen=True)
class _Split:
  """A split, with its name in TensorFlow Datasets, such as 'train[:90]'."""

  name: str
  num_examples: int
  mean_bytes: int


@dataclasses.dataclass(frozen=True)
class _Leaf:
  """A feature that may be used.

  Attributes:
    path: Tuple of `str`, the keys that lead to it.
    stored_path: The path up to the first tfds.features.Dataset, which can only
      be decoded or skipped as a whole; else `path`.
    feature: A tfds.features.Image or ClassLabel.
    is_sequence: `bool`, whether an example has several of them.
    is_label: `bool`.
  """

  path: tuple[str, ...]
  stored_path: tuple[str, ...]
  feature: Any
  is_sequence: bool
  is_label: bool

  @property
  def name(self):
    return '/'.join(self.path)


def _import_tfds():
  try:
    import tensorflow_datasets as tfds  # Here, as it is an extra, and slow.
  except ImportError as e:
    raise sources.DataError(
      '--dataset=tfds:... needs TensorFlow Datasets: pip install '
      f'"tfp-cglow[tfds]" ({e}).'
    ) from None
  return tfds


def _builder(tfds, name, data_dir):
  """The builder of a data set, after preparing it."""
  try:
    folder = data_dir and plain_paths.plain(os.path.expanduser(data_dir))
    builder = tfds.builder(name, data_dir=folder)
  except tfds.core.DatasetNotFoundError:
    plain = re.split('[/:]', name)[0]
    names = tfds.list_builders(with_community_datasets=False)
    raise sources.DataError(
      f'Unknown dataset tfds:{name}: {sources.near_names(plain, names)}'
    ) from None
  except Exception as e:  # A builder may raise anything.
    raise sources.DataError(_cannot('load', name, e)) from None
  try:
    builder.download_and_prepare()
  except Exception as e:
    raise sources.DataError(_cannot('prepare', name, e)) from None
  return builder


def _cannot(verb, name, error):
  lines = str(error).strip().splitlines() or ['']
  return f'Cannot {verb} tfds:{name}: {type(error).__name__}: {lines[0]}'


def _leaves(tfds, feature, path=(), stored_path=None, levels=0):
  """List of the `_Leaf`s of 8-bit images and labels in a feature."""
  kinds = tfds.features
  if isinstance(feature, kinds.FeaturesDict):
    return [
      leaf
      for key, inner in feature.items()
      for leaf in _leaves(tfds, inner, (*path, key), stored_path, levels)
    ]
  if isinstance(feature, kinds.Sequence):  # Or a Dataset, or a Video.
    if isinstance(feature, kinds.Dataset) and stored_path is None:
      stored_path = path
    return _leaves(tfds, feature.feature, path, stored_path, levels + 1)
  is_label = (
    isinstance(feature, kinds.ClassLabel)
    and levels == 0
    and bool(feature.num_classes)
  )
  is_image = (
    isinstance(feature, kinds.Image)
    and not isinstance(feature, kinds.LabeledImage)
    and levels <= 1
    and feature.shape[-1] in (1, 3, 4)
    and feature.np_dtype == np.uint8
  )
  if not is_label and not is_image:
    return []
  stored_path = path if stored_path is None else stored_path
  return [_Leaf(path, stored_path, feature, levels == 1, is_label)]


def _choose_video(what, leaves, name):
  """The `_Leaf` of the named video or image feature, or the only one."""
  videos = {leaf.name: leaf for leaf in leaves if not leaf.is_label}
  if name is not None:
    if name in videos:
      return videos[name]
    raise sources.DataError(
      f'Expected data.feature to be a video or image of {what} '
      f'({", ".join(sorted(videos)) or "none"}), got {name!r}.'
    )
  if not videos:
    raise sources.DataError(
      f'Expected a video or image feature of 8 bits in {what}, found none.'
    )
  if len(videos) > 1:
    names = sorted(videos)
    raise sources.DataError(
      f'{what} has several videos or images, {", ".join(names)}: choose one, '
      f'for example --set data.feature={names[0]}.'
    )
  return next(iter(videos.values()))


def _choose_label(leaves):
  """The `_Leaf` of the label, or None."""
  labels = {leaf.name: leaf for leaf in leaves if leaf.is_label}
  if 'label' in labels or len(labels) != 1:
    return labels.get('label')
  return next(iter(labels.values()))


def _insert(tree, path, value):
  """Sets a value in nested dicts."""
  for key in path[:-1]:
    tree = tree.setdefault(key, {})
  tree[path[-1]] = value


def _at(tree, path):
  for key in path:
    tree = tree[key]
  return tree
