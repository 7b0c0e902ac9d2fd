import pathlib

from absl.testing import absltest
from absl.testing import parameterized

from train.ablation import ablation_rows
from train.config import configs
from train.config import presets

_BY_NAME = {row.name: row for row in ablation_rows.ROWS}


def _config(row, preset='demo', assignments=()):
  return configs.override(
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
    blur = [
      'use_labels=true',
      'model.label_weight=7',
      'model.head.labels=label_embedding',
      'tail_labels=true',
    ]
    if row.part == 'tail':
      blur += [
        'tail.context_affine=learned',
        'tail.context_mixture=pixels',
        'model.tail.labels=label_embedding',
        'state_channels=9',
        'model.tail.previous_frames=2',
      ]
    clear, blurred = _config(row), _config(row, assignments=blur)
    changed = [
      line.partition(':')[0] for line in configs.differences(clear, blurred)
    ]
    # A label's way is of no effect on what has no label, or on the other part.
    free = {
      f'{part}.label_conditioning'
      for part in ('head', 'tail')
      if part != row.part or not clear.use_labels
    }
    self.assertContainsSubset(changed, free)
    configs.check(blurred)

  def test_neighbours_differ_by_one_thing(self):
    def changed(name):
      row = _BY_NAME[name]
      lines = configs.differences(
        _config(row), _config(_BY_NAME[row.reference])
      )
      return lines

    for name, line in {
      'paper_state': 'state_channels: 0 -> 16',
      'residual': "tail.context_affine: None -> 'residual'",
      'residual_state': 'state_channels: 0 -> 8',
      'motion': "tail.context_affine: 'residual' -> 'motion'",
      'motion_two_frames': 'previous_frames: 1 -> 2',
      'residual_cross_entropy': 'label_loss_weight: 0.0 -> 1.0',
      'head_cross_entropy_1': 'label_loss_weight: 0.0 -> 1.0',
      'head_cross_entropy_10': 'label_loss_weight: 1.0 -> 10.0',
      'paper_head_label': 'use_labels: False -> True',
    }.items():
      self.assertEqual(changed(name), [line])
    self.assertEqual(
      changed('residual_label_prior'),
      ['use_labels: False -> True', 'tail_labels: False -> True'],
    )

  def test_the_papers_label_image(self):
    head = _config(_BY_NAME['paper_head_label']).head
    tail = _config(_BY_NAME['paper_state_label']).tail
    for glow in (head, tail):
      self.assertEqual(
        (glow.label_conditioning, glow.label_init_std), ('image', 1.0)
      )
    self.assertEqual(_config(_BY_NAME['head_image']).head.label_init_std, 0.01)


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
      configs.ConfigError, "'residaul'.*Near ones: residual"
    ):
      ablation_rows.rows_for(True, ['residaul'])

  def test_tail_of_images(self):
    with self.assertRaisesRegex(configs.ConfigError, "'residual'.*num_frames"):
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
