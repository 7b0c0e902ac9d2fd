"""Writes and reads decoded data sets as TFRecords.

A folder holds shards, `train-00003-of-00012.tfrecord[.gz]` and `valid-...`, a
`.json` for each of them, and `index.json`, which is written last. A record is a
tf.train.Example of one region of the source:

  frames: uint8 [T, size, size, channels] as one bytes value (raw), or T PNGs.
  num_frames, label, weight: int64.
  key: the file's path relative to the data set's folder, and the frames' range.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import stat

import tensorflow as tf

from tfp_cglow.internal import plain_paths
from train.config import strict_json
from train.data import sources
from train.storage import files as files_lib
from train.storage import label_names

__all__ = [
  'COMPRESSIONS',
  'ENCODINGS',
  'INDEX_FILE',
  'Index',
  'OPTIONS_FILE',
  'PARTS',
  'Record',
  'SKIPPED_FILE',
  'Shard',
  'encode',
  'key_of',
  'parse_clip',
  'parse_record',
  'read_index',
  'read_shard',
  'records_dataset',
  'remove_partial_files',
  'shard_file',
  'write_index',
  'write_shard',
]

ENCODINGS = ('raw', 'png')
COMPRESSIONS = ('', 'GZIP')
PARTS = ('train', 'valid')
INDEX_FILE = 'index.json'
OPTIONS_FILE = 'prepare.json'
SKIPPED_FILE = 'skipped_files.jsonl'

_FORMAT = 'tfp_cglow records'
_VERSION = 1
_SHARD = r'(train|valid)-\d+-of-\d+\.tfrecord(\.gz)?(\.json)?'
_PARTIAL = re.compile(
  rf'\.(prepare\.json|index\.json|skipped_files\.jsonl|{_SHARD})\.[0-9a-f]+'
)
_INDEX_TYPES = {
  'name': str,
  'size': int,
  'channels': int,
  'decoder': dict,
  'encoding': str,
  'compression': str,
  'num_skipped': int,
}


@dataclasses.dataclass(frozen=True)
class Record:
  """One region, ready to be written.

  Attributes:
    example: `bytes`, a serialized tf.train.Example.
    num_frames: `int`.
    label: `int`.
    weight: `int`, how often an epoch draws a window from it.
  """

  example: bytes
  num_frames: int
  label: int
  weight: int = 1


@dataclasses.dataclass(frozen=True)
class Shard:
  """The content of a shard's json.

  Attributes:
    file: `str`, the shard's name in the folder.
    num_bytes: `int`, size of the file.
    sha256: `str`, hash of the file.
    frames: Tuple of `int`, number of frames of each record.
    labels: Tuple of `int`, label of each record.
    weights: Tuple of `int`, weight of each record.
    skipped: Tuple of dicts with path, reason and message, one for each region
      that gave no record.
  """

  file: str
  num_bytes: int
  sha256: str
  frames: tuple[int, ...]
  labels: tuple[int, ...]
  weights: tuple[int, ...]
  skipped: tuple[dict, ...] = ()

  @property
  def num_records(self):
    return len(self.frames)


@dataclasses.dataclass(frozen=True)
class Index:
  """The index of a finished folder.

  Attributes:
    folder: `str`.
    name: `str`, name of the source.
    label_names: Tuple of `str`.
    size: `int`, height and width of the frames in pixels.
    channels: `int`.
    decoder: Dict, the fields of the `decode.Decoder` that made the frames.
    encoding: 'raw' or 'png'.
    compression: '' or 'GZIP', compression of the shards.
    num_skipped: `int`, number of the source's files that gave no frames.
    parts: Dict from 'train' and 'valid' to tuples of `Shard`, in order, without
      their `skipped`.
  """

  folder: str
  name: str
  label_names: tuple[str, ...]
  size: int
  channels: int
  decoder: dict
  encoding: str
  compression: str
  num_skipped: int
  parts: dict[str, tuple[Shard, ...]]

  @property
  def frame_shape(self):
    return (self.size, self.size, self.channels)

  def path(self, file):
    """The path of one of the folder's files, for TensorFlow."""
    return plain_paths.plain(os.path.join(self.folder, file))


