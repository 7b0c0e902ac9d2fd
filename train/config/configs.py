"""Configurations of runs: frozen dataclasses and their overrides."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import json
from typing import Optional

from train import errors

__all__ = [
  'CHOICES',
  'Config',
  'ConfigError',
  'GanConfig',
  'GlowConfig',
  'check',
  'differences',
  'from_json',
  'keep_device',
  'override',
  'pairs',
  'to_json',
]


class ConfigError(errors.UserError):
  """A configuration that cannot be run."""


@dataclasses.dataclass(frozen=True)
class GlowConfig:
  """The keywords of `tfp_cglow.build_glow` for one submodel."""

  num_glow_blocks: int = 3
  num_steps_per_block: int = 4
  hidden_channels: int = 64
  coupling: str = 'affine'
  context_affine: Optional[str] = None
  context_mixture: Optional[str] = None
  label_conditioning: str = 'prior'
  label_init_std: Optional[float] = None
  context_injection: str = 'input'
  pyramid_channels: Optional[int] = None
  affine_hidden_channels: int = 32
  motion_radius: int = 2
  mixture_hidden_channels: int = 64
  mixture_strip_pooling: bool = False
  mixture_motion_radius: int = 0
  gradients: str = 'stored'
  network_dtype: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class GanConfig:
  """What `train.gan` has and a flow has not."""

  num_levels: int = 3  # Of the pyramids, the frame not counted.
  base_channels: int = 16  # Of the first of them; each has twice the last's.
  num_first_view_nets: int = 2
  continued_fraction: float = 0.0  # Of generated clips, from real first frames.
  loss: str = 'least_squares'  # Or 'hinge'.
  diversity_weight: float = 0.0
  saturation_weight: float = 0.0
  spectral_normalisation: bool = False
  zero_start: bool = False  # Of the generator's View-Nets.
  discriminator_rate_factor: float = 1.0  # Its learning rate's, to the other's.
  beta_1: float = 0.9  # Of Adam.


@dataclasses.dataclass(frozen=True)
class Config:
  """Everything a run depends on, apart from its folder."""

  preset: str = 'demo'
  model: str = 'video'  # 'video', 'head' (images), 'tail', or 'gan'.
  seed: int = 0

  dataset: str = 'natvid'
  data_dir: str = ''
  frame_size: int = 32
  channels: int = 3
  num_frames: int = 8
  valid_fraction: Optional[float] = None  # None: the data set's own.
  max_source_frames: Optional[int] = None  # Of a folder's videos.
  split_seed: int = 0
  split: str = 'time'  # Of natvid; 'source' holds out the film `left_out`.
  left_out: str = 'parrot'
  only_labels: str = ''  # Names, comma-separated: use these alone.
  videos_per_label: Optional[int] = None  # Of shapes, rendered; None: 40.
  max_train_frames: Optional[int] = None  # In all, spread evenly over labels.
  max_skipped: float = 0.05
  attribute: Optional[str] = None  # Of CelebA, as the label.
  feature: Optional[str] = None  # Of 'tfds:...', where several have pictures.
  fps: Optional[float] = None  # Frames a second; None: every picture.
  frame_stride: int = 1  # Every so many pictures.
  crop: str = 'center'  # Or 'letterbox'.
  flip: bool = False  # Half of the training clips mirrored.
  decoder: str = 'pyav'  # Or 'tfio'.
  decode_device: str = 'auto'  # Is replaced by its choice: 'cpu' or 'cuda'.
  max_file_seconds: Optional[float] = 10.0  # Of decoding without a picture.
  max_picture_pixels: Optional[int] = 2**25  # 8K video.
  cache: str = 'memory'  # Of decoded files: 'memory', 'disk' or 'none'.
  cache_gigabytes: float = 1.0  # In memory.
  record_encoding: str = 'raw'  # Or 'png'.
  record_compression: str = ''  # Or 'GZIP'.
  data_service: Optional[str] = None  # 'grpc://host:port', for 'tfrecord'.
  overfit_clips: int = 0  # Train and validate on that many fixed clips.

  n_bits: int = 5
  use_labels: bool = True
  tail_labels: bool = False
  state_channels: int = 16
  processor: str = 'residual'  # Or 'gru'.
  previous_frames: int = 1
  dequantisation: str = 'matched'  # Or 'legacy' (the paper's), 'flow'.
  noise_steps: int = 4  # Of dequantisation 'flow'.
  noise_hidden_channels: int = 32
  head: GlowConfig = GlowConfig()
  tail: GlowConfig = GlowConfig(context_affine='residual', pyramid_channels=16)
  gan: GanConfig = GanConfig()

  steps: int = 1000
  batch_size: int = 8
  learning_rate: float = 1e-3
  final_learning_rate: float = 1e-4
  warmup_steps: int = 50
  head_clip_norm: float = 50.0
  tail_clip_norm: float = 5.0
  processor_clip_norm: float = 5.0
  label_loss_weight: float = 1.0
  label_dropout: float = 0.0
  tail_frames_per_step: Optional[int] = None
  ema: Optional[float] = None  # Decay of the weights' average, which is then
  # evaluated, sampled and exported.
  skips_to_restore: int = 10  # In a row: back to the last good checkpoint.
  max_restores: int = 3  # Each halves the learning rate; then training ends.

  log_every: int = 20
  eval_every: int = 200
  checkpoint_every: int = 200
  keep_checkpoints: int = 3
  num_samples: int = 4
  sample_frames: int = 16
  temperature: float = 0.7
  quality_samples: int = 10  # Continuations of a held-out clip; 0: neither
  # these nor the check that a seed repeats its numbers.
  quality_given: Optional[int] = None  # From so many frames; None: those seen.
  export: bool = True  # Write the SavedModel.
  export_max_frames: int = 256  # That a request to it may ask for.
  tensorboard_samples: int = 2  # Videos at each evaluation.


def override(config, assignments):
  """Applies `key=value` assignments; nested keys are `head.coupling=...`.

  Args:
    config: `Config`.
    assignments: List of `str`. Values are Python literals where the field is
      no string; `none` is None.

  Returns:
    A new `Config`.

  Raises:
    ConfigError: for a key that does not exist (near ones are listed) or a
      value of another type.
  """
  for assignment in assignments:
    key, separator, value = assignment.partition('=')
    if not separator:
      raise ConfigError(f'--set expects key=value, but got {assignment!r}.')
    config = _assign(config, key.strip(), key.strip().split('.'), value.strip())
  return config


def _assign(config, key, path, value):
  fields = {f.name: f for f in dataclasses.fields(config)}
  if path[0] not in fields:
    raise ConfigError(_unknown_key(key, config))
  current = getattr(config, path[0])
  if dataclasses.is_dataclass(current):
    if len(path) == 1:
      inner = ', '.join(f.name for f in dataclasses.fields(current))
      raise ConfigError(f'{key!r} is a group; set one of its keys: {inner}.')
    return dataclasses.replace(
      config, **{path[0]: _assign(current, key, path[1:], value)}
    )
  if len(path) > 1:
    raise ConfigError(_unknown_key(key, config))
  parsed = _parse(key, value, fields[path[0]].type)
  return dataclasses.replace(config, **{path[0]: parsed})


def _unknown_key(key, config):
  known = _all_keys(Config())
  near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
  near = near or [k for k in known if key.split('.')[-1] in k][:3]
  hint = f' Near ones: {", ".join(near)}.' if near else ''
  return f'No config key {key!r}.{hint}'


def _all_keys(config, prefix=''):
  keys = []
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if dataclasses.is_dataclass(value):
      keys += _all_keys(value, f'{prefix}{field.name}.')
    else:
      keys.append(prefix + field.name)
  return keys


def _parse(key, text, annotation):
  optional = annotation.startswith('Optional[')
  kind = annotation[len('Optional[') : -1] if optional else annotation
  if optional and text.lower() == 'none':
    return None
  if kind == 'str':
    return text
  if kind == 'bool' and text.lower() in ('true', 'false'):
    return text.lower() == 'true'
  try:
    value = ast.literal_eval(text)
  except (ValueError, SyntaxError):
    value = text
  if kind == 'float' and type(value) in (int, float):
    return float(value)
  if kind == 'int' and type(value) is int:
    return value
  raise ConfigError(f'{key!r} takes {annotation}, but got {text!r}.')


CHOICES = {
  'model': ('video', 'head', 'tail', 'gan'),
  'processor': ('residual', 'gru'),
  'crop': ('center', 'letterbox'),
  'decoder': ('pyav', 'tfio'),
  'decode_device': ('auto', 'cpu', 'cuda'),
  'split': ('time', 'source'),
  'record_encoding': ('raw', 'png'),
  'record_compression': ('', 'GZIP'),
  'cache': ('memory', 'disk', 'none'),
}


def check(config):
  """Checks what no single field shows.

  Raises:
    ConfigError: with what was expected and what came.
  """
  for name, choices in CHOICES.items():
    if getattr(config, name) not in choices:
      raise ConfigError(
        f'`{name}` must be one of {choices}, but got {getattr(config, name)!r}.'
      )
  if config.fps is not None and (config.fps <= 0 or config.frame_stride > 1):
    raise ConfigError(
      f'`fps` must be positive and excludes `frame_stride`, but got '
      f'{config.fps} and {config.frame_stride}.'
    )
  if config.channels not in (1, 3):
    raise ConfigError(f'`channels` must be 1 or 3, but got {config.channels}.')
  least = 1 if config.model == 'head' else 2
  for name, low in (
    ('steps', 1),
    ('batch_size', 1),
    ('num_frames', least),
    ('frame_size', 2),
    ('log_every', 1),
    ('eval_every', 1),
    ('checkpoint_every', 1),
    ('frame_stride', 1),
    ('num_samples', 0),
    ('quality_samples', 0),
    ('skips_to_restore', 1),
    ('max_restores', 0),
    ('tensorboard_samples', 0),
    ('export_max_frames', 1),
  ):
    if getattr(config, name) < low:
      raise ConfigError(
        f'`{name}` must be at least {low}, but got {getattr(config, name)}.'
      )
  if config.ema is not None and not 0.0 < config.ema < 1.0:
    raise ConfigError(f'`ema` must be in (0, 1) or none, but got {config.ema}.')
  given = config.quality_given
  if given is not None and not 1 <= given < config.num_frames:
    raise ConfigError(
      f'`quality_given` must be in [1, num_frames={config.num_frames}), but '
      f'got {given}.'
    )
  if config.model == 'gan':
    _check_gan(config)
  if config.tail_labels and not config.use_labels:
    raise ConfigError('`tail_labels` needs `use_labels`, but that is false.')
  return config


def _check_gan(config):
  """What a GAN has not, and would be asked for in vain."""
  for name, value in (
    ('dequantisation', 'matched'),
    ('tail_frames_per_step', None),
    ('label_dropout', 0.0),
  ):
    if getattr(config, name) != value:
      raise ConfigError(
        f"`{name}` is for flows, but `model` is 'gan' and it is "
        f'{getattr(config, name)!r}.'
      )


def keep_device(config, before):
  """`config` with the device that `before` chose, if its own is 'auto'."""
  if config.decode_device != 'auto':
    return config
  return dataclasses.replace(config, decode_device=before.decode_device)


def to_json(config):
  """The config as JSON text, keys in the dataclass's order."""
  return json.dumps(dataclasses.asdict(config), indent=2) + '\n'


def from_json(text):
  """The `Config` that `to_json` wrote.

  Raises:
    ConfigError: if it has keys that this version does not know.
  """
  values = json.loads(text)
  for field in dataclasses.fields(Config):
    if dataclasses.is_dataclass(field.default) and field.name in values:
      group = type(field.default)
      values[field.name] = _construct(group, values[field.name])
  return _construct(Config, values)


def _construct(cls, values):
  unknown = set(values) - {f.name for f in dataclasses.fields(cls)}
  if unknown:
    raise ConfigError(
      f'config.json has keys that this version does not know: '
      f'{", ".join(sorted(unknown))}.'
    )
  return cls(**values)


def differences(ours, theirs):
  """Lines `key: theirs -> ours` for every field that differs."""
  return [
    f'{key}: {b!r} -> {a!r}' for key, a, b in pairs(ours, theirs) if a != b
  ]


def pairs(ours, theirs):
  """Every field of two configs: list of (key, ours, theirs)."""
  return [
    (key, _get(ours, key), _get(theirs, key)) for key in _all_keys(Config())
  ]


def _get(config, key):
  for name in key.split('.'):
    config = getattr(config, name)
  return config
