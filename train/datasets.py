"""Data sets by name."""

from __future__ import annotations

import functools

from train import natvid
from train import shapes
from train import sources

__all__ = ['make_source']


def make_source(
  dataset,
  num_frames,
  data_dir=None,
  valid_fraction=None,
  split_seed=0,
  max_source_frames=None,
):
  """A data set by name; natvid is fetched, shapes are rendered on first use.

  Args:
    dataset: `str`: 'natvid', 'shapes', 'shapes:motion', 'shapes:appearance',
      'shapes:occluder' or 'folder'.
    num_frames: `int`, frames a clip.
    data_dir: `str`: the tree of 'folder'; for the others where files are
      kept, by default a folder in `sources.default_cache_dir()`.
    valid_fraction: `float`, the part of the videos held out, or `None`: 0.2 of
      shapes, 0.1 of a folder. natvid has its own split.
    split_seed: `int`, of the split.
    max_source_frames: `int` or `None`: use the first frames of a 'folder'
      video only.

  Returns:
    A `sources.Source`.

  Raises:
    DataError: if the name is unknown or the data cannot be used.
  """
  if dataset not in _SOURCES:
    near = sources.near_names(dataset, list(_SOURCES))
    raise sources.DataError(f'Unknown dataset {dataset!r}: {near}')
  return _SOURCES[dataset](
    num_frames=num_frames,
    data_dir=data_dir or None,
    valid_fraction=valid_fraction,
    split_seed=split_seed,
    max_source_frames=max_source_frames,
  )


def _make_natvid(num_frames, data_dir, **unused):
  del unused
  return natvid.natvid_source(num_frames, data_dir)


def _make_shapes(
  num_frames, data_dir, valid_fraction, split_seed, variant, **unused
):
  del unused
  return shapes.shapes_source(
    variant,
    num_frames,
    data_dir,
    valid_fraction=0.2 if valid_fraction is None else valid_fraction,
    split_seed=split_seed,
  )


def _make_folder(
  num_frames, data_dir, valid_fraction, split_seed, max_source_frames
):
  if data_dir is None:
    raise sources.DataError(
      'Expected --data_dir=<folder of label folders> with --dataset=folder.'
    )
  return sources.folder_source(
    data_dir,
    num_frames,
    valid_fraction=0.1 if valid_fraction is None else valid_fraction,
    split_seed=split_seed,
    max_source_frames=max_source_frames,
  )


_SOURCES = {
  'natvid': _make_natvid,
  'folder': _make_folder,
  **{
    variant: functools.partial(_make_shapes, variant=variant)
    for variant in shapes.VARIANTS
  },
}
