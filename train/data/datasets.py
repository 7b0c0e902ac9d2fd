"""Makes the `Source` of a data set from its options."""

from __future__ import annotations

from train.config import data_sets
from train.data import sources
from train.data.sets import balls
from train.data.sets import images
from train.data.sets import moments
from train.data.sets import movement
from train.data.sets import moving_mnist
from train.data.sets import moving_shapes
from train.data.sets import natvid
from train.data.sets import orl_faces
from train.storage import name_lists

__all__ = ['make_source']


def make_source(data):
  """Lists a data set's files.

  On first use natvid, the ORL faces and the digits of moving_mnist are
  downloaded, and the sets that a program draws are rendered.

  Args:
    data: A `train.config.data_sets.Listed`.

  Returns:
    A `sources.Source`.

  Raises:
    DataError: if the data cannot be used.
  """
  source = _SOURCES[type(data)](data)
  if data.only_labels:
    if getattr(data, 'left_out', None) is not None:
      raise sources.DataError(
        'data.only_labels excludes data.left_out, which holds out a whole '
        f'label, but got data.only_labels={data.only_labels} and '
        f'data.left_out={data.left_out}.'
      )
    names = name_lists.split(data.only_labels, source.label_names.__contains__)
    source = sources.only_labels(source, names)
  if data.max_train_frames is not None:
    source = sources.cut_training(
      source, data.max_train_frames, data.num_frames
    )
  return source


def _natvid(data):
  return natvid.natvid_source(
    data.num_frames, data.data_dir or None, data.left_out
  )


def _shapes(data):
  return moving_shapes.shapes_source(
    data.name,
    data.num_frames,
    data.data_dir or None,
    valid_fraction=data.valid_fraction,
    videos_per_label=data.videos_per_label,
    split_seed=data.split_seed,
  )


def _rendered(function, data, **own):
  return function(
    train_videos=data.train_videos,
    valid_videos=data.valid_videos,
    folder=data.data_dir or None,
    **own,
  )


def _folder(data):
  return sources.folder_source(
    _required(data, 'folder of label folders'),
    data.num_frames,
    valid_fraction=data.valid_fraction,
    split_seed=data.split_seed,
    max_source_frames=data.max_source_frames,
  )


def _moments(data):
  return moments.moments_source(
    _required(data, 'folder of training and validation'),
    data.num_frames,
    data.max_source_frames,
    data.split_seed,
    valid_fraction=data.valid_fraction,
  )


def _image_folder(data):
  return images.image_folder_source(
    _required(data, 'folder of images or label folders'),
    valid_fraction=data.valid_fraction,
    split_seed=data.split_seed,
  )


def _celeba(data):
  folder = _required(data, 'folder of img_align_celeba')
  return images.celeba_source(folder, data.attribute)


def _required(data, what):
  if not data.data_dir:
    raise sources.DataError(
      f'Expected --data_dir=<{what}> with --dataset={data.name}.'
    )
  return data.data_dir


_SOURCES = {
  data_sets.Natvid: _natvid,
  data_sets.Shapes: _shapes,
  data_sets.Movement: lambda data: _rendered(
    movement.movement_source, data, labels=data.labels
  ),
  data_sets.Balls: lambda data: _rendered(balls.balls_source, data),
  data_sets.MovingMnist: lambda data: _rendered(
    moving_mnist.moving_mnist_source, data, labels=data.labels
  ),
  data_sets.Folder: _folder,
  data_sets.MomentsInTime: _moments,
  data_sets.ImageFolder: _image_folder,
  data_sets.Celeba: _celeba,
  data_sets.FashionMnist: lambda data: images.fashion_mnist_source(
    data.data_dir or None
  ),
  data_sets.OrlFaces: lambda data: orl_faces.orl_faces_source(
    data.data_dir or None
  ),
}
