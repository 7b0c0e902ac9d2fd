"""The data sets that a run can name, each with its own options."""

from __future__ import annotations

import dataclasses
from typing import ClassVar
from typing import Literal
from typing import Optional

from train.config import fields

__all__ = [
  'Balls',
  'Celeba',
  'Clips',
  'FashionMnist',
  'Folder',
  'ImageFolder',
  'Listed',
  'MomentsInTime',
  'Movement',
  'MovingMnist',
  'Natvid',
  'OrlFaces',
  'Rendered',
  'Shapes',
  'Tfds',
  'Tfrecord',
]

_number = fields.number


@dataclasses.dataclass(frozen=True)
class Clips:
  """Options of every data set.

  Attributes:
    num_frames: Number of frames of a clip; 1: images.
    frame_size: Side of the square frames, in pixels.
    channels: 3 (RGB) or 1 (grey).
    symmetry: How training clips are changed at random: 'none'; 'mirror': half
      of them are mirrored; 'wrap': frames are periodic, so clips are shifted
      around the edges, and networks see the opposite side beyond an edge;
      'own': as the data set allows.
    data_dir: Folder of the data; '': the data set's default folder.
  """

  num_frames: int = _number(8, least=1, most=10_000)
  frame_size: int = _number(32, least=2, most=8192)
  channels: Literal[1, 3] = 3
  symmetry: Literal['own', 'none', 'mirror', 'wrap'] = 'own'
  data_dir: str = ''

  # The fraction of files held out, for data sets that are split by hash.
  valid_fraction: ClassVar[Optional[float]] = None

  # The data set's own symmetry.
  own_symmetry: ClassVar[str] = 'none'

  @property
  def name(self):
    """The name that --dataset takes."""
    return fields.kind_name(type(self))

  @property
  def known_symmetry(self):
    """'none', 'mirror' or 'wrap'."""
    return self.own_symmetry if self.symmetry == 'own' else self.symmetry

  @property
  def padding(self):
    """What networks see beyond the edges, see `tfp_cglow.Networks`."""
    return 'wrap' if self.known_symmetry == 'wrap' else 'zeros'


@dataclasses.dataclass(frozen=True)
class Listed(Clips):
  """Data sets whose files are listed, and decoded while training.

  Attributes:
    only_labels: Names of the labels to use, comma-separated; '': all.
    max_train_frames: Total number of training frames, spread evenly over the
      labels; None: all.
    overfit_clips: Number of fixed clips to train and validate on; 0: all clips.
  """

  only_labels: str = ''
  max_train_frames: Optional[int] = _number(None, least=1, most=10**12)
  overfit_clips: int = _number(0, least=0, most=10**6)

  # Constants here; `Files` and `Videos` turn them into fields.
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
  """Four short films, each with its own label; downloaded (5.6 MB).

  A mirrored film is the same film.

  Attributes:
    left_out: Label of the film that is held out; None: the last seconds of all
      films are held out.
  """

  left_out: Optional[str] = None

  own_symmetry: ClassVar[str] = 'mirror'


@dataclasses.dataclass(frozen=True)
class Shapes(Listed):
  """Moving shapes, rendered into `data_dir` on first use.

  Attributes:
    variant: '' (the label is shape and motion), 'motion' or 'appearance' (the
      label is one of the two), 'occluder' or 'blink' (the model needs memory).
    videos_per_label: Number of videos rendered for each label.
    valid_fraction: Fraction of the videos that is held out.
    cache: Where decoded files are kept: 'memory', 'disk' or 'none'.
  """

  variant: Literal['', 'motion', 'appearance', 'occluder', 'blink'] = ''
  videos_per_label: int = _number(40, least=1, most=100_000)
  valid_fraction: float = _number(0.2, above=0.0, below=1.0)
  cache: Literal['memory', 'disk', 'none'] = 'memory'

  @property
  def name(self):
    return f'shapes:{self.variant}' if self.variant else 'shapes'

  @property
  def own_symmetry(self):
    # The bar of 'occluder' and the mosaic of 'blink' have fixed places.
    has_places = self.variant in ('occluder', 'blink')
    return 'none' if has_places else 'wrap'


@dataclasses.dataclass(frozen=True)
class Rendered(Listed):
  """Public sets that a program draws, rendered into `data_dir` on first use.

  Video i of a part is the same for everybody, whatever the numbers of videos.

  Attributes:
    train_videos: Number of training videos.
    valid_videos: Number of held-out videos.
  """

  train_videos: int = _number(1000, least=1, most=1_000_000)
  valid_videos: int = _number(100, least=1, most=1_000_000)


@dataclasses.dataclass(frozen=True)
class Movement(Rendered):
  """A shape that leaves the centre in one of eight directions (VideoFlow's).

  Attributes:
    labels: 'direction' or 'shape', what the label says.
  """

  num_frames: int = _number(5, least=1, most=10_000)
  frame_size: int = _number(64, least=2, most=8192)
  train_videos: int = _number(9000, least=1, most=1_000_000)
  valid_videos: int = _number(1000, least=1, most=1_000_000)
  labels: Literal['direction', 'shape'] = 'direction'


@dataclasses.dataclass(frozen=True)
class Balls(Rendered):
  """Three balls that bounce in a box (Sutskever's), grey, without labels."""

  num_frames: int = _number(100, least=1, most=10_000)
  frame_size: int = _number(30, least=2, most=8192)
  channels: Literal[1, 3] = 1
  train_videos: int = _number(4000, least=1, most=1_000_000)
  valid_videos: int = _number(200, least=1, most=1_000_000)


