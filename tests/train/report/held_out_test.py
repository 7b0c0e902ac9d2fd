import dataclasses

from absl.testing import absltest
import numpy as np

from train.config import presets
from train.report import held_out
from train.report import run_data
from train.storage import run_folder

_METRICS = {
  'step': 6,
  'head_bits_per_dim': 2.0,
  'head_bits_per_dim_by_label': {'cat': 1.5, 'dog': 2.5},
  'tail_bits_per_dim_by_frame': [1.0, 1.1],
  'label_confusion': [[3, 1], [0, 4]],
  'label_entropy_bits': 1.0,
  'label_information_bits': -0.25,
  'calibrated_label_information_bits': 0.5,
  'label_accuracy': 0.875,
  'copy_psnr': [20.0, 19.0],
  'copy_ssim': [0.5, 0.4],
  'continuation_psnr_mean_of_samples': [21.0, 20.0],
  'continuation_psnr_best_of_samples': [20.5, 20.0],
  'continuation_ssim_mean_of_samples': [0.6, 0.5],
  'continuation_ssim_best_of_samples': [0.6, 0.5],
}


def _run(metrics=None, preset='smoke', **kwargs):
  config = presets.PRESETS[preset]
  folder = run_folder.RunFolder('/somewhere/run')
  run = run_data.RunData(
    folder, config, metrics or {}, [], ('cat', 'dog'), {}, []
  )
  return dataclasses.replace(run, **kwargs)


def _text(figure):
  return b''.join(image.data for image in figure.images).decode()


class HeldOutTest(absltest.TestCase):
  def test_all_of_a_run(self):
    run = _run(_METRICS)
    self.assertLen(held_out.by_frame({'run': run}).images, 1)
    self.assertIn('>cat<', _text(held_out.by_label(run)))
    self.assertIn('-0.25', _text(held_out.label_use(run)))
    self.assertLen(held_out.by_horizon({'run': run}).images, 2)

  def test_two_runs_are_named(self):
    runs = {'one': _run(_METRICS), 'two': _run(_METRICS), 'none': _run()}
    for figure in (held_out.by_frame(runs), held_out.by_horizon(runs)):
      self.assertIn('>one<', _text(figure))
      self.assertIn('>two<', _text(figure))
      self.assertNotIn('>none<', _text(figure))
    # The same clips: what repeats the last frame is drawn and named once.
    self.assertEqual(
      _text(held_out.by_horizon(runs)).count('>last frame repeated<'), 2
    )

  def test_error_over_clips(self):
    scores = {
      'label': np.array([0, 0, 1]),
      'head': np.array([1.0, 2.0, 2.5]),
      'tail': np.array([[1.0, 1.2], [1.0, 1.0], [1.0, 1.1]]),
    }
    run = _run(_METRICS, scores=scores)
    self.assertNotEqual(
      _text(held_out.by_label(run)), _text(held_out.by_label(_run(_METRICS)))
    )
    with_band = _text(held_out.by_frame({'run': run}))
    self.assertNotEqual(
      with_band, _text(held_out.by_frame({'': _run(_METRICS)}))
    )

  def test_many_labels(self):
    names = tuple(f'label{i}' for i in range(200))
    bits = {name: i / 100.0 for i, name in enumerate(names)}
    metrics = {'head_bits_per_dim_by_label': bits}
    figure = held_out.by_label(_run(metrics, label_names=names))
    self.assertIn('Of 200 labels', figure.caption)
    self.assertIn('>label0<', _text(figure))
    self.assertIn('>label199<', _text(figure))
    self.assertNotIn('>label100<', _text(figure))

  def test_what_is_missing_and_why(self):
    unfinished = _run()
    for figure in (
      held_out.by_frame({'run': unfinished}),
      held_out.by_label(unfinished),
      held_out.label_use(unfinished),
      held_out.by_horizon({'run': unfinished}),
    ):
      self.assertIn('not trained to its end', figure.missing)
      self.assertEmpty(figure.images)
    bare = _run({'step': 6})
    self.assertIn('no tail', held_out.by_frame({'run': bare}).missing)
    self.assertIn('no label', held_out.label_use(bare).missing)
    gan = _run({'step': 6}, preset='gan_paper')
    self.assertIn('GAN', held_out.label_use(gan).missing)
    self.assertIn('no likelihood', held_out.by_label(gan).missing)


if __name__ == '__main__':
  absltest.main()
