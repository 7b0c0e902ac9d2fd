"""Presets: named configs to start a run from."""

import dataclasses
import functools

import tfp_cglow
from train.config import configs
from train.config import data_sets
from train.config import models

__all__ = ['PRESETS']

# 'stored' is faster than 'reversible' if the activations fit into memory.
_AffineSteps = functools.partial(tfp_cglow.AffineSteps, gradients='stored')
_PaperSteps = functools.partial(
  tfp_cglow.AdditiveSteps, num_steps=32, hidden_channels=512
)
# The older rows of our tables were trained without mirrored clips.
_AS_IT_IS = data_sets.Natvid(symmetry='none')
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
  data=_AS_IT_IS,
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

# The best that two cores learn in minutes: mixtures of levels. The head draws
# the coarsest 8x8 pixels one after another.
_HEAD = models.Head(
  num_glow_blocks=1,
  steps=None,
  first=tfp_cglow.LevelMixture(
    halvings='all', base=tfp_cglow.AutoregressiveBase()
  ),
  labels=tfp_cglow.LabelEmbedding(channels=8),
  frames_per_step=4,
)
_TAIL = models.Tail(
  num_glow_blocks=1,
  steps=None,
  first=tfp_cglow.LevelMixture(halvings=1, motion_radius=2),
  previous_frames=2,
  frames_per_step=2,
)
_DEMO = configs.Config(
  model=models.Flow(head=_HEAD, tail=_TAIL, label_weight=0.0, min_p=0.02),
  optimiser=configs.Optimiser(
    learning_rate=2e-3, final_learning_rate=1e-4, ema=0.99
  ),
  run=configs.Run(
    steps=700,
    log_every=10,
    eval_every=350,
    checkpoint_every=350,
    temperature=1.0,
    quality_samples=5,
  ),
)

