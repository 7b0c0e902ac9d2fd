"""From a config to a compiled `VideoGan`."""

import tf_keras as tfk

from train.config import fields
from train.systems.flow import models
from train.systems.gan import video_gan

__all__ = ['build_model', 'check']


def check(config):
  """Raises `ConfigError` if a `VideoGan` cannot have the config's sizes."""
  size, num_levels = config.data.frame_size, config.model.num_levels
  if size % 2**num_levels:
    raise fields.ConfigError(
      f'model.num_levels={num_levels} needs a data.frame_size divisible by '
      f'{2**num_levels}, but got {size}.'
    )


def build_model(config, num_labels):
  """Creates and compiles the model.

  Args:
    config: `Config`.
    num_labels: Python `int`, number of labels of the data.

  Returns:
    A compiled `VideoGan`.

  Raises:
    ConfigError: if the model refuses the config.
  """
  gan, data = config.model, config.data
  rate = models.ScaledSchedule(models.schedule(config))
  try:
    model = video_gan.VideoGan(
      [data.frame_size, data.frame_size, data.channels],
      num_labels=num_labels if gan.use_labels else None,
      n_bits=gan.n_bits,
      widths=[gan.base_channels * 2**i for i in range(gan.num_levels)],
      num_first_view_nets=gan.num_first_view_nets,
      continued_fraction=gan.continued_fraction,
      spectral_normalisation=gan.spectral_normalisation,
      zero_start=gan.zero_start,
      seed=config.seed,
    )
    model.compile(
      d_optimizer=_adam(_Times(rate, gan.discriminator_rate_factor), gan),
      g_optimizer=_adam(rate, gan),
      loss=gan.loss,
      diversity_weight=gan.diversity_weight,
      saturation_weight=gan.saturation_weight,
      ema=config.optimiser.ema,
    )
  except ValueError as e:
    raise fields.ConfigError(str(e)) from e
  return model


def _adam(rate, gan):
  return tfk.optimizers.legacy.Adam(rate, beta_1=gan.beta_1, epsilon=1e-8)


class _Times(tfk.optimizers.schedules.LearningRateSchedule):
  """A schedule times a constant factor."""

  def __init__(self, rate, factor):
    self._rate, self._factor = rate, factor

  def __call__(self, step):
    return self._factor * self._rate(step)

  def get_config(self):
    return {'rate': self._rate, 'factor': self._factor}
