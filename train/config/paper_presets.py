"""The paper's flow and GAN, and ours at the size of its flow."""

import dataclasses
import functools

import tfp_cglow
from train.config import configs
from train.config import data_sets
from train.config import models

__all__ = ['AS_IT_IS', 'PRESETS']

# The older rows of our tables were trained without mirrored clips.
AS_IT_IS = data_sets.Natvid(symmetry='none')
_PaperSteps = functools.partial(
  tfp_cglow.AdditiveSteps, num_steps=32, hidden_channels=512
)
_PAPER_HEAD = models.Head(
  num_glow_blocks=4,
  steps=_PaperSteps(),
  labels=tfp_cglow.LabelImages(init_std=1.0),
)
_PAPER_TAIL = models.Tail(
  num_glow_blocks=4,
  steps=_PaperSteps(num_steps=1),
  memory=tfp_cglow.ResidualMemory(16),
)

# The paper's sizes (appendix); the docs list what its text leaves open.
_PAPER = configs.Config(
  preset='paper',
  data=data_sets.MomentsInTime(
    frame_size=64, num_frames=30, max_source_frames=30
  ),
  model=models.Flow(
    head=_PAPER_HEAD,
    tail=_PAPER_TAIL,
    label_weight=0.0,
    dequantisation='legacy',
  ),
  # The paper names no warm-up. Without one, Adam's first step takes the head
  # from 2.5 bits/dim to between 953 and 26,740 (natvid, three seeds).
  optimiser=configs.Optimiser(
    learning_rate=1e-4, final_learning_rate=1e-4, warmup_steps=100
  ),
  run=configs.Run(
    steps=12_375,  # One pass over 99% of 100,000 clips at batch size 8.
    eval_every=2000,
    checkpoint_every=500,
    sample_frames=30,
  ),
)

# The GAN as the paper describes it (section V), with the flow's batch size,
# least-squares losses and the learning rate of the author's code.
_GAN_PAPER = configs.Config(
  preset='gan_paper',
  data=AS_IT_IS,
  model=models.Gan(),
  optimiser=configs.Optimiser(
    learning_rate=1e-3, final_learning_rate=1e-3, warmup_steps=0
  ),
  run=configs.Run(
    steps=400,
    log_every=10,
    eval_every=200,
    checkpoint_every=200,
    temperature=1.0,
  ),
)

# Our model; a step costs about as much as one of the paper's.
_CGLOW = dataclasses.replace(
  _PAPER,
  preset='cglow',
  model=models.Flow(
    head=dataclasses.replace(
      _PAPER_HEAD,
      steps=tfp_cglow.AffineSteps(num_steps=32, hidden_channels=512),
      labels=tfp_cglow.LabelPriors(),
    ),
    tail=models.Tail(
      steps=tfp_cglow.AffineSteps(num_steps=8, hidden_channels=128),
      first=tfp_cglow.FrameAffine(tfp_cglow.MovedFrame()),
      pyramid=tfp_cglow.Pyramid(16),
      previous_frames=2,
      memory=tfp_cglow.GruMemory(8),
    ),
  ),
  optimiser=configs.Optimiser(
    learning_rate=1e-4, final_learning_rate=1e-4, warmup_steps=500
  ),
)

# The paper's architecture, with sizes and learning rate that take minutes on
# two cores. Frames are quantised; without that, bits/dim would not bound a
# code length.
_PAPER_SMALL = configs.Config(
  preset='paper_small',
  data=AS_IT_IS,
  model=models.Flow(
    head=dataclasses.replace(
      _PAPER_HEAD,
      steps=_PaperSteps(num_steps=8, hidden_channels=64, gradients='stored'),
    ),
    tail=dataclasses.replace(
      _PAPER_TAIL,
      steps=_PaperSteps(num_steps=1, hidden_channels=256, gradients='stored'),
    ),
    label_weight=0.0,
  ),
)

# Settings that keep the GAN from saturating, found by experiment
# (docs/gan.md).
_GAN_STABLE = dataclasses.replace(
  _GAN_PAPER,
  preset='gan_stable',
  model=models.Gan(
    continued_fraction=0.5,
    loss='hinge',
    diversity_weight=0.4,
    saturation_weight=1.0,
    spectral_normalisation=True,
    zero_start=True,
    discriminator_rate_factor=3.0,
    beta_1=0.5,
  ),
  optimiser=configs.Optimiser(
    learning_rate=2e-4, final_learning_rate=4e-5, warmup_steps=0, ema=0.99
  ),
)

PRESETS = {
  'gan_paper': _GAN_PAPER,
  'gan_stable': _GAN_STABLE,
  'paper': _PAPER,
  'cglow': _CGLOW,
  'paper_small': _PAPER_SMALL,
}
