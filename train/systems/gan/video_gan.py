"""`VideoGan`: the Keras model of a video generator and discriminator."""

import numpy as np
import tensorflow as tf

from tfp_cglow.bijectors import labels as labels_lib
from tfp_cglow.internal import replicas
from tfp_cglow.training import guarded_model
from tfp_cglow.training import updates
from tfp_cglow.video import likelihood
from tfp_cglow.video import rollout
from tfp_cglow.video import video_targets
from train.systems.gan import discriminator as discriminator_lib
from train.systems.gan import generator as generator_lib
from train.systems.gan import losses as losses_lib
from train.systems.gan import spectral_norm
from train.systems.gan import unet

__all__ = ['VideoGan']

_SATURATED = 0.99  # Within 1% of -1 or +1.


class VideoGan(guarded_model.GuardedModel):
  """The paper's video GAN (section V): View-Nets make and judge the frames.

  Real and sampled frames are quantised in the same way as the flow's, so that
  the two systems can be compared. The model has no likelihood.

  Attributes:
    generator: `Generator`.
    discriminator: `Discriminator`.
    step_guard: `StepGuard`, once compiled.
    weight_average: `WeightAverage` of the generator, or None, once compiled.
  """

  def __init__(
    self,
    frame_shape,
    num_labels=None,
    n_bits=5,
    *,
    widths=(16, 32, 64),
    num_first_view_nets=2,
    label_channels=16,
    continued_fraction=0.0,
    spectral_normalisation=False,
    zero_start=False,
    seed=None,
    name='video_gan',
  ):
    """Creates the model and its variables.

    Args:
      frame_shape: `[H, W, C]`, H and W divisible by 2**(number of widths).
      num_labels: Python `int`, or None: labels are not used.
      n_bits: Python `int`, 1..8, bits of the quantised frames' values.
      widths: Sequence of Python `int`: channels of the levels of all pyramids,
        each half the size of the one before.
      num_first_view_nets: Python `int`, View-Nets before the first frame.
      label_channels: Python `int`, channels of a label's embedding.
      continued_fraction: Float, the fraction of a training batch's generated
        videos that continue a real first frame. The paper has 0: its generator
        never sees a real frame.
      spectral_normalisation: Python `bool`, whether the spectral norm of all
        kernels is bounded.
      zero_start: Python `bool`, whether the generator's View-Nets add nothing
        at first, so that all frames of a video are equal. What View-Nets add
        accumulates over the frames and may saturate the tanh, which then has
        no gradient.
      seed: Python `int` for variables and noise, or None: a random one.
      name: Python `str`.

    Raises:
      ValueError: if an argument's value does not fit.
    """
    super().__init__(name=name)
    _check_sizes(frame_shape, widths, num_first_view_nets, label_channels)
    if not 0.0 <= continued_fraction <= 1.0:
      raise ValueError(
        f'`continued_fraction` must be in [0, 1], but got {continued_fraction}.'
      )
    likelihood.check_n_bits(n_bits)
    self.frame_shape = tuple(int(d) for d in frame_shape)
    self.num_labels = num_labels
    self.n_bits = n_bits
    self.dequantisation = 'matched'  # As of a flow whose frames are quantised.
    self.continued_fraction = continued_fraction
    draw = np.random.default_rng(seed)
    self._noise_seed, g_seed, d_seed = map(int, draw.integers(2**31, size=3))
    constraint = (
      spectral_norm.SpectralNorm() if spectral_normalisation else None
    )
    self.generator = generator_lib.Generator(
      self.frame_shape,
      widths,
      num_first_view_nets,
      num_labels,
      label_channels,
      unet.Kernels(_seeds(g_seed), constraint, zero_start),
    )
    self.discriminator = discriminator_lib.Discriminator(
      self.frame_shape,
      widths,
      num_labels,
      label_channels,
      unet.Kernels(_seeds(d_seed), constraint),
    )
    self._sample_function = tf.function(self._sample, reduce_retracing=True)
    self.built = True  # All variables exist; there is no `call`.

  @property
  def adapted(self):
    """True: nothing is initialised from data."""
    return True

  def parameter_groups(self):
    """Trainable variables: `dict` of 'generator', 'discriminator', 'labels'.

    'labels' holds the label tables of both networks, if the model has labels.
    """
    parts = self.submodels()
    groups = {k: list(p.trainable_variables) for k, p in parts.items()}
    if self.num_labels is not None:
      groups['labels'] = [p.label_table for p in parts.values()]
    return groups

  def submodels(self):
    """The parts: `dict` of 'generator' and 'discriminator'."""
    return {'generator': self.generator, 'discriminator': self.discriminator}

  # Generation.

  def sample(
    self,
    labels=None,
    num_frames=1,
    first_frames=None,
    temperature=1.0,
    seed=None,
    num_videos=None,
  ):
    """Generates videos.

    Args:
      labels: int `[B]` or float `[B, num_labels]`; None for a model without
        labels.
      num_frames: int, T, counting `first_frames`.
      first_frames: uint8 or float `[B, T0, H, W, C]` to continue, or None.
      temperature: Float scalar or `[B]`, >= 0; scales the noise.
      seed: Python `int`, int32 `[2]` or `[B, 2]` (one a row), or None: a
        random one. Equal seeds give equal videos.
      num_videos: Python `int` B, for a model without labels.

    Returns:
      uint8 `[B, T, H, W, C]`, at the centres of the `n_bits` bins.

    Raises:
      ValueError: if an argument does not fit.
    """
    given = None
    if first_frames is not None:
      given = self._to_signed(
        video_targets.check_frames(first_frames, self.frame_shape)
      )
    if (labels is None) != (self.num_labels is None):
      raise ValueError(
        f'Expected {"no " * (self.num_labels is None)}`labels` for this model.'
      )
    if labels is not None:
      labels = labels_lib.check_label('sample', labels, self.num_labels)
      batch_size = labels.shape[0]
    else:
      known = 1 if given is None else given.shape[0]
      batch_size = known if num_videos is None else num_videos
    rollout.check_sampling(num_frames, given, temperature, batch_size)
    if seed is None:
      seed = int(np.random.default_rng().integers(2**31))
    noise = self._noise(rollout.row_seeds(seed, batch_size))
    temperature = tf.broadcast_to(
      tf.cast(temperature, tf.float32), [batch_size]
    )
    noise *= temperature[:, tf.newaxis, tf.newaxis, tf.newaxis]
    # A list, so that its length stays static when tracing relaxes shapes.
    given = None if given is None else tf.unstack(given, axis=1)
    return self._sample_function(
      noise, labels, tf.convert_to_tensor(num_frames), given
    )

  def _sample(self, noise, label, num_frames, given):
    """Generates videos; the graph's size does not depend on `num_frames`."""
    bottoms, pyramid = self.generator.begin(noise, label, given)
    array = tf.TensorArray(tf.uint8, num_frames)
    for t, bottom in enumerate(bottoms):
      array = array.write(t, self._to_uint8(tf.tanh(bottom)))

    def body(t, pyramid, array):
      pyramid = self.generator.following(pyramid, label)
      return t + 1, pyramid, array.write(t, self._to_uint8(tf.tanh(pyramid[0])))

    *_, array = tf.while_loop(
      lambda t, *_: t < num_frames, body, (len(bottoms), pyramid, array)
    )
    return tf.transpose(array.stack(), [1, 0, 2, 3, 4])

  def _noise(self, seeds):
    """Gaussian noise `[B, H, W, C]` from the rows' seeds `[B, 2]`."""
    return tf.map_fn(
      lambda s: tf.random.stateless_normal(self.frame_shape, s, alg='philox'),
      seeds,
      fn_output_signature=tf.TensorSpec(self.frame_shape, tf.float32),
    )

  def _to_signed(self, frames):
    """Quantises frames and scales them to [-1, 1]."""
    return 2.0 * likelihood.quantise(frames, self.n_bits)

  def _to_uint8(self, signed):
    return likelihood.to_uint8(likelihood.requantise(0.5 * signed, self.n_bits))

  # Training.

  def compile(
    self,
    d_optimizer,
    g_optimizer,
    loss='least_squares',
    diversity_weight=0.0,
    saturation_weight=0.0,
    ema=None,
    **kwargs,
  ):
    """Configures training.

    Both networks take one step on each batch; both gradients are taken at the
    same weights. A step whose losses or gradients are not finite is skipped: it
    changes nothing.

    Args:
      d_optimizer: A `tf_keras` optimiser for the discriminator.
      g_optimizer: A `tf_keras` optimiser for the generator.
      loss: 'least_squares' or 'hinge'.
      diversity_weight: Float, weight of `diversity_shortfall` in the
        generator's loss. If it is not 0, each step generates a second batch of
        videos.
      saturation_weight: Float, weight of `excess` in the generator's loss.
      ema: Python `float`, decay of the average of the generator's weights, or
        None: no average.
      **kwargs: Passed to `tf_keras.Model.compile`.

    Raises:
      ValueError: if the loss is unknown or a weight negative.
    """
    if loss not in losses_lib.LOSSES:
      raise ValueError(
        f'`loss` must be one of {list(losses_lib.LOSSES)}, but got {loss!r}.'
      )
    for key, weight in (
      ('diversity_weight', diversity_weight),
      ('saturation_weight', saturation_weight),
    ):
      if weight < 0.0:
        raise ValueError(f'`{key}` must be at least 0, but got {weight}.')
    super().compile(optimizer=g_optimizer, **kwargs)
    self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
    groups = self.parameter_groups()
    updates.create_slots(d_optimizer, groups['discriminator'])
    updates.create_slots(g_optimizer, groups['generator'])
    self._loss = losses_lib.LOSSES[loss]
    self._diversity_weight = diversity_weight
    self._saturation_weight = saturation_weight
    names = ['discriminator_loss', 'generator_loss', 'real_score']
    names += ['generated_score', 'diversity_shortfall', 'excess', 'saturation']
    names += [
      f'{kind}_{statistic}'
      for kind in ('generated', 'real')
      for statistic in ('mean', 'deviation')
    ]
    self.begin_training(names, groups['generator'], ema)

  def train_step(self, data):
    frames, label = self._unpack(data)
    num_clips = tf.shape(frames)[0]
    seed = likelihood.fold_in(
      likelihood.as_seed(self._noise_seed),
      tf.cast(self.g_optimizer.iterations, tf.int32),
    )
    values, gradients = self._values_and_gradients(
      self._to_signed(frames), label, seed, replicas.clip_identities(num_clips)
    )
    losses = ['discriminator_loss', 'generator_loss']
    return self.guarded_step(values, gradients, losses, self._update, num_clips)

  def _update(self, is_taken, gradients, norms):
    del norms
    groups = self.parameter_groups()
    for name, optimizer, average in (
      ('discriminator', self.d_optimizer, None),
      ('generator', self.g_optimizer, self.weight_average),
    ):
      pairs = list(zip(gradients[name], groups[name]))
      updates.apply_if(is_taken, optimizer, pairs, average)

  def _values_and_gradients(self, real, label, seed, clips):
    """Metrics' values, and the gradients of each network's own loss."""
    groups = self.parameter_groups()
    with tf.GradientTape(persistent=True) as tape:
      unbounded = self._generate(real, label, seed, clips)
      generated = tf.tanh(unbounded)
      values = self._judge(real, generated, label)
      excess = losses_lib.excess(unbounded, self.n_bits)
      shortfall = 0.0
      if self._diversity_weight:
        others = tf.tanh(self._generate(real, label, seed + 1, clips))
        shortfall = losses_lib.diversity_shortfall(
          generated, others, real, label
        )
      g_loss = values['generator_loss'] + self._diversity_weight * shortfall
      g_loss += self._saturation_weight * excess
    gradients = {
      'generator': tape.gradient(g_loss, groups['generator']),
      'discriminator': tape.gradient(
        values['discriminator_loss'], groups['discriminator']
      ),
    }
    del tape
    values.update(diversity_shortfall=shortfall, excess=excess)
    return values, gradients

  def test_step(self, data):
    frames, label = self._unpack(data)
    num_clips = tf.shape(frames)[0]
    frames, label, places = self.numbered(frames, label)
    clips = replicas.interleaved(places)
    real = self._to_signed(frames)
    noise = self._noise(_row_seeds(likelihood.as_seed(0), clips))
    generated = self.generator(noise, label, real.shape[1])
    return self.measured(self._judge(real, generated, label), num_clips)

  def _generate(self, real, label, seed, clips):
    """Generates videos, before the tanh, for the labels of the real ones.

    A fraction of them begins with the real video's first frame, which the
    discriminator also judges.
    """
    noise = self._noise(_row_seeds(seed, clips))
    if not self.continued_fraction:
      return self.generator.unbounded(noise, label, real.shape[1])
    # Chosen evenly among the clips of all replicas.
    share = self.continued_fraction * tf.cast([clips, clips + 1], tf.float32)
    return self.generator.unbounded(
      noise,
      label,
      real.shape[1],
      given=[real[:, 0]],
      is_given=tf.floor(share[1]) > tf.floor(share[0]),
    )

  def _judge(self, real, generated, label):
    """Losses and the statistics of the paper's Fig. 7: `dict` of scalars."""
    scores = [self.discriminator(v, label) for v in (real, generated)]
    d_loss, g_loss = self._loss(*scores)
    is_saturated = tf.abs(generated) > _SATURATED
    return {
      'discriminator_loss': d_loss,
      'generator_loss': g_loss,
      'real_score': tf.reduce_mean(scores[0]),
      'generated_score': tf.reduce_mean(scores[1]),
      'saturation': tf.reduce_mean(tf.cast(is_saturated, tf.float32)),
      **_statistics('generated', generated),
      **_statistics('real', real),
    }

  def _unpack(self, data):
    frames, label = guarded_model.unpack(data)
    frames = video_targets.check_frames(frames, self.frame_shape)
    if self.num_labels is None:
      return frames, None
    return frames, labels_lib.check_label(self.name, label, self.num_labels)


