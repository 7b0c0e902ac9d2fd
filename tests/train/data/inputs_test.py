import os
from unittest import mock

from absl.testing import absltest
import numpy as np

from train.config import configs
from train.config import overrides
from train.config import presets
from train.data import inputs
from train.data import sources
from train.data.records import short_records
from train.data.sets import moving_shapes
from train.data.sets import natvid


class InputsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    root = self.create_tempdir().full_path
    moving_shapes.write_shapes(
      root, 'shapes:motion', videos_per_label=3, num_frames=6, size=16, seed=0
    )
    self.config = overrides.override(
      presets.PRESETS['smoke'],
      ['data=folder', f'data.data_dir={root}', 'data.valid_fraction=0.4'],
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

  def test_skipped_files_are_not_counted(self):
    config = overrides.override(self.config, ['data.max_skipped=0.5'])
    source = inputs._source(config.data)
    for region in source.train[1], source.valid[1]:
      with open(region.path, 'w') as f:
        f.write('no video')
    made = inputs.make_inputs(config, self.log)
    num_valid = sum(len(y) for _, y in made.valid_dataset())
    self.assertEqual(made.num_valid_clips, len(source.valid) - 1)
    self.assertEqual(made.num_valid_clips, num_valid)
    for _ in made.train_dataset(0).take(len(source.train)):
      pass
    self.assertEqual(made.num_train_clips, len(source.train) - 1)

  def test_short_records_are_named_on_demand_only(self):
    folder = os.path.join(self.create_tempdir().full_path, 'records')
    # No worker processes, which would import TensorFlow each.
    with mock.patch.object(os, 'cpu_count', return_value=0):
      inputs.prepare(self.config, folder)
    config = overrides.override(
      self.config, ['data=tfrecord', f'data.data_dir={folder}']
    )
    with mock.patch.object(short_records, 'note') as note:
      made = inputs.make_inputs(config, self.log)
      note.assert_not_called()
      made.note_left_out(self.log)
    (index, *others), _ = note.call_args
    self.assertEqual((index.folder, *others), (folder, 4, self.log))

  def test_overfitting_validates_on_what_it_trains_on(self):
    config = overrides.override(self.config, ['data.overfit_clips=1'])
    made = inputs.make_inputs(config, self.log)
    frames, _ = next(iter(made.train_dataset(0)))
    ((valid, _),) = made.valid_dataset()
    self.assertLen(valid, 1)
    for row in frames.numpy():
      np.testing.assert_array_equal(row, valid[0])

  def test_labels_and_frames_of_the_config(self):
    config = overrides.override(
      self.config,
      [
        'data.only_labels=east,west',
        'data.max_source_frames=6',
        'data.max_train_frames=10',
      ],
    )
    source = inputs._source(config.data)
    # Five frames a label, of videos of six.
    self.assertEqual([region.stop for region in source.train], [5, 5])
    made = inputs.make_inputs(config, self.log)
    self.assertEqual(made.label_names, ('east', 'west'))
    self.assertEqual(made.num_train_clips, 2)
    _, label = next(iter(made.train_dataset(0)))
    self.assertContainsSubset(label.numpy(), [0, 1])

  def test_film_that_the_config_leaves_out(self):
    root = self.create_tempdir().full_path
    for film in natvid.FILMS:
      with open(os.path.join(root, film.file_name), 'wb'):
        pass
    config = overrides.override(
      configs.Config(),
      [f'data.data_dir={root}', 'data.left_out=bunny'],
    )
    source = inputs._source(config.data)
    self.assertEqual({region.label for region in source.valid}, {1})

  def test_the_source_says_how_its_pictures_are_cut(self):
    source = sources.Source(
      'x', ('a',), (), (), pixel_aspect=False, center_crop=148
    )
    decoder = inputs._decoder(self.config.data, source)
    self.assertFalse(decoder.pixel_aspect)
    self.assertEqual(decoder.box, 148)


if __name__ == '__main__':
  absltest.main()
