"""`build_video_flow`: creates the variables and networks of a `VideoFlow`."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from typing import Optional

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors import build as build_lib
from tfp_cglow.bijectors import specs as glow_specs
from tfp_cglow.internal import checks
from tfp_cglow.video import configs
from tfp_cglow.video import context_processor
from tfp_cglow.video import conv_gru
from tfp_cglow.video import likelihood
from tfp_cglow.video import specs
from tfp_cglow.video import video_flow

__all__ = ['build_video_flow', 'check_video_flow']

_LABEL_SPECS = (
  glow_specs.LabelPriors,
  glow_specs.LabelEmbedding,
  glow_specs.LabelImages,
)


def build_video_flow(
  frame_shape: Sequence[int],
  head: Optional[glow_specs.GlowSpec] = None,
  tail: Optional[specs.TailSpec] = None,
  *,
  num_labels: Optional[int] = None,
  n_bits: int = 5,
  dequantisation: str = 'matched',
  seed: Optional[int] = None,
  name: str = 'video_flow',
) -> video_flow.VideoFlow:
  """Creates a `VideoFlow` with its variables.

  ```python
  flow = tfp_cglow.build_video_flow(
      [32, 32, 3],
      head=tfp_cglow.GlowSpec(labels=tfp_cglow.LabelPriors()),
      tail=tfp_cglow.TailSpec(first=tfp_cglow.FrameAffine(),
                              memory=tfp_cglow.GruMemory(8)),
      num_labels=10)
  ```

  Args:
    frame_shape: `[H, W, C]`.
    head: `GlowSpec`; None: no head, the model only continues given videos.
    tail: `TailSpec`; None: no tail, the model only generates images.
    num_labels: Python `int`, number of labels. None: the parts' `labels` say
      it, or no part takes a label.
    n_bits: Python `int`, 1..8, bits of the quantised frames. It sets the
      `levels` of a `LevelMixture` to `2**n_bits`.
    dequantisation: 'matched', 'legacy' or 'drawn', see `VideoFlow`.
    seed: Python `int`; None: from the operating system.
    name: Python `str`.

  Returns:
    A `VideoFlow`.

  Raises:
    ValueError: if a part is of a wrong kind, or a value does not fit.
  """
  arguments = dict(locals(), frame_shape=list(frame_shape))
  check_video_flow(frame_shape, head, tail, num_labels, n_bits, dequantisation)
  num_labels = _num_labels(head, tail, num_labels)
  # The fourth seed is that of the noise in training, see `VideoGlow`.
  seeds = [int(s) for s in np.random.default_rng(seed).integers(2**31, size=4)]
  channels = frame_shape[-1]
  built = {}
  if head is not None:
    built['head'] = build_lib.build_glow(
      frame_shape,
      **_arguments(head, num_labels, n_bits),
      seed=seeds[0],
      name='head',
    )
  if tail is not None:
    memory = _build_memory(
      tail.memory, channels, seeds[1], tail.networks.padding
    )
    state_channels = 0 if memory is None else memory.state_channels
    built['memory'] = memory
    built['tail'] = build_lib.build_glow(
      frame_shape,
      **_arguments(tail, num_labels, n_bits),
      context=_context(tail, channels, state_channels),
      seed=seeds[2],
      name='tail',
    )
    built['previous_frames'] = tail.previous_frames
  flow = video_flow.VideoFlow(
    frame_shape,
    **built,
    label_counts=_build_label_counts(num_labels),
    n_bits=n_bits,
    dequantisation=dequantisation,
    name=name,
  )
  flow.config = configs.to_json(arguments)
  return flow


def check_video_flow(
  frame_shape,
  head=None,
  tail=None,
  num_labels=None,
  n_bits=5,
  dequantisation='matched',
):
  """Raises the errors of `build_video_flow`, without building anything.

  Args, Raises: see `build_video_flow`.
  """
  likelihood.check_n_bits(n_bits)
  likelihood.check_dequantisation(dequantisation, n_bits)
  _check_parts(head, tail, dequantisation)
  num_labels = _num_labels(head, tail, num_labels)
  if head is not None:
    spec = glow_specs.GlowSpec(**_arguments(head, num_labels, n_bits))
    build_lib.check_spec(spec, frame_shape)
  if tail is not None:
    if tail.memory is not None:
      checks.check_at_least('tail.memory.channels', tail.memory.channels, 1)
    state_channels = 0 if tail.memory is None else tail.memory.channels
    spec = glow_specs.GlowSpec(**_arguments(tail, num_labels, n_bits))
    context = _context(tail, frame_shape[-1], state_channels)
    build_lib.check_spec(spec, frame_shape, context)


def _context(tail, channels, state_channels):
  """The `Context` of a tail: previous frames, then the memory's state."""
  num_frames = tail.previous_frames
  return glow_specs.Context(channels * num_frames + state_channels, num_frames)