def shard_file(part, number, num_shards, compression=''):
  """The name of a shard: 'train-00003-of-00012.tfrecord'."""
  end = '.gz' if compression == 'GZIP' else ''
  return f'{part}-{number:05d}-of-{num_shards:05d}.tfrecord{end}'


def encode(frames, label, key, weight=1, encoding='raw'):
  """Encodes a region as a `Record`; deterministic.

  Args:
    frames: uint8 array `[T, size, size, channels]`.
    label: `int`.
    key: `str`.
    weight: `int`.
    encoding: 'raw' or 'png'.

  Returns:
    A `Record`.
  """
  if encoding == 'png':
    values = [tf.io.encode_png(frame).numpy() for frame in frames]
  else:
    values = [frames.tobytes()]
  key = key.encode('utf-8', 'backslashreplace')
  feature = {
    'frames': tf.train.Feature(bytes_list=tf.train.BytesList(value=values)),
    'key': tf.train.Feature(bytes_list=tf.train.BytesList(value=[key])),
    'num_frames': _int64(len(frames)),
    'label': _int64(label),
    'weight': _int64(weight),
  }
  example = tf.train.Example(features=tf.train.Features(feature=feature))
  example = example.SerializeToString(deterministic=True)
  return Record(example, len(frames), int(label), int(weight))


def write_shard(folder, file, records, skipped=()):
  """Writes a shard and then its json, each atomically.

  Args:
    folder: `str`, local.
    file: `str`, from `shard_file`.
    records: Iterable of `Record`, all of which are written.
    skipped: Sequence of dicts with path, reason and message. It is read after
      the last record, so that iterating over `records` may fill it.

  Returns:
    The `Shard`.
  """
  path = os.path.join(folder, file)
  compression = 'GZIP' if file.endswith('.gz') else ''
  written = []
  with files_lib.replacing(path) as partial:
    with tf.io.TFRecordWriter(
      plain_paths.plain(partial), compression
    ) as writer:
      for record in records:
        writer.write(record.example)
        written.append(dataclasses.replace(record, example=b''))
    files_lib.sync(partial)
    digest = files_lib.digest(partial)
  shard = Shard(
    file,
    digest['size'],
    digest['sha256'],
    tuple(record.num_frames for record in written),
    tuple(record.label for record in written),
    tuple(record.weight for record in written),
    tuple(skipped),
  )
  files_lib.write_atomically(f'{path}.json', _to_json(_shard_values(shard)))
  return shard


def read_shard(folder, file):
  """Reads the `Shard` of a file, or None if it is missing or not finished."""
  path = os.path.join(folder, file)
  try:
    with open(f'{path}.json', encoding='utf-8') as f:
      shard = _shard(strict_json.parse(f.read(), f.name))
    is_whole = os.path.getsize(path) == shard.num_bytes
  except (FileNotFoundError, ValueError, KeyError, TypeError):
    return None
  except OSError as e:  # It may be finished.
    raise sources.DataError(
      f'Cannot read {path}: {files_lib.describe_os_error(e)}.'
    ) from None
  return shard if is_whole and shard.file == file else None


def write_index(index):
  """Writes `index.json`, which marks the folder as finished."""
  values = dataclasses.asdict(index)
  del values['folder']
  values['parts'] = {
    part: [_shard_values(dataclasses.replace(s, skipped=())) for s in shards]
    for part, shards in index.parts.items()
  }
  values.update(format=_FORMAT, version=_VERSION)
  path = os.path.join(index.folder, INDEX_FILE)
  files_lib.write_atomically(path, _to_json(values))


