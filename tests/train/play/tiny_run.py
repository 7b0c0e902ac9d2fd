"""A run that is made in seconds: a tiny model that nothing has trained."""

from unittest import mock

import numpy as np

import tfp_cglow
from train.config import overrides
from train.config import presets
from train.serving import export
from train.serving import signatures as signatures_lib
from train.storage import run_folder

__all__ = ['LABELS', 'SHAPE', 'make', 'write']

SHAPE = [4, 4, 3]
LABELS = ('left', 'right', 'up')
_STEPS = tfp_cglow.AdditiveSteps(1, 4)
_HEAD = tfp_cglow.GlowSpec(1, _STEPS, labels=tfp_cglow.LabelPriors(3))
_TAIL = tfp_cglow.TailSpec(
  1, _STEPS, tfp_cglow.FrameAffine(), tfp_cglow.LabelPriors(3)
)
# What the page calls; to trace all takes seconds.
_CALLED = ('sample', 'continue', 'log_prob', 'classify')


def write(workdir, *assignments):
  """Makes a run's folder without weights; returns its `RunFolder`."""
  folder = run_folder.RunFolder(workdir)
  folder.create()
  config = overrides.override(
    presets.PRESETS['smoke'], ['data.frame_size=4', *assignments]
  )
  folder.claim(config)
  return folder


def make(workdir):
  """Makes a run with an export of videos of at most five frames."""
  folder = write(workdir, 'model.export_max_frames=5')
  flow = tfp_cglow.build_video_flow(
    SHAPE, _HEAD, _TAIL, num_labels=len(LABELS), seed=0
  )
  rng = np.random.default_rng(0)
  for variable in flow.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  bodies = signatures_lib._bodies
  called = lambda f: {k: v for k, v in bodies(f).items() if k in _CALLED}
  with mock.patch.object(signatures_lib, '_bodies', called):
    export.export_model(flow, folder.exports, label_names=LABELS, max_frames=5)
  return folder
