"""`VideoGlow`: the Keras model that trains a `VideoFlow`."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import difflib
from typing import Any
from typing import Optional
from typing import Union

import numpy as np
import tensorflow as tf
import tf_keras as tfk

from tfp_cglow.internal import replicas
from tfp_cglow.training import first_batch
from tfp_cglow.training import guarded_model
from tfp_cglow.training import keras_saving
from tfp_cglow.training import updates
from tfp_cglow.training import weight_average
from tfp_cglow.video import build
from tfp_cglow.video import configs
from tfp_cglow.video import likelihood
from tfp_cglow.video import objective
from tfp_cglow.video import video_flow

__all__ = ['VideoGlow']

_CLIP_NORMS = {'head': 50.0, 'tail': 5.0, 'memory': 5.0}


@tfk.utils.register_keras_serializable('tfp_cglow')
class VideoGlow(guarded_model.GuardedModel, keras_saving.SavesModel):
  """Trains and evaluates a `VideoFlow` by `fit` and `evaluate`.

  ```python
  import tf_keras as tfk

  images = tf.random.uniform([4, 1, 8, 8, 3])  # Videos [B, T, H, W, C].
  labels = tf.range(4)
  flow = tfp_cglow.build_video_flow(
      [8, 8, 3], head=tfp_cglow.GlowSpec(labels=tfp_cglow.LabelPriors(4)))
  model = tfp_cglow.VideoGlow(flow)
  model.compile(tfk.optimizers.legacy.Adam(1e-3, epsilon=1e-8),
                loss=tfp_cglow.VideoLoss(label_weight=0.5))
  model.fit(images, labels)
  flow.sample([0, 1])  # uint8 [2, 1, 8, 8, 3]
  ```

  Attributes:
    flow: The `VideoFlow`, whose methods sample and compute likelihoods.
    train_loss: `VideoLoss` of `fit`, once compiled.
    test_loss: `VideoLoss` of `evaluate`, once compiled; it drops no label and
      uses all clips, their first frames for the head and all others for the
      tail, and real contexts.
    step_guard: `StepGuard`, once compiled.
    weight_average: `WeightAverage` or None, once compiled.
  """

  def __init__(
    self,
    flow: video_flow.VideoFlow,
    seed: Optional[int] = None,
    name: str = 'video_glow',
  ) -> None:
    """Creates the model.

    Args:
      flow: `VideoFlow`.
      seed: Python `int`, of the noise in training; None: a random seed.
      name: Python `str`.

    Raises:
      ValueError: if `flow` is no `VideoFlow`.
    """
    super().__init__(name=name)
    if not isinstance(flow, video_flow.VideoFlow):
      raise ValueError(f'`flow` must be a VideoFlow, but got {flow!r}.')
    self.flow = flow
    # `build_video_flow` uses the first three of these seeds.
    seeds = np.random.default_rng(seed).integers(2**31, size=4)
    self._noise_seed = int(seeds[3])
    self.built = True  # All variables exist; there is no `call`.

  def submodels(self) -> dict[str, tf.Module]:
    """The parts that exist: `dict` of 'head', 'tail' and 'memory'."""
    return self.flow.submodels()

  def parameter_groups(self) -> dict[str, list[tf.Variable]]:
    """Trainable variables by name, see `VideoFlow.parameter_groups`."""
    return self.flow.parameter_groups()

  def module_variables(self) -> dict[str, tf.Variable]:
    """The weights that `save` and `save_weights` write."""
    variables = {
      f'{name}_{i}': variable
      for name, module in self.submodels().items()
      for i, variable in enumerate(module.variables)
    }
    if self.flow.takes_labels:
      variables['label_counts'] = self.flow.label_counts
    return variables

  def training_variables(self) -> dict[str, tf.Variable]:
    """What `save` and `save_weights` also write, once compiled.

    Keras itself writes optimisers, but not `tf_keras.optimizers.legacy`.
    """
    if self.optimizer is None:
      return {}
    parts = {'guard': self.step_guard.variables}
    if self.weight_average is not None:
      parts['average'] = self.weight_average.variables
    if _is_legacy(self.optimizer):
      parts['optimizer'] = self.optimizer.variables()
    return {f'{k}_{i}': v for k, vs in parts.items() for i, v in enumerate(vs)}

  def saved_modules(self) -> tuple[str, ...]:
    """See `SavesModel`."""
    return ('flow',)

  def get_config(self) -> dict[str, Any]:
    """The name, the seed of the noise, and the flow's `config`."""
    return {
      'name': self.name,
      'noise_seed': self._noise_seed,
      'flow': self.flow.config,
    }

  @classmethod
  def from_config(cls, config: dict[str, Any]) -> VideoGlow:
    """Builds a model like the one whose `get_config` is given.

    Args:
      config: `dict`.

    Returns:
      A `VideoGlow` with new weights.

    Raises:
      ValueError: if the flow has no `config`.
    """
    if config['flow'] is None:
      raise ValueError(
        'This VideoGlow was saved without how to build its flow, because '
        '`build_video_flow` did not build it or because its networks are your '
        'own: expected `VideoGlow(flow).load_weights(path)`, but got '
        '`load_model(path)`.'
      )
    flow = build.build_video_flow(**configs.from_json(config['flow']))
    model = cls(flow, name=config['name'])
    model._noise_seed = config['noise_seed']
    return model

  def get_compile_config(self) -> Optional[dict[str, Any]]:
    """Arguments of `compile`, for `save`; None if it was not called."""
    if self.optimizer is None:
      return None
    average = self.weight_average
    return {
      'optimizer': tfk.optimizers.serialize(self.optimizer),
      'is_legacy': _is_legacy(self.optimizer),
      'loss': configs.to_json({'loss': self.train_loss}),
      'clip_norms': self._clip_norms,
      'ema': None if average is None else average.decay,
      'run_eagerly': self._run_eagerly,
      'jit_compile': self._jit_compile,
    }

  def compile_from_config(self, config: dict[str, Any]) -> None:
    """Calls `compile` with arguments that `get_compile_config` returned."""
    config = dict(config)
    optimizer = tfk.optimizers.deserialize(
      config.pop('optimizer'), use_legacy_optimizer=config.pop('is_legacy')
    )
    loss = configs.from_json(config.pop('loss'))
    self.compile(optimizer, **loss, **config)

  @property
  def adapted(self) -> bool:
    """Whether `adapt` ran (or a checkpoint of an adapted model was loaded)."""
    return self.flow.adapted

  def adapt(
    self,
    frames: tf.types.experimental.TensorLike,
    label: Optional[tf.types.experimental.TensorLike] = None,
  ) -> None:
    """Initialises every ActNorm from a batch; `fit` calls it when needed.

    It uses the noise of training, and restarts the average of the weights.

    Args:
      frames: uint8 or float `[B, T, H, W, C]`; B must be equal on all replicas.
      label: int `[B]`, or None; ignored if the flow takes no label.
    """
    label = label if self.flow.takes_labels else None
    self.flow.adapt(frames, label, seed=self._noise_seed)
    if getattr(self, 'weight_average', None) is not None:
      self.weight_average.restart()

  def compile(
    self,
    optimizer: Union[tfk.optimizers.Optimizer, tfk.optimizers.legacy.Optimizer],
    loss: Optional[objective.VideoLoss] = None,
    clip_norms: Optional[Mapping[str, float]] = None,
    ema: Optional[float] = None,
    **kwargs: Any,
  ) -> None:
    """Configures training.

    A step whose loss or gradients are not finite, or whose loss is a hundred
    times the least of the last 64, is skipped: it changes neither the weights
    nor the optimiser, the weights' average or the step counter.

    Args:
      optimizer: A `tf_keras` optimiser without gradient clipping of its own.
      loss: `VideoLoss`; None: `VideoLoss()`.
      clip_norms: `dict` from 'head', 'tail' and 'memory' to the norm to which
        the gradient of the loss with respect to that submodel is clipped. The
        defaults are those of the paper's code: 50 for the head, 5 for the
        others.
      ema: Python `float`, decay of `weight_average`, an exponential moving
        average of the weights; None: no average.
      **kwargs: Arguments of `tf_keras.Model.compile`.

    Raises:
      ValueError: if the loss is of another kind, a submodel's name is unknown,
        the optimiser clips, or `ema` is not in [0, 1).
    """
    loss = objective.VideoLoss() if loss is None else loss
    if not isinstance(loss, objective.VideoLoss):
      raise ValueError(f'`loss` must be a VideoLoss, but got {loss!r}.')
    _check_optimizer(optimizer)
    _check_clip_norms(clip_norms or {})
    if ema is not None:
      weight_average.check_decay(ema)
    super().compile(optimizer=optimizer, **kwargs)
    updates.create_slots(self.optimizer, self.trainable_variables)
    self._clip_norms = {**_CLIP_NORMS, **(clip_norms or {})}
    self.train_loss = loss
    self.test_loss = dataclasses.replace(
      loss,
      label_dropout=0.0,
      tail_frames_per_step=None,
      head_frames_per_step=None,
      tail_clips_per_step=None,
      head_clips_per_step=None,
      tail_context_warp=None,
    )
    self.begin_training(
      objective.metric_names(self.flow, loss.label_weight),
      self.trainable_variables,
      ema,
    )

  def fit(
    self,
    x: Any = None,
    y: Any = None,
    batch_size: Optional[int] = None,
    **kwargs: Any,
  ) -> tfk.callbacks.History:
    """`tf_keras.Model.fit`, after `adapt` on the first batch if not adapted.

    If it raises an error before it has taken a step, it takes `adapt` back.

    Args:
      x: Frames; or `(frames, label)` batches of a `tf.data.Dataset`, a
        generator or a `tf_keras.utils.Sequence`.
      y: Labels `[B]`, integers, if `x` is frames.
      batch_size: As in Keras.
      **kwargs: As in Keras.

    Returns:
      A `tf_keras.callbacks.History`.

    Raises:
      ValueError: if frames or labels do not fit or are not finite.
    """
    if self.adapted or self.optimizer is None:
      return super().fit(x, y, batch_size=batch_size, **kwargs)
    num_steps = int(self.optimizer.iterations.numpy())
    x, before = self._adapt_to_first_batch(x, y, batch_size)
    try:
      return super().fit(x, y, batch_size=batch_size, **kwargs)
    except BaseException:
      if int(self.optimizer.iterations.numpy()) == num_steps:
        for variable, value in before:
          variable.assign(value)
      raise

  def _adapt_to_first_batch(self, x, y, batch_size):
    """Adapts; returns the data, and what changed: variables and old values."""
    strategy = self.distribute_strategy
    batch, x = first_batch.first_batch(strategy, x, y, batch_size)
    if not isinstance(batch, (tuple, list)):
      batch = (batch,)
    average = self.weight_average
    variables = [*self.flow.variables, *(average.variables if average else ())]
    before = [v.numpy() for v in variables]
    strategy.run(
      lambda *data: self.adapt(*self._checked(data)), args=tuple(batch)
    )
    return x, [
      (v, value)
      for v, value in zip(variables, before)
      if not np.array_equal(v.numpy(), value)
    ]

  def train_step(self, data):
    frames, label = self._checked(data)
    seed = likelihood.fold_in(
      likelihood.as_seed(self._noise_seed),
      tf.cast(self.optimizer.iterations, tf.int32),
    )
    num_clips = tf.shape(frames)[0]
    with tf.GradientTape() as tape:
      values = objective.loss_terms(
        self.flow,
        self.train_loss,
        frames,
        label,
        seed,
        replicas.clip_identities(num_clips),
      )
    groups = self.parameter_groups()
    gradients = tape.gradient(
      values['loss'], {k: groups[k] for k in self.submodels()}
    )
    results = self.guarded_step(
      values, gradients, ['loss'], self._update, num_clips
    )
    if label is not None:
      self._count(label)
    return results

  def _update(self, is_taken, gradients, norms):
    groups, pairs = self.parameter_groups(), []
    for name, of_part in gradients.items():
      clipped, _ = tf.clip_by_global_norm(
        of_part, self._clip_norms[name], use_norm=norms[name]
      )
      pairs += zip(clipped, groups[name])
    updates.apply_if(is_taken, self.optimizer, pairs, self.weight_average)

  def _count(self, label):
    """Adds the labels of all replicas to `label_counts`."""
    counts = tf.reduce_sum(tf.one_hot(label, self.flow.num_labels), axis=0)
    replica = tf.distribute.get_replica_context()
    self.flow.label_counts.assign_add(
      replica.all_reduce(tf.distribute.ReduceOp.SUM, counts)
    )

  def test_step(self, data):
    frames, label = self._checked(data)
    num_clips = tf.shape(frames)[0]
    frames, label, places = self.numbered(frames, label)
    values = objective.loss_terms(
      self.flow, self.test_loss, frames, label, 0, places
    )
    return self.measured(values, num_clips)

  def _checked(self, data):
    """Frames and label of a batch; the label is None if the flow takes none."""
    frames, label = guarded_model.unpack(data)
    frames, label = self.flow.check(
      frames, label if self.flow.takes_labels else None
    )
    if label is not None and not label.dtype.is_integer:
      raise ValueError(
        'Training and evaluation expect integer labels [B] (`tf.argmax` '
        'converts one-hot labels), but got '
        f'{label.dtype.name} {label.shape}.'
      )
    return frames, label


def _is_legacy(optimizer):
  return isinstance(optimizer, tfk.optimizers.legacy.Optimizer)


def _check_optimizer(optimizer):
  for name in ('clipnorm', 'clipvalue', 'global_clipnorm'):
    if getattr(optimizer, name, None) is not None:
      raise ValueError(
        f'The optimiser has `{name}`, which would clip the gradient of all '
        'submodels together; use `clip_norms` instead.'
      )


def _check_clip_norms(clip_norms):
  for name in clip_norms:
    if name not in _CLIP_NORMS:
      near = difflib.get_close_matches(name, _CLIP_NORMS, n=1)
      raise ValueError(
        f'`clip_norms` takes {list(_CLIP_NORMS)}, but got {name!r}.'
        + (f' Did you mean {near[0]!r}?' if near else '')
      )
