import json
import pathlib
import re

from absl.testing import absltest

from train.config import overrides
from train.config import presets
from train.report import figures
from train.report import page as page_lib
from train.report import sections
from train.storage import files
from train.storage import origin
from train.storage import run_folder

# 52360154 if it is evaluated: no time or version has these digits.
_NASTY = '<script>alert("1")</script>{{ 7907*6622 }}'


def _page(*blocks, title='title'):
  made = [sections.Section('a', title, blocks)]
  return page_lib.render(page_lib.Page(title, title, made, []))


class PageTest(absltest.TestCase):
  def test_everything_is_escaped(self):
    image = figures.Image(b'', 'gif', _NASTY, 8, _NASTY)
    picture = figures.Row(_NASTY, (image,))
    shown = figures.Figure(
      _NASTY, _NASTY, _NASTY, _NASTY, (image,), (_NASTY,), (picture,)
    )
    html = _page(
      sections.Text(_NASTY),
      sections.Code(_NASTY),
      sections.Table([_NASTY], [[_NASTY], [_NASTY]], _NASTY),
      sections.Shown(shown),
      sections.Details(_NASTY, [sections.Text(_NASTY)]),
      title=_NASTY,
    )
    self.assertNotIn('<script', html)
    self.assertNotIn('alert("', html)
    self.assertNotIn('52360154', html)
    self.assertGreater(html.count('&lt;script&gt;'), 12)

  def test_a_row_may_lack_the_picture_of_a_column(self):
    image = figures.Image(b'', 'png', 'alt', 40)
    rows = (figures.Row('none real', (image,)), figures.Row('b', (image,) * 2))
    for some in (rows, rows[:1]):
      figure = figures.Figure(
        'f', 'F', columns=('generated', 'real'), rows=some
      )
      html = _page(sections.Shown(figure))
      self.assertIn('>real</span>', html)

  def test_a_metrics_file_that_is_a_list_is_named(self):
    workdir = pathlib.Path(self.create_tempdir().full_path)
    folder = run_folder.RunFolder(workdir)
    folder.create()
    folder.claim(
      overrides.override(presets.PRESETS['smoke'], ['data.frame_size=8'])
    )
    folder.write_labels(['cat'])
    folder.metrics_file.write_text('[]')
    html = page_lib.write([workdir]).read_text('utf-8')
    self.assertIn('metrics.json cannot be read', html)

  def test_needs_no_other_file(self):
    html = _page(sections.Text('text'))
    policy = re.search(r'Content-Security-Policy"\s+content="([^"]+)"', html)[1]
    self.assertStartsWith(policy, "default-src 'none'")
    self.assertNotIn('http:', html)
    self.assertNotIn('https:', html)
    self.assertNotIn('<script', html)

  def test_a_run_that_has_nothing(self):
    workdir = pathlib.Path(self.create_tempdir().full_path)
    folder = run_folder.RunFolder(workdir)
    folder.create()
    folder.claim(
      overrides.override(presets.PRESETS['smoke'], ['data.frame_size=8'])
    )
    folder.write_labels(['cat', _NASTY])
    path = page_lib.write([workdir])
    self.assertEqual(path, workdir / 'report.html')
    html = path.read_text('utf-8')
    self.assertNotIn('<script', html)
    for text in (
      'A run that is not finished',
      'the run is at step 0 of 6',
      'has no checkpoint',
      'samples/ holds no GIF',
      'Not measured yet',
    ):
      self.assertIn(text, html)
    # The architecture needs no checkpoint.
    self.assertNotEmpty(list((workdir / 'figures').glob('architecture_*.svg')))

  def test_places_stay_on_this_machine(self):
    workdir = pathlib.Path(self.create_tempdir().full_path, 'my run')
    folder = run_folder.RunFolder(workdir)
    folder.create()
    folder.claim(
      overrides.override(
        presets.PRESETS['smoke'],
        ['data=folder', 'data.data_dir=/home/ann smith/films'],
      )
    )
    folder.write_labels(['cat', 'dog\u202egnp'])
    for path, message in (
      ('/home/ann smith/films/cat/1.mp4', 'no video stream'),
      ('/home/ann smith/old/dog/2.mp4', "No file '/home/ann smith/x/2.mp4'"),
      ('/home/ann smith/films/dog/3.mp4', 'in /home/ann smith/films/dog/3.mp4'),
    ):
      row = {'path': path, 'reason': 'cannot be opened', 'message': message}
      files.append_line(folder.skipped_log, row)
    folder.append_metrics(
      'event', 3, event='restore', reason=f'{workdir}/checkpoints/x is bad'
    )
    folder.metrics_file.write_text('{')
    (folder.samples / 'a.gif').write_text('no gif')
    for number in range(1, 7):
      (folder.samples / f'sampled_000{number}.gif').write_text('no gif')
    origin.write(workdir, [('/home/ann smith/runs/old', 'head')], [])
    html = page_lib.write([workdir]).read_text('utf-8')
    for word in ('ann smith', str(workdir.parent), '\u202e', 'sampled_0002'):
      self.assertNotIn(word, html)
    for word in (
      *('cat/1.mp4', 'dog/2.mp4', 'my run/checkpoints/x is bad'),
      *('a.gif is left out', 'sampled_0003.gif', 'sampled_0006.gif'),
      *('of old:head (--init_from)', 'INIT_FROM stands for old:head'),
    ):
      self.assertIn(word, html)
    both = page_lib.write([workdir, workdir]).read_text('utf-8')
    self.assertNotIn(str(workdir.parent), both)

  def test_an_ablation(self):
    stats = {'mean': 2.0, 'spread': 0.1, 'by_seed': [1.9, 2.1]}
    row = {
      'name': 'a',
      'title': '<b>a row</b>',
      'part': 'tail',
      'preset': None,
      'reference': None,
      'bits_per_dim': stats,
      'label_accuracy': {'mean': None, 'spread': None},
      'difference': None,
      'num_seeds': 2,
      'failed': {
        'a/seed_2': _NASTY,
        'a/seed_3': "No such file: '/home/ann smith/a.mp4'",
      },
      'steps': [6],
      'train_seconds': stats,
      'seconds': stats,
    }
    values = {
      'command': "python -m train.main --data_dir='/home/ann smith/films'",
      'data': dict.fromkeys(
        ('dataset', 'split', 'num_frames', 'frame_size', 'n_bits'), [4]
      )
      | {'dequantisation': ['matched']},
      'num_train_clips': [8],
      'num_valid_clips': [2],
      'num_seeds': 3,
      'jobs_of_cells': [{'jobs': 1, 'num_threads': None}],
      'cpu': 'a processor',
      'num_cpus': 2,
      'date': 'today',
      'cell_seconds': 1.0,
      'seconds': 1.0,
      'untrained': {'head': [], 'tail': []},
      'histograms': {'head': {}, 'tail': {}},
      'rows': [row],
    }
    workdir = pathlib.Path(self.create_tempdir().full_path)
    (workdir / 'ablation.json').write_text(json.dumps(values))
    html = page_lib.write([workdir]).read_text('utf-8')
    self.assertIn('2.0000 ± 0.1000', html)
    self.assertIn('2 of 3, 2 FAILED', html)
    self.assertNotIn('ann smith', html)
    self.assertIn('--data_dir=DATA_DIR', html)
    self.assertIn('&lt;b&gt;a row', html)
    self.assertNotIn('<script', html)
    self.assertIn('data:image/svg+xml', html)

  def test_no_run(self):
    workdir = self.create_tempdir().full_path
    with self.assertRaisesRegex(files.RunFolderError, 'holds no run'):
      page_lib.write([workdir])
    with self.assertRaisesRegex(files.RunFolderError, 'holds no run'):
      page_lib.write([workdir, workdir])


if __name__ == '__main__':
  absltest.main()
