import pathlib

from absl.testing import absltest
from absl.testing import parameterized

import tfp_cglow
from train.ablation import ablation_rows
from train.config import configs
from train.config import fields
from train.config import overrides
from train.config import presets

_BY_NAME = {row.name: row for row in ablation_rows.ROWS}


def _config(row, preset='demo', assignments=()):
  return overrides.override(
    presets.PRESETS[row.preset or preset], [*assignments, *row.assignments]
  )


class RowsTest(parameterized.TestCase):
  def test_names_are_folders_of_their_own(self):
    self.assertLen(_BY_NAME, len(ablation_rows.ROWS))
    for name in _BY_NAME:
      self.assertRegex(name, '^[a-z0-9_]+$')

  def test_references_are_earlier_rows_of_the_same_part(self):
    seen = {}
    for row in ablation_rows.ROWS:
      if row.reference is not None:
        self.assertEqual(seen[row.reference], row.part)
      seen[row.name] = row.part
    roots = [r.name for r in ablation_rows.ROWS if r.reference is None]
    self.assertEqual(roots, ['paper_previous', 'paper_head'])

  @parameterized.parameters(*_BY_NAME)
  def test_the_command_line_cannot_blur_a_row(self, name):
    row = _BY_NAME[name]
    part = f'model.{row.part}'
    blur = ['model.label_weight=7', f'{part}.labels=label_embedding']
    blur += [f'{part}.first=level_mixture']
    if row.part == 'tail':
      blur += ['model.tail.memory=gru_memory', 'model.tail.memory.channels=9']
      blur += ['model.tail.previous_frames=2']
    clear, blurred = _config(row), _config(row, assignments=blur)
    self.assertEmpty(overrides.differences(clear, blurred))
    configs.check(blurred)

  def test_neighbours_differ_by_one_thing(self):
    def changed(name):
      row = _BY_NAME[name]
      lines = overrides.differences(
        _config(row), _config(_BY_NAME[row.reference])
      )
      return lines

    for name, expected in {
      'paper_state': ['model.tail.memory', 'model.tail.memory.channels'],
      'residual': [
        'model.tail.first',
        'model.tail.first.mean',
        'model.tail.first.hidden_channels',
      ],
      'residual_state': ['model.tail.memory', 'model.tail.memory.channels'],
      'motion': ['model.tail.first.mean', 'model.tail.first.mean.radius'],
      'motion_two_frames': ['model.tail.previous_frames'],
      'residual_label_prior': ['model.tail.labels'],
      'residual_cross_entropy': ['model.label_weight'],
      'head_cross_entropy_1': ['model.label_weight'],
      'head_cross_entropy_10': ['model.label_weight'],
      'paper_head_label': ['model.head.labels', 'model.head.labels.init_std'],
    }.items():
      keys = [line.partition(':')[0] for line in changed(name)]
      self.assertEqual(keys, expected)

  def test_the_papers_label_image(self):
    head = _config(_BY_NAME['paper_head_label']).model.head
    tail = _config(_BY_NAME['paper_state_label']).model.tail
    for glow in (head, tail):
      self.assertEqual(glow.labels, tfp_cglow.LabelImages(init_std=1.0))
    ours = _config(_BY_NAME['head_image']).model.head
    self.assertEqual(ours.labels, tfp_cglow.LabelImages(init_std=0.01))


class RowsForTest(absltest.TestCase):
  def test_all_of_video_and_heads_of_images(self):
    self.assertEqual(ablation_rows.rows_for(True), ablation_rows.ROWS)
    parts = {row.part for row in ablation_rows.rows_for(False)}
    self.assertEqual(parts, {'head'})

  def test_names_in_the_order_of_the_rows(self):
    rows = ablation_rows.rows_for(True, ['residual', 'previous'])
    self.assertEqual([row.name for row in rows], ['previous', 'residual'])

  def test_unknown_name(self):
    with self.assertRaisesRegex(
      fields.ConfigError, "'residaul'.*Did you mean residual"
    ):
      ablation_rows.rows_for(True, ['residaul'])

  def test_tail_of_images(self):
    with self.assertRaisesRegex(fields.ConfigError, "'residual'.*num_frames"):
      ablation_rows.rows_for(False, ['residual'])

  def test_cells_take_all_rows_of_a_seed_first(self):
    rows = ablation_rows.rows_for(True, ['residual', 'previous'])
    cells = ablation_rows.cells_of(rows, 2, '/w')
    self.assertEqual(
      [cell.path.as_posix() for cell in cells],
      [
        '/w/previous/seed_0',
        '/w/residual/seed_0',
        '/w/previous/seed_1',
        '/w/residual/seed_1',
      ],
    )
    self.assertEqual(cells[0].log, pathlib.Path('/w/previous/seed_0/log.txt'))


if __name__ == '__main__':
  absltest.main()
