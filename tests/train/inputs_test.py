import os

from absl.testing import absltest
import numpy as np

from train import configs
from train import inputs
from train import shapes
from train import sources


class InputsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    root = self.create_tempdir().full_path
    shapes.write_shapes(
      root, 'shapes:motion', videos_per_label=3, num_frames=6, size=16, seed=0
    )
    self.config = configs.override(
      configs.PRESETS['smoke'],
      ['dataset=folder', f'data_dir={root}', 'valid_fraction=0.4'],
    )
    self.log = os.path.join(self.create_tempdir().full_path, 'skipped.jsonl')

  def test_batches(self):
    made = inputs.make_inputs(self.config, self.log)
    frames, label = next(iter(made.train_dataset(0)))
    self.assertEqual(frames.shape, (4, 4, 16, 16, 3))
    self.assertEqual(label.shape, (4,))
    self.assertEqual(made.num_train_clips + made.num_valid_clips, 24)
    num_valid = sum(len(y) for _, y in made.valid_dataset())
    self.assertEqual(num_valid, made.num_valid_clips)
    self.assertEqual(made.check_skips(), 0)

  def test_overfitting_validates_on_what_it_trains_on(self):
    config = configs.override(self.config, ['overfit_clips=1'])
    made = inputs.make_inputs(config, self.log)
    frames, _ = next(iter(made.train_dataset(0)))
    ((valid, _),) = made.valid_dataset()
    self.assertLen(valid, 1)
    for row in frames.numpy():
      np.testing.assert_array_equal(row, valid[0])

  def test_the_source_says_how_its_pictures_are_cut(self):
    source = sources.Source(
      'x', ('a',), (), (), pixel_aspect=False, center_crop=148
    )
    decoder = inputs._decoder(self.config, source)
    self.assertFalse(decoder.pixel_aspect)
    self.assertEqual(decoder.box, 148)


if __name__ == '__main__':
  absltest.main()