@dataclasses.dataclass(frozen=True)
class MovingMnist(Rendered):
  """Two bouncing digits, grey; the digits are downloaded (1.4 MB).

  Attributes:
    labels: 'pair' (55 labels, both digits) or 'first' (10 labels, one digit).
  """

  num_frames: int = _number(20, least=1, most=10_000)
  frame_size: int = _number(64, least=2, most=8192)
  channels: Literal[1, 3] = 1
  train_videos: int = _number(10_000, least=1, most=1_000_000)
  valid_videos: int = _number(1000, least=1, most=1_000_000)
  labels: Literal['pair', 'first'] = 'pair'


@dataclasses.dataclass(frozen=True)
class FashionMnist(Listed):
  """Fashion-MNIST: 28x28, grey, ten labels."""


@dataclasses.dataclass(frozen=True)
class OrlFaces(Listed):
  """The ORL faces: 400 images of 40 people (the labels); downloaded."""


@dataclasses.dataclass(frozen=True)
class Files(Listed):
  """The user's own files.

  Attributes:
    cache: Where decoded files are kept: 'memory', 'disk' or 'none'.
    cache_gigabytes: Size of the cache in memory.
    max_skipped: Fraction of the files that may fail.
    crop: 'center' or 'letterbox', for pictures that are not square.
    max_file_seconds: Time that the decoder may spend on a file without giving
      a picture; None: no limit.
    max_picture_pixels: Larger pictures are skipped (2**25 is 8K video); None:
      no limit.
    record_encoding: How --mode=prepare encodes frames: 'raw' or 'png'.
    record_compression: How --mode=prepare compresses records: '' or 'GZIP'.
  """

  cache: Literal['memory', 'disk', 'none'] = 'memory'
  cache_gigabytes: float = _number(1.0, least=0.0, most=1e6)
  max_skipped: float = _number(0.05, least=0.0, most=1.0)
  crop: Literal['center', 'letterbox'] = 'center'
  max_file_seconds: Optional[float] = _number(10.0, above=0.0, most=1e6)
  max_picture_pixels: Optional[int] = _number(2**25, least=1, most=2**31)
  record_encoding: Literal['raw', 'png'] = 'raw'
  record_compression: Literal['', 'GZIP'] = ''


@dataclasses.dataclass(frozen=True)
class ImageFolder(Files):
  """Images: <data_dir>/<label>/<image>, or without labels <data_dir>/<image>.

  Attributes:
    valid_fraction: Fraction of the images that is held out.
    split_seed: Seed of the split, which is by hash.
  """

  valid_fraction: float = _number(0.1, above=0.0, below=1.0)
  split_seed: int = _number(0, least=-(2**31), below=2**31)


@dataclasses.dataclass(frozen=True)
class Celeba(Files):
  """CelebA; `data_dir` is the folder that holds img_align_celeba.

  Attributes:
    attribute: The attribute to use as label; None: all images share one label.
  """

  attribute: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Videos(Files):
  """The user's own video files.

  Attributes:
    valid_fraction: Fraction of the videos that is held out.
    split_seed: Seed of the split, which is by hash.
    max_source_frames: Number of frames used from the start of each video; None:
      all.
    fps: Frames a second, sampled by timestamp; None: every picture.
    frame_stride: Use every n-th picture.
    decoder: 'pyav' or 'tfio'.
    decode_device: 'cpu', 'cuda' (NVDEC) or 'auto'; the run's config holds the
      device that 'auto' chose.
  """

  valid_fraction: float = _number(0.1, above=0.0, below=1.0)
  split_seed: int = _number(0, least=-(2**31), below=2**31)
  max_source_frames: Optional[int] = _number(None, least=1, most=10**9)
  fps: Optional[float] = _number(None, least=1e-3, most=1e4)
  frame_stride: int = _number(1, least=1, most=10**6)
  decoder: Literal['pyav', 'tfio'] = 'pyav'
  decode_device: Literal['auto', 'cpu', 'cuda'] = 'auto'


@dataclasses.dataclass(frozen=True)
class Folder(Videos):
  """A folder of videos: <data_dir>/<label>/<video>."""


@dataclasses.dataclass(frozen=True)
class MomentsInTime(Videos):
  """Moments in Time, with its CSV splits where present.

  Attributes:
    valid_fraction: Fraction that is held out if there are no CSV splits.
  """

  valid_fraction: float = _number(0.01, above=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class Tfrecord(Clips):
  """Records that --mode=prepare wrote.

  Attributes:
    data_service: 'grpc://host:port' of a tf.data service dispatcher, or None.
  """

  data_service: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Tfds(Clips):
  """A data set of TensorFlow Datasets.

  Attributes:
    dataset: Its name; --dataset=tfds:NAME.
    feature: The feature to read, if several hold pictures.
    crop: 'center' or 'letterbox', for pictures that are not square.
    valid_fraction: Fraction that is held out if the data set has no split for
      evaluation; None: 0.1.
  """

  dataset: str = ''
  feature: Optional[str] = None
  crop: Literal['center', 'letterbox'] = 'center'
  valid_fraction: Optional[float] = _number(None, above=0.0, below=1.0)

  @property
  def name(self):
    return f'tfds:{self.dataset}'