def read_index(folder):
  """Reads the index of a finished folder.

  Args:
    folder: `str`, local or anything that `tf.io.gfile` reads.

  Returns:
    An `Index`.

  Raises:
    DataError: if the folder is missing or holds no finished records.
  """
  if not plain_paths.is_remote(folder):
    folder = os.path.abspath(os.path.expanduser(folder))
  try:
    files = set(tf.io.gfile.listdir(plain_paths.plain(folder)))
  except tf.errors.OpError as e:
    raise sources.DataError(
      f'Expected a folder that --mode=prepare wrote, but {folder} cannot be '
      f'read ({e.message.splitlines()[0]}).'
    ) from None
  if INDEX_FILE not in files:
    raise sources.DataError(_no_index(folder, files))
  path = os.path.join(folder, INDEX_FILE)
  with tf.io.gfile.GFile(plain_paths.plain(path), 'rb') as f:
    text = f.read()
  try:
    values = strict_json.parse(text.decode('utf-8-sig'), path)
    index = _index(folder, values)
  except strict_json.JsonError as e:
    raise sources.DataError(str(e)) from None
  except (ValueError, KeyError, TypeError, AttributeError) as e:
    raise sources.DataError(
      f'Expected an index that --mode=prepare wrote in {path}, but: {e!r}.'
    ) from None
  for shards in index.parts.values():
    missing = [shard.file for shard in shards if shard.file not in files]
    if missing:
      raise sources.DataError(
        f'{folder} lacks {len(missing)} of its files, for example '
        f'{missing[0]}: copy it, or run the same --mode=prepare again.'
      )
    if not plain_paths.is_remote(folder):
      _check_plain_files(folder, shards)
  return index


def _check_plain_files(folder, shards):
  """Raises unless the shards are files of the sizes in the index."""
  for shard in shards:
    path = os.path.join(folder, shard.file)
    try:
      found = os.stat(path)
    except OSError as e:
      raise sources.DataError(
        f'Cannot read {path}: {files_lib.describe_os_error(e)}.'
      ) from None
    if not stat.S_ISREG(found.st_mode) or found.st_size != shard.num_bytes:
      raise sources.DataError(
        f'Expected a file of {shard.num_bytes} bytes, as {INDEX_FILE} says, '
        f'but {path} has {found.st_size} or is no file: copy it again, or run '
        'the same --mode=prepare again.'
      )


def remove_partial_files(folder):
  """Removes the temporary files of killed writers from a local folder."""
  for name in os.listdir(folder):
    if _PARTIAL.fullmatch(name):
      os.remove(os.path.join(folder, name))


def records_dataset(index, part, files=None):
  """The records, in order, once; uses TensorFlow ops only.

  Args:
    index: An `Index`.
    part: 'train' or 'valid'.
    files: List of `str`, names of shards, or None: all shards of the part.

  Returns:
    A `tf.data.Dataset` of frames, uint8 `[T, size, size, channels]`, and
    label, int32 `[]`. T varies.
  """
  if files is None:
    files = [shard.file for shard in index.parts[part]]
  paths = tf.constant([index.path(file) for file in files], tf.string)
  dataset = tf.data.TFRecordDataset(paths, index.compression)
  return dataset.map(
    functools.partial(parse_record, index),
    num_parallel_calls=4,
    deterministic=True,
  )


def parse_record(index, example):
  """Decodes a whole record.

  Args:
    index: An `Index`.
    example: string `Tensor` `[]`.

  Returns:
    frames, uint8 `Tensor` `[T, size, size, channels]`, and label, int32 `[]`.
  """
  parsed = _parse(index, example)
  frames = _decode(index, parsed['frames'], 0, parsed['num_frames'])
  return frames, tf.cast(parsed['label'], tf.int32)


def key_of(example):
  """The name of an example, a string `Tensor` `[]`: `str`; '' if none."""
  features = {'key': tf.io.FixedLenFeature([], tf.string, default_value='')}
  parsed = tf.io.parse_single_example(example, features)
  return parsed['key'].numpy().decode('utf-8', 'backslashreplace')


