"""Presets of older rows of the tables in docs/; `--help` leaves them out."""

import dataclasses
import functools

import tfp_cglow
from train.config import configs
from train.config import data_sets
from train.config import models
from train.config import paper_presets

__all__ = ['PRESETS']

_AffineSteps = functools.partial(tfp_cglow.AffineSteps, gradients='stored')

# Our affine flow; a step costs about as much as one of paper_small. On natvid,
# two previous frames and `MovedFrame` do not lower bits/dim, but they make
# continuations better than copying the last frame.
_CGLOW_SMALL = configs.Config(
  preset='cglow_small',
  data=paper_presets.AS_IT_IS,
  model=models.Flow(
    head=models.Head(
      steps=_AffineSteps(num_steps=8), labels=tfp_cglow.LabelPriors()
    ),
    tail=models.Tail(
      steps=_AffineSteps(),
      first=tfp_cglow.FrameAffine(tfp_cglow.MovedFrame()),
      pyramid=tfp_cglow.Pyramid(16),
      previous_frames=2,
    ),
  ),
  optimiser=configs.Optimiser(learning_rate=3e-3, final_learning_rate=2e-4),
  run=configs.Run(steps=700),
)

# cglow_small with `LevelMixture` as first bijector and small flows after it:
# the best model of docs/density.md.
_CGLOW_MIXTURE = dataclasses.replace(
  _CGLOW_SMALL,
  preset='cglow_mixture',
  data=data_sets.Natvid(symmetry='mirror'),
  model=models.Flow(
    head=models.Head(
      steps=_AffineSteps(num_steps=2, hidden_channels=32),
      first=tfp_cglow.LevelMixture(halvings=2),
      labels=tfp_cglow.LabelEmbedding(),
    ),
    tail=models.Tail(
      num_glow_blocks=1,
      steps=_AffineSteps(num_steps=1, hidden_channels=16),
      first=tfp_cglow.LevelMixture(),
      pyramid=tfp_cglow.Pyramid(16),
      previous_frames=2,
      frames_per_step=2,
    ),
    label_weight=0.0,
  ),
)

PRESETS = {
  'cglow_small': _CGLOW_SMALL,
  'cglow_mixture': _CGLOW_MIXTURE,
}
