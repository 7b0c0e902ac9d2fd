"""A lower bound on the memory of a run, compared with the machine's."""

from __future__ import annotations

import os
import pathlib

import tfp_cglow
from train.config import fields
from train.config import models

__all__ = ['available_bytes', 'check', 'of_training', 'of_videos', 'of_weights']

_FLOAT = 4  # Bytes of a float32.
_ACTIVATIONS = (
  'the activations (run.batch_size, data.num_frames, data.frame_size, model)'
)
_ADAM = 3  # A weight and Adam's two moments.
# Limits on this process's group, of version 2 and 1, as in a container.
_LIMITS = (
  '/sys/fs/cgroup/memory.max',
  '/sys/fs/cgroup/memory/memory.limit_in_bytes',
)


def check(needs):
  """Raises if a run surely needs more memory than the machine has.

  Args:
    needs: `dict` from words to bytes, from `of_training` or `of_weights`.

  Raises:
    ConfigError: with the estimate, the machine's memory and the largest part.
  """
  total, available = sum(needs.values()), available_bytes()
  if total > available:
    part = max(needs, key=needs.get)
    raise fields.ConfigError(
      f'This config needs at least {_shown(total)} of memory, and this machine '
      f'has {_shown(available)}; the largest part is {part}: '
      f'{_shown(needs[part])}.'
    )


def of_training(config, num_workers=1, has_gpu=False):
  """A lower bound on the memory of training: `dict` from words to bytes.

  It counts the weights with the optimiser's moments, one batch of frames,
  the hidden activations of one block, and the videos drawn at the end.
  What is needed is several times as much.

  Args:
    config: `Config`.
    num_workers: Python `int`, number of machines that share a batch.
    has_gpu: Python `bool`, whether weights and activations are elsewhere.
  """
  data, run = config.data, config.run
  frame = data.frame_size**2 * data.channels  # In uint8.
  batch = max(run.batch_size // num_workers, 1)
  drawn = max(
    run.num_samples * run.sample_frames, run.quality_samples * data.num_frames
  )
  needs = {
    'a batch of clips (run.batch_size, data.num_frames, data.frame_size)': (
      batch * data.num_frames * frame
    ),
    'the videos drawn at the end (run.num_samples, run.sample_frames, '
    'run.quality_samples, data.num_frames)': drawn * frame,
  }
  if not has_gpu:
    (weights,) = of_weights(config).values()
    needs['the weights and the optimiser (model)'] = _ADAM * weights
    needs[_ACTIVATIONS] = batch * _activations(config)
  return needs


def of_weights(config):
  """A lower bound on the memory of a trained model: see `of_training`."""
  return {'the weights (model)': _FLOAT * _num_weights(config)}


def of_videos(config, num_videos, num_frames):
  """The memory of drawn videos: see `of_training`."""
  frame = config.data.frame_size**2 * config.data.channels
  return {
    'the videos (--num_frames, --labels, --temperature, --interpolate)': (
      num_videos * num_frames * frame
    )
  }


def available_bytes():
  """Memory of the machine, or of the container if that has less."""
  found = [os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')]
  for path in map(pathlib.Path, _LIMITS):
    try:
      found.append(int(path.read_text()))
    except (OSError, ValueError):  # 'max', or no such file.
      continue
  return min(found)


def _parts(config):
  model = config.model
  if isinstance(model, models.Gan):
    return []
  return [part for part in (model.head, model.tail) if part is not None]


def _num_weights(config):
  """A lower bound on the number of weights."""
  channels = config.data.channels
  if isinstance(config.model, models.Gan):
    widest = config.model.base_channels * 2 ** (config.model.num_levels - 1)
    return 8 * widest**2
  total = 0
  for part in _parts(config):
    total += _weights_of_steps(part, channels) + _weights_of_first(part.first)
    memory = getattr(part, 'memory', None)
    total += 0 if memory is None else 9 * memory.channels * channels
    if isinstance(memory, tfp_cglow.GruMemory):
      total += 27 * memory.channels**2
    # Each map of a pyramid is made of the one before.
    if memory is not None and part.steps is not None:
      inner = part.pyramid.channels or 0
      total += 9 * inner**2 * (part.num_glow_blocks - 1)
  return total


def _weights_of_steps(part, channels):
  """The 1x1 convolutions, and the coupling networks' three layers."""
  if part.steps is None:
    return 0
  total, hidden = 0, part.steps.hidden_channels
  for block in range(part.num_glow_blocks):
    width = channels * 2 ** (block + 2)  # Squeezed, half of it passed on.
    network = 9 * (width // 2) * hidden + hidden**2 + 9 * hidden * width // 2
    total += part.steps.num_steps * (width**2 + network)
  return total


def _weights_of_first(first):
  if first is None:
    return 0
  if isinstance(first, tfp_cglow.FrameAffine):
    return first.hidden_channels**2
  base, halvings = first.base, 1 if first.halvings == 'all' else first.halvings
  num_networks = 3 * halvings + (base is None)
  blocks = 11 * first.num_blocks * first.hidden_channels**2
  of_base = 0 if base is None else base.num_blocks * base.hidden_channels**2
  return num_networks * blocks + 8 * of_base


def _activations(config):
  """Bytes of the hidden maps of one clip that gradients need."""
  pixels = (config.data.frame_size // 2) ** 2
  num_later = config.data.num_frames - 1
  if isinstance(config.model, models.Gan):
    return pixels * config.model.base_channels * _FLOAT
  is_half = config.model.network_dtype in ('bfloat16', 'float16')
  size = pixels * (2 if is_half else _FLOAT)
  needs = [0]
  for part in _parts(config):
    is_tail = isinstance(part, models.Tail)
    all_frames = num_later if is_tail else 1
    num_frames = min(part.frames_per_step or all_frames, config.data.num_frames)
    needs.append(size * num_frames * _hidden_channels(part))
  return max(needs)


def _hidden_channels(part):
  """Channels of the maps that gradients need, in half the frame's size."""
  channels = 0 if part.first is None else part.first.hidden_channels
  if part.steps is None:
    return channels
  # Each of a step's two hidden maps is stored, or made again.
  is_made_again = part.steps.gradients == 'reversible'
  stored = 1 if is_made_again else part.steps.num_steps
  return max(channels, 2 * stored * part.steps.hidden_channels)


def _shown(size):
  if size < 2**30:
    return f'{size / 2**20:,.0f} MiB'
  return f'{size / 2**30:,.0f} GiB'
