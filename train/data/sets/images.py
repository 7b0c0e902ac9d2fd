"""Data sets of still images, which are videos of one frame."""

from __future__ import annotations

import gzip
import math
import struct
import zlib

import numpy as np

from train.data import sources

__all__ = ['celeba_source', 'fashion_mnist_source', 'image_folder_source']

_FASHION_MNIST = '/usr/share/datasets/fashion-mnist'
_FASHION_MNIST_LABELS = (
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
)
_IDX_IMAGES, _IDX_LABELS = 0x803, 0x801  # Magic numbers: uint8, rank 3 and 1.

_CELEBA_IMAGES = 'img_align_celeba'
_CELEBA_PARTS = 'list_eval_partition.txt'
_CELEBA_ATTRIBUTES = 'list_attr_celeba.txt'
_CELEBA_CROP = 148  # The usual crop of 178x218 pixels.


def image_folder_source(root, valid_fraction=0.1, split_seed=0):
  """A `<root>/<label>/<image>` tree, or a folder of images labelled 'all'.

  The split is by hash, as in `sources.folder_source`.

  Args:
    root: `str`, a local folder or one that `tf.io.gfile` reads.
    valid_fraction: `float` in (0, 1), fraction held out.
    split_seed: `int`.

  Returns:
    A `sources.Source` with sorted label names and one `Region` for each image.

  Raises:
    DataError: if `root` is not such a folder, or a part of the split is empty.
  """
  return sources.folder_source(
    root,
    num_frames=1,
    valid_fraction=valid_fraction,
    split_seed=split_seed,
    max_source_frames=1,
    name='image_folder',
    kind='image',
    flat_label='all',
  )


def celeba_source(root, attribute=None):
  """CelebA's aligned faces, with its own split; the test part is not used.

  `root` holds the folder `img_align_celeba`, `list_eval_partition.txt` (`<file>
  <0, 1 or 2>`) and, for `attribute`, `list_attr_celeba.txt` (the count, the
  attributes' names, then `<file> <1 or -1> ...`). A missing image is noticed
  only when it is decoded.

  Args:
    root: `str`, a local folder or one that `tf.io.gfile` reads.
    attribute: `str`, for example 'Smiling', or `None`.

  Returns:
    A `sources.Source` with the labels `('not_<attribute>', '<attribute>')`, or
    `('face',)` without an attribute; its `center_crop` is 148 pixels.

  Raises:
    DataError: if a file is missing or has another format, the attribute does
      not exist, or a part is empty.
  """
  root = sources.absolute_path(root)
  folder = sources.join(root, _CELEBA_IMAGES)
  sources.check_folder(root, 'the folder of CelebA')
  sources.check_folder(folder, 'a folder of CelebA images')
  label_names, labels = ('face',), None
  if attribute is not None:
    label_names = (f'not_{attribute}', attribute)
    labels = _read_attribute(sources.join(root, _CELEBA_ATTRIBUTES), attribute)
  path = sources.join(root, _CELEBA_PARTS)
  parts = {'0': [], '1': [], '2': []}
  for line, row in _celeba_rows(path):
    if len(row) != 2 or row[1] not in parts:
      raise sources.bad_row(path, line, '<file> <0, 1 or 2>', ' '.join(row))
    if labels is not None and row[0] not in labels:
      raise sources.DataError(
        f'{path}, line {line}: {row[0]} is not in {_CELEBA_ATTRIBUTES}.'
      )
    label = 0 if labels is None else labels[row[0]]
    region = sources.Region(sources.join(folder, row[0]), label, 0, 1)
    parts[row[1]].append(region)
  for part, name in (('0', 'training'), ('1', 'validation')):
    if not parts[part]:
      raise sources.DataError(
        f'Expected {name} images ({part}) in {path}, got none.'
      )
  train, valid = tuple(parts['0']), tuple(parts['1'])
  sources.warn_untrained(label_names, train, 'image')
  return sources.Source(
    'celeba', label_names, train, valid, center_crop=_CELEBA_CROP
  )


