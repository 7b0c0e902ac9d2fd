import io
import json
import pathlib

from absl.testing import absltest
import numpy as np
import PIL.Image

from train.ablation import ablation_figure
from train.ablation import ablation_markdown
from train.ablation import ablation_report
from train.ablation import ablation_rows
from train.config import configs
from train.config import overrides
from train.config import presets

_FACTS = {
  'command': 'python -m train.main --mode=ablate',
  'preset': 'demo',
  'assignments': [],
  'num_seeds': 2,
  'jobs': 2,
  'num_threads': 1,
  'seconds': 30.0,
}
_NAMES = ('paper_head', 'paper_previous', 'previous', 'residual')


_NASTY = '<script>`|*x*\u202e\n# y [a](b)'


class AblationReportTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(self.create_tempdir().full_path)

  def _cells(self, names=_NAMES):
    rows = ablation_rows.rows_for(True, names)
    return ablation_rows.cells_of(rows, 2, self.workdir)

  def _write(self, cell, clips, assignments=(), label=(0, 1), **metrics):
    """A finished cell: `clips` are its clips' bits/dim."""
    cell.path.mkdir(parents=True)
    part = cell.row.part
    scores = np.asarray(clips, float)
    metrics = {
      f'{part}_bits_per_dim': scores.mean(),
      f'identity_{part}_bits_per_dim': 6.4,
      f'adapted_{part}_bits_per_dim': 5.0 + cell.seed,
      'label_accuracy': None,
      'marginal_histogram_bits_per_dim': 4.5,
      'previous_pixel_histogram_bits_per_dim': 2.5,
      'step': 700,
      'seconds': 10.0 + cell.seed,
      'num_train_clips': 132,
      'num_valid_clips': 2,
      **metrics,
    }
    config = overrides.override(presets.PRESETS['demo'], assignments)
    cell.folder.metrics_file.write_text(json.dumps(metrics))
    cell.folder.config_file.write_text(configs.to_json(config))
    session = {'seconds': 7.0, 'exit_code': 0, 'jobs': 2, 'num_threads': 1}
    cell.sessions.write_text(2 * (json.dumps(session) + '\n'))
    np.savez(cell.folder.scores_file, label=label, **{part: scores})

  def test_nothing_of_an_error_or_a_command_is_markdown(self):
    facts = {
      **_FACTS,
      'command': f"python '{_NASTY}' --data_dir=/home/ann/films",
    }
    failures = dict.fromkeys((c.name for c in self._cells()), _NASTY)
    values = ablation_report.summary(self._cells(), failures, facts)
    text = ablation_markdown.markdown(values)
    self.assertIn(
      "- Command: `` python '<script>`|*x*\\u202e\\n# y [a](b)' "
      '--data_dir=DATA_DIR ``',
      text.splitlines(),
    )
    self.assertIn(
      r'- residual/seed_1: \<script\>\`\|\*x\*\\u202e \# y \[a\](b)',
      text.splitlines(),
    )

  def _write_all(self):
    """Tails of seed s: 3 + s, 2 + s and 1.5; the last seed of one failed."""
    cells = {cell.name: cell for cell in self._cells()}
    for seed in (0, 1):
      self._write(
        cells[f'paper_head/seed_{seed}'],
        [3.0, 3.0],
        label_accuracy=0.5 + 0.2 * seed,
        calibrated_label_information_bits=1.0,
      )
      self._write(
        cells[f'paper_previous/seed_{seed}'], 3 + seed + np.zeros([2, 2])
      )
      self._write(cells[f'previous/seed_{seed}'], 2 + seed + np.zeros([2, 2]))
    self._write(cells['residual/seed_0'], [[1.0, 2.0], [1.0, 2.0]])
    # What a failed cell holds is not what was wanted.
    self._write(cells['residual/seed_1'], [[9.0, 9.0], [9.0, 9.0]])
    return {'residual/seed_1': 'killed by SIGKILL'}

  def _summary(self, failures):
    values = ablation_report.summary(self._cells(), failures, _FACTS)
    json.dumps(values)
    return values, {row['name']: row for row in values['rows']}

  def test_numbers_by_hand(self):
    values, rows = self._summary(self._write_all())
    bits = rows['previous']['bits_per_dim']
    self.assertEqual(bits['by_seed'], [2.0, 3.0])
    self.assertEqual(bits['mean'], 2.5)
    self.assertAlmostEqual(bits['spread'], 0.5**0.5)
    self.assertEqual(
      rows['previous']['difference'],
      {
        'mean': -1.0,
        'low': -1.0,
        'high': -1.0,
        'by_seed': (-1.0, -1.0),
        'seeds': [0, 1],
      },
    )
    self.assertEqual(rows['previous']['train_seconds']['mean'], 10.5)
    self.assertEqual(rows['previous']['seconds']['mean'], 14.0)
    self.assertIsNone(rows['paper_previous']['difference'])
    self.assertEqual(values['cell_seconds'], 7 * 14.0)
    self.assertEqual(values['data']['data.frame_size'], [32])

  def test_a_difference_is_of_the_seeds_that_both_have(self):
    _, rows = self._summary(self._write_all())
    difference = rows['residual']['difference']
    self.assertEqual((difference['seeds'], difference['mean']), ([0], -0.5))
    self.assertEqual(
      rows['residual']['failed'], {'residual/seed_1': 'killed by SIGKILL'}
    )

  def test_what_is_not_comparable(self):
    cells = {cell.name: cell for cell in self._cells()}
    failures = {name: 'failed' for name in cells if name.endswith('_1')}
    self._write(cells['paper_head/seed_0'], [3.0, 3.0])
    self._write(
      cells['paper_previous/seed_0'],
      [[3.0], [3.0]],
      ['model.dequantisation=legacy'],
    )
    self._write(cells['previous/seed_0'], [[2.0], [2.0]])
    self._write(cells['residual/seed_0'], [[1.0], [1.0]], label=(1, 0))
    values, rows = self._summary(failures)
    self.assertEqual(
      rows['previous']['difference'],
      {'why': 'other model.dequantisation: legacy, matched'},
    )
    self.assertEqual(rows['residual']['difference'], {'why': 'other clips'})
    cells['residual/seed_0'].folder.scores_file.unlink()
    _, rows = self._summary(failures)
    self.assertEqual(rows['residual']['difference'], {'why': 'no scores.npz'})
    self.assertIn(
      '| other clips | previous |', ablation_markdown.markdown(values)
    )

  def test_untrained_flows_are_the_papers_and_ours(self):
    values, _ = self._summary(self._write_all())
    lines = {x['title']: x for x in values['untrained']['tail']}
    self.assertEqual(
      {title: x['row'] for title, x in lines.items()},
      {
        "paper's flow: identity": 'paper_previous',
        "paper's flow: adapted only": 'paper_previous',
        'our flow: identity': 'previous',
        'our flow: adapted only': 'previous',
      },
    )
    adapted = lines['our flow: adapted only']['bits_per_dim']
    self.assertEqual((adapted['mean'], adapted['by_seed']), (5.5, [5.0, 6.0]))
    self.assertLen(values['untrained']['head'], 2)

  def test_markdown(self):
    values, _ = self._summary(self._write_all())
    text = ablation_markdown.markdown({**values, 'cpu': 'Some CPU'})
    head, tail = text.index('## Head'), text.index('## Tail')
    self.assertLess(tail, head)
    for line in (
      '- Command: `python -m train.main --mode=ablate`',
      '- Data set: natvid, 8 frames of 32x32 pixels, 5 bits, '
      'dequantisation matched; 132 training and 2 held-out clips',
      '- Processes: 2 at a time, 1 thread(s) each',
      '- Total time: 98 s of all cells; this session 30 s',
      '| _no flow: pixel histogram_ | 4.5000 |  |  |  |  |  |  |',
      "| _paper's flow: identity_ | 6.4000 ± 0.0000 |  |  |  |  |  |  |",
      '| our flow: previous frame | 2.5000 ± 0.7071 '
      '| -1.0000 [-1.0000, -1.0000] | paper_previous | 2 of 2 | 700 | 10 '
      '| 14 |',
      '| + subtracted, learned shift and scale | 1.5000 '
      '| -0.5000 [-0.5000, -0.5000] | previous | 1 of 2, 1 FAILED | 700 | 10 '
      '| 14 |',
      "| paper's flow: no label | 3.0000 ± 0.0000 | - | - | 0.600 ± 0.141 "
      '| 1.000 ± 0.000 | 2 of 2 | 700 | 10 | 14 |',
      '- residual/seed_1: killed by SIGKILL',
      'Seconds were measured while cells shared the machine.',
    ):
      self.assertIn(line, text.splitlines())
    self.assertNotIn('label accuracy', text[tail:head])
    self.assertNotIn('previous pixel', text[head:])
    self.assertNotIn('different numbers of steps', text)

  def test_different_steps_are_said(self):
    failures = self._write_all()
    (cell,) = [c for c in self._cells() if c.name == 'residual/seed_0']
    metrics = json.loads(cell.folder.metrics_file.read_text())
    cell.folder.metrics_file.write_text(json.dumps({**metrics, 'step': 9}))
    values, _ = self._summary(failures)
    self.assertIn(
      'different numbers of steps', ablation_markdown.markdown(values)
    )

  def test_figure_has_a_panel_a_part(self):
    values, _ = self._summary(self._write_all())
    both = PIL.Image.open(io.BytesIO(ablation_figure.figure(values)))
    tails = [row for row in values['rows'] if row['part'] == 'tail']
    one = PIL.Image.open(
      io.BytesIO(ablation_figure.figure({**values, 'rows': tails}))
    )
    self.assertEqual(both.format, 'PNG')
    self.assertEqual(both.width, one.width)
    self.assertGreater(both.height, one.height)
    self.assertGreater(np.asarray(both.convert('L')).std(), 5.0)

  def test_write_when_everything_failed(self):
    failures = {cell.name: 'no output' for cell in self._cells()}
    path, _ = ablation_report.write(
      self.workdir, self._cells(), failures, _FACTS
    )
    self.assertIn('0 of 2, 2 FAILED', path.read_text())
    self.assertFalse((self.workdir / 'ablation.png').exists())
    values = json.loads((self.workdir / 'ablation.json').read_text())
    self.assertEqual(values['command'], _FACTS['command'])


if __name__ == '__main__':
  absltest.main()
