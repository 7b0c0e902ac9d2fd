"""Decodes a data set once, into TFRecords; `records` describes their format.

A shard is finished when its json exists. If the process is killed, the same
command continues with the first unfinished shard and gives the same bytes.
"""

from __future__ import annotations

from concurrent import futures
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import time

from absl import logging
import tensorflow as tf

from tfp_cglow.internal import plain_paths
from train.config import nested
from train.config import strict_json
from train.data import skip_log
from train.data import sources
from train.data.decoding import decode
from train.data.decoding import readers
from train.data.records import records
from train.data.records import worker_pool
from train.storage import files as files_lib
from train.storage import lock

__all__ = ['prepare', 'prepare_file', 'prepare_shard']

_SHARD_BYTES = 2**28
_SHARD_CLIPS = 1024
_ASSUMED_FRAMES = 250  # Assumed length of a region without a stop.
_LOG_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class _Job:
  """Settings that all shards share; sent to worker processes."""

  folder: str
  decoder: decode.Decoder
  encoding: str


@dataclasses.dataclass(frozen=True)
class _Item:
  """A record to write."""

  region: sources.Region
  key: str


@dataclasses.dataclass(frozen=True)
class _Plan:
  """A shard to write."""

  part: str
  file: str
  items: tuple[_Item, ...]


def prepare(
  source,
  decoder,
  folder,
  max_frames=None,
  num_shards=None,
  encoding='raw',
  compression='',
  num_workers=None,
  max_skipped=0.05,
  runner=None,
  max_seconds=600.0,
):
  """Decodes every region of a source into a folder of TFRecords.

  Called again with the same arguments, it continues. Files that cannot be
  decoded are left out and listed in `skipped_files.jsonl`.

  Args:
    source: A `sources.Source`.
    decoder: A `decode.Decoder`.
    folder: `str`, local (or mounted); created if it does not exist.
    max_frames: `int` or None; use at most so many frames from the start of each
      region.
    num_shards: `int` or None, number of training shards; validation shards have
      the same number of clips each. None: shards have about 256 MB of raw
      frames and at most 1024 clips; a region without a stop counts as 250
      frames.
    encoding: 'raw' or 'png', encoding of the frames.
    compression: '' or 'GZIP', compression of the shards.
    num_workers: `int`, number of worker processes, or None: one for each core.
      0: this process does the work, and a crash of a codec ends it.
    max_skipped: `float`, the fraction of the files that may be skipped.
    runner: `str` or None, the Apache Beam runner that prepares the shards, for
      example 'DirectRunner'. Its workers must see the files and `folder` under
      the same paths.
    max_seconds: `float` or None, limit on the wall time that a worker process
      spends on a region.

  Returns:
    The `records.Index`.

  Raises:
    DataError: if the folder holds something else, was prepared with other
      options, is in use or cannot be written; if too many files are skipped
      (finished shards are kept); or if Apache Beam is not installed.
  """
  _check(encoding, compression, max_frames, num_shards, folder)
  folder = os.path.abspath(os.path.expanduser(folder))
  source = _cut(source, max_frames)
  job = _Job(folder, decoder, encoding)
  plans = _plans(source, decoder, num_shards, compression)
  options = _options(source, job, plans, max_frames, compression)
  pipeline = runner and _beam()
  with _own_folder(folder):
    _claim(folder, options)
    shards = {p.file: records.read_shard(folder, p.file) for p in plans}
    skips = skip_log.SkipLog(source, max_skipped=max_skipped)
    for shard in filter(None, shards.values()):
      _replay(shard, skips)
    left = [plan for plan in plans if shards[plan.file] is None]
    logging.info('%d of %d shards are left to do.', len(left), len(plans))
    if runner:
      shards.update(_run_beam(pipeline, runner, job, left, skips))
    else:
      shards.update(_run_here(job, left, skips, num_workers, max_seconds))
    return _finish(source, job, compression, plans, shards, len(skips))