def parse_clip(index, example, num_frames, start):
  """Decodes a window of a record, and none of the other frames.

  Args:
    index: An `Index`.
    example: string `Tensor` `[]`, a record of at least `num_frames` frames.
    num_frames: `int`.
    start: Function from the number of windows, int64 `Tensor` `[]`, to the
      first frame, int64 `[]`.

  Returns:
    frames, uint8 `Tensor` `[num_frames, size, size, channels]`, and label,
    int32 `[]`.
  """
  parsed = _parse(index, example)
  first = start(parsed['num_frames'] - num_frames + 1)
  frames = _decode(index, parsed['frames'], first, num_frames)
  frames = tf.ensure_shape(frames, [num_frames, *index.frame_shape])
  return frames, tf.cast(parsed['label'], tf.int32)


def _parse(index, example):
  scalar = tf.io.FixedLenFeature([], tf.int64)
  if index.encoding == 'png':
    frames = tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
  else:
    frames = tf.io.FixedLenFeature([], tf.string)
  features = {'frames': frames, 'num_frames': scalar, 'label': scalar}
  return tf.io.parse_single_example(example, features)


def _decode(index, encoded, start, count):
  if index.encoding == 'png':
    return tf.map_fn(
      lambda png: tf.ensure_shape(
        tf.io.decode_png(png, index.channels), index.frame_shape
      ),
      encoded[start : start + count],
      fn_output_signature=tf.TensorSpec(index.frame_shape, tf.uint8),
    )
  frame_bytes = index.size * index.size * index.channels
  start, count = (tf.cast(n, tf.int64) * frame_bytes for n in (start, count))
  values = tf.io.decode_raw(tf.strings.substr(encoded, start, count), tf.uint8)
  return tf.reshape(values, [-1, *index.frame_shape])


def _int64(value):
  return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))


def _to_json(values):
  return json.dumps(values, sort_keys=True) + '\n'


def _shard_values(shard):
  """A shard's json: its fields, and sums for human readers."""
  values = dataclasses.asdict(shard)
  values['num_records'] = shard.num_records
  values['num_frames'] = sum(shard.frames)
  return values


def _shard(values):
  fields = {f.name: values[f.name] for f in dataclasses.fields(Shard)}
  for name in ('frames', 'labels', 'weights', 'skipped'):
    kind = dict if name == 'skipped' else int
    fields[name] = _tuple_of(kind, name, fields[name])
  _check_types(fields, {'file': str, 'num_bytes': int, 'sha256': str})
  return Shard(**fields)


def _tuple_of(kind, name, values):
  if not isinstance(values, list) or any(type(v) is not kind for v in values):
    raise ValueError(f'expected `{name}` to be a list of {kind.__name__}')
  return tuple(values)


def _check_types(values, kinds):
  for name, kind in kinds.items():
    if type(values[name]) is not kind:
      raise ValueError(
        f'expected `{name}` to be {kind.__name__}, got {values[name]!r}'
      )


def _index(folder, values):
  if values.get('format') != _FORMAT:
    raise ValueError(f'its format is {values.get("format")!r}')
  if values['version'] != _VERSION:
    raise ValueError(
      f'expected version {_VERSION}, got version {values["version"]}'
    )
  fields = [f.name for f in dataclasses.fields(Index) if f.name != 'folder']
  values = {name: values[name] for name in fields}
  values['label_names'] = _tuple_of(str, 'label_names', values['label_names'])
  values['parts'] = {
    part: tuple(_shard(shard) for shard in values['parts'][part])
    for part in PARTS
  }
  _check_types(values, _INDEX_TYPES)
  label_names.check(values['label_names'], f'the records in {folder}')
  return Index(folder, **values)


def _no_index(folder, files):
  if OPTIONS_FILE not in files:
    return (
      f'{folder} is no prepared data set: it has no {INDEX_FILE}, which '
      '--mode=prepare writes.'
    )
  finished = [f for f in files if f'{f}.json' in files]
  return (
    f'{folder} is not finished, it has {len(finished)} finished shards: run '
    'the same --mode=prepare again.'
  )
