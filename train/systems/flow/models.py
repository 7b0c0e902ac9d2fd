"""From a config to a compiled `VideoGlow`."""

import dataclasses

import tensorflow as tf
import tf_keras as tfk

import tfp_cglow
from train.config import configs

__all__ = ['ScaledSchedule', 'build_model', 'schedule']


def build_model(config, num_labels):
  """Creates and compiles the model.

  Args:
    config: `Config`.
    num_labels: Python `int`, of the data.

  Returns:
    A compiled `tfp_cglow.VideoGlow`.

  Raises:
    ConfigError: if the library refuses the config.
  """
  try:
    model = tfp_cglow.VideoGlow(
      [config.frame_size, config.frame_size, config.channels],
      num_labels=num_labels if config.use_labels else None,
      n_bits=config.n_bits,
      state_channels=config.state_channels,
      head=None if config.model == 'tail' else _keywords(config.head),
      tail=None if config.model == 'head' else _keywords(config.tail),
      processor=config.processor,
      previous_frames=config.previous_frames,
      tail_labels=config.tail_labels,
      tail_frames_per_step=config.tail_frames_per_step,
      label_loss_weight=config.label_loss_weight,
      label_dropout=config.label_dropout,
      dequantisation=config.dequantisation,
      seed=config.seed,
    )
  except ValueError as e:
    raise configs.ConfigError(str(e)) from e
  model.compile(
    optimizer=tfk.optimizers.legacy.Adam(
      ScaledSchedule(schedule(config)), epsilon=1e-8
    ),
    clip_norms={
      'head': config.head_clip_norm,
      'tail': config.tail_clip_norm,
      'processor': config.processor_clip_norm,
    },
    ema=config.ema,
  )
  return model


class ScaledSchedule(tfk.optimizers.schedules.LearningRateSchedule):
  """A schedule times a variable, which restores after divergence halve.

  Attributes:
    scale: float32 `tf.Variable`, 1 at first; no checkpoint has it.
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


def _keywords(glow_config):
  keywords = dataclasses.asdict(glow_config)
  if keywords['network_dtype'] is not None:
    keywords['network_dtype'] = tf.as_dtype(keywords['network_dtype'])
  return keywords


def schedule(config):
  """Linear warm-up, then a cosine to the final learning rate, or a float."""
  if config.warmup_steps == 0 and (
    config.final_learning_rate == config.learning_rate
  ):
    return config.learning_rate
  return tfk.optimizers.schedules.CosineDecay(
    initial_learning_rate=0.0 if config.warmup_steps else config.learning_rate,
    warmup_target=config.learning_rate if config.warmup_steps else None,
    warmup_steps=config.warmup_steps,
    decay_steps=max(config.steps - config.warmup_steps, 1),
    alpha=config.final_learning_rate / config.learning_rate,
  )