def prepare_file(decoder, region):
  """Decodes the frames of a region.

  Args:
    decoder: A `decode.Decoder`.
    region: A `sources.Region`.

  Returns:
    - uint8 array `[T, size, size, channels]`, T at least 1.
    - None, or the `DecodeError` that ended the file early.

  Raises:
    DecodeError: if there are none, or they are blank.
  """
  frames, error = decoder.read(region.path, region.start, region.stop)
  if decode.is_blank(frames):
    raise readers.DecodeError(region.path, readers.BLANK)
  return frames, error


def prepare_shard(job, plan):
  """Writes a shard in this process, unless it is finished.

  Args:
    job: `_Job`.
    plan: `_Plan` of the shard.

  Returns:
    The `records.Shard`.
  """
  shard = records.read_shard(job.folder, plan.file)
  if shard is None:
    shard = _write_shard(job, plan, _results(job, plan.items))
  return shard


def _check(encoding, compression, max_frames, num_shards, folder):
  if encoding not in records.ENCODINGS:
    raise sources.DataError(
      f'Expected encoding in {records.ENCODINGS}, got {encoding!r}.'
    )
  if compression not in records.COMPRESSIONS:
    raise sources.DataError(
      f'Expected compression in {records.COMPRESSIONS}, got {compression!r}.'
    )
  for name, value in (('max_frames', max_frames), ('num_shards', num_shards)):
    if value is not None and value < 1:
      raise sources.DataError(f'Expected {name} of at least 1, got {value}.')
  if plain_paths.is_remote(folder):
    raise sources.DataError(
      f'Expected a local or mounted folder to write to, got {folder}. Prepare '
      'into a local folder and copy that; training can read the copy.'
    )


def _cut(source, max_frames):
  """Sorts a source's regions and cuts them to `max_frames`."""

  def cut(region):
    if max_frames is None:
      return region
    stops = [region.start + max_frames, region.stop]
    stop = min(stop for stop in stops if stop is not None)
    return dataclasses.replace(region, stop=stop)

  return dataclasses.replace(
    source,
    train=tuple(sorted(map(cut, source.train), key=_mixed_order)),
    valid=tuple(sorted(map(cut, source.valid), key=_order)),
  )


def _order(region):
  stop = float('inf') if region.stop is None else region.stop
  return region.path, region.start, stop, region.label


def _mixed_order(region):
  """Sorts by a hash of the file's name, so that a shard holds many labels."""
  name = '/'.join(region.path.split('/')[-2:])
  digest = hashlib.sha256(name.encode('utf-8', 'surrogateescape')).digest()
  return digest, *_order(region)


