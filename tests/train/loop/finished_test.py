from absl.testing import absltest
from absl.testing import parameterized

from train.config import overrides
from train.config import presets
from train.loop import finished
from train.storage import run_folder

_SMOKE = presets.PRESETS['smoke']


class FinishedTest(parameterized.TestCase):
  def _folder(self, config=_SMOKE):
    """A folder with the files of a run's end."""
    folder = run_folder.RunFolder(self.create_tempdir().full_path)
    folder.create()
    folder.claim(config)
    folder.write_metrics({'step': config.run.steps})
    for name in ('generated', 'continued'):
      (folder.samples / f'step_{config.run.steps}_{name}.gif').touch()
    (folder.exports / '1').mkdir(parents=True)
    folder.append_metrics('export', config.run.steps, version=1)
    return folder

  def test_a_run_with_all_of_its_end(self):
    self.assertTrue(finished.is_finished(_SMOKE, self._folder()))

  @parameterized.parameters(
    'metrics.json',
    'config.json',
    'samples/step_6_generated.gif',
    'samples/step_6_continued.gif',
  )
  def test_a_missing_file(self, name):
    folder = self._folder()
    (folder.path / name).unlink()
    self.assertFalse(finished.is_finished(_SMOKE, folder))

  def test_no_export(self):
    folder = self._folder()
    (folder.exports / '1').rmdir()
    self.assertFalse(finished.is_finished(_SMOKE, folder))
    config = overrides.override(_SMOKE, ['model.export_max_frames=none'])
    folder.claim(_SMOKE)
    self.assertFalse(finished.is_finished(config, folder))  # Another config.

  def test_an_export_of_an_earlier_step(self):
    folder = self._folder()
    (folder.exports / '1').rename(folder.exports / '2')
    self.assertFalse(finished.is_finished(_SMOKE, folder))

  def test_what_the_config_does_not_ask_for(self):
    config = overrides.override(
      _SMOKE, ['model.export_max_frames=none', 'run.num_samples=0']
    )
    folder = self._folder(config)
    for path in folder.samples.iterdir():
      path.unlink()
    (folder.exports / '1').rmdir()
    self.assertTrue(finished.is_finished(config, folder))

  def test_a_damaged_file(self):
    folder = self._folder()
    folder.metrics_file.write_text('{')
    self.assertFalse(finished.is_finished(_SMOKE, folder))

  def test_measured_at_another_step(self):
    folder = self._folder()
    folder.write_metrics({'step': 3})  # As --checkpoint=best may do.
    self.assertFalse(finished.is_finished(_SMOKE, folder))

  def test_another_config(self):
    for change in ('run.steps=12', 'seed=3'):
      other = overrides.override(_SMOKE, [change])
      self.assertFalse(finished.is_finished(other, self._folder()))

  def test_no_folder(self):
    folder = run_folder.RunFolder('/nowhere/run')
    self.assertFalse(finished.is_finished(_SMOKE, folder))


if __name__ == '__main__':
  absltest.main()
