"""The data sets that a run can name, each with its own options."""

from __future__ import annotations

import dataclasses
from typing import ClassVar
from typing import Literal
from typing import Optional

from train.config import fields

__all__ = [
  'Celeba',
  'Clips',
  'FashionMnist',
  'Folder',
  'ImageFolder',
  'Listed',
  'MomentsInTime',
  'Natvid',
  'OrlFaces',
  'Shapes',
  'Tfds',
  'Tfrecord',
]

_number = fields.number


@dataclasses.dataclass(frozen=True)
class Clips:
  """What every data set has.

  Attributes:
    num_frames: Of a clip; 1: images.
    frame_size: Pixels, of a side of the square frames.
    channels: 3, or 1: grey.
    flip: Whether half of the training clips are mirrored.
    data_dir: Where the data are; '': the set's own place.
  """

  num_frames: int = _number(8, least=1)
  frame_size: int = _number(32, least=2)
  channels: Literal[1, 3] = 3
  flip: bool = False
  data_dir: str = ''

  # Of the sets that are split by hash: the part that is held out.
  valid_fraction: ClassVar[Optional[float]] = None

  @property
  def name(self):
    """What --dataset calls it."""
    return fields.kind_name(type(self))


@dataclasses.dataclass(frozen=True)
class Listed(Clips):
  """Files that are listed and decoded while training.

  Attributes:
    only_labels: Names, comma-separated: use these alone.
    max_train_frames: In all, spread evenly over labels.
    overfit_clips: Train and validate on that many fixed clips; 0: on all.
  """

  only_labels: str = ''
  max_train_frames: Optional[int] = _number(None, least=1)
  overfit_clips: int = _number(0, least=0)

  # What `Files` and `Videos` make fields of.
  split_seed: ClassVar[int] = 0
  cache: ClassVar[str] = 'memory'
  cache_gigabytes: ClassVar[float] = 1.0
  max_skipped: ClassVar[float] = 0.05
  crop: ClassVar[str] = 'center'
  decoder: ClassVar[str] = 'pyav'
  decode_device: ClassVar[str] = 'cpu'
  fps: ClassVar[Optional[float]] = None
  frame_stride: ClassVar[int] = 1
  max_source_frames: ClassVar[Optional[int]] = None
  max_file_seconds: ClassVar[Optional[float]] = 10.0
  max_picture_pixels: ClassVar[Optional[int]] = 2**25
  record_encoding: ClassVar[str] = 'raw'
  record_compression: ClassVar[str] = ''


@dataclasses.dataclass(frozen=True)
class Natvid(Listed):
  """Four short films of four labels, fetched (5.6 MB).

  Attributes:
    left_out: The label of a film that is held out; None: later seconds of all
      films are.
  """

  left_out: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Shapes(Listed):
  """Moving shapes, rendered where `data_dir` says on first use.

  Attributes:
    variant: '' (the label is shape and motion), 'motion' or 'appearance' (the
      label is one of the two), 'occluder' or 'blink' (memory matters).
    videos_per_label: Rendered.
    valid_fraction: The part that is held out.
    cache: Of decoded files: 'memory', 'disk' or 'none'.
  """

  variant: Literal['', 'motion', 'appearance', 'occluder', 'blink'] = ''
  videos_per_label: int = _number(40, least=1)
  valid_fraction: float = _number(0.2, above=0.0, below=1.0)
  cache: Literal['memory', 'disk', 'none'] = 'memory'

  @property
  def name(self):
    return f'shapes:{self.variant}' if self.variant else 'shapes'


@dataclasses.dataclass(frozen=True)
class FashionMnist(Listed):
  """Fashion-MNIST: 28x28, grey, ten labels."""


@dataclasses.dataclass(frozen=True)
class OrlFaces(Listed):
  """The ORL faces: 400 of 40 people, who are the labels; fetched."""


@dataclasses.dataclass(frozen=True)
class Files(Listed):
  """Files of a user's own.

  Attributes:
    split_seed: Of the split by hash.
    cache: Of decoded files: 'memory', 'disk' or 'none'.
    cache_gigabytes: Of the cache in memory.
    max_skipped: The part of the files that may fail.
    crop: 'center' or 'letterbox'.
    max_file_seconds: Of decoding a file without getting a picture; None: no
      limit.
    max_picture_pixels: Larger pictures are skipped (2**25 is 8K video); None:
      no limit.
    record_encoding: Of --mode=prepare: 'raw' or 'png'.
    record_compression: Of --mode=prepare: '' or 'GZIP'.
  """

  split_seed: int = 0
  cache: Literal['memory', 'disk', 'none'] = 'memory'
  cache_gigabytes: float = _number(1.0, least=0.0)
  max_skipped: float = _number(0.05, least=0.0)
  crop: Literal['center', 'letterbox'] = 'center'
  max_file_seconds: Optional[float] = _number(10.0, above=0.0)
  max_picture_pixels: Optional[int] = _number(2**25, least=1)
  record_encoding: Literal['raw', 'png'] = 'raw'
  record_compression: Literal['', 'GZIP'] = ''


@dataclasses.dataclass(frozen=True)
class ImageFolder(Files):
  """Images, in folders of labels or not: <data_dir>/<label>/<image>.

  Attributes:
    valid_fraction: The part that is held out.
  """

  valid_fraction: float = _number(0.1, above=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class Celeba(Files):
  """CelebA, the folder of img_align_celeba.

  Attributes:
    attribute: The attribute that is the label; None: one label.
  """

  attribute: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Videos(Files):
  """Video files of a user's own.

  Attributes:
    valid_fraction: The part that is held out.
    max_source_frames: The first frames of a video are used; None: all.
    fps: Frames a second, taken by their times; None: every picture.
    frame_stride: Every so many pictures.
    decoder: 'pyav' or 'tfio'.
    decode_device: 'cpu', 'cuda' (NVDEC) or 'auto', which is replaced by its
      choice.
  """

  valid_fraction: float = _number(0.1, above=0.0, below=1.0)
  max_source_frames: Optional[int] = _number(None, least=1)
  fps: Optional[float] = _number(None, above=0.0)
  frame_stride: int = _number(1, least=1)
  decoder: Literal['pyav', 'tfio'] = 'pyav'
  decode_device: Literal['auto', 'cpu', 'cuda'] = 'auto'


@dataclasses.dataclass(frozen=True)
class Folder(Videos):
  """A folder of videos: <data_dir>/<label>/<video>."""


@dataclasses.dataclass(frozen=True)
class MomentsInTime(Videos):
  """Moments in Time, with its CSV splits where present.

  Attributes:
    valid_fraction: The part that is held out where there is no split.
  """

  valid_fraction: float = _number(0.01, above=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class Tfrecord(Clips):
  """What --mode=prepare wrote.

  Attributes:
    data_service: 'grpc://host:port' of a tf.data service dispatcher, or None.
  """

  data_service: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Tfds(Clips):
  """A set of TensorFlow Datasets.

  Attributes:
    dataset: Its name, after 'tfds:' in --dataset.
    feature: Where several features have pictures: which.
    crop: 'center' or 'letterbox'.
    valid_fraction: The part that is held out of a set without a split of its
      own; None: 0.1.
  """

  dataset: str = ''
  feature: Optional[str] = None
  crop: Literal['center', 'letterbox'] = 'center'
  valid_fraction: Optional[float] = _number(None, above=0.0, below=1.0)

  @property
  def name(self):
    return f'tfds:{self.dataset}'
