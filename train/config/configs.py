"""`Config`: everything a run depends on, apart from its folder."""

from __future__ import annotations

import dataclasses
import difflib
import json
from typing import Optional
from typing import Union

from train.config import data_sets
from train.config import fields
from train.config import models
from train.config import overrides
from train.config import strict_json

__all__ = [
  'Config',
  'Optimiser',
  'PLACES',
  'Run',
  'check',
  'data_of',
  'dataset_assignments',
  'from_json',
  'keep_choices',
  'profile_steps',
  'to_json',
  'without_places',
]

# Keys that name places on one machine.
PLACES = ('data.data_dir', 'data.data_service')
_OF_BITS = ('model.n_bits', 'model.dequantisation')
_OF_NO_BITS = (
  'data.symmetry',
  'data.cache',
  'data.cache_gigabytes',
  'data.max_skipped',
  'data.max_train_frames',
  'data.train_videos',
  'data.record_encoding',
  'data.record_compression',
)
_VERSION = 2
_MOST_STEPS = 10**9  # Keras counts in int64, our files in eight digits.
_number = fields.number


@dataclasses.dataclass(frozen=True)
class Optimiser:
  """Adam, its learning rate, and the average of the weights.

  Attributes:
    learning_rate: The highest learning rate, reached after the warm-up.
    final_learning_rate: The learning rate at the end of the cosine decay.
    warmup_steps: Steps of linear warm-up.
    ema: Decay of an exponential moving average of the weights. The average is
      evaluated, sampled and exported. None: no average.
  """

  learning_rate: float = _number(1e-3, least=1e-12, most=1e3)
  final_learning_rate: float = _number(1e-4, least=0.0, most=1e3)
  warmup_steps: int = _number(50, least=0, most=_MOST_STEPS)
  ema: Optional[float] = _number(None, above=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class Run:
  """How long a run trains, how often it writes, and how it is evaluated.

  Attributes:
    steps: Number of training steps.
    batch_size: Clips in a step, over all replicas.
    log_every: Steps between two rows of metrics.jsonl.
    eval_every: Steps between two evaluations.
    checkpoint_every: Steps between two checkpoints.
    keep_checkpoints: Number of newest checkpoints that are kept.
    skips_to_restore: Number of steps skipped in a row after which the last good
      checkpoint is restored.
    max_restores: Number of such restores after which training ends with an
      error; a restore halves the learning rate.
    profile_steps: 'FIRST,LAST', the steps to profile for TensorBoard; '': none.
    num_samples: Videos drawn at the end; each evaluation draws at most two.
    sample_frames: Frames of each drawn video.
    temperature: Temperature of all samples.
    quality_samples: Number of continuations drawn for each held-out clip; 0:
      samples are not measured: neither continuations, nor what a judge says,
      nor whether a seed repeats its numbers.
    quality_given: Real frames that a continuation starts from; None: as many as
      the tail sees.
  """

  steps: int = _number(1000, least=1, most=_MOST_STEPS)
  batch_size: int = _number(8, least=1, most=2**20)
  log_every: int = _number(20, least=1, most=_MOST_STEPS)
  eval_every: int = _number(200, least=1, most=_MOST_STEPS)
  checkpoint_every: int = _number(200, least=1, most=_MOST_STEPS)
  keep_checkpoints: int = _number(3, least=1, most=_MOST_STEPS)
  skips_to_restore: int = _number(10, least=1, most=_MOST_STEPS)
  max_restores: int = _number(3, least=0, most=1000)
  profile_steps: str = ''
  num_samples: int = _number(4, least=0, most=1000)
  sample_frames: int = _number(16, least=1, most=10_000)
  temperature: float = _number(0.7, least=0.0, most=100.0)
  quality_samples: int = _number(10, least=0, most=1000)
  quality_given: Optional[int] = _number(None, least=1, most=10_000)


@dataclasses.dataclass(frozen=True)
class Config:
  """Everything a run depends on, apart from its folder.

  Attributes:
    preset: Name of the preset that it started from.
    seed: Seed of weights, noise and data order.
    data: The data set.
    model: The model.
    optimiser: `Optimiser`.
    run: `Run`.
  """

  preset: str = 'demo'
  seed: int = _number(0, least=0, below=2**31)
  data: Union[
    data_sets.Natvid,
    data_sets.Shapes,
    data_sets.Movement,
    data_sets.Balls,
    data_sets.MovingMnist,
    data_sets.FashionMnist,
    data_sets.OrlFaces,
    data_sets.Folder,
    data_sets.MomentsInTime,
    data_sets.ImageFolder,
    data_sets.Celeba,
    data_sets.Tfrecord,
    data_sets.Tfds,
  ] = data_sets.Natvid()
  model: Union[models.Flow, models.Gan] = models.Flow()
  optimiser: Optimiser = Optimiser()
  run: Run = Run()

  @property
  def sampling(self):
    """Arguments of `sample` for every video of the run: `dict`."""
    sampling = {'temperature': self.run.temperature}
    if isinstance(self.model, models.Flow):
      sampling['min_p'] = self.model.min_p
    return sampling


def dataset_assignments(name):
  """The assignments that a --dataset stands for.

  Args:
    name: `str`: a kind of `Config.data`, 'shapes:VARIANT' or 'tfds:NAME'; or
      None.

  Returns:
    List of `key=value`, for `overrides.override`.

  Raises:
    ConfigError: if there is no such data set.
  """
  if name is None:
    return []
  kind, _, rest = name.partition(':')
  kinds = [fields.kind_name(k) for k in fields.fields_of(Config)['data'].kinds]
  if kind not in kinds:
    near = difflib.get_close_matches(kind, kinds, n=1)
    raise fields.ConfigError(
      f'--dataset expects one of {", ".join(kinds)}, but got {name!r}.'
      + (f' Did you mean {near[0]}?' if near else '')
    )
  key = {'shapes': 'variant', 'tfds': 'dataset'}.get(kind)
  if bool(rest) and key is None or kind == 'tfds' and not rest:
    expected = 'tfds:NAME' if kind == 'tfds' else kind
    raise fields.ConfigError(f'--dataset expects {expected}, but got {name!r}.')
  return [f'data={kind}'] + [f'data.{key}={rest}'] * bool(rest)


def check(config):
  """Checks every field, and conditions between fields.

  Args:
    config: `Config`.

  Returns:
    The same.

  Raises:
    ConfigError: if a value does not fit; it says what was expected.
  """
  fields.check_values(config)
  data, model = config.data, config.model
  if isinstance(data, data_sets.Videos) and (
    data.fps is not None and data.frame_stride > 1
  ):
    raise fields.ConfigError(
      f'`data.fps` excludes `data.frame_stride`, but got {data.fps} and '
      f'{data.frame_stride}.'
    )
  given = config.run.quality_given
  if given is not None and not given < data.num_frames:
    raise fields.ConfigError(
      f'`run.quality_given` must be below data.num_frames={data.num_frames}, '
      f'but got {given}.'
    )
  profile_steps(config)
  if isinstance(model, models.Flow):
    _check_flow(model, data)
  elif data.num_frames < 2:
    raise fields.ConfigError(
      f'A GAN of videos needs data.num_frames of at least 2, but got '
      f'{data.num_frames}.'
    )
  return config


def _check_flow(model, data):
  if not model.parts:
    raise fields.ConfigError(
      '`model.head` and `model.tail` are both none: there is nothing to train.'
    )
  if model.tail is not None and data.num_frames < 2:
    raise fields.ConfigError(
      'A tail needs data.num_frames of at least 2, but got '
      f'{data.num_frames}. For images: --set model.tail=none.'
    )
  if model.label_dropout and not model.takes_labels:
    raise fields.ConfigError(
      '`model.label_dropout` needs labels, but neither '
      '`model.head.labels` nor `model.tail.labels` is set.'
    )


def profile_steps(config):
  """The first and the last step that TensorBoard profiles.

  Args:
    config: `Config`.

  Returns:
    Two Python `int`s, or None: no step is profiled.

  Raises:
    ConfigError: if `run.profile_steps` is not a range of steps.
  """
  text = config.run.profile_steps
  if not text:
    return None
  try:
    first, last = map(int, text.split(','))
  except ValueError:
    first = last = 0
  if not 1 <= first <= last <= config.run.steps:
    raise fields.ConfigError(
      '`run.profile_steps` expects FIRST,LAST with 1 <= FIRST <= LAST <= '
      f'run.steps={config.run.steps}, but got {text!r}.'
    )
  return first, last


def data_of(config):
  """The settings that determine which data the bits/dim are measured on.

  The bits/dim of two runs are comparable if these settings are equal.

  Args:
    config: `Config`.

  Returns:
    `dict` from keys to values.
  """
  return {
    key: value
    for key, value in fields.flat(config).items()
    if key in _OF_BITS
    or (key.partition('.')[0] == 'data' and key not in _OF_NO_BITS)
  }


def keep_choices(config, before):
  """`config` with 'auto' replaced by the decode device that `before` chose."""
  if getattr(config.data, 'decode_device', None) != 'auto' or type(
    config.data
  ) is not type(before.data):
    return config
  data = dataclasses.replace(
    config.data, decode_device=before.data.decode_device
  )
  return dataclasses.replace(config, data=data)


def without_places(config):
  """`config` without `PLACES`."""
  has = {f.name: f.default for f in dataclasses.fields(config.data)}
  names = [key.rpartition('.')[2] for key in PLACES]
  data = dataclasses.replace(
    config.data, **{name: has[name] for name in names if name in has}
  )
  return dataclasses.replace(config, data=data)


def to_json(config):
  """The config as JSON text, keys in the dataclasses' order."""
  values = {'version': _VERSION, **overrides.to_values(config)}
  return json.dumps(values, indent=2) + '\n'


def from_json(text, where='config.json'):
  """The `Config` that `to_json` wrote.

  Args:
    text: `str`.
    where: `str`, the source of the text, for messages.

  Returns:
    A `Config`.

  Raises:
    ConfigError: if it is not valid JSON, another version wrote it, or it has
      unknown keys or values that do not fit.
  """
  values = strict_json.parse(text, where)
  version = values.pop('version', 1)
  if type(version) is not int:
    raise fields.ConfigError(
      f'{where}: `version` must be {_VERSION}, but got {version!r}.'
    )
  if version != _VERSION:
    reader = 'tfp_cglow 0.1' if version == 1 else 'a later version'
    raise fields.ConfigError(
      f'{where} is of format {version}, which {reader} reads; this version '
      f'reads format {_VERSION}.'
    )
  config = overrides.construct(Config, values, where)
  try:
    fields.check_values(config)
  except fields.ConfigError as e:
    raise fields.ConfigError(f'{where}: {e}') from None
  return config
