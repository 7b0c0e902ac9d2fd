"""The batches of a run from data that can only be read in sequence.

Subclasses define how an epoch is read and how a window of an example is
decoded. The graph has TensorFlow ops only, if the subclass has.
"""

from __future__ import annotations

import contextlib

import numpy as np
import tensorflow as tf

from train.data import feeding
from train.data import sources
from train.data import symmetry as symmetry_lib

__all__ = ['SHUFFLE_BYTES', 'SequentialInputs']

SHUFFLE_BYTES = 2**28  # Size of the shuffle buffer.


class SequentialInputs:
  """Training and validation batches, with the interface of `inputs.Inputs`.

  An example is a video that is not decoded yet, a tensor or a nest of tensors.
  Subclasses define `label_names`, `num_train_clips`, `num_valid_clips` and the
  methods below that raise NotImplementedError.
  """

  def __init__(self, what, num_frames, batch_size, seed, symmetry='none'):
    """Reads nothing.

    Args:
      what: `str`, the name of the data in messages: 'the records in ...'.
      num_frames: `int`, number of frames of a clip.
      batch_size: `int`.
      seed: `int`, seed of order, windows and symmetries.
      symmetry: 'none', 'mirror' or 'wrap', see `symmetry`.
    """
    self._what = what
    self._num_frames = num_frames
    self._batch_size = batch_size
    self._seed = int(seed) % 2**63
    self._symmetry = symmetry
    self._waiting = feeding.WaitCounter()

  def train_dataset(self, step, rows=None):
    """Endless batches `(frames uint8 [B, T, H, W, C], label int32 [B])`.

    The order of epoch e depends on (seed, e), the window of draw i on (seed,
    i). Batches are therefore a function of (seed, step). A resumed run starts
    in the epoch of its step and skips the earlier examples without decoding
    them.

    Args:
      step: `int`, step of the first batch.
      rows: `feeding.Rows` to read, or None: all.

    Returns:
      A `tf.data.Dataset`.
    """
    rows = rows or feeding.Rows.all(self._batch_size)
    per_epoch = self.num_train_clips
    first_epoch, skipped = divmod(step * self._batch_size, per_epoch)

    def epoch(number):
      # Draws in here must not depend on the caller's tf.random.set_seed; this
      # call sets the seed of the function's own graph only.
      tf.random.set_seed(1)
      dataset = self._epoch(number).enumerate(number * per_epoch)
      is_first = tf.equal(number, first_epoch)
      return dataset.skip(tf.where(is_first, np.int64(skipped), np.int64(0)))

    dataset = tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max)
    dataset = dataset.flat_map(epoch)
    if rows != feeding.Rows.all(self._batch_size):
      dataset = dataset.filter(
        lambda draw, _: (
          (draw % self._batch_size >= rows.start)
          & (draw % self._batch_size < rows.stop)
        )
      )
    dataset = dataset.map(
      self._random_window, num_parallel_calls=4, deterministic=True
    )
    dataset = dataset.batch(rows.batch_size, drop_remainder=True)
    dataset = feeding.prefetched(self._distribute(dataset))
    return feeding.to_device(self._waiting.measure(dataset))

  def train_clips_dataset(self):
    """One fixed clip for each training window of an epoch, once.

    An example of weight w gives w clips, each starting half a clip after the
    one before; starts beyond the last window are moved to it.
    """
    hop = max(1, self._num_frames // 2)

    def repeat(example, repeats):
      return tf.data.Dataset.range(repeats).map(lambda k: (example, k * hop))

    return self._fixed(self._train_examples().flat_map(repeat))

  def valid_dataset(self):
    """The first clip of each held-out example, once, in order."""
    return self._fixed(
      self._valid_examples().map(
        lambda example: (example, tf.zeros([], tf.int64))
      )
    )

  @property
  def wait_seconds(self):
    """Total time in seconds that training has waited for data."""
    return self._waiting.seconds

  def check_skips(self):
    """The number of files that were skipped."""
    return 0

  def note_left_out(self, skipped_log):
    """Names what is left out from the start, in the log and in a file.

    Args:
      skipped_log: Path of the run's log of skipped files.
    """

  @contextlib.contextmanager
  def raising(self):
    """Within, turns a TensorFlow error about the data into a DataError."""
    try:
      yield
    except (
      tf.errors.DataLossError,
      tf.errors.NotFoundError,
      tf.errors.PermissionDeniedError,
      tf.errors.UnavailableError,
    ) as e:
      lines = (e.message or str(e)).splitlines()
      raise sources.DataError(f'Cannot read {self._what}: {lines[0]}') from None

  def _epoch(self, number):
    """The examples of an epoch in its order, each as often as its weight.

    Args:
      number: int64 `Tensor` `[]`, number of the epoch.

    Returns:
      A `tf.data.Dataset` of `num_train_clips` examples that depends on the seed
      and `number` only.
    """
    raise NotImplementedError

  def _train_examples(self):
    """The (example, weight int64 `[]`) of the training part, in order."""
    raise NotImplementedError

  def _valid_examples(self):
    """The held-out examples, in order."""
    raise NotImplementedError

  def _clip(self, example, start):
    """Decodes a window of an example.

    Args:
      example: An element of `_epoch`.
      start: Function from the number of windows, int64 `Tensor` `[]`, to the
        first frame, int64 `[]`.

    Returns:
      frames, uint8 `Tensor` `[num_frames, H, W, C]`, and label, int32 `[]`.
    """
    raise NotImplementedError

  def _distribute(self, dataset):
    """Moves the making of training batches to other machines, if any."""
    return dataset

  def _seeds(self, stream, number):
    """The seed of a stream of random numbers: int64 `[2]`."""
    seed = np.random.SeedSequence([self._seed, stream]).generate_state(1)
    return tf.stack([np.int64(seed[0]), number])

  def _draw_seed(self, stream, number):
    """A seed for `tf.data.Dataset.shuffle`: int64 `[]`, not 0."""
    return tf.random.stateless_uniform(
      [], self._seeds(stream, number), 1, 2**31 - 1, tf.int64
    )

  def _random_window(self, draw, example):
    # Double precision, so that `place * windows` never rounds up to `windows`.
    place, *others = tf.unstack(
      tf.random.stateless_uniform([3], [self._seed, draw], dtype=tf.float64)
    )
    frames, label = self._clip(
      example,
      lambda windows: tf.cast(place * tf.cast(windows, tf.float64), tf.int64),
    )
    frames = symmetry_lib.change_tensor(
      frames, self._symmetry, tf.stack(others)
    )
    return frames, label

  def _fixed(self, dataset):
    """Batches of the clips at (example, first frame)."""

    def clip(example, first):
      return self._clip(example, lambda windows: tf.minimum(first, windows - 1))

    dataset = dataset.map(clip, num_parallel_calls=4, deterministic=True)
    at_once = feeding.clips_at_once(self._batch_size, self._num_frames)
    return feeding.prefetched(dataset.batch(at_once))
