"""From a config to a compiled `VideoGlow`."""

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
    flow = _build_flow(config, num_labels)
    model = tfp_cglow.VideoGlow(flow, seed=config.seed)
  except ValueError as e:
    raise configs.ConfigError(str(e)) from e
  clip_norms = {
    'head': config.head_clip_norm,
    'tail': config.tail_clip_norm,
    'memory': config.processor_clip_norm,
  }
  model.compile(
    optimizer=tfk.optimizers.legacy.Adam(
      ScaledSchedule(schedule(config)), epsilon=1e-8
    ),
    loss=tfp_cglow.VideoLoss(
      config.label_loss_weight,
      config.label_dropout,
      config.tail_frames_per_step,
    ),
    clip_norms=clip_norms,
    ema=config.ema,
  )
  return model


def _build_flow(config, num_labels):
  head = tail = None
  if config.model != 'tail':
    head = tfp_cglow.GlowSpec(**_parts(config.head, config.use_labels))
  if config.model != 'head':
    memory = None
    if config.state_channels:
      memory = _MEMORIES[config.processor](config.state_channels)
    tail = tfp_cglow.TailSpec(
      previous_frames=config.previous_frames,
      memory=memory,
      **_parts(config.tail, config.use_labels and config.tail_labels),
    )
  takes_labels = any(part is not None and part.labels for part in (head, tail))
  return tfp_cglow.build_video_flow(
    [config.frame_size, config.frame_size, config.channels],
    head,
    tail,
    num_labels=num_labels if takes_labels else None,
    n_bits=config.n_bits,
    dequantisation=config.dequantisation,
    seed=config.seed,
  )


_MEMORIES = {
  'residual': tfp_cglow.ResidualMemory,
  'gru': tfp_cglow.GruMemory,
}
_HALVINGS = {
  'pixels': 0,
  'quarters': 1,
  'sixteenths': 2,
  'sixty_fourths': 3,
  'finest': 'all',
}


def _parts(glow, takes_labels):
  """Fields of a `GlowSpec`, of a `GlowConfig`."""
  return {
    'num_glow_blocks': glow.num_glow_blocks,
    'steps': _steps(glow),
    'first': _first(glow),
    'labels': _labels(glow) if takes_labels else None,
    'pyramid': tfp_cglow.Pyramid(glow.pyramid_channels),
    'network_dtype': glow.network_dtype,
  }


def _steps(glow):
  if not glow.num_steps_per_block:
    return None
  make, options = _chosen(
    'coupling',
    glow.coupling,
    {
      'additive': (tfp_cglow.AdditiveSteps, {}),
      'affine': (tfp_cglow.AffineSteps, {}),
      'affine_sigmoid': (tfp_cglow.AffineSteps, {'scale': 'sigmoid'}),
    },
  )
  return make(
    glow.num_steps_per_block,
    glow.hidden_channels,
    glow.context_injection,
    glow.gradients,
    **options,
  )


def _first(glow):
  if glow.context_mixture is not None:
    if glow.context_affine is not None:
      raise ValueError(
        'Expected one of context_mixture and context_affine, but got '
        f'{glow.context_mixture!r} and {glow.context_affine!r}.'
      )
    return tfp_cglow.LevelMixture(
      halvings=_chosen('context_mixture', glow.context_mixture, _HALVINGS),
      hidden_channels=glow.mixture_hidden_channels,
      strip_pooling=glow.mixture_strip_pooling,
      motion_radius=glow.mixture_motion_radius,
    )
  if glow.context_affine is None:
    return None
  means = {
    'learned': None,
    'residual': tfp_cglow.PreviousFrame(),
    'motion': tfp_cglow.MovedFrame(glow.motion_radius),
    'recall': tfp_cglow.RecalledFrame(),
  }
  mean = _chosen('context_affine', glow.context_affine, means)
  return tfp_cglow.FrameAffine(mean, glow.affine_hidden_channels)


def _labels(glow):
  make = _chosen(
    'label_conditioning',
    glow.label_conditioning,
    {
      'prior': tfp_cglow.LabelPriors,
      'image': tfp_cglow.LabelImages,
      'embedding': tfp_cglow.LabelEmbedding,
    },
  )
  if glow.label_init_std is None or make is tfp_cglow.LabelPriors:
    return make()
  return make(init_std=glow.label_init_std)


def _chosen(name, value, choices):
  if value not in choices:
    raise ValueError(
      f'`{name}` must be one of {list(choices)}, but got {value!r}.'
    )
  return choices[value]


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