def fashion_mnist_source(folder=None):
  """Fashion-MNIST: 60,000 training and 10,000 validation images, 10 labels.

  Args:
    folder: `str`, folder of the four files of Debian's package
      dataset-fashion-mnist; `None`: the folder where it installs them.

  Returns:
    A `sources.Source`; region i of a part is image i of its idx file.

  Raises:
    DataError: if a file is missing or damaged, or images and labels differ in
      number.
  """
  folder = sources.absolute_path(folder or _FASHION_MNIST)
  return sources.Source(
    'fashion_mnist',
    _FASHION_MNIST_LABELS,
    _fashion_mnist_part(folder, 'train'),
    _fashion_mnist_part(folder, 't10k'),
  )


def _fashion_mnist_part(folder, part):
  path = sources.join(folder, f'{part}-images-idx3-ubyte.gz')
  labels_path = sources.join(folder, f'{part}-labels-idx1-ubyte.gz')
  num = len(_read_idx(path, _IDX_IMAGES))
  labels = _read_idx(labels_path, _IDX_LABELS)
  if len(labels) != num or not num:
    raise sources.DataError(
      f'Expected a label for each image, got {num} images in {path} and '
      f'{len(labels)} labels in {labels_path}.'
    )
  if labels.max() >= len(_FASHION_MNIST_LABELS):
    raise sources.DataError(
      f'Expected labels 0 to {len(_FASHION_MNIST_LABELS) - 1}, got '
      f'{labels.max()} in {labels_path}.'
    )
  return tuple(
    sources.Region(path, label, i, i + 1)
    for i, label in enumerate(labels.tolist())
  )


def _read_idx(path, magic):
  """The uint8 array of a compressed idx file.

  Args:
    path: `str`.
    magic: `int`, the file's first four bytes; the last of them is the rank.
  """
  if not sources.exists(path):
    raise sources.DataError(
      f'Expected Fashion-MNIST, found no {path}: install the Debian package '
      'dataset-fashion-mnist (apt-get install dataset-fashion-mnist) or give '
      '--data_dir=<folder of its four files, *-ubyte.gz>.'
    )
  try:
    data = gzip.decompress(sources.read_bytes(path))
  except (OSError, EOFError, zlib.error) as e:
    raise sources.DataError(
      f'Expected a whole gzip file, got {path}: {e}.'
    ) from None
  header = f'>I{magic & 0xFF}I'
  size = struct.calcsize(header)
  if len(data) < size:
    raise sources.DataError(
      f'Expected an idx header of {size} bytes in {path}, got {len(data)}.'
    )
  got, *shape = struct.unpack(header, data[:size])
  if got != magic:
    raise sources.DataError(
      f'Expected an idx file of magic {magic:#x}, got {got:#x} in {path}.'
    )
  if len(data) - size != math.prod(shape):
    raise sources.DataError(
      f'Expected {math.prod(shape)} bytes (shape {shape}) in {path}, got '
      f'{len(data) - size}.'
    )
  return np.frombuffer(data, np.uint8, offset=size).reshape(shape)


def _read_attribute(path, attribute):
  """Dict from file names to 1 if the image has the attribute, else 0."""
  rows = _celeba_rows(path)
  _, first = next(rows, (1, []))
  _, names = next(rows, (2, []))
  if len(first) != 1 or not first[0].isdecimal():
    raise sources.bad_row(path, 1, 'the number of images', ' '.join(first))
  if attribute not in names:
    near = sources.near_names(attribute, names)
    raise sources.DataError(f'Unknown attribute {attribute!r}: {near}')
  column = 1 + names.index(attribute)
  labels = {}
  for line, row in rows:
    if len(row) != 1 + len(names) or row[column] not in ('-1', '1'):
      expected = f'<file> and {len(names)} times -1 or 1'
      raise sources.bad_row(path, line, expected, ' '.join(row))
    labels[row[0]] = int(row[column] == '1')
  if len(labels) != int(first[0]):
    raise sources.DataError(
      f'Expected {first[0]} images in {path}, as its first line says, got '
      f'{len(labels)}.'
    )
  return labels


def _celeba_rows(path):
  """Yields (line number, fields) of the lines that are not blank."""
  for line, text in enumerate(sources.read_text(path).splitlines(), 1):
    row = text.split()
    if row:
      yield line, row
