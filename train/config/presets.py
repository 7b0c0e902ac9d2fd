"""Presets: named configs to start a run from."""

import dataclasses
import functools

import tfp_cglow
from train.config import configs
from train.config import data_sets
from train.config import models
from train.config import older_presets
from train.config import paper_presets

__all__ = ['PRESETS']

# 'stored' is faster than 'reversible' if the activations fit into memory.
_AffineSteps = functools.partial(tfp_cglow.AffineSteps, gradients='stored')

# The best that two cores learn in minutes: mixtures of levels. The head draws
# the coarsest 8x8 pixels one after another.
_HEAD = models.Head(
  num_glow_blocks=1,
  steps=None,
  first=tfp_cglow.LevelMixture(
    halvings='all', base=tfp_cglow.AutoregressiveBase()
  ),
  labels=tfp_cglow.LabelEmbedding(channels=8),
  frames_per_step=3,
)
_TAIL = models.Tail(
  num_glow_blocks=1,
  steps=None,
  first=tfp_cglow.LevelMixture(halvings=1, motion_radius=2),
  previous_frames=2,
  frames_per_step=2,
)
_OPTIMISER = configs.Optimiser(
  learning_rate=2e-3, final_learning_rate=1e-4, ema=0.99
)
_DEMO = configs.Config(
  model=models.Flow(head=_HEAD, tail=_TAIL, label_weight=0.0, min_p=0.03),
  # In so few steps a higher learning rate is better (docs/density.md).
  optimiser=dataclasses.replace(_OPTIMISER, learning_rate=8e-3),
  run=configs.Run(
    steps=400,
    log_every=10,
    eval_every=200,
    checkpoint_every=200,
    temperature=1.0,
  ),
)

_SMOKE_STEPS = _AffineSteps(num_steps=1, hidden_channels=8)


def _public_set(
  name, data, first, steps, batch_size=8, frames_per_step=2, **flow
):
  """A preset for a set with published numbers (docs/benchmarks.md).

  Its steps are chosen for at most an hour of two cores, from the time of one.
  The protocols score the frames after the first, so there is no head.
  """
  tail = dataclasses.replace(
    _TAIL, first=first, frames_per_step=frames_per_step
  )
  return configs.Config(
    preset=name,
    data=data,
    model=models.Flow(
      tail=tail, label_weight=0.0, export_max_frames=None, **flow
    ),
    optimiser=_OPTIMISER,
    run=configs.Run(
      steps=steps,
      batch_size=batch_size,
      log_every=10,
      eval_every=2000,
      checkpoint_every=500,
      sample_frames=data.num_frames,
      temperature=1.0,
      quality_samples=0,
    ),
  )


PRESETS = {
  # Real video; takes minutes on two cores.
  'demo': _DEMO,
  # Moving shapes. The tail takes the label, which says how they move. The judge
  # prefers continuations of sharp levels (docs/samples.md). One frame of many
  # clips: frames of a clip show the same object. The head's base, which decides
  # how many objects there are, needs more clips than all else.
  'shapes': dataclasses.replace(
    _DEMO,
    preset='shapes',
    data=data_sets.Shapes(videos_per_label=200),
    optimiser=_OPTIMISER,
    model=dataclasses.replace(
      _DEMO.model,
      head=dataclasses.replace(_HEAD, frames_per_step=1, clips_per_step=24),
      tail=dataclasses.replace(
        _TAIL,
        first=tfp_cglow.LevelMixture(
          halvings=2, strip_pooling=True, motion_radius=3
        ),
        labels=tfp_cglow.LabelEmbedding(channels=8),
        frames_per_step=1,
        clips_per_step=32,
        # Else outlines wear down over a video.
        context_warp=1.0,
      ),
      min_p=0.5,
    ),
    run=dataclasses.replace(
      _DEMO.run,
      steps=3600,
      quality_samples=5,
      batch_size=96,
      eval_every=600,
      checkpoint_every=300,
      sample_frames=32,
      temperature=0.4,
    ),
  ),
  'balls': _public_set(
    'balls',
    data_sets.Balls(),
    # Without halvings the mean of the next frame is exact.
    tfp_cglow.LevelMixture(
      num_blocks=4, hidden_channels=48, strip_pooling=True, motion_radius=2
    ),
    steps=4000,
    batch_size=32,
    frames_per_step=1,
    n_bits=8,
    min_p=0.02,
  ),
  'movement': _public_set(
    'movement',
    data_sets.Movement(train_videos=9500, valid_videos=500),
    # The coarse pixels are drawn one after another: they decide the direction.
    tfp_cglow.LevelMixture(
      halvings='all', base=tfp_cglow.AutoregressiveBase(), hidden_channels=32
    ),
    steps=3500,
    n_bits=8,
    min_p=0.02,
  ),
  'moving_mnist': _public_set(
    'moving_mnist',
    data_sets.MovingMnist(valid_videos=200),
    tfp_cglow.LevelMixture(halvings=2, hidden_channels=32, motion_radius=4),
    steps=6000,
    n_bits=1,
    # Targets are drawn from the grey levels, contexts keep them.
    dequantisation='drawn',
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
    data=data_sets.Natvid(symmetry='none', num_frames=4, overfit_clips=1),
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
  # Fashion-MNIST at 28x28 and 8 bits, to compare with a published number.
  'fashion': configs.Config(
    preset='fashion',
    data=data_sets.FashionMnist(
      num_frames=1, channels=1, frame_size=28, symmetry='mirror'
    ),
    model=models.Flow(
      n_bits=8,
      head=dataclasses.replace(_HEAD, labels=None, frames_per_step=None),
      label_weight=0.0,
    ),
    optimiser=_OPTIMISER,
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
  **paper_presets.PRESETS,
  **older_presets.PRESETS,
}
