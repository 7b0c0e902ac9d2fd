"""Tests of the model in examples/pretrained."""

import os
import pathlib
import unittest

import numpy as np
import tensorflow as tf

from train.runs import loading
from train.storage import run_folder

PATH = pathlib.Path(__file__).parents[1] / 'examples' / 'pretrained' / 'shapes'
_MOST_BYTES = 12e6


def _place(frames):
  """Where colour is, of `[..., H, W, C]`: an angle along the width, `[...]`.

  Objects are colourful and backgrounds grey; objects wrap around.
  """
  colour = np.ptp(frames.astype(np.float64), axis=-1)
  colour = np.where(colour > 60, colour, 0.0)
  width = frames.shape[-2]
  turns = np.exp(2j * np.pi * np.arange(width) / width)
  return np.angle(colour.sum(-2) @ turns)


class PretrainedTest(tf.test.TestCase):
  def test_is_small_and_described(self):
    files = [p for p in PATH.rglob('*') if p.is_file()]
    kept = [p for p in files if 'samples' not in p.relative_to(PATH).parts]
    self.assertLess(sum(p.stat().st_size for p in kept), _MOST_BYTES)
    card = (PATH / 'model_card.md').read_text()
    self.assertIn("rendered by this project: nobody's data", card)
    metrics = run_folder.RunFolder(PATH).read_metrics_file()
    self.assertIn(f'{metrics["tail_bits_per_dim"]:.6g}', card)

  @unittest.skipUnless(
    os.environ.get('TFP_CGLOW_RUN_DOCS'), 'With the commands: `make test-docs`.'
  )
  def test_videos_move_as_their_label_says(self):
    run = loading.load(PATH)
    names = ['east_circle', 'west_circle']
    labels = np.repeat([run.label_names.index(n) for n in names], 12)
    videos = run.sampler.sample(labels, num_frames=6, seed=0).numpy()
    self.assertEqual(videos.shape, (24, 6, 32, 32, 3))
    places = _place(videos)
    has_object = np.ptp(videos[:, 0], axis=-1).max((-2, -1)) > 60
    self.assertGreater(has_object.sum(), 20)
    steps = np.angle(np.exp(1j * np.diff(places, axis=-1))).mean(-1)
    sign = np.where(np.arange(24) < 12, 1.0, -1.0)
    self.assertGreater(np.mean((sign * steps > 0)[has_object]), 0.9)


if __name__ == '__main__':
  tf.test.main()
