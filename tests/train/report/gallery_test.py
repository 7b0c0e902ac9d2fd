import dataclasses
import os
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import tensorflow as tf

from train.config import presets
from train.report import figures
from train.report import gallery
from train.report import run_data
from train.report import subject
from train.storage import files
from train.storage import run_folder
from train.systems import systems

_EXPECTED = (
  'architecture',  # The paper's Fig. 1 and, below it, 2 to 8 in pairs.
  *('first_frames', 'label_gradients', 'strips', 'training', 'gan'),
  'bits_by_frame',
  'bits_by_label',
  'label_use',
  'quality_by_horizon',
  'temperatures',
  'interpolation',
  'round_trip',
  'invertibility',
)


class PlotsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(self.create_tempdir().full_path)
    self.folder = run_folder.RunFolder(self.workdir)
    self.folder.create()
    self.folder.claim(presets.PRESETS['smoke'])
    self.folder.write_labels(['cat', 'dog'])

  def test_of_a_run_without_a_checkpoint(self):
    drawn = {f.name: f for f in gallery.of_run(self.workdir)}
    self.assertContainsSubset(_EXPECTED, drawn)
    self.assertNotEmpty(drawn.pop('architecture').images)
    for figure in drawn.values():
      self.assertNotEmpty(figure.missing, figure.name)
    self.assertIn('no checkpoint', drawn['strips'].missing)

  @parameterized.parameters(
    (1e9, 'drawn', ''),
    (-1.0, '', 'was used up'),
  )
  def test_time_is_bounded(self, max_seconds, title, why):
    drawn = self._of_model(
      lambda shown: figures.Figure('a', 'drawn'), max_seconds
    )
    self.assertIn(title, drawn.title)
    self.assertIn(why, drawn.missing)

  def test_a_figure_that_fails_is_missing(self):
    def fail(shown):
      raise tf.errors.InvalidArgumentError(None, None, 'not invertible')

    self.assertIn('not invertible', self._of_model(fail).missing)

    def blunder(shown):
      raise ValueError('a mistake of the program')

    with self.assertRaisesRegex(ValueError, 'a mistake'):
      self._of_model(blunder)

  def _of_model(self, draw, max_seconds=1e9):
    """`plots.of_model` of one figure, with a model that was never trained."""
    config = presets.PRESETS['smoke']
    system = systems.of(config)
    flow = system.build_model(2).flow
    shown = subject.Subject(flow, system, 0, ('cat', 'dog'))
    with (
      mock.patch.object(subject, 'load', return_value=shown),
      mock.patch.object(gallery, '_OF_MODEL', [('a', draw)]),
    ):
      run = run_data.read(self.workdir)
      return gallery.of_model(run, max_seconds=max_seconds)[-1]

  def test_save(self):
    image = figures.plot(lambda panel: panel.plot([0, 1]), 'alt')
    picture = dataclasses.replace(image, kind='png', data=b'PNG')
    figure = figures.Figure('name', 'title', images=(image,))
    figure = dataclasses.replace(figure, rows=(figures.Row('', (picture,)),))
    paths = gallery.save([figure], self.workdir / 'figures')
    self.assertEqual([p.name for p in paths], ['name_1.svg', 'name_2.png'])
    self.assertEqual(paths[1].read_bytes(), b'PNG')
    self.assertLen(os.listdir(self.workdir / 'figures'), 2)

  def test_a_file_in_the_way(self):
    (self.workdir / 'figures').write_text('')
    with self.assertRaisesRegex(files.RunFolderError, 'Cannot write'):
      gallery.save([], self.workdir / 'figures')


if __name__ == '__main__':
  absltest.main()