def _row_seeds(seed, clips):
  """Seeds `[B, 2]` of clips' identities `[B]`."""
  return tf.map_fn(lambda clip: likelihood.fold_in(seed, clip), clips)


def _seeds(seed):
  """An endless iterator of Python `int`."""
  draw = np.random.default_rng(seed)
  while True:
    yield int(draw.integers(2**31))


def _statistics(name, videos):
  """Mean and standard deviation of a frame's values, averaged over frames."""
  deviation = tf.math.reduce_std(videos, axis=[2, 3, 4])
  return {
    f'{name}_mean': tf.reduce_mean(videos),
    f'{name}_deviation': tf.reduce_mean(deviation),
  }


def _check_sizes(frame_shape, widths, num_first_view_nets, label_channels):
  """Raises ValueError if no pyramid can have these sizes."""
  for key, values, least in (
    ('widths', list(widths), 1),
    ('num_first_view_nets', [num_first_view_nets], 0),
    ('label_channels', [label_channels], 1),
  ):
    if not values or min(values) < least:
      raise ValueError(f'`{key}` must be at least {least}, but got {values}.')
  divisor = 2 ** len(widths)
  if any(d % divisor for d in frame_shape[:2]):
    raise ValueError(
      f'{len(widths)} levels need a height and width divisible by '
      f'{divisor}, but got frames of {frame_shape[0]}x{frame_shape[1]}.'
    )