def _check_parts(head, tail, dequantisation):
  checks.check_kind('head', head, glow_specs.GlowSpec)
  checks.check_kind('tail', tail, specs.TailSpec)
  if isinstance(head, specs.TailSpec):
    raise ValueError(f'`head` must be a GlowSpec, but got {head!r}.')
  if tail is not None:
    checks.check_choice('tail.previous_frames', tail.previous_frames, (1, 2))
    checks.check_kind(
      'tail.memory', tail.memory, specs.ResidualMemory, specs.GruMemory
    )
  for name, part in (('head', head), ('tail', tail)):
    if part is not None:
      build_lib.check_networks(part.networks)
    checks.check_kind(
      f'{name}.labels', getattr(part, 'labels', None), *_LABEL_SPECS
    )
    if dequantisation == 'legacy' and isinstance(
      getattr(part, 'first', None), glow_specs.LevelMixture
    ):
      raise ValueError(
        "`LevelMixture` expects dequantisation 'matched', but got 'legacy', "
        'whose frames have no levels.'
      )


def _num_labels(head, tail, num_labels):
  """The number of labels of all parts; None if no part takes a label."""
  parts = {'head': head, 'tail': tail}
  labels = {k: p.labels for k, p in parts.items() if p is not None and p.labels}
  if num_labels is not None and not labels:
    raise ValueError(
      f'`num_labels` is {num_labels}, but neither `head` nor `tail` has '
      '`labels`.'
    )
  sizes = {num_labels, *(part.num_labels for part in labels.values())} - {None}
  if labels and len(sizes) != 1:
    raise ValueError(
      'Expected one number of labels, as `num_labels` or in the parts, but got '
      f'num_labels={num_labels} and {labels}.'
    )
  return sizes.pop() if sizes else None


def _arguments(spec, num_labels, n_bits):
  """Keywords of `build_glow`, with the spec's numbers that were None set."""
  first, labels = spec.first, spec.labels
  if isinstance(first, glow_specs.LevelMixture):
    if first.levels not in (None, 2**n_bits):
      raise ValueError(
        f'Frames of {n_bits} bits have {2**n_bits} levels, but got {first}.'
      )
    first = dataclasses.replace(first, levels=2**n_bits)
  if labels is not None:
    labels = dataclasses.replace(labels, num_labels=num_labels)
  spec = dataclasses.replace(spec, first=first, labels=labels)
  fields = dataclasses.fields(glow_specs.GlowSpec)
  return {field.name: getattr(spec, field.name) for field in fields}


def _build_memory(memory, channels, seed, padding):
  if memory is None:
    return None
  build = context_processor.build_context_processor
  if isinstance(memory, specs.GruMemory):
    build = conv_gru.build_conv_gru
  return build(channels, memory.channels, seed=seed, padding=padding)


def _build_label_counts(num_labels):
  if num_labels is None:
    return None
  return tf.Variable(
    tf.zeros([num_labels]),
    trainable=False,
    name='label_counts',
    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
  )
