import dataclasses
import shlex

from absl.testing import absltest

from train.config import fields
from train.config import overrides
from train.config import presets
from train.report import reproduce
from train.report import run_data
from train.storage import run_folder


def _run(config, name='run'):
  folder = run_folder.RunFolder(f'/somewhere/{name}')
  return run_data.RunData(folder, config, {}, [], (), {}, [])


class ReproduceTest(absltest.TestCase):
  def test_commands_give_the_config_again(self):
    for name, preset in presets.PRESETS.items():
      known = fields.flat(preset)
      wanted = {
        'seed': '7',
        'data.fps': '12.5',
        'data.only_labels': 'a b,c',
        'model.head.steps': 'additive_steps',
      }
      config = overrides.override(
        preset, [f'{k}={v}' for k, v in wanted.items() if k in known]
      )
      command = reproduce.commands(_run(config)).splitlines()
      first = ' '.join(command[: command.index(command[-2])])
      words = shlex.split(first.replace('\\', ''))
      (found,) = [w for w in words if w.startswith('--preset=')]
      changed = [b for a, b in zip(words, words[1:]) if a == '--set']
      again = overrides.override(presets.PRESETS[found[9:]], changed)
      self.assertEmpty(
        [x for x in overrides.differences(again, config) if 'preset:' not in x],
        name,
      )

  def test_places_of_the_machine_stay_there(self):
    config = overrides.override(
      presets.PRESETS['smoke'], ['data.data_dir=/home/me']
    )
    text = reproduce.commands(_run(config))
    self.assertNotIn('/home/me', text)
    self.assertNotIn('/somewhere', text)
    self.assertIn('--set data.data_dir=DATA_DIR', text)

  def test_weights_of_another_run(self):
    config = presets.PRESETS['smoke']
    self.assertNotIn('--init_from', reproduce.commands(_run(config)))
    run = dataclasses.replace(_run(config), origin='a:head')
    self.assertIn('--init_from=INIT_FROM', reproduce.commands(run))

  def test_names_are_quoted(self):
    text = reproduce.commands(_run(presets.PRESETS['smoke'], 'a; rm -r b'))
    self.assertIn("--workdir='runs/a; rm -r b'", text)

  def test_versions(self):
    self.assertIn('tensorflow', dict(reproduce.versions()))


if __name__ == '__main__':
  absltest.main()