def _plans(source, decoder, num_shards, compression):
  """The shards, which are contiguous pieces of each part: list of `_Plan`."""
  root = os.path.commonprefix([p.split('/')[:-1] for p in source.paths])
  parts = {'train': source.train, 'valid': source.valid}
  clips_a_shard = num_shards and max(1, len(source.train) / num_shards)
  plans = []
  for part, regions in parts.items():
    if num_shards:
      count = round(len(regions) / clips_a_shard)
    else:
      count = _default_shards(regions, decoder)
    count = min(max(1, count), len(regions))
    for k in range(count):
      first, last = (len(regions) * i // count for i in (k, k + 1))
      items = [_Item(r, _key(r, root)) for r in regions[first:last]]
      file = records.shard_file(part, k, count, compression)
      plans.append(_Plan(part, file, tuple(items)))
  return plans


def _default_shards(regions, decoder):
  lengths = [
    _ASSUMED_FRAMES if region.stop is None else region.stop - region.start
    for region in regions
  ]
  num_bytes = sum(lengths) * decoder.size**2 * decoder.channels
  return max(-(-num_bytes // _SHARD_BYTES), -(-len(regions) // _SHARD_CLIPS))


def _key(region, root):
  """Identifies a record by its file's relative path and its frames: `str`."""
  name = '/'.join(region.path.split('/')[len(root) :])
  stop = '' if region.stop is None else region.stop
  return f'{name}#{region.start}:{stop}'


def _options(source, job, plans, max_frames, compression):
  """The options that determine the records' bytes: `dict`."""
  options = {
    'source': source.name,
    'label_names': source.label_names,
    'num_files': len(source.paths),
    'files_sha256': _hash_files(source, plans),
    'max_frames': max_frames,
    'encoding': job.encoding,
    'compression': compression,
    'shards': {
      part: sum(plan.part == part for plan in plans) for part in records.PARTS
    },
    'decoder': dataclasses.asdict(job.decoder),
  }
  return json.loads(json.dumps(options))  # With JSON's types, for comparison.


def _hash_files(source, plans):
  """A hash of the regions and of the sizes of the files."""
  with futures.ThreadPoolExecutor(max_workers=16) as pool:
    sizes = dict(zip(source.paths, pool.map(_file_size, source.paths)))
  digest = hashlib.sha256()
  for plan in plans:
    for item in plan.items:
      region = item.region
      size = sizes[region.path]
      row = [plan.part, item.key, region.label, region.weight, size]
      digest.update(json.dumps(row).encode())
  return digest.hexdigest()


def _file_size(path):
  try:
    return tf.io.gfile.stat(plain_paths.plain(path)).length
  except (OSError, tf.errors.OpError):
    return None  # The decoder will report the error.


@contextlib.contextmanager
def _own_folder(folder):
  """Creates the folder and locks it against other processes."""
  try:
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
  except OSError as e:
    raise sources.DataError(
      f'Cannot write to the folder {folder}: {e.strerror}.'
    ) from None
  try:
    try:
      lock.take(descriptor)
    except BlockingIOError:
      raise sources.DataError(
        f'Another --mode=prepare is writing to {folder}.'
      ) from None
    yield
  finally:
    os.close(descriptor)


def _claim(folder, options):
  """Writes the options, or checks that the folder has the same ones."""
  records.remove_partial_files(folder)
  path = os.path.join(folder, records.OPTIONS_FILE)
  if not os.path.exists(path):
    others = sorted(os.listdir(folder))
    if others:
      raise sources.DataError(
        f'Expected an empty folder or one that --mode=prepare wrote, but '
        f'{folder} holds {others[0]} and no {records.OPTIONS_FILE}.'
      )
    text = json.dumps(options, sort_keys=True, indent=2) + '\n'
    files_lib.write_atomically(path, text)
    return
  try:
    with open(path, encoding='utf-8') as f:
      theirs = dict(nested.flat(strict_json.parse(f.read(), path)))
  except (OSError, ValueError, AttributeError) as e:
    raise sources.DataError(f'Cannot read {path}: {e}') from None
  ours = dict(nested.flat(options))
  changed = [
    f'{key}: {theirs.get(key)!r} -> {ours.get(key)!r}'
    for key in sorted({*ours, *theirs})
    if ours.get(key) != theirs.get(key)
  ]
  if changed:
    raise sources.DataError(
      f'{folder} was prepared with other options: {"; ".join(changed)}. Use '
      'another folder, or the same options.'
    )


def _replay(shard, skips):
  for skipped in shard.skipped:
    skips.record(readers.DecodeError(**skipped))
  skips.check()


def _run_here(job, plans, skips, num_workers, max_seconds):
  """Writes the shards with worker processes; dict from files to `Shard`s."""
  items = [item for plan in plans for item in plan.items]
  workers = os.cpu_count() if num_workers is None else num_workers
  workers = min(workers, len(items))
  progress = _Progress(len(items), skips)
  with contextlib.ExitStack() as stack:
    if workers:
      function = functools.partial(_record_in_worker, job)
      pool = worker_pool.WorkerPool(function, workers, max_seconds)
      results = stack.enter_context(pool).map(items)
    else:
      results = _results(job, items)
    shards = {}
    for plan in plans:
      # The workers go on to the next shard while this one is being written.
      own = (next(results) for _ in plan.items)
      shards[plan.file] = _write_shard(job, plan, own, progress.count)
  return shards


def _record_in_worker(job, item):
  _use_one_core(job.decoder.device)
  return _record(job, item)


@functools.lru_cache(maxsize=1)
def _use_one_core(device):
  """Limits a worker to one core; other workers use the others."""
  if device == 'cuda':
    os.environ['TF_FORCE_GPU_ALLOW_GROWTH'] = 'true'
  else:
    os.environ['CUDA_VISIBLE_DEVICES'] = '-1'
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)


def _results(job, items):
  """Like `WorkerPool.map`, in this process."""
  for item in items:
    try:
      yield item, _record(job, item)
    except readers.DecodeError as e:
      yield item, e


def _record(job, item):
  """The encoded record of an item, and what `prepare_file` says of its end."""
  region = item.region
  frames, error = prepare_file(job.decoder, region)
  record = records.encode(
    frames, region.label, item.key, region.weight, job.encoding
  )
  return record, error


def _write_shard(job, plan, results, count=lambda error: None):
  """Writes a shard and its json from the results of all the plan's items."""
  skipped = []

  def found():
    for item, result in results:
      if isinstance(result, worker_pool.WorkerCrash):
        result = readers.DecodeError(
          item.region.path, 'crashes the decoder', str(result)
        )
      if isinstance(result, readers.DecodeError):
        skipped.append(_skipped(result))
        count(result)
      elif isinstance(result, Exception):
        logging.error('Failed at %s', item.region.path)
        raise result
      else:
        record, error = result
        if error is not None:
          skipped.append(_skipped(error))
        count(error)
        yield record

  return records.write_shard(job.folder, plan.file, found(), skipped)


def _skipped(error):
  return {'path': error.path, 'reason': error.reason, 'message': error.message}


class _Progress:
  """Logs the progress, and raises if too many files are skipped."""

  def __init__(self, total, skips):
    self._total = total
    self._skips = skips
    self._done = 0
    self._start = self._logged = time.monotonic()

  def count(self, error):
    """Counts a region; `error` is its `DecodeError`, or None."""
    self._done += 1
    if error is not None:
      self._skips.record(error)
      self._skips.check()
    now = time.monotonic()
    if now - self._logged >= _LOG_SECONDS or self._done == self._total:
      self._logged = now
      logging.info(
        'Prepared %d of %d clips, %d files skipped, %.1f clips/s.',
        self._done,
        self._total,
        len(self._skips),
        self._done / max(now - self._start, 1e-6),
      )


def _beam():
  try:
    import apache_beam as beam
    from apache_beam.options import pipeline_options
  except ImportError as e:
    raise sources.DataError(
      f'Preparing with a runner expects Apache Beam ({e}): '
      'pip install "tfp-cglow[beam]"'
    ) from None
  return beam, pipeline_options


def _run_beam(modules, runner, job, plans, skips):
  """Writes the shards with Apache Beam; dict from files to `Shard`s."""
  beam, pipeline_options = modules
  options = pipeline_options.PipelineOptions([], runner=runner)
  if plans:
    with beam.Pipeline(options=options) as pipeline:
      _ = (
        pipeline
        | beam.Create(plans)
        | beam.Reshuffle()
        | beam.Map(functools.partial(prepare_shard, job))
      )
  shards = {p.file: records.read_shard(job.folder, p.file) for p in plans}
  missing = [file for file, shard in shards.items() if shard is None]
  if missing:
    raise sources.DataError(
      f'{runner} has ended, but {missing[0]} is not in {job.folder}: its '
      'workers must see the same folder.'
    )
  for shard in shards.values():
    _replay(shard, skips)
  return shards


def _finish(source, job, compression, plans, shards, num_skipped):
  """Writes the list of skipped files and, last, the index."""
  skipped = {}
  for plan in plans:
    for error in shards[plan.file].skipped:
      skipped.setdefault(error['path'], error)
  rows = [_skipped(readers.DecodeError(**row)) for row in skipped.values()]
  lines = [json.dumps(row) + '\n' for row in rows]
  path = os.path.join(job.folder, records.SKIPPED_FILE)
  files_lib.write_atomically(path, ''.join(lines))
  parts = {
    part: tuple(shards[plan.file] for plan in plans if plan.part == part)
    for part in records.PARTS
  }
  index = records.Index(
    folder=job.folder,
    name=source.name,
    label_names=source.label_names,
    size=job.decoder.size,
    channels=job.decoder.channels,
    decoder=dataclasses.asdict(job.decoder),
    encoding=job.encoding,
    compression=compression,
    num_skipped=num_skipped,
    parts=parts,
  )
  records.write_index(index)
  return records.read_index(job.folder)
