import os
import pathlib

from absl.testing import absltest
from absl.testing import parameterized

from train.storage import places


class PlacesTest(parameterized.TestCase):
  @parameterized.parameters(
    ('/home/ann smith/films/cat/1.mp4', 'DATA_DIR/cat/1.mp4'),
    (
      "[Errno 2] No such file: '/home/ann smith/x/cat.mp4'",
      "[Errno 2] No such file: '…/cat.mp4'",
    ),
    ('error: /mnt/disk/ann/a.mp4: damaged', 'error: …/a.mp4: damaged'),
    ('(/mnt/disk/a.mp4, /mnt/disk/b.mp4)', '(…/a.mp4, …/b.mp4)'),
    ('at=/mnt/disk/a.mp4', 'at=…/a.mp4'),
    ('/work/run/checkpoints/step_1 is damaged', 'run/checkpoints/step_1 is '
     'damaged'),
    ('/work/runs/other/x', '…/x'),
    ('2.5 bits/dim, clips/s and T-shirt/top', '2.5 bits/dim, clips/s and '
     'T-shirt/top'),
    ('gs://bucket/films/a.mp4', 'gs://bucket/films/a.mp4'),
    ('10 / 2 and 1/2/3', '10 / 2 and 1/2/3'),
  )  # fmt: skip
  def test_hide(self, text, expected):
    named = [('/home/ann smith/films/', 'DATA_DIR'), ('/work/run', 'run')]
    self.assertEqual(places.Places(named).hide(text), expected)

  def test_the_present_folder_and_the_users_own(self):
    hide = places.Places().hide
    self.assertEqual(hide(f'{os.getcwd()}/runs/a'), './runs/a')
    home = pathlib.Path.home() / 'films'
    self.assertNotIn(str(pathlib.Path.home()), hide(f'{home}/a'))

  def test_a_link_to_a_named_folder(self):
    root = pathlib.Path(self.create_tempdir().full_path)
    (root / 'disk').mkdir()
    (root / 'link').symlink_to('disk')
    hide = places.Places([(root / 'link', 'DATA_DIR')]).hide
    self.assertEqual(hide(f'{root}/disk/a.mp4'), 'DATA_DIR/a.mp4')

  @parameterized.parameters(
    (
      "python -m train.main --data_dir='/home/ann smith/a=b' --seed=3",
      'python -m train.main --data_dir=DATA_DIR --seed=3',
    ),
    (
      'python /home/ann/train/main.py --set data.data_dir=/home/ann/films',
      'python main.py --set data.data_dir=DATA_DIR',
    ),
    (
      'python -m train.main --set=data.data_dir=~/films --workdir runs/a',
      'python -m train.main --set=data.data_dir=DATA_DIR --workdir runs/a',
    ),
    ('python "unclosed /home/ann/films', 'python "unclosed …/films'),
  )
  def test_hide_in_command(self, command, expected):
    self.assertEqual(places.hide_in_command(command), expected)


if __name__ == '__main__':
  absltest.main()
