"""From a config to a compiled `VideoGlow`."""

import dataclasses

import tensorflow as tf
import tf_keras as tfk

import tfp_cglow
from tfp_cglow.video import build
from train.config import fields

__all__ = ['ScaledSchedule', 'build_model', 'check', 'schedule']


def build_model(config, num_labels):
  """Creates and compiles the model.

  Args:
    config: `Config` whose model is a `Flow`.
    num_labels: Python `int`, number of labels of the data.

  Returns:
    A compiled `tfp_cglow.VideoGlow`.

  Raises:
    ConfigError: if the library refuses the config.
  """
  wanted = config.model
  try:
    flow = tfp_cglow.build_video_flow(
      **_arguments(config, num_labels), seed=config.seed
    )
    model = tfp_cglow.VideoGlow(flow, seed=config.seed)
  except ValueError as e:
    raise fields.ConfigError(str(e)) from e
  model.compile(
    optimizer=tfk.optimizers.legacy.Adam(
      ScaledSchedule(schedule(config)), epsilon=1e-8
    ),
    loss=tfp_cglow.VideoLoss(
      label_weight=wanted.label_weight,
      label_dropout=wanted.label_dropout,
      **{
        f'{part}_{name}': getattr(getattr(wanted, part), name)
        for part in wanted.parts
        for name in ('frames_per_step', 'clips_per_step')
      },
      tail_context_warp=_context_warp(config),
    ),
    ema=config.optimiser.ema,
  )
  return model


def _context_warp(config):
  """The `ContextWarp` of a config, or None."""
  tail = config.model.tail
  if tail is None or not tail.context_warp:
    return None
  return tfp_cglow.ContextWarp(tail.context_warp, config.data.padding)


def check(config):
  """Checks a config without building the model.

  Args:
    config: `Config` whose model is a `Flow`.

  Raises:
    ConfigError: if the library refuses the config.
  """
  try:
    build.check_video_flow(**_arguments(config, num_labels=1))
  except ValueError as e:
    raise fields.ConfigError(str(e)) from e


def _arguments(config, num_labels):
  """Arguments of `build_video_flow`, apart from the seed: `dict`."""
  wanted, data = config.model, config.data
  networks = tfp_cglow.Networks(wanted.network_dtype, data.padding)
  return {
    'frame_shape': [data.frame_size, data.frame_size, data.channels],
    'head': _with_networks(wanted.head, networks),
    'tail': _with_networks(wanted.tail, networks),
    'num_labels': num_labels if wanted.takes_labels else None,
    'n_bits': wanted.n_bits,
    'dequantisation': wanted.dequantisation,
  }


def _with_networks(spec, networks):
  return spec and dataclasses.replace(spec, networks=networks)


class ScaledSchedule(tfk.optimizers.schedules.LearningRateSchedule):
  """A schedule times a variable; a restore after divergence halves it.

  Attributes:
    scale: float32 `tf.Variable`, 1 at first; it is not saved in checkpoints.
  """

  def __init__(self, rate):
    """Creates the schedule.

    Args:
      rate: A `LearningRateSchedule`, or a float.
    """
    self.scale = tf.Variable(1.0, trainable=False, name='learning_rate_scale')
    self._rate = rate

  def __call__(self, step):
    rate = self._rate
    return self.scale.read_value() * (rate(step) if callable(rate) else rate)

  def get_config(self):
    return {'rate': self._rate}


def schedule(config):
  """The learning rate: a float if it is constant, else a `CosineDecay`.

  The schedule is a linear warm-up followed by a cosine decay to the final
  learning rate.

  Args:
    config: `Config`.
  """
  if config.optimiser.warmup_steps == 0 and (
    config.optimiser.final_learning_rate == config.optimiser.learning_rate
  ):
    return config.optimiser.learning_rate
  return tfk.optimizers.schedules.CosineDecay(
    initial_learning_rate=0.0
    if config.optimiser.warmup_steps
    else config.optimiser.learning_rate,
    warmup_target=config.optimiser.learning_rate
    if config.optimiser.warmup_steps
    else None,
    warmup_steps=config.optimiser.warmup_steps,
    decay_steps=max(config.run.steps - config.optimiser.warmup_steps, 1),
    alpha=config.optimiser.final_learning_rate / config.optimiser.learning_rate,
  )
