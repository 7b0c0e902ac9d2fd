"""Data sets by name."""

from __future__ import annotations

import functools

from train.config import configs
from train.data import sources
from train.data.sets import images
from train.data.sets import moments
from train.data.sets import moving_shapes
from train.data.sets import natvid
from train.data.sets import orl_faces

__all__ = ['make_source']


def make_source(
  dataset,
  num_frames,
  data_dir=None,
  valid_fraction=None,
  split_seed=0,
  max_source_frames=None,
  attribute=None,
  split='time',
  left_out='parrot',
  only_labels='',
  max_train_frames=None,
  videos_per_label=None,
):
  """A data set by name.

  natvid and the ORL faces are fetched, shapes are rendered on first use.

  Args:
    dataset: `str`: 'natvid', 'shapes', 'shapes:motion', 'shapes:appearance',
      'shapes:occluder', 'shapes:blink', 'folder' or 'moments_in_time'; of still
      images, which are videos of one frame: 'image_folder', 'celeba',
      'fashion_mnist' or 'orl_faces'.
    num_frames: `int`, frames a clip.
    data_dir: `str`: the data of 'folder', 'moments_in_time', 'image_folder' and
      'celeba'; the others' files, by default those of 'fashion_mnist' where
      Debian's package has them, else in `sources.default_cache_dir()`.
    valid_fraction: `float`, the part held out, or `None`: 0.2 of shapes, 0.1 of
      a folder, 0.01 of Moments in Time where it comes without its own split.
      The others have their own.
    split_seed: `int`, of the split.
    max_source_frames: `int` or `None`: use the first frames of a video of
      'folder' or 'moments_in_time' only.
    attribute: `str` or `None`: the attribute that is the label of 'celeba'.
    split: `str`: 'time' or, of 'natvid' only, 'source': validate on one film.
    left_out: `str`, the label of that film.
    only_labels: `str`, names of labels, comma-separated, or '': all. The others
      are left out; not with the split 'source'.
    max_train_frames: `int` or `None`: train on at most that many frames, as
      `sources.cut_training` spreads them.
    videos_per_label: `int` or `None`: so many shapes are rendered, 40.

  Returns:
    A `sources.Source`.

  Raises:
    DataError: if the name is unknown or the data cannot be used.
  """
  _check(dataset, attribute, split, only_labels, videos_per_label)
  source = _SOURCES[dataset](
    num_frames=num_frames,
    data_dir=data_dir or None,
    valid_fraction=valid_fraction,
    split_seed=split_seed,
    max_source_frames=max_source_frames,
    attribute=attribute,
    left_out=left_out if split == 'source' else None,
    videos_per_label=videos_per_label,
  )
  if only_labels:
    source = sources.only_labels(source, only_labels.split(','))
  if max_train_frames is not None:
    source = sources.cut_training(source, max_train_frames, num_frames)
  return source


def _check(dataset, attribute, split, only_labels, videos_per_label):
  if dataset not in _SOURCES:
    near = sources.near_names(dataset, list(_SOURCES))
    raise sources.DataError(f'Unknown dataset {dataset!r}: {near}')
  if attribute is not None and dataset != 'celeba':
    raise sources.DataError(
      f'Expected attribute={attribute} with --dataset=celeba only, got '
      f'--dataset={dataset}.'
    )
  if videos_per_label is not None and dataset not in moving_shapes.VARIANTS:
    raise sources.DataError(
      f'Expected videos_per_label={videos_per_label} with --dataset=shapes '
      f'only, got --dataset={dataset}.'
    )
  if split not in configs.CHOICES['split']:
    near = sources.near_names(split, configs.CHOICES['split'])
    raise sources.DataError(f'Unknown split {split!r}: {near}')
  if split == 'source' and dataset != 'natvid':
    raise sources.DataError(
      f'Expected split=source with --dataset=natvid only, got '
      f'--dataset={dataset}.'
    )
  if split == 'source' and only_labels:
    raise sources.DataError(
      'Expected only_labels with split=time, as split=source validates on a '
      f'label of its own, got only_labels={only_labels}.'
    )


def _make_natvid(num_frames, data_dir, left_out, **unused):
  del unused
  return natvid.natvid_source(num_frames, data_dir, left_out)


def _make_shapes(
  num_frames,
  data_dir,
  valid_fraction,
  split_seed,
  videos_per_label,
  variant,
  **unused,
):
  del unused
  return moving_shapes.shapes_source(
    variant,
    num_frames,
    data_dir,
    valid_fraction=0.2 if valid_fraction is None else valid_fraction,
    videos_per_label=40 if videos_per_label is None else videos_per_label,
    split_seed=split_seed,
  )


def _make_folder(
  num_frames, data_dir, valid_fraction, split_seed, max_source_frames, **unused
):
  del unused
  return sources.folder_source(
    _required(data_dir, 'folder', 'folder of label folders'),
    num_frames,
    valid_fraction=0.1 if valid_fraction is None else valid_fraction,
    split_seed=split_seed,
    max_source_frames=max_source_frames,
  )


def _make_moments(
  num_frames, data_dir, valid_fraction, split_seed, max_source_frames, **unused
):
  del unused
  return moments.moments_source(
    _required(data_dir, 'moments_in_time', 'folder of training and validation'),
    num_frames,
    max_source_frames,
    split_seed,
    valid_fraction=0.01 if valid_fraction is None else valid_fraction,
  )


def _make_image_folder(data_dir, valid_fraction, split_seed, **unused):
  del unused
  return images.image_folder_source(
    _required(data_dir, 'image_folder', 'folder of images or label folders'),
    valid_fraction=0.1 if valid_fraction is None else valid_fraction,
    split_seed=split_seed,
  )


def _make_celeba(data_dir, attribute, **unused):
  del unused
  folder = _required(data_dir, 'celeba', 'folder of img_align_celeba')
  return images.celeba_source(folder, attribute)


def _make_fashion_mnist(data_dir, **unused):
  del unused
  return images.fashion_mnist_source(data_dir)


def _make_orl_faces(data_dir, **unused):
  del unused
  return orl_faces.orl_faces_source(data_dir)


def _required(data_dir, dataset, what):
  if data_dir is None:
    raise sources.DataError(
      f'Expected --data_dir=<{what}> with --dataset={dataset}.'
    )
  return data_dir


_SOURCES = {
  'natvid': _make_natvid,
  'folder': _make_folder,
  'moments_in_time': _make_moments,
  'image_folder': _make_image_folder,
  'celeba': _make_celeba,
  'fashion_mnist': _make_fashion_mnist,
  'orl_faces': _make_orl_faces,
  **{
    variant: functools.partial(_make_shapes, variant=variant)
    for variant in moving_shapes.VARIANTS
  },
}