# Our affine flow; a step costs about as much as one of paper_small. On natvid,
# two previous frames and `MovedFrame` do not lower bits/dim, but they make
# continuations better than copying the last frame.
_CGLOW_SMALL = configs.Config(
  preset='cglow_small',
  data=_AS_IT_IS,
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

_MIXTURE_HEAD = models.Head(
  steps=_AffineSteps(num_steps=2, hidden_channels=32),
  first=tfp_cglow.LevelMixture(halvings=2),
  labels=tfp_cglow.LabelEmbedding(),
)

_SMOKE_STEPS = _AffineSteps(num_steps=1, hidden_channels=8)

_RUN_OF_SETS = configs.Run(
  steps=4000,
  log_every=10,
  eval_every=2000,
  checkpoint_every=500,
  temperature=1.0,
  quality_samples=0,
)


PRESETS = {
  # Real video; takes minutes on two cores.
  'demo': _DEMO,
  # Moving shapes. The tail takes the label, which says how they move. The whole
  # preset was not run; its tail was. The judge prefers continuations of sharp
  # levels.
  'shapes': dataclasses.replace(
    _DEMO,
    preset='shapes',
    data=data_sets.Shapes(videos_per_label=200),
    model=dataclasses.replace(
      _DEMO.model,
      tail=dataclasses.replace(
        _TAIL,
        first=tfp_cglow.LevelMixture(
          halvings=2, strip_pooling=True, motion_radius=3
        ),
        labels=tfp_cglow.LabelEmbedding(channels=8),
        frames_per_step=4,
      ),
      min_p=0.5,
    ),
    run=dataclasses.replace(
      _DEMO.run, steps=4000, sample_frames=32, temperature=0.5
    ),
  ),
  # Public sets with published numbers (docs/benchmarks.md); up to an hour each
  # on two cores. Their protocols score the frames after the first, so there is
  # no head. Without halvings the mean of the next frame is exact.
  'balls': dataclasses.replace(
    _DEMO,
    preset='balls',
    data=data_sets.Balls(),
    model=models.Flow(
      n_bits=8,
      tail=dataclasses.replace(
        _TAIL,
        first=tfp_cglow.LevelMixture(
          num_blocks=4, hidden_channels=48, strip_pooling=True, motion_radius=2
        ),
        frames_per_step=4,
      ),
      label_weight=0.0,
      min_p=0.02,
      export_max_frames=None,
    ),
    run=dataclasses.replace(_RUN_OF_SETS, steps=8000, sample_frames=100),
  ),
  # The coarse pixels are drawn one after another: they decide the direction.
  'movement': dataclasses.replace(
    _DEMO,
    preset='movement',
    data=data_sets.Movement(train_videos=9500, valid_videos=500),
    model=models.Flow(
      n_bits=8,
      tail=dataclasses.replace(
        _TAIL,
        first=tfp_cglow.LevelMixture(
          halvings='all',
          base=tfp_cglow.AutoregressiveBase(),
          hidden_channels=32,
        ),
      ),
      label_weight=0.0,
      min_p=0.02,
      export_max_frames=None,
    ),
    run=dataclasses.replace(_RUN_OF_SETS, steps=3500, sample_frames=5),
  ),
  # Targets are drawn from the grey levels, contexts keep them.
  'moving_mnist': dataclasses.replace(
    _DEMO,
    preset='moving_mnist',
    data=data_sets.MovingMnist(valid_videos=200),
    model=models.Flow(
      n_bits=1,
      dequantisation='drawn',
      tail=dataclasses.replace(
        _TAIL,
        first=tfp_cglow.LevelMixture(
          halvings=2, hidden_channels=32, motion_radius=4
        ),
      ),
      label_weight=0.0,
      export_max_frames=None,
    ),
    run=dataclasses.replace(_RUN_OF_SETS, steps=6000, sample_frames=20),
  ),
  # For tests; takes seconds.
  'smoke': configs.Config(
    preset='smoke',
    data=data_sets.Shapes(frame_size=16, num_frames=4),
    model=models.Flow(
      head=models.Head(
        num_glow_blocks=1,
        steps=_SMOKE_STEPS,
        labels=tfp_cglow.LabelPriors(),
      ),
      tail=models.Tail(
        num_glow_blocks=1,
        steps=_SMOKE_STEPS,
        first=tfp_cglow.FrameAffine(hidden_channels=8),
        pyramid=tfp_cglow.Pyramid(4),
        memory=tfp_cglow.ResidualMemory(4),
      ),
    ),
    optimiser=configs.Optimiser(warmup_steps=2),
    run=configs.Run(
      steps=6,
      batch_size=4,
      log_every=2,
      eval_every=6,
      checkpoint_every=3,
      num_samples=2,
      sample_frames=4,
    ),
  ),
  # One clip of four frames (the paper's Fig. 5).
  'overfit': configs.Config(
    preset='overfit',
    model=models.Flow(
      head=models.Head(steps=_AffineSteps(), labels=tfp_cglow.LabelPriors()),
      tail=models.Tail(
        steps=_AffineSteps(),
        first=tfp_cglow.FrameAffine(),
        pyramid=tfp_cglow.Pyramid(16),
        memory=tfp_cglow.ResidualMemory(16),
      ),
    ),
    data=dataclasses.replace(_AS_IT_IS, num_frames=4, overfit_clips=1),
    optimiser=configs.Optimiser(learning_rate=3e-3, final_learning_rate=1e-4),
    run=configs.Run(
      steps=400,
      log_every=10,
      eval_every=200,
      checkpoint_every=200,
      sample_frames=4,
      num_samples=1,
    ),
  ),
  'gan_paper': _GAN_PAPER,
  # Settings that keep the GAN from saturating, found by experiment
  # (docs/gan.md).
  'gan_stable': dataclasses.replace(
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
  ),
  'paper': _PAPER,
  # Our model; a step costs about as much as one of the paper's.
  'cglow': dataclasses.replace(
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
  ),
  # The paper's architecture, with sizes and learning rate that take minutes on
  # two cores. Frames are quantised; without that, bits/dim would not bound a
  # code length.
  'paper_small': configs.Config(
    preset='paper_small',
    data=_AS_IT_IS,
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
  ),
  'cglow_small': _CGLOW_SMALL,
  # cglow_small with `LevelMixture` as first bijector and small flows after it:
  # the best model of docs/density.md.
  'cglow_mixture': dataclasses.replace(
    _CGLOW_SMALL,
    preset='cglow_mixture',
    data=data_sets.Natvid(symmetry='mirror'),
    model=models.Flow(
      head=_MIXTURE_HEAD,
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
  ),
  # Fashion-MNIST at 28x28 and 8 bits, to compare with a published number.
  'fashion': configs.Config(
    preset='fashion',
    data=data_sets.FashionMnist(
      num_frames=1, channels=1, frame_size=28, symmetry='mirror'
    ),
    model=models.Flow(
      n_bits=8,
      head=dataclasses.replace(_MIXTURE_HEAD, num_glow_blocks=2, labels=None),
    ),
    optimiser=configs.Optimiser(learning_rate=2e-3, final_learning_rate=1e-4),
    run=configs.Run(
      steps=6000,
      batch_size=16,
      eval_every=1500,
      checkpoint_every=500,
      num_samples=10,
    ),
  ),
  # Faces (the paper's Fig. 2): 400 images of 40 people, who are the labels.
  'faces': configs.Config(
    preset='faces',
    data=data_sets.OrlFaces(num_frames=1, channels=1, symmetry='mirror'),
    model=models.Flow(
      head=models.Head(
        steps=_AffineSteps(num_steps=8), labels=tfp_cglow.LabelPriors()
      )
    ),
    optimiser=configs.Optimiser(learning_rate=3e-3, final_learning_rate=2e-4),
    run=configs.Run(
      batch_size=16, eval_every=500, checkpoint_every=500, num_samples=10
    ),
  ),
  # Close to VideoFlow's protocol (Kumar et al., 2020): 64x64 pixels, 8 bits, no
  # actions, no labels, the camera 'image_aux1' (as in tensor2tensor's
  # video_bair_robot_pushing). VideoFlow scores ten frames after three given
  # ones. Differences: our tail sees two frames, not three; all frames but the
  # first are scored; it trains on clips of 13 frames, not 4; and it is smaller.
  'bair': configs.Config(
    preset='bair',
    data=data_sets.Tfds(
      dataset='bair_robot_pushing_small',
      feature='image_aux1',
      frame_size=64,
      num_frames=13,
    ),
    model=models.Flow(
      n_bits=8,
      tail=models.Tail(
        steps=_AffineSteps(num_steps=8, hidden_channels=128),
        first=tfp_cglow.FrameAffine(),
        pyramid=tfp_cglow.Pyramid(32),
        previous_frames=2,
        memory=tfp_cglow.ResidualMemory(32),
      ),
    ),
    optimiser=configs.Optimiser(
      learning_rate=3e-4, final_learning_rate=3e-5, warmup_steps=1000
    ),
    run=configs.Run(
      steps=100_000,
      batch_size=16,
      log_every=100,
      eval_every=5000,
      checkpoint_every=1000,
      sample_frames=30,
    ),
  ),
}
